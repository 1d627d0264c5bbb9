"""
Reservations: who wants how many of what, from when until when. schema.org calls them rent actions.

However it was posted, a reservation has lines (`#line-1`, `#line-2`, …) and one agent; `object` and `requestedQuantity`
at the top are what the lines amount to. It has a window, or (until it is approved) the duration of one that is to be found as soon
as possible.
"""

from typing import Any

from pyoxigraph import BlankNode, Literal, NamedNode

from ld_server.domain.commands import ChangeReservation, CreateReservation
from ld_server.domain.duration import seconds
from ld_server.domain.scopes import Scope
from ld_server.domain.status import Status
from ld_server.rdf import vocab
from ld_server.rdf.adoption import Draft, Frame, Reference, Term
from ld_server.resources.kind import Document, Filter, Kind, Sort, boolean, findable, identifier_of, instant, stamps, text_search
from ld_server.resources.lines import arrange_lines
from ld_server.resources.parts import iri, name_parts, part, refuse

KEYS = (
    "status", "actionStatus", "startTime", "endTime", "duration", "isAsap", "location", "priority", "agent", "object",
    "requestedQuantity", "allocatedQuantity", "lineItems", "allocations", "description", "purpose", "externalSource", "externalRef",
    "metadata", "reason", "createdBy", "approvedBy", "approvedAt", "rejectedAt", "cancelledAt", "createdAt", "updatedAt",
)  # fmt: skip

LONGEST_RESERVATION = 3660 * 86_400
"""Seconds: about ten years."""

LINE_PROPERTIES = frozenset((vocab.OBJECT, vocab.REQUESTED_QUANTITY, vocab.ALLOCATED_QUANTITY, vocab.NOTES, vocab.METADATA))


PROMISED = (vocab.ALLOCATED_QUANTITY, vocab.MADE_OF)
"""What the server alone says of a line."""


def arrange(draft: Draft) -> None:
    """
    Gives the agent and the lines their names, and makes a line of `object` and `requestedQuantity` where there is none.

    Raises ShapeViolation for lines that contradict what stands at the top, and for a duration that cannot be meant.
    """
    _refuse_duration(draft)
    _arrange_agent(draft)
    if not draft.values(draft.root, vocab.LINE_ITEMS):
        _make_single_line(draft)
    else:
        _refuse_contradiction(draft)
        draft.remove(draft.root, vocab.OBJECT)
        draft.remove(draft.root, vocab.REQUESTED_QUANTITY)
        _name_lines(draft)


def _refuse_duration(draft: Draft) -> None:
    """A duration stands in place of the end, and only where the server is to choose the time."""
    for length in draft.values(draft.root, vocab.LENGTH):
        if isinstance(length, Literal) and not _lasts(length.value):
            refuse("/duration", vocab.LENGTH, length.value, "duration must be longer than nothing and at most ten years")
        if [one.value for one in draft.values(draft.root, vocab.IS_ASAP) if isinstance(one, Literal)] != ["true"]:
            refuse("/duration", vocab.LENGTH, None, "duration is for what begins as soon as possible; give endTime, or set isAsap to true")


def _lasts(text: str) -> bool:
    """Whether a text is the length of a reservation. What is no duration at all is for the shapes to refuse."""
    try:
        return 0 < seconds(text) <= LONGEST_RESERVATION
    except ValueError:
        return True


def _arrange_agent(draft: Draft) -> None:
    own = part(draft, "agent")
    draft.pointers[own.value] = "/agent"
    for triple in draft.of(draft.root):
        if triple.predicate.value == vocab.AGENT:
            _arrange_one_agent(draft, triple.object, own)


def _arrange_one_agent(draft: Draft, agent: Term, own: NamedNode) -> None:
    if isinstance(agent, Literal):
        draft.remove(draft.root, vocab.AGENT)
        draft.say(draft.root, vocab.AGENT, own)
        draft.say(own, vocab.IDENTIFIER, agent)
    elif len(draft.values(draft.root, vocab.AGENT)) == 1 and _is_own(draft, agent):
        draft.rename({agent: own})
    elif _bare_name(draft, agent):
        draft.rename({agent: own})
        draft.say(own, vocab.IDENTIFIER, Literal(_bare_name(draft, agent)))
    if draft.of(own) and not draft.values(own, vocab.TYPE):
        draft.say(own, vocab.TYPE, NamedNode(vocab.PERSON))


