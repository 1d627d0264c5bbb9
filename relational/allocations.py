"""Allocations: who holds which unit, and when. The database itself refuses to promise a unit twice."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    bindparam,
    case,
    func,
    insert,
    literal,
    literal_column,
    or_,
    select,
    text,
    union_all,
    update,
)

from ld_server.domain.window import LATEST
from relational import tables
from relational.counters import Counters
from relational.given import Given
from relational.index import number_of
from relational.wire import VIOLATIONS, Statement, Wire, planned_once


class DoubleBooking(Exception):
    """A unit would have been promised twice in overlapping windows; the transaction must be rolled back."""


@dataclass(frozen=True, slots=True)
class AssetUnit:
    """A unit that may be allocated. `label` is what people call it: its tag, else its serial number, else its identifier."""

    identifier: str
    number: int
    location: str | None
    label: str


@dataclass(frozen=True, slots=True)
class Blocking:
    """A reservation that keeps a unit (or, with `asset` None, a quantity) busy from `start` to `end`, turnaround included."""

    rent_action: str
    asset: str | None
    start: datetime
    end: datetime
    quantity: int = 1


@dataclass(frozen=True, slots=True)
class Peak:
    """The most units that are promised at one instant, and the first instant at which it is so; 0 and None where nothing is promised."""

    quantity: int
    at: datetime | None


@dataclass(frozen=True, slots=True)
class AllocationRow:
    """
    One allocation: a concrete asset (quantity 1) or a quantity from a stock pool.

    `line` names the line of the reservation, `status` is `allocated`, `in_use`, `returned` or `cancelled`. The unit is the
    reservation's from `allocated_from` to `allocated_to`, and kept from others from `blocked_from` to `blocked_to`.
    """

    number: int
    rent_action: str
    line: str
    item_type: str
    asset: str | None
    stock_pool: str | None
    quantity: int
    status: str
    allocated_from: datetime
    allocated_to: datetime
    blocked_from: datetime
    blocked_to: datetime


_COLUMNS = tuple(tables.allocations.c[one.name] for one in fields(AllocationRow))
_COUNTED = tuple(tables.allocations.c[name] for name in ("stock_pool", "blocked_from", "blocked_to"))
_A, _B = tables.assets.c, tables.allocations.c

_BLOCKS = _B.status.in_([literal_column(f"'{status}'") for status in tables.BLOCKING])
"""Literal, not bound: a planner uses a partial index only where it can see that its condition holds."""

_OUT = _B.status == literal_column("'in_use'")
_NAMES = (*AllocationRow.__slots__, "asset_number")
_CHANGE = (
    update(tables.allocations).where(_B.number == bindparam("of")).values({name: bindparam(name) for name in _NAMES if name != "number"})
)


_ADD = Statement(insert(tables.allocations), _NAMES)

_HELD = Given("held", {"identifier": "text"})
_HOLD = Statement(
    text(
        f"SELECT identifier, {planned_once('true')} FROM item_types WHERE identifier IN ({_HELD.select('postgresql')}) "  # noqa: S608 (constants put together; values are parameters)
        "ORDER BY identifier FOR NO KEY UPDATE OF item_types"
    )
)


def _lasts_beyond(since: Any) -> ColumnElement[bool]:
    """Whether an allocation still keeps others away then: it ends later, or its units are out and nobody knows when they come back."""
    return or_(_B.blocked_to > since, _B.status == literal_column("'in_use'"))


def _until(since: Any) -> ColumnElement[Any]:
    return case((_B.blocked_to > since, _B.blocked_to), else_=literal(LATEST, tables.Instant))


def _peak() -> Select[Any]:
    """Each promise adds at its start and takes off at its end; the sum so far is highest at the peak. At one instant ends come first."""
    since = bindparam("since", type_=tables.Instant)
    counted = (_B.stock_pool == bindparam("stock_pool"), _BLOCKS, _lasts_beyond(since))
    starts = select(_B.blocked_from.label("at"), _B.quantity.label("change")).where(*counted)
    ends = select(_until(since).label("at"), (-_B.quantity).label("change")).where(*counted)
    changes = union_all(starts, ends).subquery("changes")
    promised = func.sum(changes.c.change).over(order_by=(changes.c.at, changes.c.change)).label("promised")
    sums = select(changes.c.at, promised).subquery("sums")
    return select(sums.c.promised, sums.c.at).order_by(sums.c.promised.desc(), sums.c.at).limit(1)


_PEAK = _peak()


class Allocations:
    """
    The gateway to allocations. Windows are half-open: [start, end).

    Whoever writes holds the item types. What is written is counted in the same transaction (see relational.counters).
    """

    def __init__(self, connection: Connection) -> None:
        self._connection, self._wire = connection, Wire.of(connection)
        self._counters = Counters(connection)

    def hold(self, item_types: Iterable[str]) -> None:
        """
        Make other holders of these item types wait until this transaction ends.

        Reading what is free and then allocating is only safe while held: under READ COMMITTED two writers would both see
        the last unit free. Sorted, so that two kits sharing parts cannot deadlock. SQLite has one writer at a time anyway.

        Others wait while the rest of the transaction is planned and counted: its statements are those that are planned once.
        """
        if self._wire.engine == "sqlite":
            return
        self._wire.rows(_HOLD, _HELD.values(self._wire.engine, [(one,) for one in sorted(set(item_types))]))

    def keep(self, item_types: Iterable[str]) -> None:
        """
        Make whoever holds one of these item types wait until this transaction ends, and wait for who does; others may keep it, too.

        For those who add a unit or a pool to an item type, which must not become one of another kind meanwhile.
        """
        if self._connection.dialect.name == "sqlite":
            return
        kept = tables.item_types.c.identifier
        wanted = select(kept).where(kept.in_(sorted(set(item_types)))).order_by(kept).with_for_update(read=True)
        self._connection.execute(wanted).all()

    def in_the_way(self, item_type: str, start: datetime, end: datetime, limit: int = 20) -> list[Blocking]:
        """What blocks units of an item type in [start, end), the latest start first."""
        return self._blocking([_B.item_type == item_type, _B.blocked_from < end, _B.blocked_to > start], limit)

    def blocking_asset(self, asset: str, since: datetime, limit: int = 20) -> list[Blocking]:
        """What blocks this unit from `since` on, the latest start first."""
        return self._blocking([_B.asset_number == number_of(asset), _lasts_beyond(since)], limit)

    def blocking_pool(self, stock_pool: str, since: datetime, at: datetime | None = None, limit: int = 20) -> list[Blocking]:
        """What blocks units of this pool from `since` on, or at one instant of that, the latest start first."""
        wanted = [_B.stock_pool == stock_pool, _lasts_beyond(since)]
        return self._blocking([*wanted, _B.blocked_from <= at, _until(since) > at] if at else wanted, limit)

    def peak(self, stock_pool: str, since: datetime) -> Peak:
        """The most units of a pool that are promised at one instant from `since` on. Units that are still out then are out for good."""
        row = self._connection.execute(_PEAK, {"stock_pool": stock_pool, "since": since}).first()
        return Peak(row.promised, row.at) if row is not None else Peak(0, None)

    def _blocking(self, conditions: Sequence[ColumnElement[bool]], limit: int) -> list[Blocking]:
        query = select(_B.rent_action, _B.asset, _B.blocked_from, _B.blocked_to, _B.quantity).where(_BLOCKS, *conditions)
        rows = self._connection.execute(query.order_by(_B.blocked_from.desc(), _B.number).limit(limit))
        return [Blocking(*row) for row in rows]

    def add(self, rows: Sequence[AllocationRow]) -> None:
        """
        Write allocations. Raises DoubleBooking when a unit is promised already.

        Who does not hold the item type may get StoreUnavailable instead: on Postgres two that claim one unit at the same moment
        wait for each other, and one of them is made to give way.
        """
        if not rows:
            return
        try:
            self._wire.run_each(_ADD, [_values(row) for row in rows])
        except VIOLATIONS as error:
            raise _judged(error) from error
        self._counters.recount(change for row in rows for change in _counted(row.stock_pool, row.blocked_from, row.blocked_to))

    def of(self, rent_action: str) -> list[AllocationRow]:
        """Every allocation a reservation has or had, by number."""
        query = select(*_COLUMNS).where(_B.rent_action == rent_action).order_by(_B.number)
        return [AllocationRow(*row) for row in self._connection.execute(query)]

    def of_asset(self, asset: str, limit: int) -> list[AllocationRow]:
        """What a unit was promised for, whatever has become of it, the newest promise first."""
        query = select(*_COLUMNS).where(_B.asset_number == number_of(asset), _B.asset_number.is_not(None)).order_by(_B.number.desc())
        return [AllocationRow(*row) for row in self._connection.execute(query.limit(limit))]

    def overdue(self, now: datetime, limit: int) -> list[AllocationRow]:
        """At most `limit` allocations whose units are out past the end of their time, the earliest end first."""
        query = select(*_COLUMNS).where(_OUT, _B.allocated_to <= now).order_by(_B.allocated_to, _B.number).limit(limit)
        return [AllocationRow(*row) for row in self._connection.execute(query)]

    def set_status(self, numbers: Iterable[int], status: str) -> None:
        """Change the status of allocations. Raises DoubleBooking when one would block a unit that is promised to another by now."""
        change = update(tables.allocations).where(_B.number.in_(sorted(numbers))).values(status=status).returning(*_COUNTED)
        try:
            changed = self._connection.execute(change).all()
        except VIOLATIONS as error:
            raise _judged(error) from error
        self._counters.recount(instant for row in changed for instant in _counted(*row))

    def change(self, rows: Sequence[AllocationRow]) -> None:
        """
        Write these allocations in place of those with the same numbers; one whose number is new is added (the rest of one that is split).

        Only the outcome counts: two units may be swapped. Raises DoubleBooking when a unit is promised to another in it.
        """
        before = {row.number: row for row in self._numbered(row.number for row in rows)}
        changed = [row for row in rows if row.number in before]
        try:
            if len(changed) > 1:
                self._connection.execute(update(tables.allocations).where(_B.number.in_(before)).values(status="cancelled"))
            if changed:
                self._connection.execute(_CHANGE, [{**_values(row), "of": row.number} for row in changed])
        except VIOLATIONS as error:
            raise _judged(error) from error
        self._counters.recount(instant for row in changed for instant in _moved(before[row.number], row))
        self.add([row for row in rows if row.number not in before])

    def _numbered(self, numbers: Iterable[int]) -> list[AllocationRow]:
        query = select(*_COLUMNS).where(_B.number.in_(sorted(numbers)))
        return [AllocationRow(*row) for row in self._connection.execute(query)]


def _values(row: AllocationRow) -> dict[str, Any]:
    values = {one.name: getattr(row, one.name) for one in fields(AllocationRow)}
    return {**values, "asset_number": number_of(row.asset) if row.asset is not None else None}


def _counted(stock_pool: str | None, blocked_from: datetime, blocked_to: datetime) -> list[tuple[str, datetime]]:
    """The pool and the instants at which an allocation is counted; none for a unit that is told apart."""
    return [(stock_pool, blocked_from), (stock_pool, blocked_to)] if stock_pool else []


def _moved(before: AllocationRow, after: AllocationRow) -> list[tuple[str, datetime]]:
    """Where a change of an allocation is counted; nowhere when it blocks as before."""
    was, now = ((row.stock_pool, row.blocked_from, row.blocked_to, row.quantity, row.status in tables.BLOCKING) for row in (before, after))
    return [*_counted(*was[:3]), *_counted(*now[:3])] if was != now else []


def _judged(error: Exception) -> Exception:
    return DoubleBooking("a unit is promised already in an overlapping window") if tables.NEVER_TWICE in str(error) else error
