"""Build requests: that more units of an item type be built or bought, because there will be too few. schema.org calls them orders."""

from typing import Any

from ld_server.domain.builds import BuildStatus
from ld_server.domain.commands import ChangeBuildRequest, CreateBuildRequest
from ld_server.domain.scopes import Scope
from ld_server.rdf import vocab
from ld_server.rdf.adoption import Frame, Reference
from ld_server.resources.kind import Document, Filter, Kind, Sort, findable, identifier_of, instant, stamps, text_search, whole
from ld_server.resources.parts import refuse

KEYS = (
    "status", "itemType", "quantity", "neededBy", "reason", "location", "externalSystem", "externalRef", "demandSignal", "triggerEventId",
    "snapshot", "name", "description", "metadata", "submittedAt", "fulfilledAt", "createdBy", "createdAt", "updatedAt",
)  # fmt: skip

FRAME = Frame(
    name="build request",
    prefix="build",
    types=(vocab.ORDER_ACTION, vocab.BUILD_REQUEST),
    shape=vocab.SHAPES + "BuildRequest",
    properties=frozenset(
        (
            vocab.STATUS, vocab.ITEM_TYPE, vocab.QUANTITY, vocab.NEEDED_BY, vocab.REASON, vocab.LOCATION, vocab.EXTERNAL_SYSTEM,
            vocab.EXTERNAL_REF, vocab.DEMAND_SIGNAL, vocab.TRIGGER_EVENT_ID, vocab.METADATA,
        )
    ),
    managed=frozenset(
        (
            vocab.IDENTIFIER, vocab.SNAPSHOT, vocab.SUBMITTED_AT, vocab.FULFILLED_AT, vocab.CREATED_BY, vocab.DATE_CREATED,
            vocab.DATE_MODIFIED,
        )
    ),
    references={
        vocab.ITEM_TYPE: Reference({"itemType": (vocab.PRODUCT,)}),
        vocab.DEMAND_SIGNAL: Reference({"demand": (vocab.DEMAND,)}),
        vocab.SNAPSHOT: Reference({"snap": (vocab.SUPPLY_SNAPSHOT,)}),
    },
    flat={vocab.ITEM_TYPE_ID: vocab.ITEM_TYPE},
)  # fmt: skip

AT_FIRST = (str(BuildStatus.REQUESTED),)
"""What a new build request may be."""


def to_create(document: Document) -> CreateBuildRequest:
    """The command that asks for these units. Raises ShapeViolation for a status that only a later change can give."""
    status = document.get("status", BuildStatus.REQUESTED)
    if status not in AT_FIRST:
        refuse("/status", vocab.STATUS, status, "status of a new build request is requested; the rest it becomes later")
    return CreateBuildRequest(document)


def index_row(document: Document) -> dict[str, Any]:
    """The typed columns of `build_requests`."""
    return {
        "identifier": document["identifier"],
        "status": document["status"],
        "item_type": document["itemType"]["identifier"],
        "quantity": document["quantity"],
        "needed_by": instant(document["neededBy"]) if "neededBy" in document else None,
        "reason": document["reason"],
        "location": document.get("location"),
        "external_system": document.get("externalSystem"),
        "external_ref": document.get("externalRef"),
        "demand_signal": document.get("demandSignal", {}).get("identifier"),
        "trigger_event_id": document.get("triggerEventId"),
        "search_text": findable(document.get("name"), document.get("externalRef")),
        **stamps(document),
    }


BUILD_REQUEST = Kind(
    name="buildRequest",
    prefix="build",
    path="/v1/planning/build-requests",
    subject_type="BuildRequest",
    table="build_requests",
    frame=FRAME,
    to_create=to_create,
    index_row=index_row,
    label=lambda document: str(document.get("name") or document["identifier"]),
    create_scope=Scope.PLANNER,
    keys=KEYS,
    columns=("status", "itemType", "quantity", "neededBy", "reason", "externalRef"),
    filters={
        "status": Filter("status", description="State of the request.", allowed=tuple(BuildStatus)),
        "itemTypeId": Filter("item_type", read=identifier_of("itemType"), description="Requests for this item type."),
        "neededBy": Filter("needed_by", "<=", instant, "Requests for what must be there by this instant or earlier."),
        "reason": Filter("reason", description="Why the units are asked for.", allowed=("shortfall", "buffer", "replacement", "other")),
        "location": Filter("location", description="Exact location."),
        "externalSystem": Filter("external_system", description="The system that the units are ordered from."),
        "externalRef": Filter("external_ref", description="What the order is called there."),
        "q": text_search("name and externalRef"),
    },
    sorts={
        "neededBy": Sort("needed_by", instant),
        "status": Sort("status"),
        "quantity": Sort("quantity", whole),
        "createdAt": Sort("created_at", instant),
        "updatedAt": Sort("updated_at", instant),
    },
    to_change=ChangeBuildRequest,
    at_first={"status": AT_FIRST},
)
