"""Reservation windows are half-open: [start, end). Back-to-back bookings do not collide."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ld_server.domain.errors import InvalidParameter

EARLIEST = datetime.min.replace(tzinfo=UTC)
LATEST = datetime.max.replace(tzinfo=UTC)

LONGEST_TURNAROUND = timedelta(days=3660)
"""About ten years: beyond that a unit would as well be retired."""


@dataclass(frozen=True, slots=True)
class Window:
    """Two instants with a zone, `start` before `end`. Anything else is InvalidParameter, which names the field."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        for field, moment in (("startTime", self.start), ("endTime", self.end)):
            if moment.tzinfo is None:
                raise InvalidParameter(f"{field} has no zone; write for example 2026-02-03T12:00:00Z.", parameter=field)
        if self.end <= self.start:
            raise InvalidParameter("endTime must be later than startTime.", parameter="endTime")

    def overlaps(self, other: "Window") -> bool:
        """Whether the two share an instant (seed 4.1)."""
        return self.start < other.end and other.start < self.end


@dataclass(frozen=True, slots=True)
class Turnaround:
    """How long a unit is kept free before a reservation and after it. Negative lengths are refused."""

    before: timedelta = timedelta()
    after: timedelta = timedelta()

    def __post_init__(self) -> None:
        for field, length in (("turnaroundBefore", self.before), ("turnaroundAfter", self.after)):
            if length < timedelta():
                raise InvalidParameter(f"{field} must not be negative.", parameter=field)

    def around(self, window: Window) -> Window:
        """The window in which a unit is blocked; it ends at the ends of the calendar where time runs out."""
        return Window(earlier(window.start, self.before), later(window.end, self.after))


def earlier(moment: datetime, length: timedelta) -> datetime:
    """So long before; time begins with EARLIEST."""
    return moment - length if moment - EARLIEST > length else EARLIEST


def later(moment: datetime, length: timedelta) -> datetime:
    """So long after; time runs out at LATEST."""
    return moment + length if LATEST - moment > length else LATEST


def next_minute(instant: datetime) -> datetime:
    """The first full minute (UTC) that is not before an instant; an instant that is one stays."""
    whole = instant.replace(second=0, microsecond=0)
    return whole if whole == instant else later(whole, timedelta(minutes=1))
