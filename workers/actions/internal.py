"""Calls a part of this service with an event."""

import logging
from collections.abc import Callable, Mapping
from typing import Any

from ld_server.services.messages import envelope_of
from ld_server.services.parts import Parts
from workers.actions.job import Job, Means, Outcome
from workers.jobs import Run, build_request_submit, overdue_scan, shortfall_scan, soon_scan

log = logging.getLogger(__name__)

OF_THE_LEASE = 0.9
"""After the lease another worker would call the handler, too."""

Handler = Callable[[Parts, Mapping[str, Any], Mapping[str, Any]], object]
"""Parts, the event's envelope, the arguments of the action. It may be called twice for one event: it does nothing twice."""


def write_into_log(_parts: Parts, envelope: Mapping[str, Any], _arguments: Mapping[str, Any]) -> None:
    """Type, id and subject; what else the event says may not be for the log."""
    log.info("event %s %s about %s", envelope["type"], envelope["id"], envelope["subject"]["id"])


def scan_for_shortfalls(parts: Parts, envelope: Mapping[str, Any], arguments: Mapping[str, Any]) -> None:
    """A planning run because of the event; the arguments are the options of the job."""
    shortfall_scan.run(parts, {**arguments, "eventId": envelope["id"]}, parts.now())


def _doing(job: Run) -> Handler:
    """Does a job now, whatever the event is."""
    return lambda parts, _envelope, arguments: job(parts, arguments, parts.now())


HANDLERS: Mapping[str, Handler] = {
    "log": write_into_log,
    "planning.shortfall_scan": scan_for_shortfalls,
    "planning.build_request_submit": _doing(build_request_submit.run),
    "notifications.starts_soon_scan": _doing(soon_scan.starts_soon),
    "notifications.ends_soon_scan": _doing(soon_scan.ends_soon),
    "maintenance.overdue_scan": _doing(overdue_scan.run),
}
"""Name → what is called. A test compares it with the names that triggers may use."""


async def send(job: Job, means: Means) -> Outcome:
    """
    Calls the handler of a job. Whatever goes wrong is told in the outcome, and in the log with its traceback.

    It may take most of a lease: our own handlers compute, while receivers and brokers only answer.
    """
    return await means.in_thread(lambda: _called(job, means.parts), OF_THE_LEASE * means.parts.settings.delivery_lease)


def _called(job: Job, parts: Parts) -> Outcome:
    name = job.config["handler"]
    if job.event.entry.type == f"{name}.completed":
        return Outcome()  # the run of the schedule has done it, with these arguments
    try:
        HANDLERS[name](parts, envelope_of(job.event), job.config.get("arguments", {}))
    except Exception as error:
        log.warning("handler %s failed for %s", name, job.delivery.identifier, exc_info=error)
        return Outcome(error=f"{name} failed: {type(error).__name__}.")
    return Outcome()
