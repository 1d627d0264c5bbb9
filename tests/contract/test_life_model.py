"""Random lives of reservations over units, pools and kits, held against plain counting. After each step everything must agree."""

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import orjson
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ld_server.domain.commands import (
    AllocateUnits,
    ApproveReservation,
    CancelReservation,
    ChangeCatalogEntry,
    ChangeReservation,
    CheckOutUnits,
    Command,
    CreateReservation,
    FulfillReservation,
    ReleaseAllocations,
    ReturnUnits,
    SwapAllocation,
)
from ld_server.domain.custody import Condition, Handover
from ld_server.domain.errors import InsufficientAvailability, Refusal
from ld_server.domain.window import Window
from ld_server.resources.kind import instant, written
from ld_server.services import availability
from relational.allocations import AllocationRow
from relational.unit_of_work import Ledger
from tests.contract.fleet import Fleet, reservation

MIDNIGHT = instant("2027-03-01T00:00:00Z")
HOUR = timedelta(hours=1)
TURNAROUND = {"turnaroundBefore": "PT1H", "turnaroundAfter": "PT2H"}
OPEN = instant("9999-01-01T00:00:00Z")

codes, events = itertools.count(1), itertools.count(1)


@dataclass
class World:
    """A small fleet: units, pools under both rules, a kit of two parts, and a kit with that kit inside."""

    fleet: Fleet
    now: datetime = MIDNIGHT
    booked: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        mark = next(codes)
        self.timer = self.fleet.item_type(f"TN-{mark}", **TURNAROUND)
        self.units = self.fleet.assets(self.timer, f"TN-{mark}-1", f"TN-{mark}-2", f"TN-{mark}-3")
        self.cable = self.fleet.item_type(f"CABLE-{mark}", kind="fungible", capacityRule="overlap")
        self.cone = self.fleet.item_type(f"CONE-{mark}", kind="fungible", capacityRule="peak")
        stock = {self.cable: (3, 2), self.cone: (3,)}
        self.pools = {item: {self.fleet.pool(item, each): each for each in totals} for item, totals in stock.items()}
        self.kit = self.fleet.kit(f"KIT-{mark}", (self.timer, 1), (self.cable, 2))
        self.double = self.fleet.kit(f"DOUBLE-{mark}", (self.kit, 1), (self.cone, 2))
        self.rules = {self.cable: "overlap", self.cone: "peak"}
        self.parts: dict[str, dict[str, int]] = {
            **{one: {one: 1} for one in (self.timer, self.cable, self.cone)},
            self.kit: {self.timer: 1, self.cable: 2},
            self.double: {self.timer: 1, self.cable: 2, self.cone: 2},
        }

    @property
    def items(self) -> list[str]:
        return list(self.parts)

    @property
    def counted(self) -> list[str]:
        """What is not put together from others."""
        return [self.timer, self.cable, self.cone]

    def do(self, command: Command) -> Any:
        """What came of it; a refusal is as good an outcome as any."""
        try:
            return orjson.loads(self.fleet.do(command, now=self.now).body)
        except Refusal as refusal:
            return refusal

    def documents(self) -> list[dict[str, Any]]:
        return [self.fleet.document(one) for one in self.booked]

    def rows(self) -> list[AllocationRow]:
        return [row for one in self.booked for row in self.fleet.allocations(one)]

    # --- counting ---

    def blocking(self) -> Iterator[tuple[AllocationRow, datetime]]:
        """Everything that keeps others away, and until when."""
        for row in self.rows():
            if row.status in ("allocated", "in_use"):
                is_overdue = row.status == "in_use" and row.allocated_to <= self.now
                yield row, OPEN if is_overdue else row.blocked_to

    def left(self, item_type: str, window: Window) -> int:
        """How many units of an item type a window leaves, counted one by one."""
        around = Window(window.start - HOUR, window.end + 2 * HOUR) if item_type == self.timer else window
        if item_type == self.timer:
            return sum(self._is_free(unit, around) for unit in self.units)
        return sum(max(0, total - self._used(pool, around, self.rules[item_type])) for pool, total in self.pools[item_type].items())

    def _is_free(self, unit: str, window: Window) -> bool:
        if self.fleet.document(unit)["status"] != "available":
            return False
        return not any(row.asset == unit and row.blocked_from < window.end and until > window.start for row, until in self.blocking())

    def _used(self, pool: str, window: Window, rule: str) -> int:
        met = [(row, until) for row, until in self.blocking() if row.stock_pool == pool]
        met = [(row, until) for row, until in met if row.blocked_from < window.end and until > window.start]
        if rule == "overlap":
            return sum(row.quantity for row, _ in met)
        moments = [window.start, *(row.blocked_from for row, _ in met if row.blocked_from > window.start)]
        return max(sum(row.quantity for row, until in met if row.blocked_from <= at < until) for at in moments)

    def fits(self, lines: Mapping[str, int], window: Window) -> bool:
        wanted: Counter[str] = Counter()
        for item, quantity in lines.items():
            wanted.update({part: each * quantity for part, each in self.parts[item].items()})
        return all(self.left(part, window) >= quantity for part, quantity in wanted.items())


