"""
Kit templates: what a kit is put together from. schema.org knows them as products; that they are templates is ours to say.

However it was posted, a kit template has components (`#component-1`, `#component-2`, …), each of another item type or kit.
"""

from collections.abc import Iterator
from typing import Any

from pyoxigraph import NamedNode

from ld_server.domain.commands import CreateKitTemplate
from ld_server.domain.scopes import Scope
from ld_server.rdf import vocab
from ld_server.rdf.adoption import Draft, Frame, Reference, Term
from ld_server.resources.kind import Document, Filter, Kind, Sort, boolean, findable, identifier_of, instant, stamps, text_search
from ld_server.resources.parts import name_parts, refuse

KEYS = ("code", "name", "description", "kitComponents", "isActive", "metadata", "createdAt", "updatedAt")

COMPONENT_PROPERTIES = frozenset((vocab.ITEM_TYPE, vocab.QUANTITY_PER_KIT))


def arrange(draft: Draft) -> None:
    """Gives the components their names. Raises ShapeViolation when two are of the same item type or kit."""
    components = name_parts(draft, vocab.KIT_COMPONENTS, "component", vocab.KIT_COMPONENT, "kitComponents")
    first: dict[Term, int] = {}
    for position, item in _items(draft, components):
        if first.setdefault(item, position) != position:
            _refuse_repeated(position, first[item], item)


def _items(draft: Draft, components: list[NamedNode]) -> Iterator[tuple[int, Term]]:
    for position, component in enumerate(components):
        for item in set(draft.values(component, vocab.ITEM_TYPE)):
            yield position, item


def _refuse_repeated(position: int, first: int, item: Term) -> None:
    identifier = item.value.rpartition("/")[2] if isinstance(item, NamedNode) else str(item)
    message = f"itemType {identifier} stands in kitComponents/{first} already; add up the quantities there"
    refuse(f"/kitComponents/{position}/itemType", vocab.ITEM_TYPE, identifier, message)


FRAME = Frame(
    name="kit template",
    prefix="kit",
    types=(vocab.PRODUCT, vocab.KIT_TEMPLATE),
    shape=vocab.SHAPES + "KitTemplate",
    properties=frozenset((vocab.SKU, vocab.NAME, vocab.KIT_COMPONENTS, vocab.IS_ACTIVE, vocab.METADATA)),
    managed=frozenset((vocab.IDENTIFIER, vocab.DATE_CREATED, vocab.DATE_MODIFIED)),
    parts={vocab.KIT_COMPONENTS: COMPONENT_PROPERTIES},
    references={vocab.ITEM_TYPE: Reference({"itemType": (vocab.PRODUCT,), "kit": (vocab.PRODUCT, vocab.KIT_TEMPLATE)})},
    flat={vocab.ITEM_TYPE_ID: vocab.ITEM_TYPE, vocab.KIT_TEMPLATE_ID: vocab.ITEM_TYPE},
    arrange=arrange,
)


def index_row(document: Document) -> dict[str, Any]:
    """The typed columns of `kit_templates`."""
    return {
        "identifier": document["identifier"],
        "code": document["code"],
        "name": document["name"],
        "is_active": document["isActive"],
        "search_text": findable(document["code"], document["name"]),
        **stamps(document),
    }


KIT_TEMPLATE = Kind(
    name="kitTemplate",
    prefix="kit",
    path="/v1/catalog/kit-templates",
    subject_type="KitTemplate",
    table="kit_templates",
    frame=FRAME,
    to_create=CreateKitTemplate,
    index_row=index_row,
    label=lambda document: str(document["name"]),
    create_scope=Scope.CATALOG_ADMIN,
    keys=KEYS,
    columns=("code", "kitComponents", "isActive"),
    filters={
        "code": Filter("code", description="Exact code."),
        "isActive": Filter("is_active", read=boolean, description="Whether it can be reserved."),
        "itemTypeId": Filter("identifier", "has a component of", identifier_of("itemType"), "Kits to which this item type belongs."),
        "q": text_search("code and name"),
    },
    sorts={
        "code": Sort("code"),
        "name": Sort("name"),
        "createdAt": Sort("created_at", instant),
        "updatedAt": Sort("updated_at", instant),
    },
)
