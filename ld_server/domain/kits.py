"""Kits are put together from item types and from other kits; here they are taken apart into item types."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter

Composition = Mapping[str, Mapping[str, int]]
"""Kit → what belongs to it, item types and other kits → how many of each in one kit."""

BEYOND_COUNTING = 10**15
"""Kits in kits multiply; a need that reaches this is more than any fleet has, and stays a number that JSON readers keep exactly."""


class EndlessKit(ValueError):
    """A kit that is a part of itself can never be put together."""


@dataclass(frozen=True, slots=True)
class Component:
    """What one kit needs of an item type, and how many units of it there are to be had."""

    item_type: str
    quantity_per_kit: int
    available: int

    @property
    def kits_supported(self) -> int:
        """How many kits the units are enough for (seed 4.2.3)."""
        return self.available // self.quantity_per_kit


def expanded(item: str, composition: Composition) -> dict[str, int]:
    """
    Item type → how many of it one `item` needs, in whatever kit inside it. What has no composition is an item type, and needs itself.

    Raises EndlessKit.
    """
    needed = {item: 1}
    for kit in _outermost_first(item, composition):
        for part, quantity in composition[kit].items():
            needed[part] = min(needed.get(part, 0) + needed[kit] * quantity, BEYOND_COUNTING)
    return {part: quantity for part, quantity in needed.items() if part not in composition}


def summed(wanted: Mapping[str, int], parts: Mapping[str, Mapping[str, int]]) -> dict[str, int]:
    """Item type → how many of it are needed for so many of each wanted item. `parts` are what `expanded` gives for each."""
    needed: dict[str, int] = {}
    for item, quantity in wanted.items():
        for part, each in parts[item].items():
            needed[part] = min(needed.get(part, 0) + quantity * each, BEYOND_COUNTING)
    return needed


def kits_supported(components: Iterable[Component]) -> int:
    """How many whole kits can be had: as many as the scarcest component is enough for."""
    return min(one.kits_supported for one in components)


def limiting(components: Iterable[Component]) -> tuple[Component, ...]:
    """The components of which there would have to be more for one more kit."""
    every = tuple(components)
    return tuple(one for one in every if one.kits_supported == kits_supported(every))


def _outermost_first(item: str, composition: Composition) -> list[str]:
    """The kits that are in an item, each after every kit that it is a part of."""
    reached, waiting = set[str](), [item]
    while waiting:
        kit = waiting.pop()
        if kit in composition and kit not in reached:
            reached.add(kit)
            waiting.extend(composition[kit])
    try:
        return list(TopologicalSorter({kit: composition[kit].keys() & reached for kit in reached}).static_order())[::-1]
    except CycleError as error:
        raise EndlessKit(f"{' in '.join(error.args[1])} is a kit in itself") from None
