"""Why a promise may not be kept."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Reason(StrEnum):
    """What stands between a reservation and a unit of it."""

    OUT_OF_SERVICE = "out_of_service"
    UNAVAILABLE = "unavailability"
    OVERDUE = "overdue"
    OVER_PROMISED = "over_promised"
    PROMISED = "promised"
    WINDOW_OVER = "window_over"
    MISSING = "missing"


REASONS: Mapping[Reason, str] = {
    Reason.OUT_OF_SERVICE: "The status of the unit is not available.",
    Reason.UNAVAILABLE: "The unit is unavailable for a part of the window.",
    Reason.OVERDUE: "Another reservation has the unit, and its window is over.",
    Reason.OVER_PROMISED: "More units of the stock pool are promised or out at once than there are.",
    Reason.PROMISED: "Another reservation holds the unit before this one begins.",
    Reason.WINDOW_OVER: "The window of the reservation is over.",
    Reason.MISSING: "There are not enough units for an approval.",
}


@dataclass(frozen=True, slots=True)
class Danger:
    """
    What may keep the unit or the pool `source` from the allocation with this number, which a line of the reservation has.

    `said` is the unit's status, or why it is unavailable, `holder` the reservation that has it, `since` and `until` when; None where
    there is none, or nobody knows.
    """

    rent_action: str
    number: int
    line: str
    source: str
    reason: Reason
    said: str | None = None
    holder: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    @property
    def sentence(self) -> str:
        """For people, without a full stop."""
        return _SENTENCES[self.reason](self)


def _during(danger: Danger) -> str:
    since = f" from {_written(danger.since)}" if danger.since else ""
    return f"{since} until {_written(danger.until)}" if danger.until else since


def _written(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def _is(danger: Danger) -> str:
    return f"the unit {danger.source} is" if danger.source.startswith("asset_") else f"units of {danger.source} are"


_SENTENCES: Mapping[Reason, Callable[[Danger], str]] = {
    Reason.OUT_OF_SERVICE: lambda one: f"the status of {one.source} is {one.said}",
    Reason.UNAVAILABLE: lambda one: f"{_is(one)} unavailable{_during(one)}{f' ({one.said})' if one.said else ''}",
    Reason.OVERDUE: lambda one: f"{_is(one)} still out with {one.holder or 'others'}",
    Reason.OVER_PROMISED: lambda one: f"more units of {one.source} are promised or out at once than there are{_during(one)}",
    Reason.PROMISED: lambda one: f"{_is(one)} promised to {one.holder or 'others'}{_during(one)}",
    Reason.WINDOW_OVER: lambda one: f"the time for which {one.source} was promised is over",
    Reason.MISSING: lambda one: f"there are not enough units of {one.source}",
}
