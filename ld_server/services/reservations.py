"""The life of a reservation: asked for, handed in, approved with concrete units, rejected, cancelled."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import orjson

from ld_server.domain.allocation import Demand, LinePlan, Policy, Supply, plan, wanted
from ld_server.domain.capacity import Capacity
from ld_server.domain.commands import (
    ApproveReservation,
    CancelReservation,
    CreateReservation,
    Document,
    RejectReservation,
    ReservationStep,
    SubmitReservation,
)
from ld_server.domain.duration import seconds
from ld_server.domain.errors import InsufficientAvailability, NotFound, Stale
from ld_server.domain.status import ACTION_STATUS, BLOCKING, AllocationStatus, Priority, Status, Step, after
from ld_server.domain.window import Turnaround, Window
from ld_server.resources.asset import ASSET
from ld_server.resources.item_type import ITEM_TYPE
from ld_server.resources.kind import instant, written
from ld_server.resources.rent_action import RENT_ACTION
from ld_server.services import recording, references
from ld_server.services.occasion import Occasion
from ld_server.services.references import Pointing
from relational.allocations import AllocationRow, Blocking
from relational.documents import Head
from relational.index import number_of
from relational.unit_of_work import UnitOfWork

_TOLD: Mapping[Step, str] = {
    Step.SUBMIT: "rentAction.submitted",
    Step.APPROVE: "rentAction.approved",
    Step.REJECT: "rentAction.rejected",
    Step.CANCEL: "rentAction.cancelled",
}
_STAMPED: Mapping[Step, str] = {Step.APPROVE: "approvedAt", Step.REJECT: "rejectedAt", Step.CANCEL: "cancelledAt"}

NAMED_IN_THE_WAY = 20
"""Most reservations that a refusal names for one line."""
LOOKED_AT_IN_THE_WAY = 200
"""Most allocations that are looked at to find them."""


def create(uow: UnitOfWork, command: CreateReservation, occasion: Occasion) -> Head:
    """Take a reservation in. Raises UnknownReference for an item type that does not exist or is not active."""
    _window(command.document)
    items = _items(uow, command.document)
    number = uow.documents.next_number(RENT_ACTION.name)
    document = _begun(recording.named(command.document, RENT_ACTION, number, occasion), items, occasion)
    return recording.add(uow, RENT_ACTION, number, document, ["rentAction.created"], occasion)


def submit(uow: UnitOfWork, command: SubmitReservation, occasion: Occasion) -> Head:
    """Hand a draft in. Raises NotFound, Stale, TransitionRefused."""
    head, before = _opened(uow, command, Step.SUBMIT)
    return _taken(uow, head, before, before, Step.SUBMIT, occasion, {})


def approve(uow: UnitOfWork, command: ApproveReservation, occasion: Occasion) -> Head:
    """
    Approve a reservation and promise it concrete units, which nobody else gets in its window and the turnaround around it.

    Raises NotFound, Stale, TransitionRefused, and under Policy.HARD_FAIL InsufficientAvailability when a unit is missing.
    """
    head, before = _opened(uow, command, Step.APPROVE)
    demands, blocked = _demands(before), _blocked(uow, before)
    uow.allocations.hold(blocked)
    plans = plan(demands, _free(uow, demands, blocked))
    short = [line for line in plans if line.missing]
    if short and command.policy == Policy.HARD_FAIL:
        raise _shortage(uow, before, short, blocked, occasion)
    promised = _promise(uow, before, plans, blocked, occasion)
    changed = _with_allocations({**before, "approvedBy": occasion.principal}, [*before["allocations"], *promised])
    happened = {"rentAction.allocation.created": promised, "availability.shortfall.detected": short}
    return _taken(uow, head, before, changed, Step.APPROVE, occasion, happened)


def reject(uow: UnitOfWork, command: RejectReservation, occasion: Occasion) -> Head:
    """Turn a reservation down. Raises NotFound, Stale, TransitionRefused."""
    head, before = _opened(uow, command, Step.REJECT)
    return _taken(uow, head, before, {**before, **_reason(command)}, Step.REJECT, occasion, {})


def cancel(uow: UnitOfWork, command: CancelReservation, occasion: Occasion) -> Head:
    """Call a reservation off, and free the units that were promised and are not out yet. Raises NotFound, Stale, TransitionRefused."""
    head, before = _opened(uow, command, Step.CANCEL)
    freed = [one for one in before["allocations"] if one["status"] == AllocationStatus.ALLOCATED]
    changed = _freed(uow, before, freed) if freed else before
    happened = {"rentAction.allocation.released": freed}
    return _taken(uow, head, before, {**changed, **_reason(command)}, Step.CANCEL, occasion, happened)


# --- being asked for --------------------------------------------------------------------------------------------------


def _items(uow: UnitOfWork, document: Document) -> dict[str, Document]:
    """The item types that the lines ask for, all of them active."""
    places = [_pointing(position, line) for position, line in enumerate(document["lineItems"])]
    items = references.resolve(uow, places, ITEM_TYPE)
    for place in places:
        if not items[place.identifier]["isActive"]:
            raise references.unknown(place, f"{place.identifier} is not active and cannot be reserved")
    return items


def _pointing(position: int, line: Mapping[str, Any]) -> Pointing:
    return Pointing(f"/lineItems/{position}/object", "object", line["object"]["identifier"])


def _begun(document: Document, items: Mapping[str, Document], occasion: Occasion) -> Document:
    """The document with everything that a new reservation has."""
    status = Status(document.get("status", Status.PENDING))
    echoes = {identifier: references.echo(item, ITEM_TYPE) for identifier, item in items.items()}
    lines = [{**line, "object": echoes[line["object"]["identifier"]]} for line in document["lineItems"]]
    objects = list({line["object"]["identifier"]: line["object"] for line in lines}.values())
    begun = {
        "isAsap": False,
        "priority": str(Priority.NORMAL),
        **document,
        "status": str(status),
        "actionStatus": ACTION_STATUS[status],
        "object": objects[0] if len(objects) == 1 else objects,
        "requestedQuantity": sum(line["requestedQuantity"] for line in lines),
        "lineItems": lines,
        "createdBy": occasion.principal,
    }
    return _with_allocations(begun, [])


# --- steps ------------------------------------------------------------------------------------------------------------


def _opened(uow: UnitOfWork, command: ReservationStep, step: Step) -> tuple[Head, Document]:
    """The reservation, which nobody else changes until this transaction ends, and which can take the step."""
    head = uow.documents.locked(command.identifier)
    if head is None or head.kind != RENT_ACTION.name:
        raise NotFound(f"There is no reservation {command.identifier}.")
    if command.expected is not None and head.revision not in command.expected:
        raise Stale(f"{head.identifier} has changed since it was read: it is at revision {head.revision} now.", resource=head.identifier)
    document: Document = orjson.loads(head.body)
    after(Status(document["status"]), step)
    return head, document


def _taken(
    uow: UnitOfWork, head: Head, before: Document, changed: Document, step: Step, occasion: Occasion, happened: Mapping[str, object]
) -> Head:
    """Write the reservation as it is after the step. `happened`: further types of events, told when there is something to tell of."""
    status = after(Status(before["status"]), step)
    stamps = {_STAMPED[step]: occasion.moment} if step in _STAMPED else {}
    document = {**changed, **stamps, "status": str(status), "actionStatus": ACTION_STATUS[status]}
    events = ["rentAction.status.changed", _TOLD[step], *(event for event, what in happened.items() if what)]
    return recording.replace(uow, RENT_ACTION, head, before, document, events, occasion)


def _reason(command: RejectReservation | CancelReservation) -> dict[str, str]:
    return {"reason": command.reason} if command.reason else {}


# --- units ------------------------------------------------------------------------------------------------------------


def _window(document: Document) -> Window:
    return Window(instant(document["startTime"]), instant(document["endTime"]))


def _demands(document: Document) -> list[Demand]:
    return [Demand(line["@id"], line["object"]["identifier"], line["requestedQuantity"]) for line in document["lineItems"]]


def _blocked(uow: UnitOfWork, document: Document) -> dict[str, Window]:
    """Item type → the window in which its units are blocked for this reservation."""
    window = _window(document)
    heads = uow.documents.heads(line["object"]["identifier"] for line in document["lineItems"])
    return {identifier: _turnaround(orjson.loads(head.body)).around(window) for identifier, head in heads.items()}


def _turnaround(item_type: Document) -> Turnaround:
    lengths = (timedelta(seconds=seconds(item_type.get(key, "PT0S"))) for key in ("turnaroundBefore", "turnaroundAfter"))
    return Turnaround(*lengths)


def _free(uow: UnitOfWork, demands: Iterable[Demand], blocked: Mapping[str, Window]) -> dict[str, list[Supply]]:
    """Item type → free units, as many as are asked for. Only safe to act upon while the item types are held."""
    return {item_type: _free_assets(uow, item_type, blocked[item_type], limit) for item_type, limit in wanted(demands).items()}


def _free_assets(uow: UnitOfWork, item_type: str, window: Window, limit: int) -> list[Supply]:
    units = uow.allocations.free_assets(item_type, window.start, window.end, limit)
    return [Supply(unit.identifier, unit.label) for unit in units]


@dataclass(frozen=True, slots=True)
class _Promise:
    """A claim that has become an allocation with a number."""

    number: int
    demand: Demand
    claim: Supply


def _promise(
    uow: UnitOfWork, document: Document, plans: Iterable[LinePlan], blocked: Mapping[str, Window], occasion: Occasion
) -> list[dict[str, Any]]:
    """Write the allocations of the plans, and give them as they stand in the document."""
    claims = [(line.demand, claim) for line in plans for claim in line.claims]
    numbers = uow.documents.next_numbers("allocation", len(claims)) if claims else []
    promises = [_Promise(number, *claim) for number, claim in zip(numbers, claims, strict=True)]
    window = _window(document)
    uow.allocations.add([_row(document, promise, window, blocked[promise.demand.item_type]) for promise in promises])
    return [_allocation(document, promise, occasion) for promise in promises]


def _row(document: Document, promise: _Promise, window: Window, blocked: Window) -> AllocationRow:
    return AllocationRow(
        number=promise.number,
        rent_action=document["identifier"],
        line=references.fragment(promise.demand.line),
        item_type=promise.demand.item_type,
        asset=promise.claim.source,
        stock_pool=None,
        quantity=promise.claim.quantity,
        status=str(AllocationStatus.ALLOCATED),
        allocated_from=window.start,
        allocated_to=window.end,
        blocked_from=blocked.start,
        blocked_to=blocked.end,
    )


def _allocation(document: Document, promise: _Promise, occasion: Occasion) -> dict[str, Any]:
    identifier, asset = f"alloc_{promise.number}", promise.claim.source
    return {
        "@id": f"{document['@id']}#{identifier}",
        "@type": "Allocation",
        "identifier": identifier,
        "forLine": {"@id": promise.demand.line},
        "asset": {"@id": occasion.naming.iri(asset), "@type": ASSET.subject_type, "identifier": asset, "name": promise.claim.label},
        "quantity": promise.claim.quantity,
        "status": str(AllocationStatus.ALLOCATED),
        "allocatedFrom": document["startTime"],
        "allocatedTo": document["endTime"],
    }


def _freed(uow: UnitOfWork, document: Document, freed: Sequence[Mapping[str, Any]]) -> Document:
    """The reservation without the units of these allocations, which are free for others once this transaction commits."""
    identifiers = {one["identifier"] for one in freed}
    uow.allocations.set_status([number_of(identifier) for identifier in identifiers], AllocationStatus.CANCELLED)
    cancelled = {"status": str(AllocationStatus.CANCELLED)}
    remaining = [{**one, **cancelled} if one["identifier"] in identifiers else one for one in document["allocations"]]
    return _with_allocations(document, remaining)


def _with_allocations(document: Document, allocations: Sequence[Mapping[str, Any]]) -> Document:
    """The reservation with these allocations, and with what they amount to in each line and in all."""
    held: Counter[str] = Counter()
    for one in allocations:
        held[one["forLine"]["@id"]] += one["quantity"] if one["status"] in BLOCKING else 0
    lines = [{**line, "allocatedQuantity": held[line["@id"]]} for line in document["lineItems"]]
    return {**document, "allocatedQuantity": held.total(), "lineItems": lines, "allocations": list(allocations)}


# --- what is missing --------------------------------------------------------------------------------------------------


def _shortage(
    uow: UnitOfWork, document: Document, short: Sequence[LinePlan], blocked: Mapping[str, Window], occasion: Occasion
) -> InsufficientAvailability:
    """The refusal, which says for each line that is short what is missing, who is in the way, and what would fit."""
    position = {line["@id"]: number for number, line in enumerate(document["lineItems"])}
    lines = [_short_line(uow, document, position[line.demand.line], line, blocked, occasion) for line in short]
    asked = "; ".join(f"{line['requested']} of {line['item']['name']} asked for, {line['available']} available" for line in lines)
    return InsufficientAvailability(f"There are not enough units in this window: {asked}.", lines=lines)


def _short_line(
    uow: UnitOfWork, document: Document, position: int, line: LinePlan, blocked: Mapping[str, Window], occasion: Occasion
) -> dict[str, Any]:
    item_type, window = line.demand.item_type, blocked[line.demand.item_type]
    capacity = Capacity(uow.allocations.total_assets(item_type), uow.allocations.busy_assets(item_type, window.start, window.end))
    return {
        "pointer": f"/lineItems/{position}",
        "item": document["lineItems"][position]["object"],
        "requested": line.demand.quantity,
        "available": line.allocated,
        "totalCapacity": capacity.total,
        "reservedCapacity": capacity.reserved,
        "availableCapacity": capacity.available,
        "reservationsInTheWay": _in_the_way(uow, item_type, window, occasion),
        "alternatives": {"largestQuantity": line.allocated},
    }


def _in_the_way(uow: UnitOfWork, item_type: str, window: Window, occasion: Occasion) -> list[dict[str, Any]]:
    """The reservations that block units of the item type in the window, earliest first; a reservation is named once."""
    found: dict[str, list[Blocking]] = {}
    for blocking in uow.allocations.in_the_way(item_type, window.start, window.end, limit=LOOKED_AT_IN_THE_WAY):
        found.setdefault(blocking.rent_action, []).append(blocking)
    named = sorted(found.items(), key=lambda entry: min(one.start for one in entry[1]))[:NAMED_IN_THE_WAY]
    return [_obstacle(rent_action, blockings, occasion) for rent_action, blockings in named]


def _obstacle(rent_action: str, blockings: Sequence[Blocking], occasion: Occasion) -> dict[str, Any]:
    return {
        "@id": occasion.naming.iri(rent_action),
        "identifier": rent_action,
        "units": len(blockings),
        "blockedFrom": written(min(one.start for one in blockings)),
        "blockedTo": written(max(one.end for one in blockings)),
    }
