"""The clock: which tasks are sent at which times. It sends nudges only, so that several workers may each have one."""

from collections.abc import Callable, Mapping
from datetime import UTC

from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.combining import OrTrigger
from apscheduler.triggers.date import DateTrigger
from apscheduler.triggers.interval import IntervalTrigger


def hourly() -> BaseTrigger:
    """At once and then every hour: a worker that never lives for an hour sends its nudge all the same."""
    return OrTrigger([DateTrigger(timezone=UTC), IntervalTrigger(hours=1, jitter=60, timezone=UTC)])


def each_minute() -> BaseTrigger:
    """At once and then every minute."""
    return OrTrigger([DateTrigger(timezone=UTC), IntervalTrigger(minutes=1, timezone=UTC)])


def all_the_time() -> BaseTrigger:
    """Every two seconds: schedules are written for minutes, and who asks for a run waits for it."""
    return IntervalTrigger(seconds=2, timezone=UTC)


TIMES: Mapping[str, Callable[[], BaseTrigger]] = {
    "sweep_idempotency": hourly,
    "sweep_ledger": hourly,
    "sweep_attachments": hourly,
    "run_schedules": all_the_time,
    "overdue_scan": each_minute,
}
"""The name of a task (see workers.app), and when it is due."""


def make_clock(tasks: Mapping[str, Callable[[], object]]) -> BackgroundScheduler:
    """A clock that is not started yet. A time that was missed is made up for once, however late."""
    clock = BackgroundScheduler(timezone=UTC, job_defaults={"coalesce": True, "misfire_grace_time": None})
    for name, when in TIMES.items():
        clock.add_job(tasks[name], when(), id=name)
    return clock
