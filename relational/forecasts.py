"""What planning compares, each in one statement for all item types: promises, wishes, signals, units, what is being built."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, and_, case, func, literal, literal_column, or_, select, true, union_all

from ld_server.domain.window import LATEST, Window
from relational import tables

_A, _P, _R, _I = tables.assets.c, tables.stock_pools.c, tables.rent_actions.c, tables.rent_action_items.c
_B, _D, _O, _U = tables.allocations.c, tables.demand_signals.c, tables.build_requests.c, tables.unavailabilities.c

_BLOCKS = _B.status.in_([literal_column(f"'{status}'") for status in tables.BLOCKING])
_IS_ACTIVE = _D.status == literal_column("'active'")
"""Literal, not bound: a planner uses a partial index only where it can see that its condition holds."""

MANY = 1_000
"""Rows that are fetched together."""


class Promised(NamedTuple):
    """Units that a reservation has, or keeps from others, from `start` until `end` at a place."""

    rent_action: str
    item_type: str
    location: str | None
    quantity: int
    start: datetime
    end: datetime
    priority: str


class Wished(NamedTuple):
    """A line of a reservation, and how many of what it asks for it has not. One without a window wants it as soon as possible."""

    rent_action: str
    item: str
    location: str | None
    quantity: int
    start: datetime | None
    end: datetime | None
    seconds: int | None
    priority: str


class Signalled(NamedTuple):
    """An active demand signal."""

    identifier: str
    source: str
    source_ref: str | None
    item: str
    location: str | None
    quantity: int
    start: datetime
    end: datetime
    priority: str


class Reserved(NamedTuple):
    """What a reservation asks for in a line, where it has come of the demand that its source knows by a reference."""

    source: str
    source_ref: str
    rent_action: str
    line: str
    item: str
    quantity: int


@dataclass(frozen=True, slots=True)
class Stocked:
    """So many units that could be reserved at a place."""

    item_type: str
    location: str | None
    quantity: int


@dataclass(frozen=True, slots=True)
class Absent:
    """A unit that could be reserved, and a time in which it cannot be had; without an end, from then on."""

    asset: str
    item_type: str
    location: str | None
    start: datetime
    end: datetime | None


@dataclass(frozen=True, slots=True)
class Building:
    """An open build request."""

    identifier: str
    item_type: str
    location: str | None
    quantity: int
    needed_by: datetime | None
    status: str
    reason: str


class Forecasts:
    """The gateway to what planning compares. `items` narrows it down to item types, None means all of them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def promised(self, window: Window, now: datetime, items: Collection[str] | None = None) -> Iterator[Promised]:
        """What blocks units somewhere in the window; units that are out past their time block without end."""
        overdue = and_(_B.status == literal_column("'in_use'"), _B.allocated_to <= now)
        until = case((overdue, literal(LATEST, tables.Instant)), else_=_B.blocked_to).label("until")
        place = func.coalesce(_A.location, _P.location).label("place")
        joined = (
            tables.allocations.outerjoin(tables.assets, _A.number == _B.asset_number)
            .outerjoin(tables.stock_pools, _P.identifier == _B.stock_pool)
            .join(tables.rent_actions, _R.identifier == _B.rent_action)
        )
        query = (
            select(_B.rent_action, _B.item_type, place, func.sum(_B.quantity), _B.blocked_from, until, _R.priority)
            .select_from(joined)
            .where(_BLOCKS, _B.blocked_from < window.end, or_(_B.blocked_to > window.start, overdue), _among(_B.item_type, items))
            .group_by(_B.rent_action, _B.item_type, place, _B.blocked_from, until, _R.priority)
        )
        return map(Promised._make, self._all(query))

    def wished(self, window: Window, statuses: Collection[str]) -> list[Wished]:
        """
        Lines of reservations in these states that lack units in the window. A line of which units have come back lacks nothing: what it
        has no more, it has had.
        """
        back = select(_B.number).where(_B.rent_action == _I.rent_action, _B.line == _I.line, _B.status == "returned").exists()
        lacks = (_I.requested_quantity - _I.allocated_quantity).label("lacks")
        query = (
            select(_R.identifier, _I.item, _R.location, lacks, _R.start_time, _R.end_time, _R.duration_seconds, _R.priority)
            .join_from(tables.rent_actions, tables.rent_action_items, _I.rent_action == _R.identifier)
            .where(_R.status.in_(sorted(statuses)), _I.requested_quantity > _I.allocated_quantity, ~back)
            .where(or_(_R.start_time.is_(None), and_(_R.start_time < window.end, _R.end_time > window.start)))
        )
        return list(map(Wished._make, self._all(query)))

    def signalled(self, window: Window) -> list[Signalled]:
        """The active demand signals that overlap the window."""
        columns = (
            _D.identifier,
            _D.source,
            _D.source_ref,
            _D.item,
            _D.location,
            _D.quantity_required,
            _D.start_time,
            _D.end_time,
            _D.priority,
        )
        query = select(*columns).where(_IS_ACTIVE, _D.start_time < window.end, _D.end_time > window.start).order_by(_D.number)
        return list(map(Signalled._make, self._all(query)))

    def reserved(self, window: Window, statuses: Collection[str]) -> list[Reserved]:
        """The lines of reservations in these states that have come of active demand signals in the window."""
        same = and_(_R.external_source == _D.source, _R.external_ref == _D.source_ref)
        query = (
            select(_D.source, _D.source_ref, _R.identifier, _I.line, _I.item, _I.requested_quantity)
            .select_from(
                tables.demand_signals.join(tables.rent_actions, same).join(tables.rent_action_items, _I.rent_action == _R.identifier)
            )
            .where(_IS_ACTIVE, _D.start_time < window.end, _D.end_time > window.start, _R.status.in_(sorted(statuses)))
            .distinct()
        )
        return list(map(Reserved._make, self._all(query)))

    def stocked(self, items: Collection[str] | None = None) -> list[Stocked]:
        """How many units could be reserved, by item type and place."""
        units = select(_A.item_type, _A.location, func.count()).where(_A.status == "available", _among(_A.item_type, items))
        pools = select(_P.item_type, _P.location, func.sum(_P.quantity_total)).where(_P.is_active, _among(_P.item_type, items))
        both = union_all(units.group_by(_A.item_type, _A.location), pools.group_by(_P.item_type, _P.location))
        return [Stocked(item, place, int(quantity)) for item, place, quantity in self._connection.execute(both)]

    def absent(self, window: Window, items: Collection[str] | None = None) -> list[Absent]:
        """When units that could be reserved cannot be had in the window."""
        query = (
            select(_U.asset, _A.item_type, _A.location, _U.unavailable_from, _U.unavailable_to)
            .join_from(tables.unavailabilities, tables.assets, _A.number == _U.asset_number)
            .where(_A.status == "available", _U.unavailable_from < window.end, _among(_A.item_type, items))
            .where(or_(_U.unavailable_to.is_(None), _U.unavailable_to > window.start))
        )
        return [Absent(*row) for row in self._all(query)]

    def building(self, statuses: Collection[str], items: Collection[str] | None = None) -> list[Building]:
        """The build requests in these states; those that are needed last, and those that were made last, come first."""
        query = (
            select(_O.identifier, _O.item_type, _O.location, _O.quantity, _O.needed_by, _O.status, _O.reason)
            .where(_O.status.in_(sorted(statuses)), _among(_O.item_type, items))
            .order_by(_O.needed_by.desc().nulls_first(), _O.number.desc())
        )
        return [Building(*row) for row in self._all(query)]

    def last_snapshot(self, item_type: str, location: str | None) -> str | None:
        """The document of what the last planning run saw of this item type at this place; None where there was none."""
        snaps, docs = tables.supply_snapshots.c, tables.documents.c
        query = select(docs.body).join_from(tables.supply_snapshots, tables.documents, docs.identifier == snaps.identifier)
        query = query.where(snaps.item_type == item_type, snaps.location.is_not_distinct_from(location))
        found: str | None = self._connection.execute(query.order_by(snaps.number.desc()).limit(1)).scalar()
        return found

    def spared(self) -> list[str]:
        """The active item types of which units are to be kept spare."""
        types = tables.item_types.c
        return list(self._connection.execute(select(types.identifier).where(types.buffer_quantity > 0, types.is_active)).scalars())

    def _all(self, query: Select[Any]) -> Iterator[Any]:
        """Many at a time: one by one they cost more, and all at once they are many objects for the garbage collector to look at."""
        return chain.from_iterable(self._connection.execute(query).partitions(MANY))


def _among(column: Any, items: Collection[str] | None) -> ColumnElement[bool]:
    wanted: ColumnElement[bool] = true() if items is None else column.in_(sorted(items))
    return wanted
