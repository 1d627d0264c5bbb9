"""Availability: random situations against brute force, and what single rules mean."""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import pairwise, product
from typing import Any

import pytest

from ld_server.domain.capacity import Rule
from ld_server.domain.commands import ChangeCatalogEntry, CreateAsset
from ld_server.domain.errors import InsufficientAvailability, InvalidParameter
from ld_server.domain.window import LATEST, Window
from ld_server.resources.kind import instant, written
from ld_server.services import availability, index
from ld_server.services.availability import Circumstances
from ld_server.services.timeline import Room, Step, day_by_day, timeline
from relational.allocations import AllocationRow
from relational.unit_of_work import Ledger
from relational.wire import Wire
from tests.contract.fleet import AFTERNOON, MORNING, NEXT_DAY, NOW, Fleet, asset

MIDNIGHT = instant("2027-02-01T00:00:00Z")
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
GIVEN = Circumstances(NOW)


def window(times: tuple[str, str]) -> Window:
    return Window(instant(times[0]), instant(times[1]))


@pytest.fixture
def fleet(ledger: Ledger) -> Fleet:
    return Fleet(ledger)


# --- random situations ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Held:
    """So many units, blocked from `start` to `end`; overdue ones for good."""

    start: datetime
    end: datetime
    quantity: int = 1

    def meets(self, start: datetime, end: datetime) -> bool:
        return self.start < end and start < self.end


@dataclass
class Situation:
    """An item type with its places, promises and periods, in the ledger and as plain lists."""

    fleet: Fleet
    chance: random.Random
    rule: Rule
    item_type: str
    before: timedelta
    after: timedelta
    places: dict[str, str | None] = field(default_factory=dict)
    totals: dict[str, int] = field(default_factory=dict)
    held: dict[str, list[Held]] = field(default_factory=dict)
    is_serialized: bool = False

    def used(self, source: str, start: datetime, end: datetime) -> int:
        """By the rule."""
        meeting = [one for one in self.held[source] if one.meets(start, end)]
        if self.is_serialized:
            return 1 if meeting else 0
        if self.rule == Rule.OVERLAP:
            return sum(one.quantity for one in meeting)
        instants = [start, *(one.start for one in meeting if one.start > start)]
        return max(sum(one.quantity for one in meeting if one.start <= at < one.end) for at in instants)

    def available(self, asked: Window, location: str | None) -> int:
        """In a reservation window."""
        sources = [source for source, place in self.places.items() if location in (None, place)]
        start, end = asked.start - self.before, asked.end + self.after
        return sum(max(0, self.totals[one] - self.used(one, start, end)) for one in sources)

    def at(self, moment: datetime) -> int:
        levels = {one: sum(held.quantity for held in several if held.start <= moment < held.end) for one, several in self.held.items()}
        if self.is_serialized:
            levels = {source: min(1, level) for source, level in levels.items()}
        return sum(max(0, self.totals[one] - level) for one, level in levels.items())


def moments(chance: random.Random) -> datetime:
    """On the hour, midnight more often than others."""
    return MIDNIGHT + chance.choice((chance.randint(-2, 5) * DAY, chance.randint(-30, 140) * HOUR))


def some_window(chance: random.Random, longest: int = 40) -> Window:
    start = moments(chance)
    return Window(start, start + chance.randint(1, longest) * HOUR)


def pools(fleet: Fleet, chance: random.Random, code: str) -> Situation:
    """A fungible item type with pools that promised whatever, also more than they have."""
    found = _item_type(fleet, chance, code, "fungible")
    for place in ("Oslo", "Bergen", "Oslo")[: chance.randint(1, 3)]:
        found.places[fleet.pool(found.item_type, total := chance.randint(3, 9), location=place)] = place
        found.totals[list(found.places)[-1]] = total
    booked = fleet.reserve(found.item_type)
    for source in found.places:
        found.held[source] = [_promised(found, booked, source, None, chance.randint(1, 3)) for _ in range(chance.randint(4, 16))]
    return found


