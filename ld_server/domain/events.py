"""What the service tells: every type of event, and the envelope they all come in (seed 6.1 and 6.2)."""

import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any

ENVELOPE_VERSION = 1

EVENTS: Mapping[str, str] = {
    "catalog.itemType.created": "An item type was added to the catalog.",
    "catalog.itemType.updated": "An item type was changed.",
    "catalog.asset.created": "A unit was added to the catalog.",
    "catalog.asset.updated": "A unit was changed.",
    "catalog.stockPool.updated": "A stock pool was added or changed.",
    "catalog.kitTemplate.updated": "A kit template was added or changed.",
    "rentAction.created": "A reservation was asked for.",
    "rentAction.updated": "A reservation was changed.",
    "rentAction.status.changed": "A reservation went from one state to another; comes with each event that says which.",
    "rentAction.submitted": "A draft was handed in for approval.",
    "rentAction.approved": "A reservation was approved.",
    "rentAction.rejected": "A reservation was rejected.",
    "rentAction.cancelled": "A reservation was cancelled.",
    "rentAction.checkedOut": "Units of a reservation were handed out.",
    "rentAction.returned": "Units of a reservation came back.",
    "rentAction.fulfilled": "The last unit of a reservation came back.",
    "rentAction.allocation.created": "Units were promised to a reservation.",
    "rentAction.allocation.released": "Units that were promised to a reservation are free again.",
    "rentAction.allocation.changed": "A reservation holds other units than before.",
    "rentAction.starts.soon": "A reservation is about to start.",
    "rentAction.ends.soon": "A reservation is about to end.",
    "rentAction.overdue": "A reservation has ended and not all of its units are back.",
    "rentAction.atRisk": "A unit that is promised to a reservation may not be there in time.",
    "availability.shortfall.detected": "There are fewer units than are asked for.",
    "demandSignal.created": "A source told of a demand.",
    "demandSignal.updated": "A demand signal was changed.",
    "demandSignal.superseded": "A source told of a demand anew: another signal stands in the place of this one.",
    "demandSignal.cancelled": "A demand signal counts no more.",
    "buildRequest.requested": "More units were asked to be built.",
    "buildRequest.updated": "A build request was changed.",
    "buildRequest.submitted": "A build request was handed to the system that builds.",
    "buildRequest.accepted": "The system that builds has taken a build request on.",
    "buildRequest.rejected": "The system that builds has turned a build request down.",
    "buildRequest.cancelled": "A build request was called off.",
    "buildRequest.failed": "A build request could not be carried out.",
    "buildRequest.fulfilled": "The units of a build request are there.",
    "maintenanceLog.created": "Work on a unit was recorded.",
    "maintenance.overdue": "Work on a unit was planned, its time is over, and nobody has said what came of it.",
    "attachment.created": "A file was attached.",
    "planning.shortfall_scan.completed": "A schedule looked for shortfalls.",
    "planning.build_request_submit.completed": "A schedule handed build requests on.",
    "notifications.starts_soon_scan.completed": "A schedule looked for reservations that are about to start.",
    "notifications.ends_soon_scan.completed": "A schedule looked for reservations that are about to end.",
    "maintenance.overdue_scan.completed": "A schedule looked for what is overdue.",
    "schedule.due": "A schedule without a job was due.",
    "webhook.disabled": "A webhook was disabled, because its receiver wants nothing any more or has failed for too long.",
    "webhook.test": "A test of a webhook was asked for; it goes to that webhook alone.",
    "attachment.deleted": "A file that was attached was deleted.",
}
"""Type → what has happened, in one sentence."""


@lru_cache(maxsize=1024)
def types_like(pattern: str) -> tuple[str, ...]:
    """The types that a pattern means: `*` stands for any characters, dots included."""
    return tuple(name for name in EVENTS if fnmatchcase(name, pattern)) if _PATTERN.match(pattern) else ()


_PATTERN = re.compile(r"[A-Za-z_.*]+\Z")


def envelope(
    *, event_id: str, event_type: str, occurred_at: str, subject_type: str, subject_id: str, data: Any, tenant: str, correlation_id: str
) -> dict[str, Any]:
    """
    The event as it is delivered (seed 6.2). `occurred_at` is an instant in ISO 8601, `data` the subject as of this event.

    Raises KeyError for a type that the table does not have.
    """
    EVENTS[event_type]
    return {
        "id": event_id,
        "type": event_type,
        "occurredAt": occurred_at,
        "subject": {"type": subject_type, "id": subject_id},
        "data": data,
        "meta": {"tenant": tenant, "correlationId": correlation_id, "version": ENVELOPE_VERSION},
    }