def _is_own(draft: Draft, node: Term) -> bool:
    """A blank node, or a fragment of the reservation: a node that has no name of its own in the world."""
    return isinstance(node, BlankNode) or (isinstance(node, NamedNode) and node.value.startswith(iri(draft) + "#"))


def _bare_name(draft: Draft, agent: Term) -> str:
    """What was written as a relative IRI, `{"@id": "alice"}`, and has become one of our collection's; empty when it was not."""
    collection = iri(draft).rpartition("/")[0] + "/"
    is_relative = isinstance(agent, NamedNode) and agent.value.startswith(collection) and not draft.of(agent)
    return agent.value.removeprefix(collection) if is_relative and isinstance(agent, NamedNode) else ""


def _make_single_line(draft: Draft) -> None:
    objects, quantities = draft.values(draft.root, vocab.OBJECT), draft.values(draft.root, vocab.REQUESTED_QUANTITY)
    if not objects and not quantities:
        return
    if len(objects) > 1:
        refuse("/object", vocab.OBJECT, None, "several objects need lineItems, each with its own requestedQuantity")
    line = part(draft, "line-1")
    draft.say(draft.root, vocab.LINE_ITEMS, line)
    draft.say(line, vocab.TYPE, NamedNode(vocab.LINE_ITEM))
    for predicate in (vocab.OBJECT, vocab.REQUESTED_QUANTITY):
        for value in draft.remove(draft.root, predicate):
            draft.say(line, predicate, value)
    draft.pointers[line.value] = ""


def _refuse_contradiction(draft: Draft) -> None:
    """`object` and `requestedQuantity` beside lines may only repeat what the lines say."""
    lines = draft.values(draft.root, vocab.LINE_ITEMS)
    objects = set(draft.values(draft.root, vocab.OBJECT))
    if objects and objects != {value for line in lines for value in draft.values(line, vocab.OBJECT)}:
        refuse("/object", vocab.OBJECT, None, "object and lineItems name different things; leave out object")
    total = draft.values(draft.root, vocab.REQUESTED_QUANTITY)
    quantities = [value for line in lines for value in draft.values(line, vocab.REQUESTED_QUANTITY)]
    if total and (len(total) > 1 or _whole(total[0]) != sum(map(_whole, quantities))):
        refuse("/requestedQuantity", vocab.REQUESTED_QUANTITY, None, "requestedQuantity is not the sum of the lineItems; leave it out")


def _whole(value: Term) -> int:
    return int(value.value) if isinstance(value, Literal) and value.value.lstrip("+-").isdecimal() else 0


def _name_lines(draft: Draft) -> None:
    for line in name_parts(draft, vocab.LINE_ITEMS, "line", vocab.LINE_ITEM, "lineItems"):
        for predicate in PROMISED:
            draft.remove(line, predicate)
    draft.keep(draft.reachable())


AT_FIRST = ("draft", "pending")
"""What a new reservation may be; the rest is reached by its steps."""


def to_create(document: Document) -> CreateReservation:
    """The command that makes this reservation. Raises ShapeViolation for a status that only a step can give."""
    status = document.get("status", "pending")
    if status not in AT_FIRST:
        refuse("/status", vocab.STATUS, status, "status of a new reservation is draft or pending; the rest is reached by its steps")
    return CreateReservation(document)


def requester(document: Document) -> str:
    """The seed's requester_ref: the agent's identifier, else its IRI."""
    agent = document["agent"]
    return str(agent.get("identifier") or agent["@id"])


def index_row(document: Document) -> dict[str, Any]:
    """The typed columns of `rent_actions`."""
    agent = document["agent"]
    return {
        "identifier": document["identifier"],
        "status": document["status"],
        "priority": document["priority"],
        "requester": requester(document),
        "start_time": instant(document["startTime"]) if "startTime" in document else None,
        "end_time": instant(document["endTime"]) if "endTime" in document else None,
        "duration_seconds": seconds(document["duration"]) if "duration" in document else None,
        "location": document.get("location"),
        "is_asap": document["isAsap"],
        "external_source": document.get("externalSource"),
        "external_ref": document.get("externalRef"),
        "created_by": document.get("createdBy"),
        "approved_by": document.get("approvedBy"),
        "search_text": findable(document.get("description"), requester(document), agent.get("name"), document.get("externalRef")),
        **stamps(document),
    }