def units(fleet: Fleet, chance: random.Random, code: str) -> Situation:
    """A serialized item type with units that are promised, out for too long, or not to be had for a while."""
    found = _item_type(fleet, chance, code, "serialized")
    found.is_serialized = True
    for number, place in enumerate(("Oslo", "Bergen", None, "Oslo")[: chance.randint(1, 4)]):
        periods = [some_window(chance) for _ in range(chance.randint(0, 2))]
        unit = new_unit(fleet, found.item_type, f"{code}-{number}", place, periods)
        found.places[unit], found.totals[unit] = place, 1
        found.held[unit] = [Held(period.start, period.end) for period in periods]
    booked = fleet.reserve(found.item_type)
    for source in found.places:
        for asked in _apart(chance, found):
            found.held[source].append(_promised(found, booked, source, asked))
    return found


def new_unit(fleet: Fleet, item_type: str, tag: str, place: str | None = None, periods: Sequence[Window] = (), **changes: Any) -> str:
    """A unit at a place, with times in which it cannot be had."""
    document = asset(item_type, assetTag=tag, **({"location": place} if place else {}), **changes)
    told = [{"startTime": written(one.start), "endTime": written(one.end)} for one in periods]
    parts = [{"@id": f"{document['@id']}#unavailability-{number}", **one} for number, one in enumerate(told, start=1)]
    return fleet.do(CreateAsset({**document, **({"unavailable": parts} if parts else {})})).identifier


def _item_type(fleet: Fleet, chance: random.Random, code: str, kind: str) -> Situation:
    rule, before, after = chance.choice(list(Rule)), chance.choice((0, 7, 30)), chance.choice((0, 1, 26))
    turnaround = {"turnaroundBefore": f"PT{before}H", "turnaroundAfter": f"PT{after}H"}
    item_type = fleet.item_type(code, kind=kind, capacityRule=str(rule), **turnaround)
    return Situation(fleet, chance, rule, item_type, before * HOUR, after * HOUR)


def _apart(chance: random.Random, found: Situation) -> Iterator[Window]:
    """Windows whose blocked windows do not overlap, in order; the last may be out for too long."""
    start = moments(chance)
    for _ in range(chance.randint(0, 4)):
        end = start + chance.randint(1, 20) * HOUR
        yield Window(start, end)
        start = end + found.before + found.after + chance.choice((0, 0, 5, 30)) * HOUR


def _promised(found: Situation, booked: str, source: str, asked: Window | None, quantity: int = 1) -> Held:
    """A promise; now and then one that should be over is still out."""
    given = asked or some_window(found.chance)
    is_overdue = given.end <= NOW and found.chance.random() < 0.3
    with found.fleet.ledger.write() as uow:
        [number] = uow.documents.next_numbers("allocation", 1)
        row = AllocationRow(
            number=number,
            rent_action=booked,
            line="line-1",
            item_type=found.item_type,
            asset=source if found.is_serialized else None,
            stock_pool=None if found.is_serialized else source,
            quantity=quantity,
            status="in_use" if is_overdue else "allocated",
            allocated_from=given.start,
            allocated_to=given.end,
            blocked_from=given.start - found.before,
            blocked_to=given.end + found.after,
        )
        uow.allocations.add([row])
    return Held(row.blocked_from, LATEST if is_overdue else row.blocked_to, quantity)


SITUATIONS: Mapping[str, Callable[[Fleet, random.Random, str], Situation]] = {"pools": pools, "units": units}


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("kind", SITUATIONS)
def test_what_is_available_is_what_looking_at_every_promise_gives(fleet: Fleet, kind: str, seed: int) -> None:
    chance = random.Random(seed)
    found = SITUATIONS[kind](fleet, chance, "THING")
    with fleet.ledger.read() as uow:
        for _ in range(25):
            asked, location = some_window(chance), chance.choice((None, "Oslo", "Bergen"))
            given = Circumstances(NOW, location)
            windows = availability.blocked(uow, [found.item_type], asked)
            expected = found.available(asked, location)
            assert availability.capacities(uow, windows, given)[found.item_type].available == expected
            dealt = availability.free(uow, {found.item_type: 99}, windows, given)[found.item_type]
            assert sum(one.quantity for one in dealt) == expected


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("kind", SITUATIONS)
def test_the_first_window_is_the_first(fleet: Fleet, kind: str, seed: int) -> None:
    chance = random.Random(seed)
    found = SITUATIONS[kind](fleet, chance, "THING")
    with fleet.ledger.read() as uow:
        for _ in range(12):
            after, length, quantity = moments(chance), chance.choice((1, 5, 24, 30, 70)) * HOUR, chance.randint(1, 6)
            starts = (after + half * HOUR / 2 for half in range(600))
            first = next((one for one in starts if found.available(Window(one, one + length), None) >= quantity), None)
            got = availability.first_window(uow, {found.item_type: quantity}, length, after, GIVEN)
            assert got == (None if first is None else Window(first, first + length))


