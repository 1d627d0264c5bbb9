"""Assets: the serialized units of an item type. schema.org calls them individual products."""

from typing import Any

from ld_server.domain.commands import CreateAsset
from ld_server.domain.scopes import Scope
from ld_server.rdf import vocab
from ld_server.rdf.adoption import Draft, Frame, Reference
from ld_server.resources.kind import Document, Filter, Kind, Sort, findable, identifier_of, instant, stamps, text_search
from ld_server.resources.parts import name_parts

KEYS = (
    "isVariantOf", "assetTag", "serialNumber", "name", "description", "status", "location", "assignedTo",
    "meshNodeId", "wireguardHostname", "unavailable", "metadata", "createdAt", "updatedAt",
)  # fmt: skip


def arrange(draft: Draft) -> None:
    """Gives the times in which the unit cannot be had their names: `#unavailability-1`, `#unavailability-2`, …"""
    name_parts(draft, vocab.UNAVAILABLE, "unavailability", vocab.UNAVAILABILITY, "unavailable")


FRAME = Frame(
    name="asset",
    prefix="asset",
    types=(vocab.INDIVIDUAL_PRODUCT,),
    shape=vocab.SHAPES + "Asset",
    properties=frozenset(
        (
            vocab.IS_VARIANT_OF, vocab.ASSET_TAG, vocab.SERIAL_NUMBER, vocab.STATUS, vocab.LOCATION, vocab.ASSIGNED_TO,
            vocab.MESH_NODE_ID, vocab.WIREGUARD_HOSTNAME, vocab.UNAVAILABLE, vocab.METADATA,
        )
    ),
    managed=frozenset((vocab.IDENTIFIER, vocab.DATE_CREATED, vocab.DATE_MODIFIED)),
    parts={vocab.UNAVAILABLE: frozenset((vocab.START_TIME, vocab.END_TIME, vocab.REASON))},
    references={vocab.IS_VARIANT_OF: Reference({"itemType": (vocab.PRODUCT,)})},
    flat={vocab.ITEM_TYPE_ID: vocab.IS_VARIANT_OF},
    arrange=arrange,
)  # fmt: skip


def index_row(document: Document) -> dict[str, Any]:
    """The typed columns of `assets`."""
    return {
        "identifier": document["identifier"],
        "item_type": document["isVariantOf"]["identifier"],
        "asset_tag": document.get("assetTag"),
        "serial_number": document.get("serialNumber"),
        "status": document["status"],
        "location": document.get("location"),
        "assigned_to": document.get("assignedTo"),
        "mesh_node_id": document.get("meshNodeId"),
        "wireguard_hostname": document.get("wireguardHostname"),
        "search_text": findable(document.get("assetTag"), document.get("serialNumber"), document.get("name")),
        **stamps(document),
    }


def label(document: Document) -> str:
    """What people call the unit: its tag, its serial number, or at last its identifier."""
    return str(document.get("assetTag") or document.get("serialNumber") or document["identifier"])


ASSET = Kind(
    name="asset",
    prefix="asset",
    path="/v1/catalog/assets",
    subject_type="IndividualProduct",
    table="assets",
    frame=FRAME,
    to_create=CreateAsset,
    index_row=index_row,
    label=label,
    create_scope=Scope.CATALOG_ADMIN,
    keys=KEYS,
    columns=("isVariantOf", "status", "location", "serialNumber", "assignedTo"),
    filters={
        "itemTypeId": Filter("item_type", read=identifier_of("itemType"), description="Units of this item type."),
        "status": Filter("status", description="State of the unit.", allowed=("available", "maintenance", "hold", "retired", "lost")),
        "location": Filter("location", description="Exact location."),
        "assetTag": Filter("asset_tag", description="Exact asset tag."),
        "serialNumber": Filter("serial_number", description="Exact serial number."),
        "q": text_search("assetTag, serialNumber and name"),
    },
    sorts={
        "assetTag": Sort("asset_tag"),
        "serialNumber": Sort("serial_number"),
        "status": Sort("status"),
        "location": Sort("location"),
        "createdAt": Sort("created_at", instant),
        "updatedAt": Sort("updated_at", instant),
    },
)
