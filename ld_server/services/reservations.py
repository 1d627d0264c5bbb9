"""The life of a reservation: asked for, handed in, approved with concrete units, rejected, cancelled."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import orjson

from ld_server.domain.allocation import Demand, LinePlan, Policy, Supply, plan, replan, wanted
from ld_server.domain.commands import (
    ApproveReservation,
    CancelReservation,
    ChangeReservation,
    CreateReservation,
    Document,
    RejectReservation,
    ReservationStep,
    SubmitReservation,
)
from ld_server.domain.duration import seconds
from ld_server.domain.errors import InsufficientAvailability, TransitionRefused
from ld_server.domain.status import ACTION_STATUS, BLOCKING, TRANSITIONS, AllocationStatus, Priority, Status, Step, after
from ld_server.domain.window import Turnaround, Window
from ld_server.resources.asset import ASSET
from ld_server.resources.item_type import ITEM_TYPE
from ld_server.resources.kind import instant, is_same
from ld_server.resources.rent_action import RENT_ACTION
from ld_server.services import obstacles, recording, references, supply
from ld_server.services.obstacles import LOOKED_AT_IN_THE_WAY
from ld_server.services.occasion import Occasion
from ld_server.services.opening import opened, says_the_same
from ld_server.services.references import Pointing
from relational.allocations import AllocationRow
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


def create(uow: UnitOfWork, command: CreateReservation, occasion: Occasion) -> Head:
    """Take a reservation in. Raises UnknownReference for an item type that does not exist or is not active."""
    _window(command.document)
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
    _window(command.document)
    changed = _with_allocations(_asked_for(command.document, _items(uow, command.document, before)), before["allocations"])
    if says_the_same(before, changed, occasion.naming):
        return head
    planned = _planned_anew(uow, before, changed, occasion) if _needs_planning(before, changed) else changed
    moved = not is_same(before["allocations"], planned["allocations"])
    events = ["rentAction.updated", *(["rentAction.allocation.changed"] if moved else [])]
    return recording.replace(uow, RENT_ACTION, head, before, planned, events, occasion)


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
    return _with_allocations(begun, [])


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


# --- steps ------------------------------------------------------------------------------------------------------------


def _opened(uow: UnitOfWork, command: ReservationStep, step: Step) -> tuple[Head, Document]:
    """The reservation, which nobody else changes until this transaction ends, and which can take the step."""
    head = opened(uow, command.identifier, (RENT_ACTION,), command.expected)
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
    return {item_type: supply.free(uow, item_type, blocked[item_type], limit) for item_type, limit in wanted(demands).items()}


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
    source = promise.claim.source
    is_asset = supply.kind_of(source) is ASSET
    return AllocationRow(
        number=promise.number,
        rent_action=document["identifier"],
        line=references.fragment(promise.demand.line),
        item_type=promise.demand.item_type,
        asset=source if is_asset else None,
        stock_pool=None if is_asset else source,
        quantity=promise.claim.quantity,
        status=str(AllocationStatus.ALLOCATED),
        allocated_from=window.start,
        allocated_to=window.end,
        blocked_from=blocked.start,
        blocked_to=blocked.end,
    )


def _allocation(document: Document, promise: _Promise, occasion: Occasion) -> dict[str, Any]:
    identifier, source = f"alloc_{promise.number}", promise.claim.source
    return {
        "@id": f"{document['@id']}#{identifier}",
        "@type": "Allocation",
        "identifier": identifier,
        "forLine": {"@id": promise.demand.line},
        supply.kind_of(source).name: supply.echo(source, promise.claim.label, occasion),
        "quantity": promise.claim.quantity,
        "status": str(AllocationStatus.ALLOCATED),
        "allocatedFrom": document["startTime"],
        "allocatedTo": document["endTime"],
    }


def _freed(uow: UnitOfWork, document: Document, freed: Sequence[Mapping[str, Any]]) -> Document:
    """The reservation without the units of these allocations, which are free for others once this transaction commits."""
    numbers = {number_of(one["identifier"]) for one in freed}
    uow.allocations.set_status(numbers, AllocationStatus.CANCELLED)
    return _with_allocations(document, _cancelled(document, numbers))


def _with_allocations(document: Document, allocations: Sequence[Mapping[str, Any]]) -> Document:
    """The reservation with these allocations, and with what they amount to in each line and in all."""
    held: Counter[str] = Counter()
    for one in allocations:
        held[one["forLine"]["@id"]] += one["quantity"] if one["status"] in BLOCKING else 0
    lines = [{**line, "allocatedQuantity": held[line["@id"]]} for line in document["lineItems"]]
    return {**document, "allocatedQuantity": held.total(), "lineItems": lines, "allocations": list(allocations)}


# --- planned anew -----------------------------------------------------------------------------------------------------


def _refuse_ended(document: Document) -> None:
    status = Status(document["status"])
    if not TRANSITIONS[status]:
        raise TransitionRefused(f"A reservation that is {status} has ended and cannot be changed.", status=str(status), allowedSteps=[])


def _needs_planning(before: Document, changed: Document) -> bool:
    """Whether units are promised for what the reservation does not ask for any more."""
    return before["status"] == Status.APPROVED and _asked(before) != _asked(changed)


def _asked(document: Document) -> tuple[Window, list[Demand]]:
    return _window(document), sorted(_demands(document), key=lambda demand: demand.line)


def _planned_anew(uow: UnitOfWork, before: Document, changed: Document, occasion: Occasion) -> Document:
    """
    The changed reservation with the units of a new plan.

    First everything is given back, because a unit must not be in its own way: neither in ours nor in the database's, which refuses
    two overlapping promises even where one is about to end. What the new plan has in common with the old one is then taken back.
    """
    _refuse_while_out(before)
    demands, blocked = _demands(changed), _blocked(uow, changed)
    uow.allocations.hold(blocked)
    held = [row for row in uow.allocations.of(before["identifier"]) if row.status == AllocationStatus.ALLOCATED]
    uow.allocations.set_status([row.number for row in held], AllocationStatus.CANCELLED)
    plans = replan(demands, _supplies(before, held), _free_with_own(uow, demands, blocked, held))
    _refuse_to_miss_more(uow, before, changed, plans, blocked, occasion)
    kept = {row.number: row for row in held if _is_planned(changed, row, plans, blocked)}
    uow.allocations.set_status(kept, AllocationStatus.ALLOCATED)
    promised = _promise(uow, changed, _without(plans, changed, kept.values()), blocked, occasion)
    return _with_allocations(changed, [*_cancelled(before, {row.number for row in held} - kept.keys()), *promised])


def _refuse_while_out(document: Document) -> None:
    out = [one["identifier"] for one in document["allocations"] if one["status"] == AllocationStatus.IN_USE]
    if out:
        detail = (
            f"Units of {document['identifier']} are out ({', '.join(out)}); its times and lines cannot be changed before they are back."
        )
        raise TransitionRefused(detail, status=document["status"], allowedSteps=[], allocations=out)


def _supplies(document: Document, rows: Iterable[AllocationRow]) -> dict[str, list[Supply]]:
    """Line → the units that were promised to it."""
    found: dict[str, list[Supply]] = {}
    for row in rows:
        found.setdefault(_line(document, row), []).append(Supply(_source(row), "", row.quantity))
    return found


def _line(document: Document, row: AllocationRow) -> str:
    return f"{document['@id']}#{row.line}"


def _source(row: AllocationRow) -> str:
    return row.asset or row.stock_pool or ""


def _free_with_own(
    uow: UnitOfWork, demands: Iterable[Demand], blocked: Mapping[str, Window], own: Sequence[AllocationRow]
) -> dict[str, list[Supply]]:
    """As `_free`, beginning with those of our own units that are free now."""
    assets = [row.asset for row in own if row.asset]
    found = _free(uow, demands, blocked)
    for item_type, window in blocked.items():
        units = uow.allocations.free_among(assets, item_type, window.start, window.end)
        found[item_type] = [*(Supply(unit.identifier, unit.label) for unit in units), *found.get(item_type, [])]
    return found


def _refuse_to_miss_more(
    uow: UnitOfWork, before: Document, changed: Document, plans: Sequence[LinePlan], blocked: Mapping[str, Window], occasion: Occasion
) -> None:
    """A reservation that was approved with less than it asked for may go on with as little, but not with less than that."""
    missed = {line["@id"]: line["requestedQuantity"] - line["allocatedQuantity"] for line in before["lineItems"]}
    short = [line for line in plans if line.missing > missed.get(line.demand.line, 0)]
    if short:
        raise _shortage(uow, changed, short, blocked, occasion)


def _is_planned(document: Document, row: AllocationRow, plans: Iterable[LinePlan], blocked: Mapping[str, Window]) -> bool:
    """Whether the new plan has this very promise: the same units for the same line in the same time."""
    window, around = _window(document), blocked.get(row.item_type)
    same_time = (row.allocated_from, row.allocated_to) == (window.start, window.end)
    same_around = around is not None and (row.blocked_from, row.blocked_to) == (around.start, around.end)
    return same_time and same_around and (_line(document, row), _source(row), row.quantity) in _claims(plans)


def _claims(plans: Iterable[LinePlan]) -> set[tuple[str, str, int]]:
    return {(line.demand.line, claim.source, claim.quantity) for line in plans for claim in line.claims}


def _without(plans: Iterable[LinePlan], document: Document, rows: Iterable[AllocationRow]) -> list[LinePlan]:
    """The plans without what these allocations hold already."""
    there = {(_line(document, row), _source(row)) for row in rows}
    return [replace(line, claims=tuple(one for one in line.claims if (line.demand.line, one.source) not in there)) for line in plans]


def _cancelled(document: Document, numbers: Set[int]) -> list[dict[str, Any]]:
    """The allocations of the document, those with these numbers cancelled."""
    cancelled = {"status": str(AllocationStatus.CANCELLED)}
    return [{**one, **cancelled} if number_of(one["identifier"]) in numbers else one for one in document["allocations"]]


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
    capacity = supply.capacity(uow, item_type, window)
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
    return obstacles.named(uow.allocations.in_the_way(item_type, window.start, window.end, LOOKED_AT_IN_THE_WAY), occasion)