@pytest.mark.parametrize("seed", range(4))
def test_the_first_window_for_several_is_the_first_for_all(fleet: Fleet, seed: int) -> None:
    chance = random.Random(seed)
    several = [pools(fleet, chance, "CABLE"), units(fleet, chance, "TIMER"), pools(fleet, chance, "MAST")]
    kit = fleet.kit("SET", (several[0].item_type, 2), (several[1].item_type, 1), (several[2].item_type, 1))
    wanted = {several[0].item_type: 2, several[1].item_type: 1, several[2].item_type: 1}
    with fleet.ledger.read() as uow:
        for _ in range(8):
            after, length = moments(chance), chance.choice((1, 10, 30)) * HOUR
            starts = (after + half * HOUR / 2 for half in range(600))
            first = next(
                (
                    one
                    for one in starts
                    if all(each.available(Window(one, one + length), None) >= wanted[each.item_type] for each in several)
                ),
                None,
            )
            got = availability.first_window(uow, {kit: 1}, length, after, GIVEN)
            assert got == (None if first is None else Window(first, first + length))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", SITUATIONS)
def test_the_timeline_tells_every_instant(fleet: Fleet, kind: str, seed: int) -> None:
    chance = random.Random(seed)
    found = SITUATIONS[kind](fleet, chance, "THING")
    asked = Window(MIDNIGHT - 3 * DAY, MIDNIGHT + 7 * DAY)
    with fleet.ledger.read() as uow:
        steps = timeline(uow, found.item_type, asked, GIVEN)
        days = day_by_day(uow, found.item_type, asked, GIVEN)
    assert (steps[0].start, steps[-1].end) == (asked.start, asked.end)
    assert all(one.end == other.start and one.room != other.room for one, other in pairwise(steps))
    for half in range(480):
        moment = asked.start + half * HOUR / 2
        [step] = [one for one in steps if one.start <= moment < one.end]
        assert step.room.available == found.at(moment)
    assert [day.start for day in days] == [asked.start + number * DAY for number in range(10)]
    for day in days:
        assert day.room.available <= min(found.at(day.start + half * HOUR / 2) for half in range(48))
    if len(found.places) == 1 or found.is_serialized:
        assert [day.room.available for day in days] == [min(found.at(day.start + half * HOUR / 2) for half in range(48)) for day in days]


# --- single rules -----------------------------------------------------------------------------------------------------


def test_what_begins_at_midnight_is_counted_once(fleet: Fleet) -> None:
    """A search that tells days by their counts must not pass over a day on which there is room."""
    found = Situation(fleet, random.Random(0), Rule.OVERLAP, fleet.item_type("CABLE", kind="fungible"), 0 * HOUR, 0 * HOUR)
    pool = fleet.pool(found.item_type, 2)
    booked = fleet.reserve(found.item_type)
    _promised(found, booked, pool, Window(MIDNIGHT + 40 * DAY + 6 * HOUR, MIDNIGHT + 40 * DAY + 8 * HOUR), 2)
    _promised(found, booked, pool, Window(MIDNIGHT + 41 * DAY, MIDNIGHT + 42 * DAY))
    with fleet.ledger.read() as uow:
        got = availability.first_window(uow, {found.item_type: 1}, 3 * DAY, MIDNIGHT + 40 * DAY, GIVEN)
    assert got is not None
    assert got.start == MIDNIGHT + 40 * DAY + 8 * HOUR


def test_the_turnaround_before_a_window_lies_on_other_days(fleet: Fleet) -> None:
    item_type = fleet.item_type("CABLE", kind="fungible", turnaroundBefore="PT30H")
    found = Situation(fleet, random.Random(0), Rule.OVERLAP, item_type, 0 * HOUR, 0 * HOUR)
    pool, booked = fleet.pool(item_type, 1), fleet.reserve(item_type)
    day = MIDNIGHT + 40 * DAY
    _promised(found, booked, pool, Window(day - 30 * HOUR, day - 29 * HOUR))
    _promised(found, booked, pool, Window(day + DAY, day + 3 * DAY))
    with fleet.ledger.read() as uow:
        got = availability.first_window(uow, {item_type: 1}, 20 * HOUR, day, GIVEN)
    assert got == Window(day + HOUR, day + 21 * HOUR)


