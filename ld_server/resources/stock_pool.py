"""Stock pools: how many units of an item type there are, where nobody tells them apart. schema.org calls them some products."""

from typing import Any

from ld_server.domain.commands import CreateStockPool
from ld_server.domain.scopes import Scope
from ld_server.rdf import vocab
from ld_server.rdf.adoption import Frame, Reference
from ld_server.resources.kind import Document, Filter, Kind, Sort, boolean, findable, identifier_of, instant, stamps, text_search, whole

KEYS = ("isVariantOf", "quantityTotal", "name", "description", "location", "isActive", "metadata", "createdAt", "updatedAt")

FRAME = Frame(
    name="stock pool",
    prefix="pool",
    types=(vocab.SOME_PRODUCTS,),
    shape=vocab.SHAPES + "StockPool",
    properties=frozenset((vocab.IS_VARIANT_OF, vocab.QUANTITY_TOTAL, vocab.LOCATION, vocab.IS_ACTIVE, vocab.METADATA)),
    managed=frozenset((vocab.IDENTIFIER, vocab.DATE_CREATED, vocab.DATE_MODIFIED)),
    references={vocab.IS_VARIANT_OF: Reference({"itemType": (vocab.PRODUCT,)})},
    flat={vocab.ITEM_TYPE_ID: vocab.IS_VARIANT_OF},
)


def index_row(document: Document) -> dict[str, Any]:
    """The typed columns of `stock_pools`."""
    return {
        "identifier": document["identifier"],
        "item_type": document["isVariantOf"]["identifier"],
        "name": document.get("name"),
        "location": document.get("location"),
        "quantity_total": document["quantityTotal"],
        "is_active": document["isActive"],
        "search_text": findable(document.get("name"), document.get("location")),
        **stamps(document),
    }


def label(document: Document) -> str:
    """What people call the pool: its name, the place where it is, or at last its identifier."""
    return str(document.get("name") or document.get("location") or document["identifier"])


STOCK_POOL = Kind(
    name="stockPool",
    prefix="pool",
    path="/v1/catalog/stock-pools",
    subject_type="SomeProducts",
    table="stock_pools",
    frame=FRAME,
    to_create=CreateStockPool,
    index_row=index_row,
    label=label,
    create_scope=Scope.CATALOG_ADMIN,
    keys=KEYS,
    columns=("isVariantOf", "quantityTotal", "location", "isActive"),
    filters={
        "itemTypeId": Filter("item_type", read=identifier_of("itemType"), description="Pools of this item type."),
        "location": Filter("location", description="Exact location."),
        "isActive": Filter("is_active", read=boolean, description="Whether units are promised from it."),
        "q": text_search("name and location"),
    },
    sorts={
        "name": Sort("name"),
        "location": Sort("location"),
        "quantityTotal": Sort("quantity_total", whole),
        "createdAt": Sort("created_at", instant),
        "updatedAt": Sort("updated_at", instant),
    },
)
