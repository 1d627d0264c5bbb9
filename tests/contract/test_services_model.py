"""Random lives of a small fleet, held against the rules of the domain kept in plain lists."""

import random
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest

from ld_server.domain.errors import InsufficientAvailability
from ld_server.domain.window import EARLIEST, LATEST, Turnaround, Window
from ld_server.resources.kind import instant, written
from relational.unit_of_work import Ledger
from tests.contract.fleet import Fleet, tags

MIDNIGHT = instant("2027-03-01T00:00:00Z")
TURNAROUND = Turnaround(before=timedelta(hours=1), after=timedelta(hours=2))


@dataclass
class Model:
    """Who has which unit when: what seed 4.1 and 4.2.1 say, unit by unit."""

    units: list[str]
    held: dict[str, list[tuple[str, Window]]] = field(default_factory=dict)

    def free(self, window: Window) -> list[str]:
        """The units that are free, those first whose calendars it fills best."""
        blocked = TURNAROUND.around(window)
        free = [unit for unit in self.units if not any(other.overlaps(blocked) for other in self._calendar(unit))]
        return sorted(free, key=lambda unit: self._gap(unit, blocked))

    def _calendar(self, unit: str) -> list[Window]:
        return [other for claims in self.held.values() for one, other in claims if one == unit]

    def _gap(self, unit: str, blocked: Window) -> timedelta:
        """From the end of what comes before to the start of what comes after."""
        before = [other.end for other in self._calendar(unit) if other.end <= blocked.start]
        after = [other.start for other in self._calendar(unit) if other.start >= blocked.end]
        return min(after, default=LATEST) - max(before, default=EARLIEST)

    def claim(self, reservation: str, window: Window, quantity: int) -> list[str]:
        """The units it gets: the first free ones, or none at all when they are too few."""
        free = self.free(window)
        claimed = free[:quantity] if len(free) >= quantity else []
        self.held[reservation] = [(unit, TURNAROUND.around(window)) for unit in claimed]
        return claimed


@pytest.mark.parametrize("seed", range(3))
def test_an_approval_gives_exactly_what_the_rules_give(ledger: Ledger, seed: int) -> None:
    chance = random.Random(seed)
    fleet, model = Fleet(ledger), Model([f"TN-{number}" for number in range(4)])
    timer = fleet.stocked(*model.units, turnaroundBefore="PT1H", turnaroundAfter="PT2H")
    for _ in range(40):
        if model.held and chance.random() < 0.3:
            _cancel_one(fleet, model, chance)
        else:
            _approve_one(fleet, model, timer, chance)


def _approve_one(fleet: Fleet, model: Model, item_type: str, chance: random.Random) -> None:
    window, quantity = _window(chance), chance.randint(1, 3)
    booked = fleet.reserve(item_type, quantity, (written(window.start), written(window.end)))
    expected = model.claim(booked, window, quantity)
    if expected:
        assert tags(fleet.approve(booked)) == expected
        return
    with pytest.raises(InsufficientAvailability) as refused:
        fleet.approve(booked)
    assert refused.value.members["lines"][0]["available"] == len(model.free(window))


def _cancel_one(fleet: Fleet, model: Model, chance: random.Random) -> None:
    booked = chance.choice(sorted(model.held))
    del model.held[booked]
    assert fleet.cancel(booked)["allocatedQuantity"] == 0


def _window(chance: random.Random) -> Window:
    start: datetime = MIDNIGHT + timedelta(hours=chance.randint(0, 36))
    return Window(start, start + timedelta(hours=chance.randint(1, 8)))
