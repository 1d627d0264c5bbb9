"""The units that are promised to a reservation: planned, promised, freed, and planned anew when it asks for something else."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import orjson

from ld_server.domain.allocation import Demand, LinePlan, Supply, plan, replan, wanted
from ld_server.domain.commands import Document
from ld_server.domain.duration import seconds
from ld_server.domain.errors import TransitionRefused
from ld_server.domain.status import BLOCKING, AllocationStatus, Status
from ld_server.domain.window import Turnaround, Window
from ld_server.resources.asset import ASSET
from ld_server.resources.kind import instant
from ld_server.services import references, shortage, supply
from ld_server.services.occasion import Occasion
from relational.allocations import AllocationRow
from relational.index import number_of
from relational.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class Planned:
    """What each line gets, and the window in which each item type is blocked for it."""

    lines: tuple[LinePlan, ...]
    blocked: Mapping[str, Window]

    @property
    def short(self) -> list[LinePlan]:
        return [line for line in self.lines if line.missing]


def planned(uow: UnitOfWork, document: Document) -> Planned:
    """A plan for everything that the reservation asks for; nobody else takes these units before this transaction ends."""
    demands, blocked = _demands(document), _blocked(uow, document)
    uow.allocations.hold(blocked)
    return Planned(plan(demands, _free(uow, demands, blocked)), blocked)


@dataclass(frozen=True, slots=True)
class _Promise:
    """A claim that has become an allocation with a number."""

    number: int
    demand: Demand
    claim: Supply


def promise(
    uow: UnitOfWork, document: Document, plans: Iterable[LinePlan], blocked: Mapping[str, Window], occasion: Occasion
) -> list[dict[str, Any]]:
    """Write the allocations of the plans, and give them as they stand in the document."""
    claims = [(line.demand, claim) for line in plans for claim in line.claims]
    numbers = uow.documents.next_numbers("allocation", len(claims)) if claims else []
    promises = [_Promise(number, *claim) for number, claim in zip(numbers, claims, strict=True)]
    window = window_of(document)
    uow.allocations.add([_row(document, one, window, blocked[one.demand.item_type]) for one in promises])
    return [_allocation(document, one, occasion) for one in promises]


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


def freed(uow: UnitOfWork, document: Document, allocations: Sequence[Mapping[str, Any]]) -> Document:
    """The reservation without the units of these allocations, which are free for others once this transaction commits."""
    numbers = {number_of(one["identifier"]) for one in allocations}
    uow.allocations.set_status(numbers, AllocationStatus.CANCELLED)
    return with_allocations(document, _cancelled(document, numbers))


def with_allocations(document: Document, allocations: Sequence[Mapping[str, Any]]) -> Document:
    """The reservation with these allocations, and with what they amount to in each line and in all."""
    held: Counter[str] = Counter()
    for one in allocations:
        held[one["forLine"]["@id"]] += one["quantity"] if one["status"] in BLOCKING else 0
    lines = [{**line, "allocatedQuantity": held[line["@id"]]} for line in document["lineItems"]]
    return {**document, "allocatedQuantity": held.total(), "lineItems": lines, "allocations": list(allocations)}


def window_of(document: Document) -> Window:
    return Window(instant(document["startTime"]), instant(document["endTime"]))


def _demands(document: Document) -> list[Demand]:
    return [Demand(line["@id"], line["object"]["identifier"], line["requestedQuantity"]) for line in document["lineItems"]]


def _blocked(uow: UnitOfWork, document: Document) -> dict[str, Window]:
    """Item type → the window in which its units are blocked for this reservation."""
    window = window_of(document)
    heads = uow.documents.heads(line["object"]["identifier"] for line in document["lineItems"])
    return {identifier: _turnaround(orjson.loads(head.body)).around(window) for identifier, head in heads.items()}


def _turnaround(item_type: Document) -> Turnaround:
    lengths = (timedelta(seconds=seconds(item_type.get(key, "PT0S"))) for key in ("turnaroundBefore", "turnaroundAfter"))
    return Turnaround(*lengths)


def _free(uow: UnitOfWork, demands: Iterable[Demand], blocked: Mapping[str, Window]) -> dict[str, list[Supply]]:
    """Item type → free units, as many as are asked for. Only safe to act upon while the item types are held."""
    return {item_type: supply.free(uow, item_type, blocked[item_type], limit) for item_type, limit in wanted(demands).items()}


def needs_planning(before: Document, changed: Document) -> bool:
    """Whether units are promised for what the reservation does not ask for any more."""
    return before["status"] == Status.APPROVED and _asked(before) != _asked(changed)


def _asked(document: Document) -> tuple[Window, list[Demand]]:
    return window_of(document), sorted(_demands(document), key=lambda demand: demand.line)


def planned_anew(uow: UnitOfWork, before: Document, changed: Document, occasion: Occasion) -> Document:
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
    promised = promise(uow, changed, _without(plans, changed, kept.values()), blocked, occasion)
    return with_allocations(changed, [*_cancelled(before, {row.number for row in held} - kept.keys()), *promised])


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
        raise shortage.refusal(uow, changed, short, blocked, occasion)


def _is_planned(document: Document, row: AllocationRow, plans: Iterable[LinePlan], blocked: Mapping[str, Window]) -> bool:
    """Whether the new plan has this very promise: the same units for the same line in the same time."""
    window, around = window_of(document), blocked.get(row.item_type)
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
