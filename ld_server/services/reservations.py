"""The life of a reservation: asked for, handed in, approved with concrete units, rejected, cancelled."""

from collections.abc import Mapping
from typing import Any

import orjson

from ld_server.domain.allocation import Policy
from ld_server.domain.commands import (
    ApproveReservation,
    CancelReservation,
    ChangeReservation,
    CreateReservation,
    Document,
    RejectReservation,
    SubmitReservation,
)
from ld_server.domain.errors import TransitionRefused
from ld_server.domain.status import ACTION_STATUS, ENDED, AllocationStatus, Priority, Status, Step
from ld_server.resources.item_type import ITEM_TYPE
from ld_server.resources.kind import is_same
from ld_server.resources.rent_action import RENT_ACTION
from ld_server.services import promises, recording, references, shortage
from ld_server.services.occasion import Occasion
from ld_server.services.opening import opened, says_the_same
from ld_server.services.references import Pointing
from ld_server.services.steps import opened_for, taken
from relational.documents import Head
from relational.unit_of_work import UnitOfWork


def create(uow: UnitOfWork, command: CreateReservation, occasion: Occasion) -> Head:
    """Take a reservation in. Raises UnknownReference for an item type that does not exist or is not active."""
    promises.window_of(command.document)
    items = _items(uow, command.document)
    number = uow.documents.next_number(RENT_ACTION.name)
    document = _begun(recording.named(command.document, RENT_ACTION, number, occasion), items, occasion)
    return recording.add(uow, RENT_ACTION, number, document, ["rentAction.created"], occasion)


def change(uow: UnitOfWork, command: ChangeReservation, occasion: Occasion) -> Head:
    """
    Give a reservation that has not ended another state; a document that says nothing new changes nothing.

    One that is approved is planned anew when it asks for something else, or for another time: it keeps the units that it can
    keep, gets others for the rest, and lets go of what it needs no more. Raises NotFound, Stale, TransitionRefused,
    UnknownReference, InvalidParameter for a window that is none, and InsufficientAvailability where a line would miss more units
    than it does now.
    """
    head = opened(uow, command.identifier, (RENT_ACTION,), command.expected)
    before: Document = orjson.loads(head.body)
    _refuse_ended(before)
    promises.window_of(command.document)
    changed = promises.with_allocations(_asked_for(command.document, _items(uow, command.document, before)), before["allocations"])
    if says_the_same(before, changed, occasion.naming):
        return head
    planned = promises.planned_anew(uow, before, changed, occasion) if promises.needs_planning(before, changed) else changed
    moved = not is_same(before["allocations"], planned["allocations"])
    events = ["rentAction.updated", *(["rentAction.allocation.changed"] if moved else [])]
    return recording.replace(uow, RENT_ACTION, head, before, planned, events, occasion)


def submit(uow: UnitOfWork, command: SubmitReservation, occasion: Occasion) -> Head:
    """Hand a draft in. Raises NotFound, Stale, TransitionRefused."""
    head, before = opened_for(uow, command, Step.SUBMIT)
    return taken(uow, head, before, before, Step.SUBMIT, occasion, {})


def approve(uow: UnitOfWork, command: ApproveReservation, occasion: Occasion) -> Head:
    """
    Approve a reservation and promise it concrete units, which nobody else gets in its window and the turnaround around it.

    Raises NotFound, Stale, TransitionRefused, and under Policy.HARD_FAIL InsufficientAvailability when a unit is missing.
    """
    head, before = opened_for(uow, command, Step.APPROVE)
    planned = promises.planned(uow, before)
    if planned.short and command.policy == Policy.HARD_FAIL:
        raise shortage.refusal(uow, before, planned.short, planned.blocked, occasion)
    promised = promises.promise(uow, before, planned.lines, planned.blocked, occasion)
    changed = promises.with_allocations({**before, "approvedBy": occasion.principal}, [*before["allocations"], *promised])
    happened = {"rentAction.allocation.created": promised, "availability.shortfall.detected": planned.short}
    return taken(uow, head, before, changed, Step.APPROVE, occasion, happened)


def reject(uow: UnitOfWork, command: RejectReservation, occasion: Occasion) -> Head:
    """Turn a reservation down. Raises NotFound, Stale, TransitionRefused."""
    head, before = opened_for(uow, command, Step.REJECT)
    return taken(uow, head, before, {**before, **_reason(command)}, Step.REJECT, occasion, {})


def cancel(uow: UnitOfWork, command: CancelReservation, occasion: Occasion) -> Head:
    """Call a reservation off, and free the units that were promised and are not out yet. Raises NotFound, Stale, TransitionRefused."""
    head, before = opened_for(uow, command, Step.CANCEL)
    freed = [one for one in before["allocations"] if one["status"] == AllocationStatus.ALLOCATED]
    changed = promises.freed(uow, before, freed) if freed else before
    happened = {"rentAction.allocation.released": freed}
    return taken(uow, head, before, {**changed, **_reason(command)}, Step.CANCEL, occasion, happened)


def _refuse_ended(document: Document) -> None:
    status = Status(document["status"])
    if status in ENDED:
        raise TransitionRefused(f"A reservation that is {status} has ended and cannot be changed.", status=str(status), allowedSteps=[])


def _items(uow: UnitOfWork, document: Document, before: Mapping[str, Any] | None = None) -> dict[str, Document]:
    """The item types that the lines ask for. Those that they did not ask for `before` must be active."""
    places = [_pointing(position, line) for position, line in enumerate(document["lineItems"])]
    items = references.resolve(uow, places, ITEM_TYPE)
    known = {line["object"]["identifier"] for line in (before or {}).get("lineItems", [])}
    for place in places:
        if not items[place.identifier]["isActive"] and place.identifier not in known:
            raise references.unknown(place, f"{place.identifier} is not active and cannot be reserved")
    return items


def _pointing(position: int, line: Mapping[str, Any]) -> Pointing:
    return Pointing(f"/lineItems/{position}/object", "object", line["object"]["identifier"])


def _begun(document: Document, items: Mapping[str, Document], occasion: Occasion) -> Document:
    """The document with everything that a new reservation has."""
    status = Status(document.get("status", Status.PENDING))
    begun = {**_asked_for(document, items), "status": str(status), "actionStatus": ACTION_STATUS[status], "createdBy": occasion.principal}
    return promises.with_allocations(begun, [])


def _asked_for(document: Document, items: Mapping[str, Document]) -> Document:
    """The document with what follows from its lines, and with what goes without saying."""
    echoes = {identifier: references.echo(item, ITEM_TYPE) for identifier, item in items.items()}
    lines = [{**line, "object": echoes[line["object"]["identifier"]]} for line in document["lineItems"]]
    objects = list({line["object"]["identifier"]: line["object"] for line in lines}.values())
    return {
        "isAsap": False,
        "priority": str(Priority.NORMAL),
        **document,
        "object": objects[0] if len(objects) == 1 else objects,
        "requestedQuantity": sum(line["requestedQuantity"] for line in lines),
        "lineItems": lines,
    }


def _reason(command: RejectReservation | CancelReservation) -> dict[str, str]:
    return {"reason": command.reason} if command.reason else {}
