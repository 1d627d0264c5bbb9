"""Item types: what can be reserved. schema.org calls them products."""

from typing import Any

from ld_server.domain.commands import CreateItemType
from ld_server.domain.duration import seconds
from ld_server.domain.scopes import Scope
from ld_server.rdf import vocab
from ld_server.rdf.adoption import Frame
from ld_server.resources.kind import Document, Filter, Kind, Sort, boolean, findable, instant, stamps, text_search

KEYS = (
    "code", "name", "description", "kind", "isActive", "capacityRule", "turnaroundBefore", "turnaroundAfter", "leadTime",
    "bufferQuantity", "metadata", "createdAt", "updatedAt",
)  # fmt: skip

FRAME = Frame(
    name="item type",
    prefix="itemType",
    types=(vocab.PRODUCT,),
    shape=vocab.SHAPES + "ItemType",
    properties=frozenset(
        (
            vocab.SKU, vocab.NAME, vocab.KIND, vocab.IS_ACTIVE, vocab.CAPACITY_RULE, vocab.TURNAROUND_BEFORE, vocab.TURNAROUND_AFTER,
            vocab.LEAD_TIME, vocab.BUFFER_QUANTITY, vocab.METADATA,
        )
    ),
    managed=frozenset((vocab.IDENTIFIER, vocab.DATE_CREATED, vocab.DATE_MODIFIED)),
)  # fmt: skip


def index_row(document: Document) -> dict[str, Any]:
    """The typed columns of `item_types`."""
    return {
        "identifier": document["identifier"],
        "code": document["code"],
        "name": document["name"],
        "kind": document["kind"],
        "is_active": document["isActive"],
        "capacity_rule": document.get("capacityRule"),
        "turnaround_before_seconds": seconds(document.get("turnaroundBefore", "PT0S")),
        "turnaround_after_seconds": seconds(document.get("turnaroundAfter", "PT0S")),
        "buffer_quantity": document.get("bufferQuantity", 0),
        "search_text": findable(document["code"], document["name"]),
        **stamps(document),
    }


ITEM_TYPE = Kind(
    name="itemType",
    prefix="itemType",
    path="/v1/catalog/item-types",
    subject_type="Product",
    table="item_types",
    frame=FRAME,
    to_create=CreateItemType,
    index_row=index_row,
    label=lambda document: str(document["name"]),
    create_scope=Scope.CATALOG_ADMIN,
    keys=KEYS,
    columns=("code", "kind", "isActive", "turnaroundBefore", "turnaroundAfter"),
    filters={
        "code": Filter("code", description="Exact code."),
        "kind": Filter("kind", description="Kind of item.", allowed=("serialized", "fungible", "kit")),
        "isActive": Filter("is_active", read=boolean, description="Whether it can be reserved."),
        "q": text_search("code and name"),
    },
    sorts={
        "code": Sort("code"),
        "name": Sort("name"),
        "kind": Sort("kind"),
        "createdAt": Sort("created_at", instant),
        "updatedAt": Sort("updated_at", instant),
    },
)
