"""
Loading: what was exported is restored under its names, what is new is made as if it had been posted; many at a time.

A resource that is restored keeps its identifier, its state and its times; what follows from it (index, allocations, counters, numbers)
is written anew. It is there once however often it is loaded: one that says the same is left alone, one that says something else is
refused. Nothing is told of it, since it was told when it happened. What is new has its events.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from ld_server import services
from ld_server.domain.commands import Document
from ld_server.domain.errors import Duplicate, Refusal, UnknownReference
from ld_server.domain.window import Turnaround, Window
from ld_server.rdf.representation import in_order, serialized
from ld_server.resources import KINDS
from ld_server.resources.asset import ASSET
from ld_server.resources.item_type import ITEM_TYPE
from ld_server.resources.kind import Kind, instant, is_same
from ld_server.resources.kit_template import KIT_TEMPLATE
from ld_server.resources.rent_action import RENT_ACTION
from ld_server.resources.stock_pool import STOCK_POOL
from ld_server.services import availability, index, references
from ld_server.services.deliveries import occasion_of_worker
from ld_server.services.occasion import Occasion
from ld_server.services.parts import Parts
from relational.allocations import AllocationRow, DoubleBooking
from relational.bulk import BulkUnitOfWork
from relational.documents import Authorship, Head
from relational.index import number_of
from relational.unit_of_work import UnitOfWork

OF_PREFIX: Mapping[str, Kind] = {kind.prefix: kind for kind in KINDS.values()}


IN_BULK = frozenset(kind.name for kind in (ITEM_TYPE, ASSET, STOCK_POOL, KIT_TEMPLATE, RENT_ACTION))
"""Kinds that change nothing else when they are made, so that many can be written together."""


PRINCIPAL = "ld-server load"
"""Who changes things here."""


@dataclass
class Outcome:
    """What became of resources: how many are new here, and how many were there; those that wait for others; and what was refused."""

    added: int = 0
    same: int = 0
    waiting: list[Document] = field(default_factory=list)
    refused: list[tuple[str, Refusal]] = field(default_factory=list)


def occasion_of(parts: Parts) -> Occasion:
    """The circumstances of a load."""
    return replace(occasion_of_worker(parts, parts.now()), principal=PRINCIPAL)


def make(uow: BulkUnitOfWork, kind: Kind, documents: Sequence[Document], occasion: Occasion) -> list[Head | Refusal]:
    """Make new resources of a kind: what came of each, in their order."""
    uow.documents.draw(kind.name, len(documents))
    return [_made(uow, kind, document, occasion) for document in documents]


def make_one(uow: UnitOfWork, kind: Kind, document: Document, occasion: Occasion) -> Head:
    """Make a new resource. Raises refusals."""
    return services.handle(uow, kind.to_create(document), occasion)


def _made(uow: BulkUnitOfWork, kind: Kind, document: Document, occasion: Occasion) -> Head | Refusal:
    try:
        return make_one(uow, kind, document, occasion)
    except Refusal as refusal:
        return refusal


def restore(uow: BulkUnitOfWork, documents: Sequence[Document], occasion: Occasion) -> Outcome:
    """
    Bring resources back under their identifiers. One that refers to what is not there waits; whoever has nothing more to bring
    refuses it (`unresolved`). Raises DoubleBooking where a unit is promised to two.
    """
    outcome = Outcome()
    there = uow.documents.heads(document["identifier"] for document in documents)
    fresh: list[Document] = []
    for document in documents:
        head = there.get(document["identifier"])
        if head is None:
            fresh.append(document)
        elif is_same(_nameless(orjson.loads(head.body)), _nameless(document)):
            outcome.same += 1
        else:
            outcome.refused.append((document["identifier"], _taken(document["identifier"])))
    known = _known(uow, fresh)
    brought = [one for one in _settled(fresh, known, outcome) if _bring(uow, _named(one, known), occasion, outcome)]
    outcome.added = len(brought)
    _follow(uow, brought)
    return outcome


def unresolved(uow: UnitOfWork, document: Document) -> Refusal:
    """The refusal of a resource that refers to what never came."""
    wanted = {one["identifier"] for one in _references(document)}
    missing = sorted(wanted - uow.documents.heads(wanted).keys())
    return UnknownReference(f"It refers to {', '.join(missing)}, which is not there.", identifier=", ".join(missing))


def _taken(identifier: str) -> Refusal:
    return Duplicate(f"{identifier} is there already and says something else.", field="identifier", resource=identifier)


def _known(uow: BulkUnitOfWork, documents: Sequence[Document]) -> dict[str, Document]:
    """Every resource that these refer to and that is there or among them."""
    wanted = {one["identifier"] for document in documents for one in _references(document)}
    there = {identifier: orjson.loads(head.body) for identifier, head in uow.documents.heads(wanted).items()}
    return {**there, **{document["identifier"]: document for document in documents}}


def _settled(documents: Sequence[Document], known: dict[str, Document], outcome: Outcome) -> list[Document]:
    """Those that refer to nothing that is missing. One that must wait is missing to others: they wait with it."""
    left = list(documents)
    while True:
        settled = [one for one in left if all(each["identifier"] in known for each in _references(one))]
        if len(settled) == len(left):
            return settled
        waiting = [one for one in left if one not in settled]
        outcome.waiting += waiting
        for one in waiting:
            del known[one["identifier"]]
        left = settled


def _references(value: Any, is_top: bool = True) -> Iterator[dict[str, Any]]:
    """What refers to another resource, in whatever part of a document."""
    if isinstance(value, list):
        for one in value:
            yield from _references(one, False)
    elif isinstance(value, dict):
        if not is_top and _is_reference(value):
            yield value
        for key, one in value.items():
            if key not in ("metadata", "@context"):
                yield from _references(one, False)


def _is_reference(value: Mapping[str, Any]) -> bool:
    identifier = value.get("identifier")
    prefix, _, number = identifier.partition("_") if isinstance(identifier, str) else ("", "", "")
    return prefix in OF_PREFIX and number.isdecimal() and str(value.get("@id", "")).endswith(f"/{identifier}")


def _nameless(value: Any, is_top: bool = True) -> Any:
    """What a document says, whatever its order: classes sorted, and without the names of what it refers to, which graphs do not have."""
    if isinstance(value, list):
        return [_nameless(one, False) for one in value]
    if not isinstance(value, dict):
        return value
    left_out = {"name"} if not is_top and _is_reference(value) else set()
    said = {key: one if key == "metadata" else _nameless(one, False) for key, one in value.items() if key not in left_out}
    return {**said, "@type": sorted(said["@type"])} if isinstance(said.get("@type"), list) else said


def _named(value: Any, known: Mapping[str, Document], is_top: bool = True) -> Any:
    """And with the names that these have now, as people read them."""
    if isinstance(value, list):
        return [_named(one, known, False) for one in value]
    if not isinstance(value, dict):
        return value
    if not is_top and _is_reference(value):
        return {**references.echo(known[value["identifier"]], OF_PREFIX[value["identifier"].partition("_")[0]])}
    return {key: one if key in ("metadata", "@context") else _named(one, known, False) for key, one in value.items()}


def _bring(uow: BulkUnitOfWork, document: Document, occasion: Occasion, outcome: Outcome) -> bool:
    kind = OF_PREFIX[document["identifier"].partition("_")[0]]
    head = Head(document["identifier"], kind.name, number_of(document["identifier"]), 1, serialized(in_order(document, kind.keys)))
    try:
        index.put(uow, kind, document)
    except Refusal as refusal:
        outcome.refused.append((head.identifier, refusal))
        return False
    uow.documents.add(head, Authorship(occasion.principal, instant(document["updatedAt"]), occasion.correlation_id))
    return True


# --- what follows -----------------------------------------------------------------------------------------------------


def _follow(uow: BulkUnitOfWork, documents: Iterable[Document]) -> None:
    """Write the allocations of restored reservations, and raise the numbers. Raises DoubleBooking."""
    highest: dict[str, int] = {}
    rows: list[AllocationRow] = []
    for document in documents:
        kind = OF_PREFIX[document["identifier"].partition("_")[0]]
        highest[kind.name] = max(highest.get(kind.name, 0), number_of(document["identifier"]))
        rows += _rows(document)
    if rows:
        highest["allocation"] = max(row.number for row in rows)
    uow.flush()
    uow.documents.raise_numbers(highest)
    _promise(uow, rows)


def _rows(document: Document) -> Iterator[AllocationRow]:
    """The allocations of a reservation, as long as they were promised for, without turnaround."""
    items = {line["@id"]: line["object"]["identifier"] for line in document.get("lineItems", [])}
    for one in document.get("allocations", []):
        start, end = instant(one["allocatedFrom"]), instant(one["allocatedTo"])
        yield AllocationRow(
            number=number_of(one["identifier"]),
            rent_action=document["identifier"],
            line=references.fragment(one["forLine"]["@id"]),
            item_type=one["itemType"]["identifier"] if "itemType" in one else items[one["forLine"]["@id"]],
            asset=one["asset"]["identifier"] if "asset" in one else None,
            stock_pool=one["stockPool"]["identifier"] if "stockPool" in one else None,
            quantity=one["quantity"],
            status=one["status"],
            allocated_from=start,
            allocated_to=end,
            blocked_from=start,
            blocked_to=end,
        )


def _promise(uow: BulkUnitOfWork, rows: Sequence[AllocationRow]) -> None:
    """
    Write allocations with the turnaround that their item types have now. Where that has grown since, it would keep units from those
    to whom they are promised: then all are written without it.
    """
    uow.allocations.hold(row.item_type for row in rows)
    known = availability.terms(uow, {row.item_type for row in rows})
    try:
        with uow.savepoint():
            uow.allocations.add([_with_turnaround(row, known[row.item_type].turnaround) for row in rows])
    except DoubleBooking:
        uow.allocations.add(rows)


def _with_turnaround(row: AllocationRow, turnaround: Turnaround) -> AllocationRow:
    blocked = turnaround.around(Window(row.allocated_from, row.allocated_to))
    return replace(row, blocked_from=blocked.start, blocked_to=blocked.end)
