"""Units change hands: how much of which allocation goes out or comes back, and in what condition it comes back."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from ld_server.domain.status import AssetStatus


class Condition(StrEnum):
    """In what condition units come back."""

    GOOD = "good"
    DAMAGED = "damaged"
    LOST = "lost"


AFTERWARDS: Mapping[Condition, AssetStatus] = {
    Condition.DAMAGED: AssetStatus.MAINTENANCE,
    Condition.LOST: AssetStatus.LOST,
}
"""What becomes of a unit that comes back in this condition; one that is good stays what it is."""

LARGEST_QUANTITY = 1_000_000
"""Of one allocation."""


@dataclass(frozen=True, slots=True)
class Handover:
    """
    A quantity of an allocation changes hands; None means all of it that is left. Condition and notes belong to what comes back.

    `metadata` is any JSON that is kept with the allocation from now on, in place of what was.
    """

    allocation: str
    quantity: int | None = None
    condition: Condition = Condition.GOOD
    notes: str | None = None
    metadata: Any = None


@dataclass(frozen=True, slots=True)
class Portion:
    """So many units of the allocation change hands, and so many of it are left."""

    handover: Handover
    quantity: int
    rest: int


class NotThere(Exception):
    """More is to change hands than there is of the allocation: `left`, which may be 0."""

    def __init__(self, handover: Handover, left: int) -> None:
        super().__init__(handover.allocation)
        self.handover = handover
        self.left = left


def portions(held: Mapping[str, int], handovers: Iterable[Handover]) -> Iterator[Portion]:
    """What each handover takes, one after the other, of what is `held`: allocation → quantity. Raises NotThere."""
    left = dict(held)
    for handover in handovers:
        there = left.get(handover.allocation, 0)
        quantity = there if handover.quantity is None else handover.quantity
        if not 0 < quantity <= there:
            raise NotThere(handover, there)
        left[handover.allocation] = there - quantity
        yield Portion(handover, quantity, there - quantity)


def merged(handovers: Iterable[Handover]) -> list[Handover]:
    """One handover for each allocation, of what several take together."""
    found: dict[str, Handover] = {}
    for one in handovers:
        before = found.get(one.allocation)
        is_all = one.quantity is None or (before is not None and before.quantity is None)
        together = None if is_all else (one.quantity or 0) + ((before.quantity or 0) if before else 0)
        said = one.metadata if one.metadata is not None or before is None else before.metadata
        found[one.allocation] = Handover(one.allocation, together, metadata=said)
    return list(found.values())
