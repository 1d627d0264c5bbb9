"""The life of a reservation: asked for, handed in, approved with concrete units, rejected, cancelled."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from ld_server.domain.allocation import Policy
from ld_server.domain.commands import (
    ApproveReservation,
    CancelReservation,
    ChangeReservation,
    CreateReservation,
    Document,
    FulfillReservation,
    RejectReservation,
    SubmitReservation,
)
from ld_server.domain.errors import OwnReservation, ShapeViolation, TransitionRefused, Violation
from ld_server.domain.status import ACTION_STATUS, ENDED, AllocationStatus, ItemKind, Priority, Status, Step
from ld_server.rdf import vocab
from ld_server.resources.item_type import ITEM_TYPE
from ld_server.resources.kind import Kind, is_same
from ld_server.resources.kit_template import KIT_TEMPLATE
from ld_server.resources.rent_action import RENT_ACTION
from ld_server.services import availability, plans, promises, recording, references, replanning, shortage
from ld_server.services.occasion import Occasion
from ld_server.services.opening import opened, says_the_same
from ld_server.services.references import Pointing
from ld_server.services.steps import opened_for, refusal, taken
from relational.documents import Head
from relational.unit_of_work import UnitOfWork


def create(uow: UnitOfWork, command: CreateReservation, occasion: Occasion) -> Head:
    """Take a reservation in. Raises UnknownReference for an item type or a kit that does not exist or cannot be reserved."""
    _refuse_no_window(command.document)
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
    _refuse_no_window(command.document)
    asked = plans.with_components_kept(before, _asked_for(command.document, _items(uow, command.document, before)))
    changed = promises.with_allocations(asked, before["allocations"])
    if says_the_same(before, changed, occasion.naming):
        return head
    if before["status"] == Status.APPROVED:
        _refuse_to_lose_window(changed)
        if replanning.needs_planning(before, changed):
            return _planned_anew(uow, head, before, changed, occasion)
    return recording.replace(uow, RENT_ACTION, head, before, changed, ["rentAction.updated"], occasion)


def _planned_anew(uow: UnitOfWork, head: Head, before: Document, changed: Document, occasion: Occasion) -> Head:
    """A reservation that was approved with less than it asked for may go on with as little, but not with less than that."""
    planned = replanning.planned_anew(uow, changed, occasion, tolerated=replanning.missing(uow, before))
    told = {
        "rentAction.updated": True,
        "rentAction.allocation.changed": not is_same(before["allocations"], planned.document["allocations"]),
        "availability.shortfall.detected": planned.short,
    }
    events = [event for event, what in told.items() if what]
    return recording.replace(uow, RENT_ACTION, head, before, planned.document, events, occasion)


def submit(uow: UnitOfWork, command: SubmitReservation, occasion: Occasion) -> Head:
    """Hand a draft in. Raises NotFound, Stale, TransitionRefused."""
    head, before = opened_for(uow, command, Step.SUBMIT)
    return taken(uow, head, before, before, Step.SUBMIT, occasion, {})


def approve(uow: UnitOfWork, command: ApproveReservation, occasion: Occasion) -> Head:
    """
    Approve a reservation and promise it concrete units, which nobody else gets in its window and the turnaround around it. One that
    is to begin as soon as possible gets the first window that has everything it asks for.

    Raises NotFound, Stale, TransitionRefused, and under Policy.HARD_FAIL InsufficientAvailability when a unit is missing; OwnReservation
    under the rule of four eyes.
    """
    head, before = opened_for(uow, command, Step.APPROVE)
    _refuse_own(before, occasion)
    planned = promises.planned(uow, before, occasion)
    if planned.short and command.policy == Policy.HARD_FAIL:
        raise shortage.Unexplained(lambda reading: shortage.refusal(reading, planned, planned.short, occasion))
    asked = {**planned.document, "approvedBy": occasion.principal}
    promised = promises.promise(uow, asked, planned.lines, planned.blocked, occasion)
    changed = promises.with_allocations(asked, [*before["allocations"], *promised])
    happened = {"rentAction.allocation.created": promised, "availability.shortfall.detected": planned.short}
    return taken(uow, head, before, changed, Step.APPROVE, occasion, happened)


def reject(uow: UnitOfWork, command: RejectReservation, occasion: Occasion) -> Head:
    """Turn a reservation down. Raises NotFound, Stale, TransitionRefused."""
    head, before = opened_for(uow, command, Step.REJECT)
    return taken(uow, head, before, {**before, **_reason(command)}, Step.REJECT, occasion, {})


def cancel(uow: UnitOfWork, command: CancelReservation, occasion: Occasion) -> Head:
    """Call a reservation off, and free the units that were promised and are not out yet. Raises NotFound, Stale, TransitionRefused."""
    head, before = opened_for(uow, command, Step.CANCEL)
    freed = promises.allocated(before)
    changed = promises.freed(uow, before, freed)
    happened = {"rentAction.allocation.released": freed}
    return taken(uow, head, before, {**changed, **_reason(command)}, Step.CANCEL, occasion, happened)


def fulfill(uow: UnitOfWork, command: FulfillReservation, occasion: Occasion) -> Head:
    """
    End a reservation of which nothing is out; units that never went out are free for others. Raises NotFound, Stale, TransitionRefused.
    """
    head, before = opened_for(uow, command, Step.FULFILL)
    _refuse_while_out(before)
    freed = promises.allocated(before)
    happened = {"rentAction.allocation.released": freed}
    return taken(uow, head, before, promises.freed(uow, before, freed), Step.FULFILL, occasion, happened)


def _refuse_own(document: Document, occasion: Occasion) -> None:
    """Under the rule of four eyes nobody approves what they made, or are to get, whichever scopes they have."""
    agent = document.get("agent")
    named = [agent.get(key) for key in ("identifier", "name", "email")] if isinstance(agent, dict) else [agent]
    people = {one.removeprefix("mailto:").casefold() for one in (document["createdBy"], *named) if isinstance(one, str)}
    if occasion.has_four_eyes and occasion.principal.casefold() in people:
        raise OwnReservation(f"{document['identifier']} was asked for by {occasion.principal}; somebody else has to approve it.")


def _refuse_while_out(document: Document) -> None:
    out = [one["identifier"] for one in document["allocations"] if one["status"] == AllocationStatus.IN_USE]
    if out:
        detail = f"Units of {document['identifier']} are out ({', '.join(out)}); it is fulfilled when they are back."
        raise refusal(document, detail, out)


def _refuse_no_window(document: Document) -> None:
    """Raises InvalidParameter for a window that ends before it starts."""
    if plans.has_window(document):
        plans.window_of(document)


def _refuse_to_lose_window(document: Document) -> None:
    if not plans.has_window(document):
        message = "a reservation that is approved has a window; change startTime and endTime"
        raise ShapeViolation(f"{message[0].upper()}{message[1:]}.", [Violation("/duration", vocab.LENGTH, document["duration"], message)])


def _refuse_ended(document: Document) -> None:
    status = Status(document["status"])
    if status in ENDED:
        raise TransitionRefused(f"A reservation that is {status} has ended and cannot be changed.", status=str(status), allowedSteps=[])


def _items(uow: UnitOfWork, document: Document, before: Mapping[str, Any] | None = None) -> dict[str, Document]:
    """The item types and kits that the lines ask for. What they did not ask for `before` must be active, and so must all that is in it."""
    places = [_pointing(position, line) for position, line in enumerate(document["lineItems"])]
    items = references.resolve(uow, places, ITEM_TYPE, KIT_TEMPLATE)
    known = {line["object"]["identifier"] for line in (before or {}).get("lineItems", [])}
    fresh = [place for place in places if place.identifier not in known]
    for place in fresh:
        _refuse_unreservable(place, items[place.identifier])
    _refuse_inactive_components(uow, [place for place in fresh if plans.is_kit(items[place.identifier])])
    return items


def _pointing(position: int, line: Mapping[str, Any]) -> Pointing:
    return Pointing(f"/lineItems/{position}/object", "object", line["object"]["identifier"])


def _refuse_unreservable(place: Pointing, item: Document) -> None:
    if not item["isActive"]:
        raise references.unknown(place, f"{place.identifier} is not active and cannot be reserved")
    if item.get("kind") == ItemKind.KIT:
        raise references.unknown(place, f"{place.identifier} is an item type of kind kit; ask for the kit template itself")


def _refuse_inactive_components(uow: UnitOfWork, kits: Sequence[Pointing]) -> None:
    """A kit cannot be had while something in it cannot, in whatever kit inside it."""
    parts = availability.expanded(uow, [place.identifier for place in kits]) if kits else {}
    heads = uow.documents.heads({part for each in parts.values() for part in each})
    inactive = {identifier for identifier, head in heads.items() if not orjson.loads(head.body)["isActive"]}
    for place in kits:
        for part in sorted(inactive & parts[place.identifier].keys()):
            raise references.unknown(place, f"{place.identifier} needs {part}, which is not active and cannot be reserved")


def _begun(document: Document, items: Mapping[str, Document], occasion: Occasion) -> Document:
    """The document with everything that a new reservation has."""
    status = Status(document.get("status", Status.PENDING))
    begun = {**_asked_for(document, items), "status": str(status), "actionStatus": ACTION_STATUS[status], "createdBy": occasion.principal}
    return promises.with_allocations(begun, [])


def _asked_for(document: Document, items: Mapping[str, Document]) -> Document:
    """The document with what follows from its lines, and with what goes without saying."""
    echoes = {identifier: references.echo(item, _kind(item)) for identifier, item in items.items()}
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


def _kind(item: Document) -> Kind:
    return KIT_TEMPLATE if plans.is_kit(item) else ITEM_TYPE


def _reason(command: RejectReservation | CancelReservation) -> dict[str, str]:
    return {"reason": command.reason} if command.reason else {}
