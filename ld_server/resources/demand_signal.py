"""Demand signals: how many units of an item type, or kits, somebody expects to need, and when. schema.org calls them demands."""

from typing import Any

from ld_server.domain.commands import ChangeDemandSignal, CreateDemandSignal
from ld_server.domain.scopes import Scope
from ld_server.domain.status import Priority
from ld_server.rdf import vocab
from ld_server.rdf.adoption import Frame, Reference
from ld_server.resources.kind import Document, Filter, Kind, Sort, findable, identifier_of, instant, stamps, text_search, whole
from ld_server.resources.parts import refuse

KEYS = (
    "source", "sourceRef", "status", "itemType", "quantityRequired", "startTime", "endTime", "location", "priority", "name", "description",
    "metadata", "supersedes", "createdBy", "createdAt", "updatedAt",
)  # fmt: skip

FRAME = Frame(
    name="demand signal",
    prefix="demand",
    types=(vocab.DEMAND,),
    shape=vocab.SHAPES + "DemandSignal",
    properties=frozenset(
        (
            vocab.SOURCE, vocab.SOURCE_REF, vocab.STATUS, vocab.ITEM_TYPE, vocab.QUANTITY_REQUIRED, vocab.START_TIME, vocab.END_TIME,
            vocab.LOCATION, vocab.PRIORITY, vocab.METADATA,
        )
    ),
    managed=frozenset((vocab.IDENTIFIER, vocab.SUPERSEDES, vocab.CREATED_BY, vocab.DATE_CREATED, vocab.DATE_MODIFIED)),
    references={
        vocab.ITEM_TYPE: Reference({"itemType": (vocab.PRODUCT,), "kit": (vocab.PRODUCT, vocab.KIT_TEMPLATE)}),
        vocab.SUPERSEDES: Reference({"demand": (vocab.DEMAND,)}),
    },
    flat={vocab.ITEM_TYPE_ID: vocab.ITEM_TYPE, vocab.KIT_TEMPLATE_ID: vocab.ITEM_TYPE},
)  # fmt: skip

AT_FIRST = ("active",)
"""What a new demand signal may be."""


def to_create(document: Document) -> CreateDemandSignal:
    """The command that takes this demand in. Raises ShapeViolation for one that is over before it begins to count."""
    status = document.get("status", "active")
    if status not in AT_FIRST:
        refuse("/status", vocab.STATUS, status, "status of a new demand signal is active; the rest it becomes later")
    return CreateDemandSignal(document)


def index_row(document: Document) -> dict[str, Any]:
    """The typed columns of `demand_signals`."""
    return {
        "identifier": document["identifier"],
        "source": document["source"],
        "source_ref": document.get("sourceRef"),
        "status": document["status"],
        "item": document["itemType"]["identifier"],
        "quantity_required": document["quantityRequired"],
        "start_time": instant(document["startTime"]),
        "end_time": instant(document["endTime"]),
        "location": document.get("location"),
        "priority": document["priority"],
        "search_text": findable(document.get("name"), document["source"], document.get("sourceRef")),
        **stamps(document),
    }


def label(document: Document) -> str:
    """What people call it: its name, what its source calls it, or at last its identifier."""
    return str(document.get("name") or document.get("sourceRef") or document["identifier"])


DEMAND_SIGNAL = Kind(
    name="demandSignal",
    prefix="demand",
    path="/v1/planning/demand-signals",
    subject_type="Demand",
    table="demand_signals",
    frame=FRAME,
    to_create=to_create,
    index_row=index_row,
    label=label,
    create_scope=Scope.PLANNER,
    keys=KEYS,
    columns=("source", "sourceRef", "status", "itemType", "quantityRequired", "startTime", "endTime"),
    filters={
        "startFrom": Filter("start_time", ">=", instant, "Demand that starts at this instant or later."),
        "endUntil": Filter("end_time", "<=", instant, "Demand that ends at this instant or earlier."),
        "itemTypeId": Filter("item", read=identifier_of("itemType"), description="Demand for this item type itself."),
        "kitTemplateId": Filter("item", read=identifier_of("kit"), description="Demand for this kit."),
        "source": Filter("source", description="The system that tells of the demand."),
        "sourceRef": Filter("source_ref", description="What the demand is called there."),
        "status": Filter("status", description="State of the signal.", allowed=("active", "superseded", "cancelled")),
        "location": Filter("location", description="Exact location."),
        "priority": Filter("priority", description="Priority.", allowed=tuple(Priority)),
        "q": text_search("name, source and sourceRef"),
    },
    sorts={
        "startTime": Sort("start_time", instant),
        "endTime": Sort("end_time", instant),
        "quantityRequired": Sort("quantity_required", whole),
        "createdAt": Sort("created_at", instant),
        "updatedAt": Sort("updated_at", instant),
    },
    to_change=ChangeDemandSignal,
    at_first={"status": AT_FIRST},
)
