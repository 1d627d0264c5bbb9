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


def replan(demands: Iterable[Demand], held: Mapping[str, Sequence[Supply]], free: Mapping[str, Sequence[Supply]]) -> tuple[LinePlan, ...]:
    """
    A plan per line, in the order of the lines, that moves as little as it can. `held`: line → what it has had so far; it keeps
    that as far as it is in `free`, which has everything that can be had now, that included.

    As with `plan` no unit is dealt out twice, and none stays behind while a line still misses one.
    """
    asked = tuple(demands)
    left = {item_type: {supply.source: supply for supply in supplies} for item_type, supplies in free.items()}
    kept = [LinePlan(one, tuple(_keep(held.get(one.line, ()), left.get(one.item_type, {}), one.quantity))) for one in asked]
    others = {item_type: [supply for supply in supplies.values() if supply.quantity] for item_type, supplies in left.items()}
    rest = plan([replace(line.demand, quantity=line.missing) for line in kept], others)
    return tuple(LinePlan(line.demand, _together(line.claims + more.claims)) for line, more in zip(kept, rest, strict=True))


def _keep(held: Iterable[Supply], left: dict[str, Supply], quantity: int) -> Iterator[Supply]:
    """What of `held` can still be had, up to the quantity; it is taken off what is left."""
    for claim in held:
        supply = left.get(claim.source)
        taken = min(claim.quantity, quantity, supply.quantity if supply else 0)
        if supply and taken:
            left[claim.source] = replace(supply, quantity=supply.quantity - taken)
            quantity -= taken
            yield replace(supply, quantity=taken)


def _together(claims: Iterable[Supply]) -> tuple[Supply, ...]:
    """One claim for each source."""
    found: dict[str, Supply] = {}
    for claim in claims:
        found[claim.source] = replace(claim, quantity=claim.quantity + (found[claim.source].quantity if claim.source in found else 0))
    return tuple(found.values())


def _deal(left: deque[Supply], quantity: int) -> Iterator[Supply]:
    while quantity > 0 and left:
        supply = left.popleft()
        taken = min(quantity, supply.quantity)
        if taken < supply.quantity:
            left.appendleft(replace(supply, quantity=supply.quantity - taken))
        quantity -= taken
        yield supply if taken == supply.quantity else replace(supply, quantity=taken)
