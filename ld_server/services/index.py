"""Index rows are derived from documents: written with each document, and written anew from all of them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson

from ld_server.domain.commands import Document
from ld_server.resources import KINDS
from ld_server.resources.kind import Kind
from ld_server.services import references
from relational.unit_of_work import Ledger, UnitOfWork


def put(uow: UnitOfWork, kind: Kind, document: Document, before: Mapping[str, Any] | None = None) -> None:
    """
    Write the index rows of a document. `before` is the document as it is indexed now; parts that stayed the same are left alone.

    Raises Duplicate when another resource has the code or the tag.
    """
    uow.index.put(kind.table, kind.index_row(document))
    for key, write in _PARTS.items():
        parts = document.get(key, [])
        if parts != (before or {}).get(key, []):
            write(uow, document["identifier"], parts)


def _put_lines(uow: UnitOfWork, identifier: str, lines: Sequence[Mapping[str, Any]]) -> None:
    uow.index.put_lines(identifier, [_line_row(line) for line in lines])


def _put_components(uow: UnitOfWork, identifier: str, components: Sequence[Mapping[str, Any]]) -> None:
    uow.index.put_components(identifier, [_component_row(component) for component in components])


_PARTS: Mapping[str, Callable[[UnitOfWork, str, Sequence[Mapping[str, Any]]], None]] = {
    "lineItems": _put_lines,
    "kitComponents": _put_components,
}
"""Key of a document whose values have rows of their own → what writes them."""


def _line_row(line: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "line": references.fragment(line["@id"]),
        "item_kind": "item_type",
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