# --- what can happen --------------------------------------------------------------------------------------------------


def ask_and_approve(world: World, draw: st.DrawFn) -> None:
    """Said to be available if and only if it is approved, and if and only if plain counting says so."""
    lines = {draw(st.sampled_from(world.items)): draw(st.integers(1, 2)) for _ in range(draw(st.integers(1, 2)))}
    window = _window(world, draw)
    document = reservation(list(lines.items()), (written(window.start), written(window.end)))
    booked = world.fleet.do(CreateReservation(document), now=world.now).identifier
    world.booked.append(booked)
    if draw(st.integers(0, 4)) == 0:
        world.do(ApproveReservation(booked, None, "allow_under_allocation"))
        return
    expected = world.fits(lines, window)
    assert _is_said_to_fit(world, lines, window) == expected
    outcome = world.do(ApproveReservation(booked, None, "hard_fail"))
    assert isinstance(outcome, dict) == expected
    assert expected or isinstance(outcome, InsufficientAvailability)


def _is_said_to_fit(world: World, lines: Mapping[str, int], window: Window) -> bool:
    with world.fleet.ledger.read() as uow:
        expanded = availability.expanded(uow, lines)
        wanted: Counter[str] = Counter()
        for item, quantity in lines.items():
            wanted.update({part: each * quantity for part, each in expanded[item].items()})
        given = availability.circumstances(world.fleet.occasion(now=world.now))
        said = availability.capacities(uow, availability.blocked(uow, wanted, window), given)
    return all(said[part].available >= quantity for part, quantity in wanted.items())


def ask_for_as_soon_as_possible(world: World, draw: st.DrawFn) -> None:
    """It gets the first window of the hours ahead that plain counting finds."""
    lines = {draw(st.sampled_from(world.items)): draw(st.integers(1, 3))}
    hours = draw(st.integers(1, 12))
    document = reservation(list(lines.items()), isAsap=True, duration=f"PT{hours}H")
    del document["startTime"], document["endTime"]
    booked = world.fleet.do(CreateReservation(document), now=world.now).identifier
    world.booked.append(booked)
    ahead = (Window(world.now + count * HOUR, world.now + (count + hours) * HOUR) for count in range(FAR))
    expected = next((window for window in ahead if world.fits(lines, window)), None)
    outcome = world.do(ApproveReservation(booked, None, "hard_fail"))
    found = (outcome["startTime"], outcome["endTime"]) if isinstance(outcome, dict) else None
    assert found == (expected and (written(expected.start), written(expected.end)))


FAR = 24 * 21
"""Hours after which nothing is planned in these worlds."""


def move(world: World, draw: st.DrawFn) -> None:
    """Another window, another quantity, or both."""
    booked = draw(st.sampled_from(world.booked))
    document, window = world.fleet.document(booked), _window(world, draw)
    head = world.fleet.ledger.head(booked)
    assert head is not None
    lines = [{**line, "requestedQuantity": draw(st.integers(1, 3))} for line in document["lineItems"]]
    changed = {**document, "startTime": written(window.start), "endTime": written(window.end), "lineItems": lines}
    world.do(ChangeReservation(booked, changed, frozenset({head.revision})))


def cancel(world: World, draw: st.DrawFn) -> None:
    world.do(CancelReservation(draw(st.sampled_from(world.booked))))


def allocate(world: World, draw: st.DrawFn) -> None:
    world.do(AllocateUnits(draw(st.sampled_from(world.booked)), None, draw(st.sampled_from(["hard_fail", "allow_under_allocation"]))))


def release(world: World, draw: st.DrawFn) -> None:
    booked = draw(st.sampled_from(world.booked))
    some = _some(world, booked, "allocated", draw)
    world.do(ReleaseAllocations(booked, None, some or None))


def swap(world: World, draw: st.DrawFn) -> None:
    booked = draw(st.sampled_from(world.booked))
    for one in _some(world, booked, "allocated", draw)[:1]:
        world.do(SwapAllocation(booked, one, None, draw(st.sampled_from([None, *world.units]))))


def check_out(world: World, draw: st.DrawFn) -> None:
    booked = draw(st.sampled_from(world.booked))
    some = _some(world, booked, "allocated", draw)
    world.do(CheckOutUnits(booked, None, tuple(Handover(one, draw(st.sampled_from([None, 1]))) for one in some)))


def take_back(world: World, draw: st.DrawFn) -> None:
    booked = draw(st.sampled_from(world.booked))
    some = _some(world, booked, "in_use", draw)
    condition = draw(st.sampled_from([Condition.GOOD, Condition.GOOD, Condition.DAMAGED]))
    world.do(ReturnUnits(booked, None, tuple(Handover(one, draw(st.sampled_from([None, 1])), condition) for one in some)))


def fulfill(world: World, draw: st.DrawFn) -> None:
    world.do(FulfillReservation(draw(st.sampled_from(world.booked))))


