"""Index rows are derived from documents: written with each document, and written anew from all of them."""

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from ld_server.domain.commands import Document
from ld_server.resources import KINDS
from ld_server.resources.kind import Kind, instant
from ld_server.services import plans, references
from relational.unit_of_work import Ledger, UnitOfWork


def put(uow: UnitOfWork, kind: Kind, document: Document, before: Mapping[str, Any] | None = None) -> None:
    """
    Write the index rows of a document. `before` is the document as it is indexed now; parts that stayed the same are left alone.

    Raises Duplicate when another resource has the code or the tag.
    """
    uow.index.put(kind.table, kind.index_row(document))
    for key, write in _PARTS.items():
        if _rows_of(key, document) != _rows_of(key, before or {}):
            write(uow, document)


def _rows_of(key: str, document: Mapping[str, Any]) -> tuple[Any, ...]:
    """What the rows of these parts are derived from."""
    return (document.get(key, []), *(document.get(other) for other in _BESIDES.get(key, ()) if document.get(key)))


def _put_lines(uow: UnitOfWork, document: Document) -> None:
    uow.index.put_lines(document["identifier"], [_line_row(line) for line in document.get("lineItems", [])])


def _put_components(uow: UnitOfWork, document: Document) -> None:
    uow.index.put_components(document["identifier"], [_component_row(one) for one in document.get("kitComponents", [])])


def _put_unavailabilities(uow: UnitOfWork, document: Document) -> None:
    periods = [_unavailability_row(document, one) for one in document.get("unavailable", [])]
    uow.index.put_unavailabilities(document["identifier"], periods)


def _put_plan(uow: UnitOfWork, document: Document) -> None:
    """Planned work keeps its unit from everybody while it lasts."""
    head = uow.documents.head(document["object"]["identifier"])
    item_type = orjson.loads(head.body)["isVariantOf"]["identifier"] if head else None
    row = {
        "part": "plan",
        "asset": document["object"]["identifier"],
        "item_type": item_type,
        "unavailable_from": instant(document["plannedStart"]),
        "unavailable_to": instant(document["plannedEnd"]),
        "reason": document["summary"],
    }
    uow.index.put_unavailabilities(document["identifier"], [row])


def _withdraw_plan(uow: UnitOfWork, document: Document) -> None:
    """What is corrected was not planned; the entries are written in the order of their numbers, also when all are written anew."""
    uow.index.put_unavailabilities(document["corrects"]["identifier"], [])


_PARTS: Mapping[str, Callable[[UnitOfWork, Document], None]] = {
    "lineItems": _put_lines,
    "kitComponents": _put_components,
    "unavailable": _put_unavailabilities,
    "plannedStart": _put_plan,
    "corrects": _withdraw_plan,
}
"""Key of a document whose values have rows of their own → what writes them."""

_BESIDES: Mapping[str, tuple[str, ...]] = {"unavailable": ("isVariantOf",)}
"""The same key → what else of the document is in these rows."""


def _line_row(line: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "line": references.fragment(line["@id"]),
        "item_kind": "kit_template" if plans.is_kit(line["object"]) else "item_type",
        "item": line["object"]["identifier"],
        "requested_quantity": line["requestedQuantity"],
        "allocated_quantity": line["allocatedQuantity"],
    }


def _component_row(component: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "component": references.fragment(component["@id"]),
        "item": component["itemType"]["identifier"],
        "quantity_per_kit": component["quantityPerKit"],
    }


def _unavailability_row(asset: Document, period: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "part": references.fragment(period["@id"]),
        "asset": asset["identifier"],
        "item_type": asset["isVariantOf"]["identifier"],
        "unavailable_from": instant(period["startTime"]),
        "unavailable_to": instant(period["endTime"]) if "endTime" in period else None,
        "reason": period.get("reason"),
    }


def rebuild(ledger: Ledger) -> int:
    """Derive every index row from its document again, in one transaction. Gives the number of documents."""
    with ledger.write() as uow:
        uow.index.clear()
        return sum(_put_all(uow, kind) for kind in KINDS.values())


def _put_all(uow: UnitOfWork, kind: Kind) -> int:
    count = 0
    for head in uow.documents.each(kind.name):
        put(uow, kind, orjson.loads(head.body))
        count += 1
    return count
