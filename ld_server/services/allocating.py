"""The allocator's hand: what is missing is tried again, what is promised is released, and one unit is swapped for another."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import orjson

from ld_server.domain.allocation import Policy
from ld_server.domain.commands import AllocateUnits, Document, NamedUnit, ReleaseAllocations, SwapAllocation
from ld_server.domain.errors import InsufficientAvailability, NotFound
from ld_server.domain.status import AllocationStatus, Step
from ld_server.domain.window import Window
from ld_server.resources.asset import ASSET
from ld_server.resources.kind import is_same
from ld_server.services import plans, promises, references, replanning, shortage
from ld_server.services.occasion import Occasion
from ld_server.services.plans import Planned
from ld_server.services.references import Pointing
from ld_server.services.replanning import Wish
from ld_server.services.steps import opened_for, refusal, taken
from relational.allocations import AllocationRow
from relational.documents import Head
from relational.unit_of_work import UnitOfWork

# --- allocate -----------------------------------------------------------------------------------------------------------


def allocate(uow: UnitOfWork, command: AllocateUnits, occasion: Occasion) -> Head:
    """
    Try again for what an approved reservation misses; where nothing is missing and no unit is named, nothing changes.

    The reservation has the named units then, in place of others where it has enough. Raises NotFound, Stale, TransitionRefused,
    UnknownReference for a named unit that no line asks for, and InsufficientAvailability for one that cannot be had, and under
    Policy.HARD_FAIL where something is still missing.
    """
    head, before = opened_for(uow, command, Step.ALLOCATE)
    missing = replanning.missing(uow, before)
    if not missing and not command.named:
        return head
    composed = plans.with_components(uow, before)
    wishes = _wishes(uow, composed, command.named)
    tolerated: Mapping[str, int] | None = {} if command.policy == Policy.HARD_FAIL else None
    planned = replanning.planned_anew(uow, composed, occasion, tolerated, wishes)
    _refuse_unfulfilled(uow, planned, wishes, command.named, occasion)
    if is_same(before["allocations"], planned.document["allocations"]):
        return head
    return taken(uow, head, before, planned.document, Step.ALLOCATE, occasion, _what_happened(before, planned))


def _what_happened(before: Document, planned: Planned) -> dict[str, object]:
    held, has = _promised(before), _promised(planned.document)
    return {
        "rentAction.allocation.created": has - held,
        "rentAction.allocation.released": held - has,
        "availability.shortfall.detected": planned.short,
    }


def _promised(document: Document) -> set[str]:
    return {one["identifier"] for one in promises.allocated(document)}


def _wishes(uow: UnitOfWork, document: Document, named: Sequence[NamedUnit]) -> list[Wish]:
    """For each named unit the line that is to have it: the one that was named, else the first that has room for it."""
    assets = references.resolve(uow, [Pointing(one.pointer, "asset", one.asset) for one in named], ASSET)
    given: Counter[tuple[str, str]] = Counter()
    found = []
    for one in named:
        item_type = assets[one.asset]["isVariantOf"]["identifier"]
        line = _line_for(document, one, item_type, given)
        given[line["@id"], item_type] += 1
        found.append(Wish(line["@id"], item_type, one.asset))
    return found


def _line_for(document: Document, unit: NamedUnit, item_type: str, given: Mapping[tuple[str, str], int]) -> Mapping[str, Any]:
    """Raises UnknownReference where no line can have the unit."""
    lines: list[dict[str, Any]] = document["lineItems"]
    candidates = [line for line in lines if unit.line in (None, references.fragment(line["@id"]), line["@id"])]
    asking = [line for line in candidates if item_type in plans.parts_of(line)]
    room = [line for line in asking if given[line["@id"], item_type] < line["requestedQuantity"] * plans.parts_of(line)[item_type]]
    if not room:
        raise references.unknown(
            Pointing(unit.pointer, "asset", unit.asset), f"{unit.asset} is a unit of {item_type}; {_why_not(unit, candidates, asking)}"
        )
    return room[0]


def _why_not(unit: NamedUnit, candidates: Sequence[object], asking: Sequence[object]) -> str:
    if not candidates:
        return f"there is no line {unit.line}"
    which = unit.line or "every line"
    return (
        f"{which} has named all that it asks for"
        if asking
        else f"{unit.line or 'no line'} {'does not ask' if unit.line else 'asks'} for that"
    )


def _refuse_unfulfilled(uow: UnitOfWork, planned: Planned, wishes: Sequence[Wish], named: Sequence[NamedUnit], occasion: Occasion) -> None:
    """Raises InsufficientAvailability for the first named unit that the plan could not use."""
    used = {(line.demand.line, claim.source) for line in planned.lines for claim in line.claims}
    for wish, unit in zip(wishes, named, strict=True):
        if (wish.line, wish.asset) not in used:
            raise _taken(uow, wish.asset, wish.item_type, planned.blocked[wish.item_type], unit.pointer, planned.document, occasion)


def _taken(
    uow: UnitOfWork, asset: str, item_type: str, window: Window, pointer: str, document: Document, occasion: Occasion
) -> InsufficientAvailability:
    blocks = uow.capacity.blocks(item_type, window, occasion.now, asset=asset)
    others = [one for one in blocks if one.rent_action != document["identifier"]]
    return shortage.unit_taken(asset, _name(uow, asset), pointer, others, occasion)


def _name(uow: UnitOfWork, asset: str) -> str:
    return ASSET.label(orjson.loads(uow.documents.heads([asset])[asset].body))


# --- release ------------------------------------------------------------------------------------------------------------


def release(uow: UnitOfWork, command: ReleaseAllocations, occasion: Occasion) -> Head:
    """
    Give back what is promised and not out: everything, or some allocations. The reservation stays approved, and misses it.

    Raises NotFound, Stale, UnknownReference for an allocation that there is not, and TransitionRefused for one that is not promised now.
    """
    head, before = opened_for(uow, command, Step.RELEASE)
    chosen = promises.allocated(before) if command.allocations is None else _chosen(before, command.allocations)
    if not chosen:
        return head
    happened = {"rentAction.allocation.released": chosen}
    return taken(uow, head, before, promises.freed(uow, before, chosen), Step.RELEASE, occasion, happened)


def _chosen(document: Document, identifiers: Iterable[str]) -> list[dict[str, Any]]:
    """The allocations with these identifiers, each of which is promised and not out."""
    there = {one["identifier"]: one for one in document["allocations"]}
    named = list(identifiers)
    for position, identifier in enumerate(named):
        if identifier not in there:
            place = Pointing(f"/allocations/{position}", "allocations", identifier)
            raise references.unknown(place, f"{document['identifier']} has no allocation {identifier}")
        _refuse_not_promised(document, there[identifier])
    return [there[identifier] for identifier in dict.fromkeys(named)]


def _refuse_not_promised(document: Document, allocation: Mapping[str, Any]) -> None:
    if allocation["status"] != AllocationStatus.ALLOCATED:
        identifier = allocation["identifier"]
        detail = f"{identifier} is {allocation['status']}; only what is allocated, and not out, can be released or swapped."
        raise refusal(document, detail, [identifier])


# --- swap ---------------------------------------------------------------------------------------------------------------


def swap(uow: UnitOfWork, command: SwapAllocation, occasion: Occasion) -> Head:
    """
    Give an allocation another unit of the same item type: the named one, or any that is free. The old unit is free for others once
    this transaction commits.

    Raises NotFound, Stale, TransitionRefused (what is out, or comes from a stock pool), UnknownReference, InsufficientAvailability.
    """
    head, before = opened_for(uow, command, Step.SWAP)
    row = _swappable(uow, before, command.allocation)
    if command.asset == row.asset:
        return head
    if command.asset is not None:
        _refuse_other_kind(uow, command.asset, row.item_type)
    uow.allocations.hold([row.item_type])
    fresh = _named(uow, row, command.asset, before, occasion) if command.asset else _any_other(uow, row, before, occasion)
    uow.allocations.change([replace(row, asset=fresh)])
    changed = promises.with_allocations(before, [_with_unit(uow, one, row, fresh, occasion) for one in before["allocations"]])
    return taken(uow, head, before, changed, Step.SWAP, occasion, {"rentAction.allocation.changed": True})


def _swappable(uow: UnitOfWork, document: Document, identifier: str) -> AllocationRow:
    allocation = next((one for one in document["allocations"] if one["identifier"] == identifier), None)
    if allocation is None:
        raise NotFound(f"{document['identifier']} has no allocation {identifier}.")
    _refuse_not_promised(document, allocation)
    if "asset" not in allocation:
        detail = f"{identifier} comes from a stock pool, whose units nobody tells apart; release it and allocate again."
        raise refusal(document, detail, [identifier])
    return next(row for row in uow.allocations.of(document["identifier"]) if f"alloc_{row.number}" == identifier)


def _refuse_other_kind(uow: UnitOfWork, asset: str, item_type: str) -> None:
    place = Pointing("/asset", "asset", asset)
    found = references.resolve(uow, [place], ASSET)[asset]["isVariantOf"]["identifier"]
    if found != item_type:
        raise references.unknown(place, f"{asset} is a unit of {found}, and no unit of {item_type}")


def _named(uow: UnitOfWork, row: AllocationRow, asset: str, document: Document, occasion: Occasion) -> str:
    window = Window(row.blocked_from, row.blocked_to)
    if not uow.capacity.free_among([asset], row.item_type, window, occasion.now):
        raise _taken(uow, asset, row.item_type, window, "/asset", document, occasion)
    return asset


def _any_other(uow: UnitOfWork, row: AllocationRow, document: Document, occasion: Occasion) -> str:
    window = Window(row.blocked_from, row.blocked_to)
    units = uow.capacity.free_assets(row.item_type, window, occasion.now, 1, document.get("location"))
    if not units:
        detail = f"There is no other unit of {row.item_type} that alloc_{row.number} could have in its window."
        raise InsufficientAvailability(detail, allocation=f"alloc_{row.number}", resource=row.item_type)
    return units[0].identifier


def _with_unit(uow: UnitOfWork, allocation: Mapping[str, Any], row: AllocationRow, asset: str, occasion: Occasion) -> dict[str, Any]:
    if allocation["identifier"] != f"alloc_{row.number}":
        return dict(allocation)
    document = references.resolve(uow, [Pointing("/asset", "asset", asset)], ASSET)[asset]
    return {**allocation, "asset": references.echo(document, ASSET)}
