"""A step of a reservation's life: it is opened for the step, and written as it is afterwards, with the events that tell of it."""

from collections.abc import Mapping, Sequence

import orjson

from ld_server.domain.commands import Document, ReservationStep
from ld_server.domain.errors import TransitionRefused
from ld_server.domain.status import ACTION_STATUS, TRANSITIONS, Status, Step, after
from ld_server.resources.rent_action import RENT_ACTION
from ld_server.services import recording
from ld_server.services.occasion import Occasion
from ld_server.services.opening import opened
from relational.documents import Head
from relational.unit_of_work import UnitOfWork

_TOLD: Mapping[Step, str] = {
    Step.SUBMIT: "rentAction.submitted",
    Step.APPROVE: "rentAction.approved",
    Step.REJECT: "rentAction.rejected",
    Step.CANCEL: "rentAction.cancelled",
    Step.CHECK_OUT: "rentAction.checkedOut",
    Step.RETURN: "rentAction.returned",
    Step.FULFILL: "rentAction.fulfilled",
}
_STAMPED: Mapping[Step, str] = {Step.APPROVE: "approvedAt", Step.REJECT: "rejectedAt", Step.CANCEL: "cancelledAt"}


def opened_for(uow: UnitOfWork, command: ReservationStep, step: Step) -> tuple[Head, Document]:
    """The reservation, which nobody else changes until this transaction ends, and which can take the step."""
    head = opened(uow, command.identifier, (RENT_ACTION,), command.expected)
    document: Document = orjson.loads(head.body)
    after(Status(document["status"]), step)
    return head, document


def taken(
    uow: UnitOfWork, head: Head, before: Document, changed: Document, step: Step, occasion: Occasion, happened: Mapping[str, object]
) -> Head:
    """Write the reservation as it is after the step. `happened`: further types of events, told when there is something to tell of."""
    status = after(Status(before["status"]), step)
    stamps = {_STAMPED[step]: occasion.moment} if step in _STAMPED else {}
    document = {**changed, **stamps, "status": str(status), "actionStatus": ACTION_STATUS[status]}
    told = {"rentAction.status.changed": status != before["status"], **_told(step), **happened}
    events = [event for event, what in told.items() if what]
    return recording.replace(uow, RENT_ACTION, head, before, document, events, occasion)


def refusal(document: Document, detail: str, allocations: Sequence[str]) -> TransitionRefused:
    """The refusal of a step, or of a change, because of the state that these allocations are in."""
    allowed = [str(step) for step in TRANSITIONS[Status(document["status"])]]
    return TransitionRefused(detail, status=document["status"], allowedSteps=allowed, allocations=list(allocations))


def _told(step: Step) -> dict[str, bool]:
    return {_TOLD[step]: True} if step in _TOLD else {}
