"""Counters: whatever was written, and in whatever order, they say what the rows say; and so does everything that is read from them."""

import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, insert, select

from ld_server.domain.window import EARLIEST, LATEST, Window
from ld_server.services import counters
from relational import tables
from relational.allocations import AllocationRow
from relational.buckets import DAY, HOUR, Layout
from relational.capacity import Capacities, Day
from relational.counters import Counters
from relational.unit_of_work import Ledger, UnitOfWork, open_ledger
from relational.wire import Wire
from tests.contract.efforts import rows_read
from tests.contract.rows import add_item_type, add_pool, add_rent_action, allocation, stage

BLOCKING = ("allocated", "in_use")
POOLS = ("pool_1", "pool_2")
MIDNIGHT = datetime(2027, 3, 1, tzinfo=UTC)
A_DAY = timedelta(days=1)


@dataclass
class Trial:
    """A transaction with one item type, two pools and a reservation, of which nothing stays."""

    connection: Connection
    uow: UnitOfWork

    def counters(self) -> list[tuple[object, ...]]:
        """Every counter that counts something."""
        kept = tables.counters.c
        query = select(tables.counters).where((kept.started != 0) | (kept.ended != 0)).order_by(kept.stock_pool, kept.span, kept.bucket)
        return [tuple(row) for row in self.connection.execute(query)]


@contextmanager
def trial(ledger: Ledger) -> Iterator[Trial]:
    with ledger.engine.connect() as connection, connection.begin() as transaction:
        uow = UnitOfWork(connection)
        add_item_type(uow)
        add_rent_action(uow, "ra_1")
        for pool in POOLS:
            add_pool(uow, pool)
        yield Trial(connection, uow)
        transaction.rollback()


# --- the definition ---------------------------------------------------------------------------------------------------


@dataclass
class Rows:
    """Allocations as a list, and what they amount to by looking at every one of them."""

    rows: dict[int, AllocationRow]

    def spans(self, pool: str, now: datetime) -> list[tuple[datetime, datetime, int]]:
        """From when, until when and how many, of everything that blocks."""
        standing = [row for row in self.rows.values() if row.stock_pool == pool and row.status in BLOCKING]
        return [(row.blocked_from, until(row, now), row.quantity) for row in standing]

    def level(self, pool: str, at: datetime, now: datetime) -> int:
        return sum(quantity for start, end, quantity in self.spans(pool, now) if start <= at < end)

    def reserved(self, pool: str, window: Window, now: datetime) -> int:
        return sum(quantity for start, end, quantity in self.spans(pool, now) if start < window.end and end > window.start)

    def levels(self, pool: str, window: Window, now: datetime) -> list[int]:
        """At the start, and wherever something changes."""
        instants = {at for start, end, _ in self.spans(pool, now) for at in (start, end) if window.start < at < window.end}
        return [self.level(pool, at, now) for at in (window.start, *sorted(instants))]

    def day(self, pool: str, start: datetime, now: datetime) -> Day:
        end, spans = start + A_DAY, self.spans(pool, now)
        levels = self.levels(pool, Window(start, end), now)
        started = sum(quantity for first, _, quantity in spans if start <= first < end)
        return Day(start, levels[0], max(levels), min(levels), started, sum(quantity for _, last, quantity in spans if start <= last < end))


def until(row: AllocationRow, now: datetime) -> datetime:
    return LATEST if row.status == "in_use" and row.allocated_to <= now else row.blocked_to


# --- random situations ------------------------------------------------------------------------------------------------

instants = st.one_of(
    st.integers(-3, 3).map(lambda days: MIDNIGHT + days * A_DAY),
    st.integers(-40, 40).map(lambda hours: MIDNIGHT + timedelta(hours=hours)),
    st.integers(-100, 100).map(lambda minutes: MIDNIGHT + timedelta(minutes=20 * minutes)),
    st.integers(-70, 70).map(lambda days: MIDNIGHT + timedelta(days=days, hours=7)),
    st.sampled_from([1, -1]).map(lambda micro: MIDNIGHT + timedelta(microseconds=micro)),
    st.sampled_from([EARLIEST, datetime(1969, 12, 31, 23, 30, tzinfo=UTC), datetime(1970, 1, 1, tzinfo=UTC), LATEST]),
)
windows = st.tuples(instants, instants).filter(lambda pair: pair[0] != pair[1]).map(lambda pair: Window(min(pair), max(pair)))
turnarounds = st.sampled_from([timedelta(), timedelta(), timedelta(minutes=30), timedelta(hours=5)])


