"""ISO 8601 durations of exact length: weeks, days, hours, minutes, seconds. Years and months have no length and are refused."""

import re

_DURATION = re.compile(
    r"P(?=[0-9T])(?:(?P<weeks>[0-9]+)W)?(?:(?P<days>[0-9]+)D)?"
    r"(?:T(?=[0-9])(?:(?P<hours>[0-9]+)H)?(?:(?P<minutes>[0-9]+)M)?(?:(?P<seconds>[0-9]+)S)?)?\Z"
)
_LENGTHS = {"weeks": 604_800, "days": 86_400, "hours": 3_600, "minutes": 60, "seconds": 1}


def seconds(text: str) -> int:
    """The length of a duration in seconds: `PT1H30M` is 5400. Raises ValueError."""
    match = _DURATION.match(text)
    if match is None:
        raise ValueError(f"{text!r} is not a duration such as PT2H or P1D")
    return sum(int(match[unit] or 0) * length for unit, length in _LENGTHS.items())
