"""When a scheduled trigger is due, as it may be written: cron with five fields, or an RFC 5545 recurrence rule; and a time zone."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from ld_server.domain.reading import Member, choice, members, name_of, text, wrong


@dataclass(frozen=True)
class Schedule:
    """`type` is `cron` or `rrule`, `expr` what it says in that language, `timezone` a name such as Europe/Brussels."""

    type: str
    expr: str
    timezone: str


# --- cron -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Field:
    name: str
    least: int
    most: int
    words: tuple[str, ...] = ()


_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")

FIELDS = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of month", 1, 31),
    _Field("month", 1, 12, _MONTHS),
    _Field("day of week", 0, 7, _DAYS),
)

_PART = re.compile(r"(?:\*|([a-z]+|\d{1,2})(?:-([a-z]+|\d{1,2}))?)(?:/(\d{1,2}))?\Z")


def _cron_complaint(expr: str) -> str | None:
    parts = expr.split()
    if len(parts) != len(FIELDS):
        return f"a cron expression has five fields: {', '.join(one.name for one in FIELDS)}"
    return next(filter(None, map(_field_complaint, FIELDS, parts)), None)


def _field_complaint(field: _Field, text: str) -> str | None:
    if all(_is_part(field, part.lower()) for part in text.split(",")):
        return None
    words = f" or {field.words[0]} to {field.words[-1]}" if field.words else ""
    return f"{text!r} is no {field.name}: write *, {field.least} to {field.most}{words}, ranges and lists of them, and steps such as */15"


def _is_part(field: _Field, text: str) -> bool:
    match = _PART.match(text)
    if match is None or match[3] == "0":
        return False
    first, last = (_number(field, one) if one else None for one in match.group(1, 2))
    if match[1] and (first is None or not field.least <= first <= field.most):
        return False
    if match[2] is None:
        return True
    return first is not None and last is not None and first <= last <= field.most


def _number(field: _Field, text: str) -> int | None:
    if text.isdigit():
        return int(text)
    return field.words.index(text) + (1 if field.least else 0) if text in field.words else None


def cron_values(expr: str) -> tuple[frozenset[int], ...]:
    """The numbers that each field of a valid cron expression stands for; none for a day that is not restricted. Sunday is 0."""
    minutes, hours, days, months, weekdays = map(_values, FIELDS, expr.lower().split())
    whole_month, whole_week = len(days) == 31, len({day % 7 for day in weekdays}) == 7
    return minutes, hours, frozenset() if whole_month else days, months, frozenset() if whole_week else frozenset(d % 7 for d in weekdays)


def _values(field: _Field, text: str) -> frozenset[int]:
    return frozenset(value for part in text.split(",") for value in _range(field, part))


def _range(field: _Field, part: str) -> range:
    """The values of `3`, `1-5`, `*/15` or `10/5`, which goes on to the end."""
    match = _PART.match(part)
    assert match is not None, "the expression was read before"
    first = field.least if match[1] is None else _number(field, match[1]) or 0
    most = 6 if field.name == "day of week" and match[1] is None else field.most
    last = (_number(field, match[2]) or 0) if match[2] else most if match[1] is None or match[3] else first
    return range(first, last + 1, int(match[3] or 1))


# --- recurrence rules -------------------------------------------------------------------------------------------------

_NUMBERS = r"[+-]?\d{1,3}(?:,[+-]?\d{1,3})*"
_WEEKDAYS = r"(?:[+-]?\d{1,2})?(?:MO|TU|WE|TH|FR|SA|SU)"
RULE_PARTS: Mapping[str, str] = {
    "FREQ": "MINUTELY|HOURLY|DAILY|WEEKLY|MONTHLY|YEARLY",
    "INTERVAL": r"[1-9]\d{0,4}",
    "COUNT": r"[1-9]\d{0,6}",
    "UNTIL": r"\d{8}(?:T\d{6}Z?)?",
    "BYMINUTE": _NUMBERS,
    "BYHOUR": _NUMBERS,
    "BYDAY": f"{_WEEKDAYS}(?:,{_WEEKDAYS})*",
    "BYMONTHDAY": _NUMBERS,
    "BYYEARDAY": _NUMBERS,
    "BYWEEKNO": _NUMBERS,
    "BYMONTH": _NUMBERS,
    "BYSETPOS": _NUMBERS,
    "WKST": "MO|TU|WE|TH|FR|SA|SU",
}
"""Part of a recurrence rule (RFC 5545, 3.3.10) → what it may be; nothing happens every second."""


def _rule_complaint(expr: str) -> str | None:
    parts = [part.partition("=") for part in expr.upper().removeprefix("RRULE:").split(";")]
    names = [name for name, _, _ in parts]
    if "FREQ" not in names or len(set(names)) < len(names):
        return "a recurrence rule has FREQ, and each part once, as in FREQ=DAILY;BYHOUR=2;BYMINUTE=0"
    return next((f"{name}={value} is no part of a recurrence rule" for name, _, value in parts if not _is_rule_part(name, value)), None)


def _is_rule_part(name: str, value: str) -> bool:
    return name in RULE_PARTS and re.fullmatch(RULE_PARTS[name], value) is not None


# --- reading ----------------------------------------------------------------------------------------------------------

LANGUAGES: Mapping[str, Callable[[str], str | None]] = {"cron": _cron_complaint, "rrule": _rule_complaint}
"""Type of a schedule → what is wrong with an expression, or None."""


def _timezone(value: Any, pointer: str) -> str:
    name: str = text(64)(value, pointer)
    try:
        ZoneInfo(name)
    except (ValueError, KeyError, OSError):
        raise wrong(pointer, value, f"{name_of(pointer)} must be the name of a time zone, such as Europe/Brussels") from None
    return name


_MEMBERS = members(
    {
        "type": Member(choice(*LANGUAGES), is_required=True),
        "expr": Member(text(500), is_required=True),
        "timezone": Member(_timezone, default="UTC"),
    }
)


def read_schedule(value: Any, pointer: str) -> Schedule:
    """A schedule as it is written. Raises Wrong."""
    schedule = Schedule(**_MEMBERS(value, pointer))
    complaint = LANGUAGES[schedule.type](schedule.expr)
    if complaint:
        raise wrong(f"{pointer}/expr", schedule.expr, f"{name_of(pointer)}.expr: {complaint}")
    return schedule
