"""How many units of an item type there are, and how many of them a window leaves (seed 4.2)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Capacity:
    """Units that can be reserved at all, and those of them that are taken at some time in the window."""

    total: int
    reserved: int

    @property
    def available(self) -> int:
        """Never negative: units that are taken out of service while they are promised leave more reserved than there are."""
        return max(0, self.total - self.reserved)
