"""Custody: units are handed out to whom they are promised, and come back, some of them broken or not at all."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson

from ld_server.domain.commands import CheckOutUnits, Document, ReturnUnits
from ld_server.domain.custody import AFTERWARDS, Condition, Handover, NotThere, Portion, merged, portions
from ld_server.domain.errors import TransitionRefused, UnknownReference
from ld_server.domain.status import BLOCKING, TRANSITIONS, AllocationStatus, AssetStatus, Status, Step
from ld_server.resources import KINDS
from ld_server.resources.asset import ASSET
from ld_server.resources.kind import written
from ld_server.resources.stock_pool import STOCK_POOL
from ld_server.services import fitness, promises, recording, risk, steps
from ld_server.services.fitness import Wanted
from ld_server.services.occasion import Occasion
from relational.allocations import AllocationRow
from relational.documents import Head
from relational.index import number_of
from relational.unit_of_work import UnitOfWork


def check_out(uow: UnitOfWork, command: CheckOutUnits, occasion: Occasion) -> Head:
    """
    Hand out units that are promised, also before their time where nobody else has them until then: they are ours from now on.

    Raises NotFound, Stale, UnknownReference, and TransitionRefused for what is not promised and for what cannot be handed out.
    """
    head, before = steps.opened_for(uow, command, Step.CHECK_OUT)
    held = _held(uow, before)
    taken = _taken(before, held, merged(command.handovers), Step.CHECK_OUT)
    uow.allocations.hold(held[one.handover.allocation].row.item_type for one in taken)
    wanted = [Wanted(held[one.handover.allocation].row, one.quantity) for one in taken]
    fitness.refuse_unfit(uow, before, wanted, occasion)
    changed = _written(uow, before, [_gone(held, one, occasion) for one in taken])
    return steps.taken(uow, head, before, changed, Step.CHECK_OUT, occasion, {})


def take_back(uow: UnitOfWork, command: ReturnUnits, occasion: Occasion) -> Head:
    """
    Take back units that are out. What comes back damaged goes into maintenance, what does not come back is lost, and whoever is
    endangered by that is told of. When nothing is out or promised any more the reservation is fulfilled.

    Raises NotFound, Stale, UnknownReference, and TransitionRefused for what is not out.
    """
    head, before = steps.opened_for(uow, command, Step.RETURN)
    held = _held(uow, before)
    taken = _taken(before, held, command.handovers, Step.RETURN)
    returned = [(held[one.handover.allocation].row, one) for one in taken]
    broken = _opened(uow, returned)
    uow.allocations.hold(row.item_type for row, _ in returned)
    changed = _written(uow, before, [_back(held, one, occasion) for one in taken])
    _mark(uow, broken, occasion)
    after = _after_return(uow, head, before, changed, occasion)
    marked = {one.head.identifier for one in broken}
    risk.look(uow, marked, occasion)
    risk.look_again(uow, {_source(row) for row, _ in returned} - marked, occasion)
    return after


def _after_return(uow: UnitOfWork, head: Head, before: Document, changed: Document, occasion: Occasion) -> Head:
    is_over = not any(one["status"] in BLOCKING for one in changed["allocations"])
    if before["status"] == Status.APPROVED and is_over:
        return steps.taken(uow, head, before, changed, Step.FULFILL, occasion, {"rentAction.returned": True})
    return steps.taken(uow, head, before, changed, Step.RETURN, occasion, {})


# --- what changes hands -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Holding:
    """An allocation: its row, and how the document shows it."""

    row: AllocationRow
    shown: Mapping[str, Any]

    def of(self, quantity: int) -> "Holding":
        """The same with so many units."""
        return Holding(replace(self.row, quantity=quantity), {**self.shown, "quantity": quantity})

    def as_(self, status: AllocationStatus, said: Mapping[str, Any]) -> "Holding":
        """The same in another state."""
        return Holding(replace(self.row, status=str(status)), {**self.shown, "status": str(status), **said})

    def under(self, number: int) -> "Holding":
        """The same under another number."""
        identifier = f"alloc_{number}"
        iri = f"{self.shown['@id'].partition('#')[0]}#{identifier}"
        return Holding(replace(self.row, number=number), {**self.shown, "@id": iri, "identifier": identifier})


@dataclass(frozen=True, slots=True)
class Split:
    """What an allocation becomes: what keeps its number, and what gets one of its own, if it comes apart."""

    kept: Holding
    apart: Holding | None = None


def _held(uow: UnitOfWork, document: Document) -> dict[str, Holding]:
    """Identifier → allocation, for every allocation that the reservation has or had."""
    rows = {row.number: row for row in uow.allocations.of(document["identifier"])}
    return {one["identifier"]: Holding(rows[number_of(one["identifier"])], one) for one in document["allocations"]}


def _taken(document: Document, held: Mapping[str, Holding], handovers: Sequence[Handover], step: Step) -> list[Portion]:
    """What changes hands: everything that is in the right state, unless there are handovers."""
    there = {identifier: one.row.quantity for identifier, one in held.items() if one.row.status == _FROM[step]}
    for position, handover in enumerate(handovers):
        if handover.allocation not in held:
            raise _unknown(document, handover, position)
    chosen = handovers or [Handover(identifier) for identifier in there]
    if not chosen:
        raise _refusal(document, step, f"{document['identifier']} has nothing that is {_WORDS[step]}.", [])
    try:
        return list(portions(there, chosen))
    except NotThere as missing:
        raise _not_there(document, held[missing.handover.allocation], missing, step) from None


_FROM: Mapping[Step, AllocationStatus] = {Step.CHECK_OUT: AllocationStatus.ALLOCATED, Step.RETURN: AllocationStatus.IN_USE}
"""Step → the state in which an allocation must be for it."""
_WORDS: Mapping[Step, str] = {Step.CHECK_OUT: "promised and not yet out", Step.RETURN: "out"}


def _unknown(document: Document, handover: Handover, position: int) -> UnknownReference:
    detail = f"id: {document['identifier']} has no allocation {handover.allocation}."
    return UnknownReference(detail, pointer=f"/allocations/{position}/id", field="id", identifier=handover.allocation)


def _not_there(document: Document, holding: Holding, missing: NotThere, step: Step) -> TransitionRefused:
    asked, identifier = missing.handover.quantity, missing.handover.allocation
    many = f"only {missing.left} of the {asked} units of {identifier} are" if asked and missing.left else f"{identifier} is not"
    told = {"identifier": identifier, "status": holding.row.status, "quantity": missing.left}
    return _refusal(document, step, f"{many[0].upper()}{many[1:]} {_WORDS[step]}; its status is {holding.row.status}.", [told])


def _refusal(document: Document, step: Step, detail: str, allocations: list[dict[str, Any]]) -> TransitionRefused:
    allowed = [str(one) for one in TRANSITIONS[Status(document["status"])] if one is not step]
    return TransitionRefused(detail, status=document["status"], allowedSteps=allowed, allocations=allocations)


def _gone(held: Mapping[str, Holding], portion: Portion, occasion: Occasion) -> Split:
    """The part that goes out keeps its name."""
    whole = held[portion.handover.allocation]
    row = whole.row
    starts = min(row.allocated_from, occasion.now)
    early = replace(row, allocated_from=starts, blocked_from=min(row.blocked_from, starts))
    said = {"allocatedFrom": written(starts), "checkedOutAt": occasion.moment, **_metadata(portion.handover)}
    out = Holding(early, whole.shown).of(portion.quantity).as_(AllocationStatus.IN_USE, said)
    return Split(out, whole.of(portion.rest) if portion.rest else None)


def _back(held: dict[str, Holding], portion: Portion, occasion: Occasion) -> Split:
    """What is still out keeps its name; of it, the next portion is taken."""
    handover = portion.handover
    whole = held[handover.allocation]
    notes = {"notes": handover.notes} if handover.notes else {}
    said = {"returnedAt": occasion.moment, "condition": str(handover.condition), **notes, **_metadata(handover)}
    back = whole.of(portion.quantity).as_(AllocationStatus.RETURNED, said)
    return Split(whole.of(portion.rest), back) if portion.rest else Split(back)


def _metadata(handover: Handover) -> dict[str, Any]:
    return {} if handover.metadata is None else {"metadata": handover.metadata}


def _written(uow: UnitOfWork, document: Document, splits: Sequence[Split]) -> Document:
    """The reservation with these allocations in place of what they were. Of several with one number the last one counts."""
    kept = {one.kept.row.number: one.kept for one in splits}
    apart = [one.apart for one in splits if one.apart]
    numbers = uow.documents.next_numbers("allocation", len(apart)) if apart else []
    fresh = [one.under(number) for one, number in zip(apart, numbers, strict=True)]
    uow.allocations.change([one.row for one in (*kept.values(), *fresh)])
    same = (kept.get(number_of(one["identifier"])) for one in document["allocations"])
    shown = [now.shown if now else one for now, one in zip(same, document["allocations"], strict=True)]
    return promises.with_allocations(document, [*shown, *(one.shown for one in fresh)])


def _source(row: AllocationRow) -> str:
    return row.asset or row.stock_pool or ""


# --- what is broken or lost -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Broken:
    """A unit that came back broken or not at all, or a pool that has lost so many units; `head` is its state so far."""

    head: Head
    condition: Condition
    quantity: int


def _opened(uow: UnitOfWork, returned: Iterable[tuple[AllocationRow, Portion]]) -> list[Broken]:
    """What must be marked, locked: before the item types are held, as those do who change a unit and then hold its item type."""
    lost: Counter[tuple[str, Condition]] = Counter()
    for row, portion in returned:
        if portion.handover.condition in AFTERWARDS and (row.asset or portion.handover.condition is Condition.LOST):
            lost[_source(row), portion.handover.condition] += portion.quantity
    heads = ((uow.documents.locked(source), condition, quantity) for (source, condition), quantity in sorted(lost.items()))
    return [Broken(head, condition, quantity) for head, condition, quantity in heads if head]


def _mark(uow: UnitOfWork, broken: Iterable[Broken], occasion: Occasion) -> None:
    """A unit changes its status, unless it is retired; a pool has fewer units."""
    for one in broken:
        kind, before = KINDS[one.head.kind], orjson.loads(one.head.body)
        said = _MARKS[kind.name](before, one)
        if any(before[key] != value for key, value in said.items()):
            recording.replace(uow, kind, one.head, before, {**before, **said}, [f"catalog.{kind.name}.updated"], occasion)


def _marked_asset(before: Document, broken: Broken) -> dict[str, Any]:
    return {} if before["status"] == AssetStatus.RETIRED else {"status": str(AFTERWARDS[broken.condition])}


def _marked_pool(before: Document, broken: Broken) -> dict[str, Any]:
    return {"quantityTotal": max(0, before["quantityTotal"] - broken.quantity)}


_MARKS = {ASSET.name: _marked_asset, STOCK_POOL.name: _marked_pool}
"""Kind → what it says when units of it are broken or lost."""
