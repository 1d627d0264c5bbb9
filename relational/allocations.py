"""Allocations: who holds which unit, and when. The database itself refuses to promise a unit twice."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, and_, bindparam, false, func, insert, literal_column, select, update
from sqlalchemy.exc import IntegrityError

from relational import tables
from relational.index import number_of


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
_A, _B = tables.assets.c, tables.allocations.c

_BLOCKS = _B.status.in_([literal_column(f"'{status}'") for status in tables.BLOCKING])
"""Literal, not bound: a planner uses a partial index only where it can see that its condition holds."""

_LAST_BEFORE_THE_END = (
    select(_B.blocked_to)
    .where(_B.asset_number == _A.number, _BLOCKS, _B.blocked_from < bindparam("end", type_=tables.Instant))
    .order_by(_B.blocked_from.desc())
    .limit(literal_column("1"))
    .correlate(tables.assets)
    .scalar_subquery()
)
_IS_BUSY = func.coalesce(bindparam("start", type_=tables.Instant) < _LAST_BEFORE_THE_END, false())
"""
Whether something blocks the asset of the enclosing query in [start, end).

What blocks one unit never overlaps, so of everything that starts before `end` only the last can reach beyond `start`:
one probe of an index per unit, however long its history.
"""

_ANYWHERE = and_(_A.item_type == bindparam("item_type"), _A.status == literal_column("'available'"))
_RESERVABLE = (_ANYWHERE, and_(_ANYWHERE, _A.location == bindparam("location")))
"""Units that could be reserved: at any location, at one location. So it is with the queries made from it."""

_UNIT = (_A.identifier, _A.number, _A.location, func.coalesce(_A.asset_tag, _A.serial_number, _A.identifier))
_FREE = tuple(select(*_UNIT).where(place, ~_IS_BUSY).order_by(_A.number).limit(bindparam("limit")) for place in _RESERVABLE)
_TOTAL = tuple(select(func.count()).select_from(tables.assets).where(place) for place in _RESERVABLE)
_BUSY = tuple(query.where(_IS_BUSY) for query in _TOTAL)


class Allocations:
    """The gateway to allocations. Windows are half-open: [start, end)."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def hold(self, item_types: Iterable[str]) -> None:
        """
        Make other holders of these item types wait until this transaction ends.

        Reading what is free and then allocating is only safe while held: under READ COMMITTED two writers would both see
        the last unit free. Sorted, so that two kits sharing parts cannot deadlock. SQLite has one writer at a time anyway.
        """
        if self._connection.dialect.name == "sqlite":
            return
        held = tables.item_types.c.identifier
        wanted = select(held).where(held.in_(sorted(set(item_types)))).order_by(held).with_for_update(key_share=True)
        self._connection.execute(wanted).all()

    def free_assets(self, item_type: str, start: datetime, end: datetime, limit: int, location: str | None = None) -> list[AssetUnit]:
        """At most `limit` units, by number, that are available and that nothing blocks anywhere in [start, end)."""
        asked = {"item_type": item_type, "location": location, "start": start, "end": end, "limit": limit}
        return [AssetUnit(*row) for row in self._connection.execute(_FREE[location is not None], asked)]

    def total_assets(self, item_type: str, location: str | None = None) -> int:
        """How many units could be reserved at all."""
        return self._count(_TOTAL[location is not None], {"item_type": item_type, "location": location})

    def busy_assets(self, item_type: str, start: datetime, end: datetime, location: str | None = None) -> int:
        """How many of the reservable units are blocked somewhere in [start, end): the rest are free."""
        return self._count(_BUSY[location is not None], {"item_type": item_type, "location": location, "start": start, "end": end})

    def in_the_way(self, item_type: str, start: datetime, end: datetime, limit: int = 20) -> list[Blocking]:
        """What blocks units of an item type in [start, end), the latest start first."""
        query = select(_B.rent_action, _B.asset, _B.blocked_from, _B.blocked_to)
        query = query.where(_B.item_type == item_type, _BLOCKS, _B.blocked_from < end, _B.blocked_to > start)
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
            self._connection.execute(insert(tables.allocations), [_values(row) for row in rows])
        except IntegrityError as error:
            raise _judged(error) from error

    def of(self, rent_action: str) -> list[AllocationRow]:
        """Every allocation a reservation has or had, by number."""
        query = select(*_COLUMNS).where(_B.rent_action == rent_action).order_by(_B.number)
        return [AllocationRow(*row) for row in self._connection.execute(query)]

    def set_status(self, numbers: Iterable[int], status: str) -> None:
        """Change the status of allocations. Raises DoubleBooking when one would block a unit that is promised to another by now."""
        change = update(tables.allocations).where(_B.number.in_(sorted(numbers))).values(status=status)
        try:
            self._connection.execute(change)
        except IntegrityError as error:
            raise _judged(error) from error

    def _count(self, query: Select[Any], asked: dict[str, Any]) -> int:
        return int(self._connection.execute(query, asked).scalar_one())


def _values(row: AllocationRow) -> dict[str, Any]:
    values = {one.name: getattr(row, one.name) for one in fields(AllocationRow)}
    return {**values, "asset_number": number_of(row.asset) if row.asset is not None else None}


def _judged(error: IntegrityError) -> Exception:
    return DoubleBooking("a unit is promised already in an overlapping window") if tables.NEVER_TWICE in str(error.orig) else error
