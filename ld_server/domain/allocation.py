"""Who gets which units: the free supply is dealt out to the lines of a reservation, first line first, and to kits only whole."""

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from enum import StrEnum


class Policy(StrEnum):
    """What an approval does when units are missing (seed 4.3)."""

    HARD_FAIL = "hard_fail"
    ALLOW_UNDER_ALLOCATION = "allow_under_allocation"


@dataclass(frozen=True, slots=True)
class Demand:
    """
    What one line asks for: `quantity` of an item, each put together from `parts`, which map item types to units. An item type has one
    part, a unit of itself. `has`: the units of each item type that the line has for good, because they are out or were returned.
    """

    line: str
    item: str
    quantity: int
    parts: Mapping[str, int]
    has: Mapping[str, int] = field(default_factory=dict)

    def needed(self, item_type: str, whole: int) -> int:
        """How many more units of a part make so many whole items."""
        return max(0, whole * self.parts[item_type] - self.has.get(item_type, 0))

    def whole(self, units: Mapping[str, int]) -> int:
        """How many whole items these units make with those that the line has: never more than it asks for."""
        made = ((self.has.get(part, 0) + units.get(part, 0)) // each for part, each in self.parts.items())
        return min(self.quantity, *made)


@dataclass(frozen=True, slots=True)
class Supply:
    """
    Units that can be had from one source: an asset gives one, a stock pool several. `label` is what people call the source, and
    `location` where it is; sources of which that is not known count as being at one place.
    """

    source: str
    label: str
    quantity: int = 1
    location: str | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """What a line takes from one source."""

    item_type: str
    source: str
    label: str
    quantity: int = 1


@dataclass(frozen=True, slots=True)
class LinePlan:
    """What one line gets."""

    demand: Demand
    claims: tuple[Claim, ...]

    @property
    def units(self) -> dict[str, int]:
        """Item type → units that are claimed."""
        return _units(self.claims)

    @property
    def allocated(self) -> int:
        """Whole items, with what the line has already."""
        return self.demand.whole(self.units)

    @property
    def missing(self) -> int:
        return self.demand.quantity - self.allocated


def wanted(demands: Iterable[Demand]) -> dict[str, int]:
    """How many units of each item type the lines need together."""
    return _sum((part, demand.needed(part, demand.quantity)) for demand in demands for part in demand.parts)


def plan(demands: Iterable[Demand], free: Mapping[str, Sequence[Supply]]) -> tuple[LinePlan, ...]:
    """
    A plan per line, in the order of the lines. `free`: item type → supply, of which each line takes what is at as few places as
    possible, and at one place in its order.

    No unit is dealt out twice, no kit has a part too few or too many, and nothing stays behind that a line could still take.
    """
    return replan(demands, {}, free)


def replan(demands: Iterable[Demand], held: Mapping[str, Sequence[Supply]], free: Mapping[str, Sequence[Supply]]) -> tuple[LinePlan, ...]:
    """
    A plan per line, in the order of the lines, that moves as little as it can. `held`: line → what it has had so far; it keeps
    that as far as it is in `free`, which has everything that can be had now, that included.

    What `plan` promises holds here, too.
    """
    left = _Left(free)
    kept = [_kept(demand, held.get(demand.line, ()), left) for demand in demands]
    return tuple(_grown(line, held.get(line.demand.line, ()), left) for line in kept)


class _Left:
    """What is left of the free supply while it is dealt out."""

    def __init__(self, free: Mapping[str, Sequence[Supply]]) -> None:
        self._supplies = {item_type: {supply.source: supply for supply in supplies} for item_type, supplies in free.items()}
        self._units = {item_type: sum(supply.quantity for supply in supplies.values()) for item_type, supplies in self._supplies.items()}
        self._sources = {supply.source: supply for supplies in free.values() for supply in supplies}

    def units(self, item_type: str) -> int:
        return self._units.get(item_type, 0)

    def units_of(self, held: Iterable[Supply], item_type: str) -> int:
        """How much of what was held can still be had."""
        supplies = self._supplies.get(item_type, {})
        return sum(min(one.quantity, supplies[one.source].quantity) for one in held if one.source in supplies)

    def at(self, item_type: str) -> dict[str | None, int]:
        """Place → units that are left there, the place of the first source first."""
        places: dict[str | None, int] = {}
        for supply in self._supplies.get(item_type, {}).values():
            places[supply.location] = places.get(supply.location, 0) + supply.quantity
        return places

    def place(self, claim: Claim) -> str | None:
        return self._sources[claim.source].location

    def taken(self, item_type: str, sources: Iterable[Supply], most: int) -> Iterator[Claim]:
        """Units of these sources, from each no more than it is said to give, and at most so many together."""
        supplies = self._supplies.get(item_type, {})
        for one in sources:
            there = supplies[one.source].quantity if one.source in supplies else 0
            quantity = min(most, one.quantity, there)
            if quantity > 0:
                most -= quantity
                self._take_off(supplies, item_type, one.source, quantity)
                yield Claim(item_type, one.source, self._sources[one.source].label, quantity)

    def taken_at(self, item_type: str, place: str | None, most: int) -> Iterator[Claim]:
        """At most so many units that are at a place, source by source."""
        return self.taken(item_type, [one for one in self._supplies.get(item_type, {}).values() if one.location == place], most)

    def _take_off(self, supplies: dict[str, Supply], item_type: str, source: str, quantity: int) -> None:
        self._units[item_type] -= quantity
        rest = supplies[source].quantity - quantity
        if rest:
            supplies[source] = replace(supplies[source], quantity=rest)
        else:
            del supplies[source]


def _kept(demand: Demand, held: Sequence[Supply], left: _Left) -> LinePlan:
    """As many whole items as what was held still makes."""
    whole = demand.whole({part: left.units_of(held, part) for part in demand.parts})
    return LinePlan(demand, tuple(claim for part in demand.parts for claim in left.taken(part, held, demand.needed(part, whole))))


def _grown(line: LinePlan, held: Sequence[Supply], left: _Left) -> LinePlan:
    """As many whole items as can be had: first from what was held, and the rest from as few places as possible."""
    whole = line.demand.whole(_sum((part, line.units.get(part, 0) + left.units(part)) for part in line.demand.parts))
    claims = list(line.claims)
    for part in line.demand.parts:
        claims += left.taken(part, held, line.demand.needed(part, whole) - _units(claims).get(part, 0))
    while needs := _needs(line.demand, whole, claims):
        place = _best_place(needs, {left.place(claim) for claim in claims}, left)
        for part, quantity in needs.items():
            claims += left.taken_at(part, place, quantity)
    order = {part: number for number, part in enumerate(line.demand.parts)}
    return LinePlan(line.demand, tuple(sorted(_together(claims), key=lambda claim: order[claim.item_type])))


def _needs(demand: Demand, whole: int, claims: Sequence[Claim]) -> dict[str, int]:
    """Item type → units that are still to be had."""
    has = _units(claims)
    needs = {part: demand.needed(part, whole) - has.get(part, 0) for part in demand.parts}
    return {part: quantity for part, quantity in needs.items() if quantity > 0}


def _best_place(needs: Mapping[str, int], used: Set[str | None], left: _Left) -> str | None:
    """Where most of the needs can be had: of the places that are used anyway, else of all; among equals the first."""
    covered: dict[str | None, int] = {}
    for part, quantity in needs.items():
        for place, units in left.at(part).items():
            covered[place] = covered.get(place, 0) + min(quantity, units)
    return max(covered, key=lambda place: (place in used, covered[place]))


def _units(claims: Iterable[Claim]) -> dict[str, int]:
    return _sum((claim.item_type, claim.quantity) for claim in claims)


def _sum(pairs: Iterable[tuple[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for key, quantity in pairs:
        total[key] = total.get(key, 0) + quantity
    return total


def _together(claims: Iterable[Claim]) -> tuple[Claim, ...]:
    """One claim for each source."""
    found: dict[str, Claim] = {}
    for claim in claims:
        found[claim.source] = replace(claim, quantity=claim.quantity + (found[claim.source].quantity if claim.source in found else 0))
    return tuple(found.values())