_ITEM_TYPE_ID = "Reservations with a line for this item type, or for a kit that it belongs to."
_KIT_TEMPLATE_ID = "Reservations with a line for this kit, or for a kit that it belongs to."

RENT_ACTION = Kind(
    name="rentAction",
    prefix="ra",
    path="/v1/rent-actions",
    subject_type="RentAction",
    table="rent_actions",
    frame=Frame(
        name="reservation",
        prefix="ra",
        types=(vocab.RENT_ACTION,),
        shape=vocab.SHAPES + "RentAction",
        properties=frozenset(
            (
                vocab.START_TIME, vocab.END_TIME, vocab.LENGTH, vocab.LOCATION, vocab.AGENT, vocab.OBJECT, vocab.REQUESTED_QUANTITY,
                vocab.LINE_ITEMS, vocab.PURPOSE,
                vocab.PRIORITY, vocab.IS_ASAP, vocab.EXTERNAL_SOURCE, vocab.EXTERNAL_REF, vocab.STATUS, vocab.METADATA,
            )
        ),
        managed=frozenset(
            (
                vocab.IDENTIFIER, vocab.ACTION_STATUS, vocab.ALLOCATED_QUANTITY, vocab.ALLOCATIONS, vocab.CREATED_BY, vocab.APPROVED_BY,
                vocab.APPROVED_AT, vocab.REJECTED_AT, vocab.CANCELLED_AT, vocab.REASON, vocab.DATE_CREATED, vocab.DATE_MODIFIED,
            )
        ),
        parts={vocab.LINE_ITEMS: LINE_PROPERTIES},
        references={vocab.OBJECT: Reference({"itemType": (vocab.PRODUCT,), "kit": (vocab.PRODUCT, vocab.KIT_TEMPLATE)})},
        flat={vocab.ITEM_TYPE_ID: vocab.OBJECT, vocab.KIT_TEMPLATE_ID: vocab.OBJECT},
        arrange=arrange,
    ),
    to_create=to_create,
    index_row=index_row,
    label=lambda document: str(document["identifier"]),
    create_scope=Scope.PLANNER,
    keys=KEYS,
    columns=("purpose", "status", "startTime", "endTime", "agent", "object", "requestedQuantity"),
    filters={
        "status": Filter("status", description="State of the reservation.", allowed=tuple(Status)),
        "startFrom": Filter("start_time", ">=", instant, "Reservations that start at this instant or later."),
        "endUntil": Filter("end_time", "<=", instant, "Reservations that end at this instant or earlier."),
        "externalRef": Filter("external_ref", description="Reference in the system it came from."),
        "externalSource": Filter("external_source", description="The system it came from."),
        "requester": Filter("requester", description="Identifier of the agent."),
        "priority": Filter("priority", description="Priority.", allowed=("low", "normal", "high", "urgent")),
        "location": Filter("location", description="The place from which units are to come."),
        "isAsap": Filter("is_asap", read=boolean, description="Whether they are to begin as soon as possible."),
        "itemTypeId": Filter("identifier", "has a line for", identifier_of("itemType"), _ITEM_TYPE_ID),
        "kitTemplateId": Filter("identifier", "has a line for", identifier_of("kit"), _KIT_TEMPLATE_ID),
        "overdue": Filter("identifier", "is overdue", boolean, "Whether units are out although their time is over.", is_timed=True),
        "atRisk": Filter("identifier", "is at risk", boolean, "Whether a unit that is promised may not be there in time.", is_timed=True),
        "q": text_search("description, requester and externalRef"),
    },
    sorts={
        "startTime": Sort("start_time", instant),
        "endTime": Sort("end_time", instant),
        "status": Sort("status"),
        "requester": Sort("requester"),
        "externalRef": Sort("external_ref"),
        "createdAt": Sort("created_at", instant),
        "updatedAt": Sort("updated_at", instant),
    },
    to_change=ChangeReservation,
    at_first={"status": AT_FIRST},
    fixed={"status": "status is changed by the steps of the reservation, such as submit and cancel"},
    arrange_patched=arrange_lines,
    owned="identifier",
)  # fmt: skip
