"""
What endangers promises, as SQL: units out of service, unavailable, or out with somebody whose time is over; pools that are promised
beyond what they have.

Only promises whose window is not over are looked at. `now` is an instant.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, Subquery, Text, and_, cast, func, literal, literal_column, null, or_, select, union, union_all

from ld_server.domain.risk import Reason
from relational import tables

NAMES = ("rent_action", "number", "line", "source", "reason", "said", "holder", "since", "until")
"""The columns of a danger."""

_P, _O = tables.allocations.alias("promised"), tables.allocations.alias("late")
_ASSET, _POOL, _PERIOD = tables.assets, tables.stock_pools, tables.unavailabilities
_NO_TEXT, _NEVER = cast(null(), Text), cast(null(), tables.Instant)

AT_RISK = "rentAction.atRisk"
"""The event by which reservations are told of; the pools that it was told about are looked at again."""


def every_danger(now: datetime) -> Select[Any]:
    """A row for each promise and each thing that endangers it."""
    periods = _unavailable(now, (), _PERIOD.c.asset_number + literal_column("0"))
    return together(periods, _out_of_service(now, ()), _overdue(now, ()), _over_promised(now, (), _suspects(now)))


def dangers_of_units(now: datetime, *only: ColumnElement[bool]) -> list[Select[Any]]:
    """The same for promises of units, narrowed to few by conditions on PROMISED; to be put together by `together`."""
    return [_unavailable(now, only), _out_of_service(now, only), _overdue(now, only)]


def dangers_of_pools(now: datetime, pools: Any, *only: ColumnElement[bool]) -> list[Select[Any]]:
    """The same for promises from these pools, which are named by their identifiers or by a query."""
    return [_over_promised(now, only, pools)]


def together(*queries: Select[Any]) -> Select[Any]:
    found = union_all(*queries).subquery("dangers")
    return select(*(found.c[name] for name in NAMES))


def pools_of(rent_action: str) -> Select[Any]:
    """The pools from which a reservation is promised something."""
    own = tables.allocations.alias("own")
    return select(own.c.stock_pool).where(own.c.rent_action == rent_action, own.c.stock_pool.is_not(None))


PROMISED = _P.c


def endangered(now: datetime) -> Select[Any]:
    """The reservations that have a promise in danger."""
    found = every_danger(now).subquery("endangered")
    return select(found.c.rent_action)


def overdue(now: datetime) -> Select[Any]:
    """The reservations that have units which are out although their time is over."""
    return select(_O.c.rent_action).where(_is_late(_O, now))


def _is_late(allocation: Any, now: datetime) -> ColumnElement[bool]:
    return and_(allocation.c.status == literal_column("'in_use'"), allocation.c.allocated_to <= now)


def blocks(allocation: Any) -> ColumnElement[bool]:
    """Spelled as the partial indexes spell it, because a planner must see that their condition holds."""
    statuses: list[ColumnElement[Any]] = [literal_column(f"'{status}'") for status in tables.BLOCKING]
    condition: ColumnElement[bool] = allocation.c.status.in_(statuses)
    return condition


def _promises(now: datetime, only: Iterable[ColumnElement[bool]]) -> tuple[ColumnElement[bool], ...]:
    return (blocks(_P), _P.c.status == literal_column("'allocated'"), _P.c.allocated_to > now, *only)


def _danger(reason: Reason, source: Any, said: Any, holder: Any, since: Any, until: Any) -> Select[Any]:
    named = zip(NAMES, (_P.c.rent_action, _P.c.number, _P.c.line, source, literal(str(reason)), said, holder, since, until), strict=True)
    return select(*(column.label(name) for name, column in named))


def _unavailable(now: datetime, only: Iterable[ColumnElement[bool]], number: Any = _PERIOD.c.asset_number) -> Select[Any]:
    """`number` is that of the unit; where it is an expression, no index is used for it, and the few periods lead to the promises."""
    found = _danger(Reason.UNAVAILABLE, _P.c.asset, _PERIOD.c.reason, _NO_TEXT, _PERIOD.c.unavailable_from, _PERIOD.c.unavailable_to)
    lasts = or_(_PERIOD.c.unavailable_to.is_(None), and_(_PERIOD.c.unavailable_to > _P.c.blocked_from, _PERIOD.c.unavailable_to > now))
    is_of = number == _P.c.asset_number
    return found.join_from(_P, _PERIOD, is_of).where(*_promises(now, only), _PERIOD.c.unavailable_from < _P.c.blocked_to, lasts)


_BROKEN: list[ColumnElement[Any]] = [literal_column(f"'{status}'") for status in ("maintenance", "hold", "retired", "lost")]
"""Every status but `available`; named, so that the index by status is of use."""


def _out_of_service(now: datetime, only: Iterable[ColumnElement[bool]]) -> Select[Any]:
    found = _danger(Reason.OUT_OF_SERVICE, _P.c.asset, _ASSET.c.status, _NO_TEXT, _NEVER, _NEVER)
    return found.join_from(_P, _ASSET, _ASSET.c.number == _P.c.asset_number).where(*_promises(now, only), _ASSET.c.status.in_(_BROKEN))


def _overdue(now: datetime, only: Iterable[ColumnElement[bool]]) -> Select[Any]:
    found = _danger(Reason.OVERDUE, _P.c.asset, _NO_TEXT, _O.c.rent_action, _O.c.allocated_to, _NEVER)
    is_of = and_(_O.c.asset_number == _P.c.asset_number, _O.c.number != _P.c.number)
    return found.join_from(_P, _O, is_of).where(*_promises(now, only), _is_late(_O, now))


def _over_promised(now: datetime, only: Iterable[ColumnElement[bool]], pools: Any) -> Select[Any]:
    times = _times_of_excess(now, pools)
    found = _danger(Reason.OVER_PROMISED, _P.c.stock_pool, _NO_TEXT, _NO_TEXT, times.c.at, times.c.until)
    meets = and_(times.c.stock_pool == _P.c.stock_pool, times.c.at < _P.c.blocked_to, _ends_after(times.c.until, _P.c.blocked_from))
    return found.join_from(_P, times, meets).where(*_promises(now, only))


def _times_of_excess(now: datetime, pools: Any) -> Subquery:
    """
    From when until when more units of one of these pools are promised or out than it has.

    Each promise adds at its start and takes off at its end, what is late never: the sum so far is how many there are. At one instant
    ends come first, and sums between changes of the same instant last no time. They are distinct anyway; saying so keeps SQLite from
    comparing every sum with every promise before it looks at the quantity of the pool.
    """
    changes = _changes(now, pools)
    order = (changes.c.at, changes.c.change)
    level = func.sum(changes.c.change).over(partition_by=changes.c.stock_pool, order_by=order).label("level")
    until = func.lead(changes.c.at, type_=tables.Instant()).over(partition_by=changes.c.stock_pool, order_by=order).label("until")
    levels = select(changes.c.stock_pool, changes.c.at, level, until).subquery("levels")
    excess = select(levels.c.stock_pool, levels.c.at, levels.c.until).join(_POOL, _POOL.c.identifier == levels.c.stock_pool).distinct()
    lasts = and_(_ends_after(levels.c.until, levels.c.at), _ends_after(levels.c.until, now))
    return excess.where(levels.c.level > _POOL.c.quantity_total, lasts).subquery("excess")


def _ends_after(until: Any, moment: Any) -> ColumnElement[bool]:
    return or_(until.is_(None), until > moment)


def _changes(now: datetime, pools: Any) -> Subquery:
    one = tables.allocations.alias("one")
    late = _is_late(one, now)
    counted = (one.c.stock_pool.in_(pools), blocks(one), or_(one.c.blocked_to > now, late))
    starts = select(one.c.stock_pool, one.c.blocked_from.label("at"), one.c.quantity.label("change")).where(*counted)
    ends = select(one.c.stock_pool, one.c.blocked_to.label("at"), (-one.c.quantity).label("change")).where(*counted, ~late)
    return union_all(starts, ends).subquery("changes")


def _suspects(now: datetime) -> Any:
    """
    The pools that can be promised beyond what they have: something of them is late, or a danger of theirs has been told.

    Nothing else leads there: no promise is made beyond the quantity, and where that sinks the endangered are told at once.
    """
    told = select(tables.told.c.cause).where(tables.told.c.event == AT_RISK)
    return union(select(_O.c.stock_pool).where(_is_late(_O, now), _O.c.stock_pool.is_not(None)), told)
