"""How many units of an item type there are, and how many of them a window leaves (seed 4.2)."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Rule(StrEnum):
    """How much of a pool a window uses: everything that overlaps it (seed 4.2.2), or the most that is out at one instant of it."""

    OVERLAP = "overlap"
    PEAK = "peak"


@dataclass(frozen=True, slots=True)
class Stock:
    """
    Units that nobody tells apart: how many there are, how many are promised somewhere in the window, and how many at one instant at most.
    """

    total: int
    reserved: int
    peak: int

    def left(self, rule: Rule) -> int:
        """Never negative: a pool that became smaller may have promised more than it has."""
        return max(0, self.total - (self.peak if rule == Rule.PEAK else self.reserved))


@dataclass(frozen=True, slots=True)
class Capacity:
    """
    Units that can be reserved at all, how many of them a window uses by either rule, and how many it leaves by the rule that counts.

    `available` may be more than `total` less the used ones: what one pool promised beyond what it has is not taken from another.
    """

    total: int
    reserved: int
    peak: int
    rule: Rule
    available: int


def of_units(total: int, busy: int, rule: Rule) -> Capacity:
    """Of units that are told apart: one that is blocked anywhere in the window cannot be had for it, whatever the rule."""
    return Capacity(total, busy, busy, rule, max(0, total - busy))


def of_stocks(stocks: Iterable[Stock], rule: Rule) -> Capacity:
    """Of several pools: each gives what it has left."""
    every = tuple(stocks)
    return Capacity(
        total=sum(one.total for one in every),
        reserved=sum(one.reserved for one in every),
        peak=sum(one.peak for one in every),
        rule=rule,
        available=sum(one.left(rule) for one in every),
    )