def service(world: World, draw: st.DrawFn) -> None:
    """A unit goes out of service, or comes back into it."""
    unit = draw(st.sampled_from(world.units))
    head = world.fleet.ledger.head(unit)
    assert head is not None
    document = {**orjson.loads(head.body), "status": draw(st.sampled_from(["available", "available", "maintenance"]))}
    world.do(ChangeCatalogEntry(unit, document, frozenset({head.revision})))


def wait(world: World, draw: st.DrawFn) -> None:
    world.now += draw(st.integers(1, 6)) * 4 * HOUR


def _some(world: World, booked: str, status: str, draw: st.DrawFn) -> tuple[str, ...]:
    there = [one["identifier"] for one in world.fleet.document(booked)["allocations"] if one["status"] == status]
    return tuple(draw(st.lists(st.sampled_from(there), unique=True, max_size=2))) if there else ()


def _window(world: World, draw: st.DrawFn) -> Window:
    start = world.now + draw(st.integers(0, 5)) * 4 * HOUR
    return Window(start, start + draw(st.integers(1, 4)) * 4 * HOUR)


STEPS = (
    *(ask_and_approve, ask_and_approve, ask_and_approve, ask_for_as_soon_as_possible, move, move, cancel, allocate, allocate, release),
    *(swap, swap, check_out, check_out, check_out, take_back, take_back, fulfill, service, wait, wait),
)


LENGTH = 20
"""Steps of a life: it takes some until units are out too long and others want them."""


@settings(max_examples=15, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_everything_agrees_after_every_step(ledger: Ledger, data: st.DataObject) -> None:
    world = World(Fleet(ledger, events))
    ask_and_approve(world, data.draw)
    for _ in range(LENGTH):
        data.draw(st.sampled_from(STEPS))(world, data.draw)
        holds_together(world)


# --- what must always be so -------------------------------------------------------------------------------------------


def holds_together(world: World) -> None:
    _what_is_left_is_what_counting_leaves(world)
    _no_unit_is_promised_twice(world)
    _no_pool_is_promised_beyond_its_total(world)
    for document in world.documents():
        _the_document_says_what_the_rows_say(world, document)
    pools = [pool for item_type in world.rules for pool in world.pools[item_type]]
    with world.fleet.ledger.read() as uow:
        assert uow.counters.differing(pools) == []


def _what_is_left_is_what_counting_leaves(world: World) -> None:
    """Now, for a while that begins soon, and over days."""
    for start, end in ((0, 1), (4, 20), (0, 96)):
        window = Window(world.now + start * HOUR, world.now + end * HOUR)
        with world.fleet.ledger.read() as uow:
            given = availability.circumstances(world.fleet.occasion(now=world.now))
            said = availability.capacities(uow, availability.blocked(uow, world.counted, window), given)
        assert {item: each.available for item, each in said.items()} == {item: world.left(item, window) for item in world.counted}


def _no_unit_is_promised_twice(world: World) -> None:
    rows = [row for row in world.rows() if row.asset and row.status in ("allocated", "in_use")]
    for one, other in itertools.combinations(rows, 2):
        assert one.asset != other.asset or one.blocked_to <= other.blocked_from or other.blocked_to <= one.blocked_from


def _no_pool_is_promised_beyond_its_total(world: World) -> None:
    """At any instant; units that are out too long may be in the way of later promises, and that is nobody's double promise."""
    for item_type in world.rules:
        for pool, total in world.pools[item_type].items():
            rows = [row for row in world.rows() if row.stock_pool == pool and row.status in ("allocated", "in_use")]
            for at in (row.blocked_from for row in rows):
                assert sum(row.quantity for row in rows if row.blocked_from <= at < row.blocked_to) <= total


def _the_document_says_what_the_rows_say(world: World, document: dict[str, Any]) -> None:
    rows = {f"alloc_{row.number}": row for row in world.fleet.allocations(document["identifier"])}
    shown = {one["identifier"]: one for one in document["allocations"]}
    assert shown.keys() == rows.keys()
    for identifier, one in shown.items():
        assert (one["status"], one["quantity"]) == (rows[identifier].status, rows[identifier].quantity)
        assert (instant(one["allocatedFrom"]), instant(one["allocatedTo"])) == (
            rows[identifier].allocated_from,
            rows[identifier].allocated_to,
        )
    for line in document["lineItems"]:
        assert line["allocatedQuantity"] == _whole(world, line, rows.values())
        assert line["allocatedQuantity"] <= line["requestedQuantity"]
    assert document["allocatedQuantity"] == sum(line["allocatedQuantity"] for line in document["lineItems"])


def _whole(world: World, line: dict[str, Any], rows: Any) -> int:
    """How many of what the line asks for the units make that it has or had; kits are never promised in pieces."""
    name, parts = line["@id"].partition("#")[2], world.parts[line["object"]["identifier"]]
    has: Counter[str] = Counter()
    for row in rows:
        if row.line == name and row.status in ("allocated", "in_use", "returned"):
            has[row.item_type] += row.quantity
    return min(line["requestedQuantity"], *(has[part] // each for part, each in parts.items()))
