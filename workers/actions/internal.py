"""Calls a part of this service with an event."""

import logging
from collections.abc import Callable, Mapping
from typing import Any

from ld_server.services.messages import envelope_of
from ld_server.services.parts import Parts
from workers.actions.job import Job, Means, Outcome

log = logging.getLogger(__name__)

OF_THE_LEASE = 0.9
"""After the lease another worker would call the handler, too."""

Handler = Callable[[Parts, Mapping[str, Any], Mapping[str, Any]], object]
"""Parts, the event's envelope, the arguments of the action. It may be called twice for one event: it does nothing twice."""


def write_into_log(_parts: Parts, envelope: Mapping[str, Any], _arguments: Mapping[str, Any]) -> None:
    """Type, id and subject; what else the event says may not be for the log."""
    log.info("event %s %s about %s", envelope["type"], envelope["id"], envelope["subject"]["id"])


HANDLERS: Mapping[str, Handler] = {
    "log": write_into_log,
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
    try:
        HANDLERS[name](parts, envelope_of(job.event), job.config.get("arguments", {}))
    except Exception as error:
        log.warning("handler %s failed for %s", name, job.delivery.identifier, exc_info=error)
        return Outcome(error=f"{name} failed: {type(error).__name__}.")
    return Outcome()