@dataclass(frozen=True)
class Draw:
    """An allocation from a pool."""

    pool: str
    window: Window
    after: timedelta
    quantity: int
    status: str

    def row(self, number: int) -> AllocationRow:
        start, end = self.window.start, self.window.end
        blocked_to = end + self.after if LATEST - end > self.after else LATEST
        window = {"blocked_to": blocked_to, "status": self.status, "quantity": self.quantity, "stock_pool": self.pool}
        return allocation(number, None, start, end, **window)


draws = st.builds(
    Draw,
    st.sampled_from([POOLS[0], *POOLS]),
    windows,
    turnarounds,
    st.integers(1, 9),
    st.sampled_from(["allocated", "allocated", "in_use", "in_use", "returned"]),
)
adding = st.tuples(st.just("add"), st.lists(draws, min_size=1, max_size=5))
telling = st.tuples(st.just("set_status"), st.integers(0, 50), st.sampled_from(["allocated", "in_use", "returned", "cancelled"]))
changing = st.tuples(st.just("change"), st.integers(0, 50), draws)
splitting = st.tuples(st.just("split"), st.integers(0, 50))
histories = st.lists(st.one_of(adding, adding, telling, changing, splitting), min_size=1, max_size=8)


def play(uow: UnitOfWork, history: Sequence[tuple]) -> Rows:
    """Write what the history says, and keep a list of it."""
    kept = Rows({})
    for kind, *what in history:
        PLAYED[kind](uow, kept.rows, *what)
    return kept


def _add(uow: UnitOfWork, rows: dict[int, AllocationRow], drawn: Sequence[Draw]) -> None:
    added = [one.row(number) for number, one in enumerate(drawn, len(rows) + 1)]
    uow.allocations.add(added)
    rows |= {row.number: row for row in added}


def _set_status(uow: UnitOfWork, rows: dict[int, AllocationRow], which: int, status: str) -> None:
    numbers = [number for number in rows if number % 7 == which % 7]
    uow.allocations.set_status(numbers, status)
    rows |= {number: replace(rows[number], status=status) for number in numbers}


def _change(uow: UnitOfWork, rows: dict[int, AllocationRow], which: int, drawn: Draw) -> None:
    changed = [drawn.row(number) for number in rows if number == which % (len(rows) + 1)]
    uow.allocations.change(changed)
    rows |= {row.number: row for row in changed}


def _split(uow: UnitOfWork, rows: dict[int, AllocationRow], which: int) -> None:
    row = rows.get(which % (len(rows) + 1))
    if row is None or row.quantity < 2:
        return
    rest = replace(row, number=len(rows) + 1, quantity=row.quantity - 1, status="returned")
    parts = [replace(row, quantity=1), rest]
    uow.allocations.change(parts)
    rows |= {part.number: part for part in parts}


PLAYED = {"add": _add, "set_status": _set_status, "change": _change, "split": _split}

searching = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@searching
@given(history=histories, window=windows, now=instants)
def test_what_is_read_is_what_the_rows_amount_to(ledger: Ledger, history: list[tuple], window: Window, now: datetime) -> None:
    with trial(ledger) as tried:
        uow, rows = tried.uow, play(tried.uow, history)
        for state in uow.capacity.pools({"itemType_1": window}, now)["itemType_1"]:
            levels = rows.levels(state.identifier, window, now)
            assert (state.reserved, state.peak) == (rows.reserved(state.identifier, window, now), max(levels))
            level, changes = uow.capacity.pool_changes(state.identifier, window, now)
            assert level == levels[0]
            assert [level := level + change.change for change in changes] == levels[1:]


@searching
@given(history=histories, first=st.integers(-75, 5), count=st.integers(1, 5), now=instants)
def test_days_are_what_the_rows_amount_to(ledger: Ledger, history: list[tuple], first: int, count: int, now: datetime) -> None:
    with trial(ledger) as tried:
        uow, rows = tried.uow, play(tried.uow, history)
        days = [MIDNIGHT + timedelta(days=first + number) for number in range(count)]
        for pool in POOLS:
            read = uow.capacity.pool_days(pool, days[0].date(), days[-1].date(), now)
            assert read == [rows.day(pool, day, now) for day in days]