def test_a_window_beyond_the_horizon_is_not_found(fleet: Fleet) -> None:
    [timer] = fleet.assets(item_type := fleet.item_type(), "TN-1")
    found = Situation(fleet, random.Random(0), Rule.OVERLAP, item_type, 0 * HOUR, 0 * HOUR, is_serialized=True)
    _promised(found, fleet.reserve(item_type), timer, Window(MIDNIGHT + DAY, MIDNIGHT + 11 * DAY))
    with fleet.ledger.read() as uow:
        for horizon, expected in ((10 * DAY, None), (10 * DAY + HOUR, MIDNIGHT + 11 * DAY)):
            given = Circumstances(NOW, horizon=horizon)
            got = availability.first_window(uow, {item_type: 1}, HOUR, MIDNIGHT + DAY, given)
            assert (got and got.start) == expected


def test_units_of_a_reservation_come_from_as_few_places_as_possible(fleet: Fleet) -> None:
    timer, mast = fleet.item_type("TIMER"), fleet.item_type("MAST")
    for tag, place in (("T-1", "Oslo"), ("T-2", "Bergen"), ("T-3", "Bergen")):
        new_unit(fleet, timer, tag, place)
    for tag, place in (("M-1", "Oslo"), ("M-2", "Bergen")):
        new_unit(fleet, mast, tag, place)
    wanted = {timer: 2, mast: 1}
    with fleet.ledger.read() as uow:
        windows = availability.blocked(uow, wanted, window(MORNING))
        found = availability.free(uow, wanted, windows, GIVEN)
        alone = availability.free(uow, {timer: 1}, windows, GIVEN)
        there = availability.free(uow, wanted, windows, Circumstances(NOW, "Oslo"))
    assert [[one.label for one in found[item]] for item in wanted] == [["T-2", "T-3", "T-1"], ["M-2", "M-1"]]
    assert [one.source for one in alone[timer]] == ["asset_1"]
    assert [[one.label for one in there[item]] for item in wanted] == [["T-1"], ["M-1"]]


def test_pools_that_are_not_active_give_nothing(fleet: Fleet) -> None:
    cables = fleet.pooled(30)
    fleet.pool(cables, 20, isActive=False)
    with fleet.ledger.read() as uow:
        found = availability.supplied(uow, [cables, "itemType_99"], window(MORNING), GIVEN)
    assert [(item, one.capacity.total, one.capacity.available) for item, one in found.items()] == [(cables, 30, 30)]


def test_what_is_told_at_once_is_what_is_told_in_a_snapshot(fleet: Fleet) -> None:
    timer, cables, nothing = fleet.stocked("T-1", "T-2", turnaroundAfter="PT1H"), fleet.pooled(30, 5), fleet.item_type("NONE")
    fleet.booked(timer, 1, MORNING)
    fleet.check_out(fleet.booked(cables, 12, MORNING), at=instant(MORNING[0]))
    late = replace(GIVEN, now=instant(MORNING[1]) + HOUR)
    for item, times, given in product((timer, cables, nothing, "itemType_99"), (MORNING, AFTERNOON, NEXT_DAY), (GIVEN, late)):
        with fleet.ledger.glance() as reading:
            told = availability.supplied(reading, [item], window(times), given).get(item)
        assert availability.supplied_at_once(fleet.ledger, item, window(times), given) == told


def test_terms_that_change_count_at_once_also_where_the_former_are_remembered(fleet: Fleet) -> None:
    timer = fleet.stocked("T-1")
    fleet.booked(timer, 1, MORNING)
    for turnaround, left in (("PT0S", 1), ("PT1H", 0), ("PT0S", 1)):
        _change(fleet, timer, turnaroundBefore=turnaround)
        for _ in range(2):
            found = availability.supplied_at_once(fleet.ledger, timer, window(AFTERNOON), GIVEN)
            assert found is not None
            assert (found.item_type["turnaroundBefore"], found.capacity.available) == (turnaround, left)


