"""Supply snapshots: what planning runs saw, so that everybody can ask afterwards why something was built. Only the server makes them."""

from typing import Any, NoReturn

from ld_server.domain.scopes import Scope
from ld_server.rdf import vocab
from ld_server.rdf.adoption import Frame, Reference
from ld_server.resources.kind import Document, Filter, Kind, Sort, findable, identifier_of, instant, stamps

KEYS = (
    "asOfTime", "startTime", "endTime", "itemType", "location", "totalCapacity", "reservedCapacity", "availableCapacity",
    "shortfallQuantity", "openBuildQuantity", "shortfalls", "proposals", "createdBy", "createdAt", "updatedAt",
)  # fmt: skip


def index_row(document: Document) -> dict[str, Any]:
    """The typed columns of `supply_snapshots`."""
    return {
        "identifier": document["identifier"],
        "as_of_time": instant(document["asOfTime"]),
        "start_time": instant(document["startTime"]),
        "end_time": instant(document["endTime"]),
        "item_type": document["itemType"]["identifier"],
        "location": document.get("location"),
        "total_capacity": document["totalCapacity"],
        "reserved_capacity": document["reservedCapacity"],
        "available_capacity": document["availableCapacity"],
        "shortfall_quantity": document["shortfallQuantity"],
        "search_text": findable(document["itemType"].get("name"), document.get("location")),
        **stamps(document),
    }


def _never(_document: Document) -> NoReturn:
    raise ValueError("supply snapshots are not posted")


SUPPLY_SNAPSHOT = Kind(
    name="supplySnapshot",
    prefix="snap",
    path="/v1/planning/snapshots",
    subject_type="SupplySnapshot",
    table="supply_snapshots",
    frame=Frame(
        name="supply snapshot",
        prefix="snap",
        types=(vocab.SUPPLY_SNAPSHOT,),
        shape=vocab.SHAPES + "SupplySnapshot",
        properties=frozenset(),
        managed=frozenset(
            (
                vocab.IDENTIFIER, vocab.AS_OF_TIME, vocab.START_TIME, vocab.END_TIME, vocab.ITEM_TYPE, vocab.LOCATION,
                vocab.TOTAL_CAPACITY, vocab.RESERVED_CAPACITY, vocab.AVAILABLE_CAPACITY, vocab.SHORTFALL_QUANTITY,
                vocab.OPEN_BUILD_QUANTITY, vocab.SHORTFALLS, vocab.PROPOSALS, vocab.CREATED_BY, vocab.DATE_CREATED, vocab.DATE_MODIFIED,
            )
        ),
        references={vocab.ITEM_TYPE: Reference({"itemType": (vocab.PRODUCT,)})},
    ),
    to_create=_never,
    index_row=index_row,
    label=lambda document: str(document["identifier"]),
    create_scope=Scope.PLANNER,
    keys=KEYS,
    columns=("asOfTime", "itemType", "location", "totalCapacity", "reservedCapacity", "shortfallQuantity"),
    filters={
        "startFrom": Filter("start_time", ">=", instant, "Snapshots of a time that starts at this instant or later."),
        "endUntil": Filter("end_time", "<=", instant, "Snapshots of a time that ends at this instant or earlier."),
        "asOfFrom": Filter("as_of_time", ">=", instant, "Snapshots that were made at this instant or later."),
        "itemTypeId": Filter("item_type", read=identifier_of("itemType"), description="Snapshots of this item type."),
        "location": Filter("location", description="Snapshots of this location."),
    },
    sorts={"asOfTime": Sort("as_of_time", instant), "createdAt": Sort("created_at", instant)},
    is_posted=False,
    is_patched=False,
)  # fmt: skip
