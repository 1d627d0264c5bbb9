"""
When a schedule is due next.

Times are those that clocks show in the time zone. One that clocks leave out in spring comes as much later as they are put forward; one that
they show twice in autumn is the first of both, except where a schedule is for every hour: that goes on in each of them.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from dateutil.rrule import DAILY, HOURLY, MINUTELY, WEEKLY, rrule, rruleset, rrulestr

from ld_server.domain.schedule import Schedule, cron_values

HORIZON = timedelta(days=3660)
"""What is not due within ten years never is."""

_SHIFT = timedelta(hours=3)
"""No clock is put forward or back by more."""

_PERIODS = {MINUTELY: timedelta(minutes=1), HOURLY: timedelta(hours=1), DAILY: timedelta(days=1), WEEKLY: timedelta(weeks=1)}
"""Frequencies whose periods are all of one length."""


def next_due(schedule: Schedule, anchor: datetime, after: datetime) -> datetime | None:
    """The first instant after `after`, or None. Recurrence rules count from `anchor`, when the trigger was made."""
    zone = ZoneInfo(schedule.timezone)
    since = _local(after, zone) - _SHIFT
    times, is_frequent = _LANGUAGES[schedule.type](schedule.expr, _local(anchor, zone), since, zone)
    found: list[datetime] = []
    last = since + HORIZON
    for local in times:
        if local > last:
            break
        hits = [one for one in _instants(local, zone, is_frequent) if one > after]
        if hits and not found:
            last = local + _SHIFT
        found += hits
    return min(found, default=None)


def _local(moment: datetime, zone: ZoneInfo) -> datetime:
    return moment.astimezone(zone).replace(tzinfo=None)


def _instants(local: datetime, zone: ZoneInfo, is_frequent: bool) -> list[datetime]:
    folds = (0, 1) if is_frequent else (0,)
    return [local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in folds]


def _cron(expr: str, _anchor: datetime, since: datetime, _zone: ZoneInfo) -> tuple[Iterator[datetime], bool]:
    """A day must be one of the days of the month or of the week where both are restricted, as cron has it."""
    minutes, hours, days, months, weekdays = cron_values(expr)
    start = since.replace(hour=0, minute=0, second=0, microsecond=0)
    usual: dict[str, Any] = {
        "dtstart": start,
        "until": start + HORIZON,
        "bysecond": 0,
        "byminute": minutes,
        "byhour": hours,
        "bymonth": months,
    }
    by_month: dict[str, Any] = {"bymonthday": days} if days else {}
    by_week: dict[str, Any] = {"byweekday": [(day - 1) % 7 for day in weekdays]} if weekdays else {}
    every = rruleset()
    for days_of in [by_month, by_week] if days and weekdays else [{**by_month, **by_week}]:
        every.rrule(rrule(DAILY, **usual, **days_of))
    return every.xafter(since), len(hours) == 24


def _rule(expr: str, anchor: datetime, since: datetime, zone: ZoneInfo) -> tuple[Iterator[datetime], bool]:
    start = anchor.replace(second=0, microsecond=0)
    parts = dict(part.split("=") for part in expr.upper().removeprefix("RRULE:").split(";"))
    if parts.get("UNTIL", "").endswith("Z"):
        until = datetime.strptime(parts["UNTIL"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        parts["UNTIL"] = f"{_local(until, zone):%Y%m%dT%H%M%S}"
    rule = rrulestr(";".join(f"{name}={value}" for name, value in parts.items()), dtstart=start)
    period = _PERIODS.get(rule._freq)
    if period and "COUNT" not in parts and since > start:
        step = period * rule._interval
        rule = rule.replace(dtstart=start + step * ((since - start) // step))
    if "COUNT" not in parts and "UNTIL" not in parts:
        rule = rule.replace(until=max(since, start) + HORIZON)
    return rule.xafter(since), rule._freq in (MINUTELY, HOURLY)


_LANGUAGES: Mapping[str, Callable[[str, datetime, datetime, ZoneInfo], tuple[Iterator[datetime], bool]]] = {"cron": _cron, "rrule": _rule}
"""Type of a schedule → the local times after one, and whether they are for every hour."""
