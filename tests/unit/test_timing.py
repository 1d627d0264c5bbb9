"""When schedules are due next: cron and recurrence rules, in zones whose clocks are put forward and back."""

from datetime import UTC, datetime

import pytest

from ld_server.domain.schedule import Schedule
from ld_server.services.timing import next_due

ANCHOR = datetime(2026, 1, 1, 9, 30, 17, tzinfo=UTC)

CASES = [
    # type, expression, zone, after, then
    ("cron", "0 2 * * *", "UTC", "2026-11-23T01:59", "2026-11-23T02:00"),
    ("cron", "0 2 * * *", "UTC", "2026-11-23T02:00", "2026-11-24T02:00"),
    ("cron", "*/20 8-9 * * mon-fri", "UTC", "2026-11-20T09:40", "2026-11-23T08:00"),
    ("cron", "0 12 * * 0", "UTC", "2026-11-23T00:00", "2026-11-29T12:00"),
    ("cron", "0 12 * * 7", "UTC", "2026-11-23T00:00", "2026-11-29T12:00"),
    ("cron", "0 12 * * 5-7", "UTC", "2026-11-28T12:00", "2026-11-29T12:00"),
    ("cron", "0 0 13 * fri", "UTC", "2026-11-23T00:00", "2026-11-27T00:00"),
    ("cron", "0 0 29 feb *", "UTC", "2026-11-23T00:00", "2028-02-29T00:00"),
    ("cron", "10/25 * * * *", "UTC", "2026-11-23T00:10", "2026-11-23T00:35"),
    ("cron", "0 0 31 feb *", "UTC", "2026-11-23T00:00", None),
    # Brussels: forward at 02:00 on 29 March 2026, back at 03:00 on 25 October 2026
    ("cron", "30 2 * * *", "Europe/Brussels", "2026-03-28T12:00", "2026-03-29T01:30"),
    ("cron", "30 2 * * *", "Europe/Brussels", "2026-03-29T01:30", "2026-03-30T00:30"),
    ("cron", "30 2 * * *", "Europe/Brussels", "2026-10-24T12:00", "2026-10-25T00:30"),
    ("cron", "30 2 * * *", "Europe/Brussels", "2026-10-25T00:30", "2026-10-26T01:30"),
    ("cron", "*/30 * * * *", "Europe/Brussels", "2026-10-25T00:30", "2026-10-25T01:00"),
    ("cron", "*/30 * * * *", "Europe/Brussels", "2026-10-25T01:00", "2026-10-25T01:30"),
    # New York: forward on 8 March 2026, back on 1 November 2026
    ("cron", "30 2 * * *", "America/New_York", "2026-03-07T12:00", "2026-03-08T07:30"),
    ("cron", "30 1 * * *", "America/New_York", "2026-11-01T00:00", "2026-11-01T05:30"),
    ("cron", "30 1 * * *", "America/New_York", "2026-11-01T05:30", "2026-11-02T06:30"),
    ("rrule", "FREQ=MONTHLY;BYDAY=-1FR;BYHOUR=2;BYMINUTE=0", "UTC", "2026-11-23T00:00", "2026-11-27T02:00"),
    ("rrule", "RRULE:FREQ=DAILY", "UTC", "2026-11-23T09:30", "2026-11-24T09:30"),
    ("rrule", "FREQ=WEEKLY;INTERVAL=2;BYHOUR=6;BYMINUTE=0", "UTC", "2026-01-01T09:30", "2026-01-15T06:00"),
    ("rrule", "FREQ=WEEKLY;INTERVAL=2;BYHOUR=6;BYMINUTE=0", "UTC", "2026-11-23T00:00", "2026-12-03T06:00"),
    ("rrule", "FREQ=DAILY;COUNT=3", "UTC", "2026-01-02T10:00", "2026-01-03T09:30"),
    ("rrule", "FREQ=DAILY;COUNT=3", "UTC", "2026-01-03T09:30", None),
    ("rrule", "FREQ=DAILY;UNTIL=20260103T093000Z", "Europe/Brussels", "2026-01-02T10:00", "2026-01-03T09:30"),
    ("rrule", "FREQ=DAILY;UNTIL=20260103T092900Z", "Europe/Brussels", "2026-01-02T10:00", None),
    ("rrule", "FREQ=MINUTELY;INTERVAL=7", "UTC", "2026-11-23T00:00", "2026-11-23T00:04"),
    ("rrule", "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", "UTC", "2026-11-23T00:00", None),
]


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(("language", "expr", "zone", "after", "then"), CASES)
def test_when_it_is_due_next(language: str, expr: str, zone: str, after: str, then: str | None) -> None:
    assert next_due(Schedule(language, expr, zone), ANCHOR, at(after)) == (at(then) if then else None)