def test_what_is_remembered_is_told_without_asking_for_it(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    cables = fleet.pooled(30)
    assert availability.supplied_at_once(fleet.ledger, cables, window(MORNING), GIVEN) is not None
    _change(fleet, cables, turnaroundBefore="PT1H")
    _, first = (availability.supplied_at_once(fleet.ledger, cables, window(MORNING), GIVEN) for _ in range(2))
    monkeypatch.delattr(fleet.ledger.__class__, "head")
    monkeypatch.delattr(fleet.ledger.__class__, "glance")
    assert first == availability.supplied_at_once(fleet.ledger, cables, window(MORNING), GIVEN) is not None


def test_a_search_that_finds_nothing_asks_for_few_numbers(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is promised is never read one by one where the hours say that there is too little left."""
    cables = fleet.pooled(20)
    for day in range(0, 120, 3):
        fleet.booked(cables, 9, (written(MIDNIGHT + day * DAY), written(MIDNIGHT + (day + 3) * DAY)))
    asked: list[str] = []
    execute = Wire.execute

    def noting(wire: Wire, text: str, values: Mapping[str, Any]) -> Any:
        asked.append(text)
        return execute(wire, text, values)

    monkeypatch.setattr(Wire, "execute", noting)
    with fleet.ledger.glance() as reading:
        given = replace(GIVEN, now=MIDNIGHT, horizon=110 * DAY)
        assert availability.first_window(reading, {cables: 12}, 2 * DAY, MIDNIGHT, given) is None
    assert len(asked) < 60
    assert [text for text in asked if "b.blocked_from > " in text and "GROUP BY at" in text] == []


def test_available_is_what_an_approval_gets(fleet: Fleet) -> None:
    timer = fleet.stocked("T-1", "T-2", "T-3", turnaroundAfter="PT1H")
    fleet.approve(fleet.reserve(timer, 1, MORNING))
    for times, expected in ((MORNING, 2), (AFTERNOON, 0), (NEXT_DAY, 3)):
        with fleet.ledger.read() as uow:
            left = availability.supplied(uow, [timer], window(times), GIVEN)[timer].capacity.available
        with pytest.raises(InsufficientAvailability):
            fleet.approve(fleet.reserve(timer, left + 1, times))
        assert left == expected
        assert not left or fleet.approve(fleet.reserve(timer, left, times))["allocatedQuantity"] == left


def test_the_times_in_which_a_unit_cannot_be_had_follow_the_document(fleet: Fleet) -> None:
    item_type = fleet.item_type()
    unit = new_unit(fleet, item_type, "TN-1", None, [Window(MIDNIGHT, MIDNIGHT + DAY)])
    asked = Window(MIDNIGHT, MIDNIGHT + HOUR)
    assert _is_free(fleet, item_type, asked) is False
    index.rebuild(fleet.ledger)
    assert _is_free(fleet, item_type, asked) is False
    other = fleet.item_type("TN-3")
    _change(fleet, unit, isVariantOf={**fleet.document(unit)["isVariantOf"], "identifier": other})
    assert _is_free(fleet, other, asked) is False
    _change(fleet, unit, unavailable=[])
    assert _is_free(fleet, other, asked) is True


def _is_free(fleet: Fleet, item_type: str, asked: Window) -> bool:
    with fleet.ledger.read() as uow:
        return availability.supplied(uow, [item_type], asked, GIVEN)[item_type].capacity.available == 1


def _change(fleet: Fleet, identifier: str, **changes: Any) -> None:
    fleet.do(ChangeCatalogEntry(identifier, {**fleet.document(identifier), **changes}, None))


def test_a_timeline_comes_to_an_end(fleet: Fleet) -> None:
    cables = fleet.pooled(3)
    with fleet.ledger.read() as uow:
        for tell in (timeline, day_by_day):
            with pytest.raises(InvalidParameter, match="3660 days"):
                tell(uow, cables, Window(MIDNIGHT, MIDNIGHT + 3661 * DAY), GIVEN)
        room = Room(3, 0, 3)
        assert timeline(uow, cables, Window(MIDNIGHT, MIDNIGHT + 3660 * DAY), GIVEN) == [Step(MIDNIGHT, MIDNIGHT + 3660 * DAY, room)]
        assert day_by_day(uow, cables, Window(MIDNIGHT, MIDNIGHT + HOUR), GIVEN) == [Step(MIDNIGHT, MIDNIGHT + DAY, room)]
