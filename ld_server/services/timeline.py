"""How many units are free while time goes by: the room of each instant, which is the same by either capacity rule."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from ld_server.domain.errors import InvalidParameter
from ld_server.domain.openings import (
    DAY,
    Steps,
    Stretch,
    busy_steps,
    level_steps,
    most_between,
    steps_between,
    together,
    without_repeats,
)
from ld_server.domain.window import Window, later
from ld_server.services.availability import Circumstances, Terms, calendars, chunks, days_of, expanded, midnight, terms
from relational.unit_of_work import Reading

MOST_STEPS = 5_000
LONGEST = timedelta(days=3660)
"""About ten years; a timeline is read piece by piece, and must come to an end."""


@dataclass(frozen=True, slots=True)
class Room:
    """How many units there are, how many of them are in use, and how many are free."""

    total: int
    reserved: int
    available: int


@dataclass(frozen=True, slots=True)
class Step:
    """A time in which the room does not change; or a day, with the least of its room."""

    start: datetime
    end: datetime
    room: Room


def timeline(uow: Reading, item: str, window: Window, given: Circumstances) -> list[Step]:
    """
    How many units of an item type, or how many kits, are free while the window goes by.

    Raises InvalidParameter for a window that is longer than LONGEST, and where the room changes more than MOST_STEPS times.
    """
    _refuse_too_long(window)
    parts = expanded(uow, [item])[item]
    known = terms(uow, parts)
    found: list[tuple[datetime, Room]] = []
    for chunk in chunks(window.start, window.end):
        rooms = {part: _rooms(uow, part, chunk, known[part], given) for part in parts}
        found = list(without_repeats([*found, *_of_whole(item, rooms, parts)]))
        if len(found) > MOST_STEPS:
            detail = f"The timeline has more than {MOST_STEPS} steps; ask for a shorter window, or for days with resolution=P1D."
            raise InvalidParameter(detail, parameter="endTime", most=MOST_STEPS)
    return [Step(*step) for step in steps_between(found, window.end)]


def day_by_day(uow: Reading, item: str, window: Window, given: Circumstances) -> list[Step]:
    """
    The least room of each day (UTC) that the window touches; of a kit, the room that the least of each of its parts makes.

    Raises InvalidParameter for a window that is longer than LONGEST.
    """
    _refuse_too_long(window)
    whole = Window(midnight(window.start), _midnight_after(window.end))
    parts = expanded(uow, [item])[item]
    known = terms(uow, parts)
    least = {part: _least_rooms(uow, part, whole, known[part], given) for part in parts}
    return [Step(start, later(start, DAY), room) for start, room in _of_whole(item, least, parts)]


def _refuse_too_long(window: Window) -> None:
    if window.end - window.start > LONGEST:
        raise InvalidParameter(f"A timeline is at most {LONGEST.days} days long.", parameter="endTime", most=LONGEST.days)


def _midnight_after(moment: datetime) -> datetime:
    return moment if moment == midnight(moment) else later(midnight(moment), DAY)


def _of_whole(item: str, rooms: Mapping[str, Steps[Room]], parts: Mapping[str, int]) -> Iterator[tuple[datetime, Room]]:
    """The room for the item: of an item type its own, of a kit what the rooms for its parts make."""
    if item in rooms:
        return iter(rooms[item])
    return ((at, _of_kit(now, parts)) for at, now in together(rooms))


def _of_kit(rooms: Mapping[str, Room], parts: Mapping[str, int]) -> Room:
    total = min(rooms[part].total // quantity for part, quantity in parts.items())
    available = min(rooms[part].available // quantity for part, quantity in parts.items())
    return Room(total, total - available, available)


# --- of an item type --------------------------------------------------------------------------------------------------


def _rooms(uow: Reading, item_type: str, window: Window, known: Terms, given: Circumstances) -> Steps[Room]:
    if known.is_serialized:
        units = calendars(uow, item_type, window, given)
        return [(at, Room(units.total, busy, units.total - busy)) for at, busy in busy_steps(window, units)]
    pools = uow.capacity.pools({item_type: window}, given.now, given.location)[item_type]
    totals = {pool.identifier: pool.total for pool in pools}
    levels = {
        pool.identifier: level_steps(window, Stretch(pool.total, *uow.capacity.pool_changes(pool.identifier, window, given.now)))
        for pool in pools
    }
    return [(at, _of_pools(now, totals)) for at, now in together(levels)] or [(window.start, Room(0, 0, 0))]


def _of_pools(levels: Mapping[str, int], totals: Mapping[str, int]) -> Room:
    """What pools have together; none of them makes up for what another has promised too much."""
    left = (max(0, totals[pool] - level) for pool, level in levels.items())
    return Room(sum(totals.values()), sum(levels.values()), sum(left))


# --- by the day -------------------------------------------------------------------------------------------------------


def _least_rooms(uow: Reading, item_type: str, whole: Window, known: Terms, given: Circumstances) -> Steps[Room]:
    return _least_of_units(uow, item_type, whole, given) if known.is_serialized else _least_of_pools(uow, item_type, whole, given)


def _least_of_units(uow: Reading, item_type: str, whole: Window, given: Circumstances) -> list[tuple[datetime, Room]]:
    found = []
    for chunk in chunks(whole.start, whole.end):
        units, days = calendars(uow, item_type, chunk, given), days_of(chunk)
        most = most_between(busy_steps(chunk, units), [chunk.start, *(day.end for day in days)])
        found += [(day.start, Room(units.total, busy, units.total - busy)) for day, busy in zip(days, most, strict=True)]
    return found


def _least_of_pools(uow: Reading, item_type: str, whole: Window, given: Circumstances) -> list[tuple[datetime, Room]]:
    pools = uow.capacity.pools({item_type: whole}, given.now, given.location)[item_type]
    totals = {pool.identifier: pool.total for pool in pools}
    peaks = {pool.identifier: _peaks(uow, pool.identifier, whole, given) for pool in pools}
    return [(at, _of_pools(now, totals)) for at, now in together(peaks)] or [(day.start, Room(0, 0, 0)) for day in days_of(whole)]


def _peaks(uow: Reading, pool: str, whole: Window, given: Circumstances) -> Steps[int]:
    last = whole.end - timedelta.resolution
    return [(day.start, day.peak) for day in uow.capacity.pool_days(pool, whole.start.date(), last.date(), given.now)]
