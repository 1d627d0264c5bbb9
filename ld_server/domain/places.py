"""From which places units are taken: from as few as possible, and those of one reservation from the same."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ld_server.domain.allocation import Supply


@dataclass(frozen=True, slots=True)
class Placed:
    """Units that can be had, and where they are; None when nobody has said so."""

    supply: Supply
    place: str | None


Found = Mapping[str, Sequence[Placed]]
"""Item type → what can be had of it, what fits best first."""


def gathered(found: Found, wanted: Mapping[str, int]) -> dict[str, list[Supply]]:
    """
    Item type → the supplies in the order in which they should be used.

    The place that gives most of what is wanted comes first, then the one that gives most of the rest, and so on. Of two that give the
    same, the one with what fits best.
    """
    order = {place: position for position, place in enumerate(_order(found, wanted))}
    return {item: [one.supply for one in sorted(placed, key=lambda one: order[one.place])] for item, placed in found.items()}


def _order(found: Found, wanted: Mapping[str, int]) -> list[str | None]:
    stock = _stock(found)
    missing, order = dict(wanted), list[str | None]()
    while stock:
        best = max(stock, key=lambda place: _given(stock[place], missing))
        order.append(best)
        missing = {item: max(0, quantity - stock[best].get(item, 0)) for item, quantity in missing.items()}
        del stock[best]
    return order


def _stock(found: Found) -> dict[str | None, dict[str, int]]:
    """Place → item type → how many can be had there. The places come as they are met first."""
    stock: dict[str | None, dict[str, int]] = {}
    for item, placed in found.items():
        for one in placed:
            there = stock.setdefault(one.place, {})
            there[item] = there.get(item, 0) + one.supply.quantity
    return stock


def _given(there: Mapping[str, int], missing: Mapping[str, int]) -> int:
    """How much of what is missing a place has."""
    return sum(min(quantity, there.get(item, 0)) for item, quantity in missing.items())