@searching
@given(history=histories)
def test_counters_are_kept_as_if_they_were_counted_anew(ledger: Ledger, history: list[tuple]) -> None:
    with trial(ledger) as tried:
        play(tried.uow, history)
        assert tried.uow.counters.differing(POOLS) == []
        kept = tried.counters()
        for _ in range(2):
            tried.uow.counters.rebuild(POOLS)
            assert tried.counters() == kept
        assert tried.uow.counters.differing(POOLS) == []


# --- by example -------------------------------------------------------------------------------------------------------


def at(day: int, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(2027, 3, day, hour, minute, tzinfo=UTC)


def drawn(number: int, quantity: int, start: datetime, end: datetime, **changes: object) -> AllocationRow:
    return allocation(number, None, start, end, stock_pool="pool_1", quantity=quantity, **changes)


def test_a_counter_says_where_the_level_is_beside_that_before_it(ledger: Ledger) -> None:
    with trial(ledger) as tried:
        tried.uow.allocations.add(
            [drawn(1, 10, at(1, 12), at(2, 1)), drawn(2, 4, at(2, 1, 30), at(2, 1, 45)), drawn(3, 2, at(3), at(3, 1))]
        )
        day = (at(1) - datetime(1970, 1, 1, tzinfo=UTC)).days
        hours = [(HOUR, 24 * day + hour, *counted) for hour, *counted in (
            (12, 10, 10, 0, 10, 10), (25, -10, 4, 14, -6, -10), (48, 2, 2, 0, 2, 2), (49, -2, 0, 2, -2, -2),
        )]  # fmt: skip
        days = [(DAY, day, 0, 10, 0, 10, 0), (DAY, day + 1, 0, 4, 14, 0, -10), (DAY, day + 2, 2, 2, 2, 2, 0)]
        assert [row[1:] for row in tried.counters()] == [*hours, *days, (32 * DAY, day // 32, 0, 16, 16, 10, 0)]
        told = [(day.level, day.peak, day.low) for day in tried.uow.capacity.pool_days("pool_1", at(1).date(), at(4).date(), at(1))]
        assert told == [(0, 10, 0), (10, 10, 0), (2, 2, 0), (0, 0, 0)]


def test_units_that_become_overdue_in_a_window_count_on(ledger: Ledger) -> None:
    """They are kept for some hours after their time in any case; when it is over by now, they may be missing after that, too."""
    with trial(ledger) as tried:
        out = drawn(1, 5, at(1, 8), at(2, 8), blocked_to=at(2, 12), status="in_use")
        tried.uow.allocations.add([out, drawn(2, 2, at(2, 10, 30), at(2, 11, 30)), drawn(3, 3, at(2, 13), at(2, 14))])
        for now, peak, low, ended in ((at(2, 7), 7, 0, 10), (at(2, 9), 8, 5, 5)):
            [state] = tried.uow.capacity.pools({"itemType_1": Window(at(2, 10), at(2, 20))}, now)["itemType_1"][:1]
            assert (state.reserved, state.peak) == (10, peak)
            before, whole, after = tried.uow.capacity.pool_days("pool_1", at(1).date(), at(3).date(), now)
            assert whole == Day(at(2), 5, peak, low, 5, ended)
            assert (before.peak, after.level, after.low) == (5, low, low)


def test_what_becomes_overdue_at_the_last_instant_of_a_day_is_seen(ledger: Ledger) -> None:
    last = at(2) - timedelta(microseconds=1)
    with trial(ledger) as tried:
        tried.uow.allocations.add([drawn(1, 5, at(1, 8), at(1, 9), blocked_to=last, status="in_use")])
        days = tried.uow.capacity.pool_days("pool_1", at(1).date(), at(2).date(), at(1, 10))
    assert days == [Day(at(1), 0, 5, 0, 5, 0), Day(at(2), 5, 5, 5, 0, 0)]


def test_what_becomes_overdue_at_the_first_instant_of_days_is_counted_once(ledger: Ledger) -> None:
    with trial(ledger) as tried:
        tried.uow.allocations.add([drawn(1, 5, at(1, 8), at(2), status="in_use")])
        days = tried.uow.capacity.pool_days("pool_1", at(2).date(), at(3).date(), at(2))
        assert days == [Day(at(2), 5, 5, 5, 0, 0), Day(at(3), 5, 5, 5, 0, 0)]
        first = EARLIEST.date()
        assert tried.uow.capacity.pool_days("pool_1", first, first, at(2)) == [Day(EARLIEST, 0, 0, 0, 0, 0)]
        last = LATEST.date()
        assert [day.level for day in tried.uow.capacity.pool_days("pool_1", last, last, at(2))] == [5]


def test_a_pool_whose_counters_are_wrong_is_named(ledger: Ledger) -> None:
    for damage in ("UPDATE counters SET rise = rise + 1 WHERE span = 86400", "DELETE FROM counters WHERE span = 3600 AND started > 0"):
        with trial(ledger) as tried:
            tried.uow.allocations.add(
                [replace(drawn(1, 5, at(1), at(2)), stock_pool="pool_2"), drawn(2, 1, at(1), at(2), status="returned")]
            )
            assert tried.uow.counters.differing(POOLS) == []
            tried.connection.exec_driver_sql(damage)
            assert tried.uow.counters.differing(POOLS) == ["pool_2"]
            tried.uow.counters.rebuild(["pool_2"])
            assert tried.uow.counters.differing(POOLS) == []


LAYOUTS = [
    Layout((DAY,)),
    Layout((DAY, 32 * DAY)),
    Layout((HOUR, 32 * HOUR, 1024 * HOUR)),
    Layout((HOUR // 4, HOUR, 8 * HOUR, DAY, 32 * DAY)),
]


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: "-".join(map(str, layout.spans)))
def test_other_layouts_would_say_the_same(ledger: Ledger, layout: Layout) -> None:
    rows = [drawn(n, n % 4 + 1, at(1) + n * timedelta(hours=5), at(1) + n * timedelta(hours=7, minutes=20)) for n in range(1, 60)]
    starts = [at(1) + timedelta(hours=hours) for hours in (0, 9, 200)]
    asked = [Window(start, start + timedelta(hours=hours)) for start in starts for hours in (1, 8, 300)]
    with trial(ledger) as tried:
        tried.uow.allocations.add(rows)
        expected = [tried.uow.capacity.pools({"itemType_1": window}, at(1)) for window in asked]
        tried.connection.exec_driver_sql("DELETE FROM counters")
        kept_so, capacity = Counters(tried.connection, layout), Capacities(Wire.of(tried.connection), layout)
        kept_so.rebuild(POOLS)
        kept = tried.counters()
        kept_so.recount(instant for row in rows for instant in (("pool_1", row.blocked_from), ("pool_1", row.blocked_to)))
        assert tried.counters() == kept
        assert [capacity.pools({"itemType_1": window}, at(1)) for window in asked] == expected


def test_counters_can_be_rebuilt_while_others_write(ledger: Ledger) -> None:
    """Writers add, move and give back; whatever a rebuild meets in between, the counters are right in the end."""
    stage(ledger, assets=0)
    with ledger.write() as uow:
        for pool in POOLS:
            add_pool(uow, pool, 1_000)
    failures: list[Exception] = []

    def write(first: int, pool: str) -> None:
        try:
            for number in range(first, first + 15):
                row = replace(drawn(number, 2, at(1, number % 24), at(2, number % 24)), stock_pool=pool)
                for step in (_added, _moved_on, _returned):
                    with ledger.write() as uow:
                        uow.allocations.hold(["itemType_1"])
                        step(uow, row)
        except Exception as error:
            failures.append(error)

    def rebuild_again() -> None:
        try:
            for _ in range(10):
                assert counters.rebuild(ledger) == 2
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(100 * number, POOLS[number % 2])) for number in range(1, 4)]
    threads.append(threading.Thread(target=rebuild_again))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert counters.differing(ledger) == []


def _added(uow: UnitOfWork, row: AllocationRow) -> None:
    uow.allocations.add([row])


def _returned(uow: UnitOfWork, row: AllocationRow) -> None:
    if row.number % 2:
        uow.allocations.set_status([row.number], "returned")


def _moved_on(uow: UnitOfWork, row: AllocationRow) -> None:
    uow.allocations.change([replace(row, blocked_to=row.blocked_to + A_DAY)])


# --- what the engines do ----------------------------------------------------------------------------------------------

MANY = 3_000


@pytest.fixture
def busy(ledger: Ledger) -> Ledger:
    """A pool with many promises over the years; the engine knows how many."""
    stage(ledger, assets=0)
    with ledger.write() as uow:
        add_pool(uow, "pool_1", 1_000)
        starts = [(number, at(1) + number * timedelta(hours=9)) for number in range(1, MANY + 1)]
        uow.allocations.add([drawn(number, 1, start, start + timedelta(hours=11)) for number, start in starts])
    with ledger.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("ANALYZE")
    return ledger


def test_a_window_is_answered_from_indexes(busy: Ledger) -> None:
    window = Window(at(1) + timedelta(days=300, hours=3), at(1) + timedelta(days=800, hours=5))
    noted = plans(busy, lambda uow: uow.capacity.pools({"itemType_1": window}, at(1)))
    assert noted
    for plan in noted:
        for table in ("allocations", "counters"):
            assert f"Seq Scan on {table}" not in plan, plan
            assert not re.search(rf"SCAN (?:[bc]|{table})\b(?! USING INDEX allocations_that_are_out)", plan), plan


def test_a_promise_is_counted_from_indexes(busy: Ledger) -> None:
    noted = plans(busy, lambda uow: uow.counters.recount([("pool_1", at(1) + timedelta(days=400)), ("pool_1", at(1))]), writing=True)
    assert noted
    for plan in noted:
        assert "Seq Scan on allocations" not in plan, plan
        assert not re.search(r"SCAN [bc]\b", plan), plan


def plans(ledger: Ledger, work: Callable[[UnitOfWork], object], writing: bool = False) -> list[str]:
    """How the engine does each statement of this work about counters. On Postgres: how it would if tables were too large to be scanned."""
    asked: list[tuple[str, Mapping[str, Any]]] = []
    execute = Wire.execute

    def noting(wire: Wire, text: str, values: Mapping[str, Any]) -> Any:
        asked.append((text, values))
        return execute(wire, text, values)

    with pytest.MonkeyPatch.context() as patched, ledger.write() if writing else ledger.read() as uow:
        patched.setattr(Wire, "execute", noting)
        work(uow)
    prefix = {"sqlite": "EXPLAIN QUERY PLAN ", "postgresql": "EXPLAIN "}[ledger.engine.dialect.name]
    wanted = [(statement, parameters) for statement, parameters in asked if "counters" in statement]
    with ledger.engine.connect() as connection:
        if ledger.engine.dialect.name == "postgresql":
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        return ["".join(f"{row[-1]}\n" for row in connection.exec_driver_sql(prefix + one, dict(values))) for one, values in wanted]


# --- cost -------------------------------------------------------------------------------------------------------------


def test_a_promise_costs_the_same_in_a_pool_that_has_every_allocation(postgres_url: str) -> None:
    """Postgres would take that to be true of every pool, and read it from one end to the other."""
    ledger = open_ledger(postgres_url, pool_size=1)
    with ledger.write() as uow:
        add_item_type(uow)
        add_rent_action(uow, "ra_1")
        add_pool(uow, "pool_1", 10_000)
    promised = (_drawn(number, MIDNIGHT + number * timedelta(hours=3)) for number in range(1, 8001))
    with ledger.engine.begin() as connection:
        connection.execute(insert(tables.allocations), [asdict(row) for row in promised])
        Counters(connection).rebuild(["pool_1"])
    with ledger.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("VACUUM ANALYZE")
    before = rows_read(ledger, "allocations")
    with ledger.write() as uow:
        uow.allocations.hold(["itemType_1"])
        uow.allocations.add([_drawn(9001, MIDNIGHT + 500 * A_DAY)])
    assert rows_read(ledger, "allocations") - before < 100
    ledger.close()


def _drawn(number: int, start: datetime) -> AllocationRow:
    return allocation(number, None, start, start + A_DAY, stock_pool="pool_1")
