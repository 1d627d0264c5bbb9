"""The units that are promised to a reservation: planned, promised, and freed."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from ld_server.domain.allocation import Claim, Demand, LinePlan, plan, wanted
from ld_server.domain.commands import Document
from ld_server.domain.duration import seconds
from ld_server.domain.status import GOT, AllocationStatus
from ld_server.domain.window import Window, next_minute
from ld_server.resources.asset import ASSET
from ld_server.resources.kind import instant, written
from ld_server.services import availability, plans, references, shortage, supply
from ld_server.services.occasion import Occasion
from ld_server.services.plans import Planned, window_of
from relational.allocations import AllocationRow
from relational.index import number_of
from relational.unit_of_work import UnitOfWork


def planned(uow: UnitOfWork, document: Document, occasion: Occasion) -> Planned:
    """
    A plan for everything that the reservation asks for; nobody else takes these units before this transaction ends.

    Raises InsufficientAvailability where a window is to be found for it and there is none.
    """
    composed = plans.with_components(uow, document)
    uow.allocations.hold(wanted(plans.demands_of(composed)))
    return outlined(uow, composed, occasion)


def outlined(uow: UnitOfWork, document: Document, occasion: Occasion) -> Planned:
    """The plan that `planned` makes, from what can be had now: others may take these units. Raises InsufficientAvailability, too."""
    composed = plans.with_components(uow, document)
    demands = plans.demands_of(composed)
    if plans.has_window(composed):
        return _planned(uow, composed, demands, occasion)
    return _planned(uow, _with_first_window(uow, composed, demands, occasion), demands, occasion)


def _planned(uow: UnitOfWork, document: Document, demands: Sequence[Demand], occasion: Occasion) -> Planned:
    needed, given = wanted(demands), plans.given(document, occasion)
    known = availability.terms(uow, needed, given.default_rule)
    blocked = availability.around(known, window_of(document))
    free = availability.dealt(uow, needed, blocked, known, given)
    return Planned(document, plan(demands, free), blocked)


def _with_first_window(uow: UnitOfWork, document: Document, demands: Sequence[Demand], occasion: Occasion) -> Document:
    """
    The reservation in the first window that has everything it asks for: not before the next full minute, and not before the start it
    was given.
    """
    soon = next_minute(occasion.now)
    after = max(soon, instant(document["startTime"])) if "startTime" in document else soon
    duration = timedelta(seconds=seconds(document["duration"]))
    window = availability.first_window(uow, wanted(demands), duration, after, plans.given(document, occasion))
    if window is None:
        at_once = _planned(uow, _in_window(document, Window(after, after + duration)), demands, occasion)
        raise shortage.Unexplained(lambda reading: shortage.no_window(reading, at_once, occasion))
    return _in_window(document, window)


def _in_window(document: Document, window: Window) -> Document:
    rest = {key: value for key, value in document.items() if key != "duration"}
    return {**rest, "startTime": written(window.start), "endTime": written(window.end)}


def freed(uow: UnitOfWork, document: Document, allocations: Iterable[Mapping[str, Any]]) -> Document:
    """The reservation without the units of these allocations, which are free for others once this transaction commits."""
    numbers = {number_of(one["identifier"]) for one in allocations}
    uow.allocations.hold(row.item_type for row in uow.allocations.of(document["identifier"]) if row.number in numbers)
    uow.allocations.set_status(numbers, AllocationStatus.CANCELLED)
    return with_allocations(document, cancelled(document, numbers))


def allocated(document: Document) -> list[dict[str, Any]]:
    """The allocations whose units are promised and not out."""
    return [one for one in document["allocations"] if one["status"] == AllocationStatus.ALLOCATED]


def cancelled(document: Document, numbers: Set[int]) -> list[dict[str, Any]]:
    """The allocations of the document, those with these numbers cancelled."""
    status = {"status": str(AllocationStatus.CANCELLED)}
    return [{**one, **status} if number_of(one["identifier"]) in numbers else one for one in document["allocations"]]


# --- written down -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Promise:
    """A claim of a line that has become an allocation with a number."""

    number: int
    line: str
    claim: Claim


def promise(
    uow: UnitOfWork, document: Document, lines: Iterable[LinePlan], blocked: Mapping[str, Window], occasion: Occasion
) -> list[dict[str, Any]]:
    """Write the allocations of the plans, and give them as they stand in the document."""
    claims = [(line.demand.line, claim) for line in lines for claim in line.claims]
    numbers = uow.documents.next_numbers("allocation", len(claims)) if claims else []
    promises = [_Promise(number, *claim) for number, claim in zip(numbers, claims, strict=True)]
    window, components = window_of(document), _components(document)
    uow.allocations.add([_row(document, one, window, blocked[one.claim.item_type]) for one in promises])
    return [_allocation(document, one, components.get(one.line, {}), occasion) for one in promises]


def _row(document: Document, promise: _Promise, window: Window, blocked: Window) -> AllocationRow:
    source = promise.claim.source
    is_asset = supply.kind_of(source) is ASSET
    return AllocationRow(
        number=promise.number,
        rent_action=document["identifier"],
        line=references.fragment(promise.line),
        item_type=promise.claim.item_type,
        asset=source if is_asset else None,
        stock_pool=None if is_asset else source,
        quantity=promise.claim.quantity,
        status=str(AllocationStatus.ALLOCATED),
        allocated_from=window.start,
        allocated_to=window.end,
        blocked_from=blocked.start,
        blocked_to=blocked.end,
    )


def _components(document: Document) -> dict[str, dict[str, Any]]:
    """Line of kits → item type → how it is shown."""
    kits = [line for line in document["lineItems"] if "madeOf" in line]
    return {line["@id"]: {one["itemType"]["identifier"]: one["itemType"] for one in line["madeOf"]} for line in kits}


def _allocation(document: Document, promise: _Promise, components: Mapping[str, Any], occasion: Occasion) -> dict[str, Any]:
    identifier, claim = f"alloc_{promise.number}", promise.claim
    return {
        "@id": f"{document['@id']}#{identifier}",
        "@type": "Allocation",
        "identifier": identifier,
        "forLine": {"@id": promise.line},
        **({"itemType": components[claim.item_type]} if components else {}),
        supply.kind_of(claim.source).name: supply.echo(claim.source, claim.label, occasion),
        "quantity": claim.quantity,
        "status": str(AllocationStatus.ALLOCATED),
        "allocatedFrom": document["startTime"],
        "allocatedTo": document["endTime"],
    }


def with_allocations(document: Document, allocations: Sequence[Mapping[str, Any]]) -> Document:
    """The reservation with these allocations, and with what it has or had of them: in each line, of kits whole ones, and in all."""
    got: Counter[tuple[str, str]] = Counter()
    for one in allocations:
        if one["status"] in GOT:
            got[one["forLine"]["@id"], one.get("itemType", _NO_COMPONENT)["identifier"]] += one["quantity"]
    lines = [{**line, "allocatedQuantity": _whole(line, got)} for line in document["lineItems"]]
    total = sum(line["allocatedQuantity"] for line in lines)
    return {**document, "allocatedQuantity": total, "lineItems": lines, "allocations": list(allocations)}


_NO_COMPONENT = {"identifier": ""}


def _whole(line: Mapping[str, Any], got: Mapping[tuple[str, str], int]) -> int:
    """Never more than the line asks for, which may ask for less by now than has come back."""
    asked: int = line["requestedQuantity"]
    if "madeOf" not in line:
        return min(asked, got[line["@id"], ""])
    return min(asked, *(got[line["@id"], part] // each for part, each in plans.parts_of(line).items()))
