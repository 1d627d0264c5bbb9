"""Who gets which units: the free supply is dealt out to the lines of a reservation, first line first."""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum


class Policy(StrEnum):
    """What an approval does when units are missing (seed 4.3)."""

    HARD_FAIL = "hard_fail"
    ALLOW_UNDER_ALLOCATION = "allow_under_allocation"


@dataclass(frozen=True, slots=True)
class Demand:
    """What one line asks for: `quantity` units of an item type."""

    line: str
    item_type: str
    quantity: int


@dataclass(frozen=True, slots=True)
class Supply:
    """Units that can be had from one source: an asset gives one, a stock pool several. `label` is what people call the source."""

    source: str
    label: str
    quantity: int = 1


@dataclass(frozen=True, slots=True)
class LinePlan:
    """What one line gets."""

    demand: Demand
    claims: tuple[Supply, ...]

    @property
    def allocated(self) -> int:
        return sum(claim.quantity for claim in self.claims)

    @property
    def missing(self) -> int:
        return self.demand.quantity - self.allocated


def wanted(demands: Iterable[Demand]) -> dict[str, int]:
    """How many units of each item type the lines ask for together."""
    total: dict[str, int] = {}
    for demand in demands:
        total[demand.item_type] = total.get(demand.item_type, 0) + demand.quantity
    return total


def plan(demands: Iterable[Demand], free: Mapping[str, Sequence[Supply]]) -> tuple[LinePlan, ...]:
    """
    A plan per line, in the order of the lines. `free`: item type → supply, which is used in its order.

    No unit is dealt out twice, and none stays behind while a line still misses one.
    """
    left = {item_type: deque(supplies) for item_type, supplies in free.items()}
    return tuple(LinePlan(demand, tuple(_deal(left.get(demand.item_type, deque()), demand.quantity))) for demand in demands)


def _deal(left: deque[Supply], quantity: int) -> Iterator[Supply]:
    while quantity > 0 and left:
        supply = left.popleft()
        taken = min(quantity, supply.quantity)
        if taken < supply.quantity:
            left.appendleft(replace(supply, quantity=supply.quantity - taken))
        quantity -= taken
        yield supply if taken == supply.quantity else replace(supply, quantity=taken)
