"""
What each method of each route takes and gives, in one table, from which the descriptions of the interface are written (OpenAPI, Hydra).

Nothing is said here that another table says already: filters come from the kinds, media types from the offers, options from the steps,
problems from the table of errors. A row puts together manners: parameters and refusals that always come together.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from ld_server.domain import errors
from ld_server.domain.commands import LONGEST_REASON
from ld_server.domain.custody import LARGEST_QUANTITY, Condition
from ld_server.domain.status import TRANSITIONS, Step
from ld_server.http import asking, delivery_schemas
from ld_server.http.authentication import Needed
from ld_server.http.body import JSON_PATCH, PATCHABLE, READABLE, STEP_READABLE, Known, Shaped
from ld_server.http.endpoints import deliveries, description, discovery, sparql
from ld_server.http.endpoints.attachments import Attachment, Attachments, Bytes, Completion, Initiation
from ld_server.http.endpoints.availability import FILTERS as ASKED_OF_AVAILABILITY
from ld_server.http.endpoints.availability import FREE_UNITS_KNOWN, MOST_WANTED, Answers, FreeUnits, Question, length, quantity
from ld_server.http.endpoints.blobs import Blobs
from ld_server.http.endpoints.configuration import Configuration, Configurations, Sort
from ld_server.http.endpoints.custody import HANDINGS, Conflicts, Custody
from ld_server.http.endpoints.deliveries import Deliveries, Delivery, Runs, Sending
from ld_server.http.endpoints.discovery import OPEN_TO_ALL
from ld_server.http.endpoints.events import EVENT_OFFERS, EVENT_STREAM, LAST_EVENT_ID, Event, Events
from ld_server.http.endpoints.export import OFFERS as EXPORT_OFFERS
from ld_server.http.endpoints.export import PARAMETERS as ASKED_OF_EXPORTS
from ld_server.http.endpoints.export import Export
from ld_server.http.endpoints.health import Live, Ready
from ld_server.http.endpoints.keys import Key, KeyRing
from ld_server.http.endpoints.looks import MEDIA, Looks
from ld_server.http.endpoints.maintenance import LOG_OF_ASSET, AssetHistory, AssetLog
from ld_server.http.endpoints.metrics import Metrics
from ld_server.http.endpoints.planning import FILTERS as ASKED_OF_PLANNING
from ld_server.http.endpoints.planning import TABLE, DemandSignal, DemandSignals, Shortfalls
from ld_server.http.endpoints.queries import Queries, Query
from ld_server.http.endpoints.reservations import STEPS, Allocations, ReservationStep
from ld_server.http.endpoints.resources import Collection, Item
from ld_server.http.endpoints.revisions import PastState, Revisions
from ld_server.http.endpoints.sparql import Sparql
from ld_server.http.endpoints.triggers import TRIGGER, Match
from ld_server.http.endpoints.webhooks import WEBHOOK, SecretRotation
from ld_server.http.event_schemas import EXAMPLES, MATCH, ROTATION, configured_page
from ld_server.http.handovers import MOST_HANDOVERS
from ld_server.http.multipart import FORM_DATA
from ld_server.http.negotiation import COLLECTION_OFFERS, FORMAT, HTML, READ_OFFERS, RESOURCE_OFFERS, Choice, Keyed, Wanted
from ld_server.http.operation import Answer, Content, Described, Interface, Manner, Operation, Parameter
from ld_server.http.paging import DEFAULT_LIMIT, LARGEST_LIMIT, MOST_SORTS, SORT
from ld_server.http.parameters import WITHOUT_CONTROLS
from ld_server.http.preferences import VALIDATE
from ld_server.http.route import PUBLIC, Route
from ld_server.http.schemas import CONTEXT, Json, collection_of, many_of
from ld_server.rdf.formats import FORMATS, JSON, JSON_LD, Format
from ld_server.resources.asset import ASSET
from ld_server.resources.attachment import ATTACHMENT
from ld_server.resources.build_request import BUILD_REQUEST
from ld_server.resources.demand_signal import DEMAND_SIGNAL
from ld_server.resources.kind import Filter, Kind, boolean, instant
from ld_server.resources.maintenance_log import MAINTENANCE_LOG
from ld_server.resources.rent_action import RENT_ACTION
from ld_server.services.demand import Arrival

# --- manners ----------------------------------------------------------------------------------------------------------

CORRELATION_ID = Parameter(
    "X-Correlation-Id",
    "header",
    "Up to 128 visible ASCII characters that come back in the answer and stand in the log and in the events; made where there is none, and "
    "where it is anything else.",
)
IF_MATCH = Parameter("If-Match", "header", "Entity tags, one of which the resource must have; otherwise 412.")
IF_NONE_MATCH = Parameter("If-None-Match", "header", "Entity tags of what the client has; 304 where it is still the same.")
IDEMPOTENCY_KEY = Parameter(
    "Idempotency-Key",
    "header",
    "A name for this request: repeated under the same name it gets the first answer again and does nothing.",
    {"type": "string", "maxLength": 257},
)
VALIDATE_ONLY = Parameter(VALIDATE, "query", "`only`: everything is checked and answered, and nothing is written.", {"enum": ["only"]})
PREFER_VALIDATION = Parameter("Prefer", "header", "`handling=validate-only`: the same as the parameter `validate`.")
LENIENT = Parameter("Prefer", "header", "`handling=lenient`: an answer from what the store has already, rather than 503.")
LIMIT = Parameter(
    "limit", "query", "How many are shown at most.", {"type": "integer", "minimum": 1, "maximum": LARGEST_LIMIT, "default": DEFAULT_LIMIT}
)
AFTER = Parameter("after", "query", "The cursor of a next link.")

EVERY = Manner((CORRELATION_ID,), (errors.MalformedRequest, errors.RateLimited))
KEYED = Manner((), (errors.Unauthenticated, errors.Forbidden, errors.StoreUnavailable))
QUERIED = Manner((), (errors.InvalidParameter,))
NEGOTIATED = Manner((), (errors.NotAcceptable,))
CONDITIONAL = Manner((IF_NONE_MATCH, IF_MATCH), (errors.Stale,))
PAGED = Manner((LIMIT, AFTER), (errors.InvalidParameter,))
READ = Manner((), (errors.MalformedBody, errors.TooLarge, errors.UnsupportedMediaType))
GRAPH = Manner((), (errors.UnknownContext, errors.UnknownTerm, errors.UnknownReference, errors.ShapeViolation, errors.Duplicate))
OPTIONS_OF_STEP = Manner((), (errors.UnknownTerm, errors.ShapeViolation))
REHEARSED = Manner((VALIDATE_ONLY, PREFER_VALIDATION), (errors.InvalidParameter,))
ONCE = Manner((IDEMPOTENCY_KEY,), (errors.InvalidParameter, errors.IdempotencyInProgress, errors.IdempotencyMismatch))
MANY = Manner((), (errors.ResourcesRefused,))
IN_USE = Manner((), (errors.InUse, errors.InsufficientAvailability))
PLANNED_ANEW = Manner((), (errors.TransitionRefused, errors.InsufficientAvailability))
GUARDED = Manner((IF_MATCH,), (errors.InvalidParameter, errors.Stale))
NAMED = Manner((), (errors.NotFound,))

NOT_MODIFIED = Answer(304, "What the client has is still the same.", headers=("ETag",))
PUBLIC_NOT_MODIFIED = replace(NOT_MODIFIED, headers=("ETag", *OPEN_TO_ALL))


def _in_path(name: str, description: str, **schema: Any) -> Manner:
    return Manner((Parameter(name, "path", description, {"type": "string", **schema}),), NAMED.refusals)


def _of(kind: Kind) -> Manner:
    return _in_path("identifier", f"Identifier of the {kind.frame.name}.", pattern=f"^{kind.prefix}_[1-9][0-9]{{0,17}}$")


def _formatted(offers: Mapping[str, Keyed]) -> Manner:
    keys = dict.fromkeys(offer.key for offer in offers.values())
    parameter = Parameter(FORMAT, "query", "What Accept would say, where only a link can be clicked.", {"enum": list(keys)})
    return Manner((parameter,), (errors.InvalidParameter, errors.NotAcceptable))


def _filters(filters: Mapping[str, Filter]) -> Manner:
    return Manner(tuple(Parameter(name, "query", one.description, _schema_of(one)) for name, one in filters.items()))


def _sorted(kind: Kind) -> Manner:
    keys = "|".join(kind.sorts)
    description = f"Keys to sort by, the first first; a minus turns the order around: {', '.join(kind.sorts)}."
    pattern = f"^-?({keys})(,-?({keys})){{0,{MOST_SORTS - 1}}}$"
    parameter = Parameter(SORT, "query", description, {"type": "string", "pattern": pattern})
    return Manner((parameter,) if kind.sorts else ())


FILTER_SCHEMAS: Mapping[Callable[[str], Any], Json] = {
    instant: {"type": "string", "format": "date-time"},
    boolean: {"type": "boolean"},
    quantity: {"type": "integer", "minimum": 1, "maximum": MOST_WANTED, "default": 1},
    length: {"type": "string", "format": "duration"},
}
"""How the text of a filter is read → what it looks like."""


def _schema_of(one: Filter) -> Json:
    return {"type": "string", "enum": list(one.allowed)} if one.allowed else FILTER_SCHEMAS.get(one.read, ANY_TEXT)


ANY_TEXT: Json = {"type": "string", "pattern": WITHOUT_CONTROLS}


# --- what stands in bodies ----------------------------------------------------------------------------------------------

TEXT: Json = {"type": "string"}
ANY_JSON_LD: Json = {"type": ["object", "array"]}
OTHER_FORM: Json = {"type": "array", "items": {"type": "object"}, "description": "Expanded or flattened, where the client asked for it."}
JSON_TYPES = ("application/json", "application/ld+json")


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _offered(offers: Mapping[str, Any], schema: Json) -> dict[str, Json]:
    """Content-Type → schema, for everything that can be answered; the text after a semicolon only where it is a profile."""
    found = dict.fromkeys(_plain(offer.content_type) for offer in offers.values())
    return {name: _schema_as(name, schema) for name in found}


def _plain(content_type: str) -> str:
    return content_type if "profile=" in content_type else content_type.partition(";")[0]


def _schema_as(content_type: str, schema: Json) -> Json:
    if content_type == JSON.media_type:
        return schema
    if content_type == JSON_LD.media_type:
        return {"anyOf": [schema, OTHER_FORM]}
    return ANY_JSON_LD if "json" in content_type else TEXT


# --- the table ----------------------------------------------------------------------------------------------------------

Describe = Callable[[Route], Operation]
"""How a method of a route is described."""


def _pascal(path: str) -> str:
    """The name of what a path leads to: `RentActions` for `/v1/rent-actions`."""
    return path.rpartition("/")[2].title().replace("-", "")


def _name(kind: Kind) -> str:
    return kind.name[0].upper() + kind.name[1:]


def _schema_name(kind: Kind) -> str:
    return kind.frame.name.title().replace(" ", "")


def _kind(route: Route) -> Kind:
    kind: Kind = route.bound["kind"]
    return kind


def _listed(route: Route) -> Operation:
    kind = _kind(route)
    page = Answer(200, "A page of the collection.", _offered(COLLECTION_OFFERS, collection_of(_ref(_schema_name(kind)))), ("ETag",))
    return Operation(
        name=f"list{_pascal(kind.path)}",
        group=kind.frame.name,
        summary=f"Every {kind.frame.name}, page by page",
        answers=(page, NOT_MODIFIED),
        manners=(_filters(kind.filters), _sorted(kind), PAGED, _formatted(COLLECTION_OFFERS), CONDITIONAL),
        returns="Collection",
    )


def _created(route: Route) -> Operation:
    kind = _kind(route)
    name = _schema_name(kind)
    content = _offered(RESOURCE_OFFERS, {"anyOf": [_ref(name), many_of(_ref(name))]})
    made = Answer(201, f"The new {kind.frame.name}, or a collection of many new ones.", content, ("Location", *WRITTEN))
    rehearsed = Answer(200, "What would have been made: the request was to be validated only.", content, ("Preference-Applied", "Warning"))
    return Operation(
        name=f"create{_name(kind)}",
        group=kind.frame.name,
        summary=f"A new {kind.frame.name}, or many: all of them or none",
        answers=(rehearsed, made),
        manners=(REHEARSED, ONCE, QUERIED, NEGOTIATED, READ, GRAPH, MANY),
        body=Content({media_type: _sent_as(media_type, f"New{name}") for media_type in READABLE}),
        expects=kind.name,
        returns=kind.name,
    )


WRITTEN = ("Content-Location", "ETag", "Idempotency-Replayed", "Preference-Applied", "Warning")
"""Headers of an answer to a command."""


def _sent_as(media_type: str, name: str) -> Json:
    """One or many, in JSON as the schema has it; in JSON-LD also in any other form of the same graph."""
    if media_type not in JSON_TYPES:
        return TEXT
    several = {"type": "array", "items": _ref(name), "minItems": 1}
    graph = {"type": "object", "required": ["@graph"], "properties": {"@context": CONTEXT, "@graph": several}}
    others = [ANY_JSON_LD] if media_type == JSON_LD.media_type else []
    return {"anyOf": [_ref(name), several, graph, *others]}


def _read(route: Route) -> Operation:
    kind = _kind(route)
    found = Answer(200, f"The {kind.frame.name} as it is now.", _offered(READ_OFFERS, _ref(_schema_name(kind))), ("ETag",))
    return Operation(
        name=f"get{_name(kind)}",
        group=kind.frame.name,
        summary=f"One {kind.frame.name}",
        answers=(found, NOT_MODIFIED),
        manners=(_of(kind), _formatted(READ_OFFERS), CONDITIONAL),
        returns=kind.name,
    )


def _changed(route: Route) -> Operation:
    kind = _kind(route)
    changes, patch = _ref(f"{_schema_name(kind)}Changes"), _ref("JsonPatch")
    after = Answer(200, f"The {kind.frame.name} as it is then.", _offered(RESOURCE_OFFERS, _ref(_schema_name(kind))), WRITTEN)
    return Operation(
        name=f"change{_name(kind)}",
        group=kind.frame.name,
        summary=f"Change a {kind.frame.name}: a merge patch (RFC 7396) or a JSON Patch (RFC 6902)",
        answers=(after,),
        manners=(_of(kind), REHEARSED, GUARDED, ONCE, QUERIED, NEGOTIATED, READ, GRAPH, CHANGED.get(kind.name, IN_USE)),
        body=Content({media_type: patch if media_type == JSON_PATCH else changes for media_type in PATCHABLE}),
        returns=kind.name,
    )


CHANGED: Mapping[str, Manner] = {
    RENT_ACTION.name: PLANNED_ANEW,
    DEMAND_SIGNAL.name: Manner((), (errors.TransitionRefused,)),
    BUILD_REQUEST.name: Manner((), (errors.TransitionRefused,)),
}
"""How a change can be refused beyond the refusals of every change."""


def _history(route: Route) -> Operation:
    kind = _kind(route)
    page = Answer(200, "A page of the history.", _offered(COLLECTION_OFFERS, collection_of(_ref("Revision"))), ("ETag",))
    return Operation(
        name=f"list{_name(kind)}Revisions",
        group=kind.frame.name,
        summary=f"Every change of a {kind.frame.name}, the first one first",
        answers=(page, NOT_MODIFIED),
        manners=(_of(kind), PAGED, _formatted(COLLECTION_OFFERS), CONDITIONAL),
        returns="Collection",
    )


def _past(route: Route) -> Operation:
    kind = _kind(route)
    found = Answer(200, f"The {kind.frame.name} as it was.", _offered(READ_OFFERS, _ref(_schema_name(kind))), ("ETag",))
    number = _in_path("number", "Number of the revision; the first is 1.", pattern="^[1-9][0-9]{0,17}$")
    return Operation(
        name=f"get{_name(kind)}Revision",
        group=kind.frame.name,
        summary=f"A {kind.frame.name} as it was",
        answers=(found, NOT_MODIFIED),
        manners=(_of(kind), number, _formatted(READ_OFFERS), CONDITIONAL),
        returns=kind.name,
    )


def _step(route: Route) -> Operation:
    step: Step = route.bound["step"]
    allocation = (_ALLOCATION,) if "{allocation}" in route.template else ()
    known = STEPS[step].options
    after = Answer(200, "The reservation as it is then.", _offered(RESOURCE_OFFERS, _ref(_schema_name(RENT_ACTION))), WRITTEN)
    return Operation(
        name=f"{_camel(step)}{_name(RENT_ACTION)}",
        group=RENT_ACTION.frame.name,
        summary=f"{step.replace('-', ' ').capitalize()}: {_effect(step)}",
        answers=(after,),
        manners=(_of(RENT_ACTION), *allocation, *STEPPING, STEP_REFUSALS.get(step, TAKEN)),
        body=Content(dict.fromkeys(STEP_READABLE, _options(known)), {"everything": _example_options(known)}, is_required=False),
        returns=RENT_ACTION.name,
    )


_ALLOCATION = _in_path("allocation", "Identifier of the allocation.", pattern="^alloc_[1-9][0-9]{0,17}$")
STEPPING = (REHEARSED, GUARDED, ONCE, QUERIED, NEGOTIATED, READ, OPTIONS_OF_STEP)
"""The manners of every step."""


def _camel(step: Step) -> str:
    """`releaseAllocations` for `release-allocations`."""
    first, *others = step.split("-")
    return first + "".join(other.title() for other in others)


def _effect(step: Step) -> str:
    froms = [str(status) for status, steps in TRANSITIONS.items() if step in steps]
    to = next(str(steps[step]) for steps in TRANSITIONS.values() if step in steps)
    return f"stays {to}" if froms == [to] else f"{', '.join(froms)} becomes {to}"


def _options(known: Known) -> Json:
    properties = {name: _option(allowed) for name, allowed in known.items()}
    return {"type": "object", "properties": {"@context": CONTEXT, **properties}, "additionalProperties": False}


def _option(allowed: tuple[str, ...] | Shaped | None) -> Json:
    if isinstance(allowed, Shaped):
        return dict(allowed.schema)
    return {"enum": [str(one) for one in allowed]} if allowed else {"type": "string", "minLength": 1, "maxLength": LONGEST_REASON}


def _example_options(known: Known) -> Json:
    return {name: _example_option(allowed) for name, allowed in known.items()}


def _example_option(allowed: tuple[str, ...] | Shaped | None) -> Any:
    if isinstance(allowed, Shaped):
        return allowed.example
    return str(allowed[0]) if allowed else "The rally was called off."


def _allocations(_route: Route) -> Operation:
    page = Answer(200, "A page of the allocations.", _offered(COLLECTION_OFFERS, collection_of(_ref("Allocation"))), ("ETag",))
    return Operation(
        name=f"list{_name(RENT_ACTION)}Allocations",
        group=RENT_ACTION.frame.name,
        summary="The units that a reservation has, or had",
        answers=(page, NOT_MODIFIED),
        manners=(_of(RENT_ACTION), PAGED, _formatted(COLLECTION_OFFERS), CONDITIONAL),
        returns="Collection",
    )


def _handed_over(route: Route) -> Operation:
    step: Step = route.bound["step"]
    schema = _handovers(HANDINGS[step].known)
    after = Answer(200, "The reservation as it is then.", _offered(RESOURCE_OFFERS, _ref(_schema_name(RENT_ACTION))), WRITTEN)
    return Operation(
        name=HANDED_OVER[step][0],
        group=RENT_ACTION.frame.name,
        summary=HANDED_OVER[step][1],
        answers=(after,),
        manners=(_of(RENT_ACTION), REHEARSED, GUARDED, ONCE, QUERIED, NEGOTIATED, READ, HANDED, TAKEN),
        body=Content(dict.fromkeys(STEP_READABLE, schema), {"everything": {}}, is_required=False),
        returns=RENT_ACTION.name,
    )


HANDED_OVER: Mapping[Step, tuple[str, str]] = {
    Step.CHECK_OUT: ("checkOutRentAction", "Check-out: units that are promised are handed out, all or some"),
    Step.RETURN: ("returnRentAction", "Return: units that are out come back, all or some; with the last one the reservation is fulfilled"),
}
"""Step → the name of its operation, and what it does."""

HANDED = Manner((), (errors.UnknownTerm, errors.ShapeViolation, errors.UnknownReference))

_OF_HANDOVER: Mapping[str, Json] = {
    "id": {"type": "string", "minLength": 1, "description": "Identifier or IRI of an allocation."},
    "quantity": {"type": "integer", "minimum": 1, "maximum": LARGEST_QUANTITY, "description": "How many units; all where it is left out."},
    "condition": {"enum": [str(one) for one in Condition], "default": str(Condition.GOOD)},
    "notes": {"type": "string", "minLength": 1, "maxLength": LONGEST_REASON},
    "metadata": {"type": ["object", "array", "string", "number", "boolean"], "description": "Any JSON, which is kept with the allocation."},
}


def _handovers(known: Iterable[str]) -> Json:
    """Which allocations change hands; without them all do."""
    entry = {"type": "object", "required": ["id"], "properties": {key: _OF_HANDOVER[key] for key in known}, "additionalProperties": False}
    several = {"type": "array", "minItems": 1, "maxItems": MOST_HANDOVERS, "items": {"anyOf": [entry, _OF_HANDOVER["id"]]}}
    return {"type": "object", "properties": {"@context": CONTEXT, "allocations": several}, "additionalProperties": False}


def _conflicts(_route: Route) -> Operation:
    page = Answer(200, "A page of the conflicts.", _offered(COLLECTION_OFFERS, collection_of(_ref("Conflict"))), ("ETag",))
    return Operation(
        name=f"list{_name(RENT_ACTION)}Conflicts",
        group=RENT_ACTION.frame.name,
        summary="What endangers a reservation, or what its approval would miss now",
        answers=(page, NOT_MODIFIED),
        manners=(_of(RENT_ACTION), PAGED, _formatted(COLLECTION_OFFERS), CONDITIONAL),
        returns="Collection",
    )


def _queried(_route: Route) -> Operation:
    graphs = (Parameter(name, "query", "The IRI of a graph.", TEXTS) for name in sparql.PARAMETERS if name != "query")
    query = Parameter("query", "query", "A SPARQL 1.1 query that reads. Without it the endpoint describes itself.")
    operation = _sparql("query", "Ask with SPARQL", (Manner((query, *graphs)), _formatted(GRAPHS), CONDITIONAL), {HTML.media_type: TEXT})
    return replace(operation, answers=(*operation.answers, NOT_MODIFIED))


def _queried_by_post(_route: Route) -> Operation:
    graphs = {name: TEXTS for name in sparql.PARAMETERS if name != "query"}
    form = {"type": "object", "required": ["query"], "properties": {"query": TEXT, **graphs}}
    body = Content({sparql.FORM: form, sparql.QUERY: TEXT}, {"everything": {"query": "SELECT * WHERE { ?s ?p ?o } LIMIT 10"}})
    return replace(_sparql("queryByPost", "Ask with SPARQL, the query in the body", (READ,)), body=body)


def _sparql(name: str, summary: str, manners: tuple[Manner, ...], others: Mapping[str, Json] | None = None) -> Operation:
    types = (*asking.TABLE_OFFERS, *(form.media_type for form in FORMATS))
    content = {**{media_type: {} if "json" in media_type else TEXT for media_type in types}, **(others or {})}
    headers = ("ETag", "Preference-Applied", "X-Projection-Backlog")
    answer = Answer(200, "A table for SELECT and ASK, a graph for CONSTRUCT and DESCRIBE.", content, headers)
    return Operation(name, "SPARQL", summary, (answer,), (*manners, ASKED, QUERIED, NEGOTIATED))


def _exported(_route: Route) -> Operation:
    content = _offered(EXPORT_OFFERS, ANY_JSON_LD)
    headers = ("Content-Encoding",)
    return Operation(
        name="export",
        group="SPARQL",
        summary="Everything, or a part of it, as one file from one consistent point; the link leads to what changes after it",
        answers=(Answer(200, "The dataset, sent as it is read. A file without its last piece is incomplete.", content, headers),),
        manners=(Manner(tuple(Parameter(name, "query", EXPORTED[name]) for name in ASKED_OF_EXPORTS)), GZIPPED, _formatted(EXPORT_OFFERS)),
    )


GZIPPED = Manner((Parameter("Accept-Encoding", "header", "`gzip`: the answer may be compressed."),))
EXPORTED: Mapping[str, str] = {
    "type": "Kinds or classes, separated by commas, as in `rentAction` or `RentAction,Product`.",
    "since": "An instant, or what the link of an earlier export has: only what has changed since then.",
    "until": "The same: only what has not changed since then.",
    "location": "Only what is at this location, of the kinds that have one.",
}
"""What each parameter of an export says."""


def _query_list(_route: Route) -> Operation:
    answers = (Answer(200, "All of them, with their parameters.", _offered(GRAPHS, ANY_JSON_LD), ("ETag",)), NOT_MODIFIED)
    manners = (_formatted(GRAPHS), CONDITIONAL)
    return Operation("listQueries", "SPARQL", "The queries that have a name, with what they are good for", answers, manners)


def _query_answered(_route: Route) -> Operation:
    said = {"type": "object", "additionalProperties": {"type": "string"}}
    name = _in_path("name", "The name of the query.", pattern="^[a-z]+(-[a-z]+)*$")
    values = Manner((Parameter("parameters", "query", "What the list says can be said to the query, each by its own name.", said),))
    content = {media_type: {} if "json" in media_type else TEXT for media_type in asking.TABLE_OFFERS}
    answer = Answer(200, "A table.", content, ("Preference-Applied", "X-Projection-Backlog"))
    manners = (name, values, ASKED, QUERIED, _formatted(asking.TABLE_OFFERS))
    return Operation("askNamedQuery", "SPARQL", "The answer to a query that has a name", (answer,), manners)


def _answered(route: Route) -> Operation:
    question: Question = route.bound["question"]
    answer = Answer(200, "The answer, as it is at this moment.", _offered(READ_OFFERS, _ref(question.schema)))
    return Operation(
        name=question.name,
        group="availability",
        summary=question.summary,
        answers=(answer,),
        manners=(_asking(question.known, question.required), NAMED, QUERIED, _formatted(READ_OFFERS)),
    )


def _free_units(_route: Route) -> Operation:
    page = Answer(200, "A page of the free units.", _offered(COLLECTION_OFFERS, collection_of(_ref("Reference"))), ("ETag",))
    return Operation(
        name="listFreeUnits",
        group="availability",
        summary="The units that are free in a window, what fits best first",
        answers=(page, NOT_MODIFIED),
        manners=(_asking(FREE_UNITS_KNOWN, FREE_UNITS_KNOWN[:3]), NAMED, PAGED, _formatted(COLLECTION_OFFERS), CONDITIONAL),
        returns="Collection",
    )


def _asking(known: Iterable[str], required: Iterable[str]) -> Manner:
    """The parameters of a question about availability."""
    parameters = _filters({name: ASKED_OF_AVAILABILITY[name] for name in known}).parameters
    return Manner(tuple(replace(one, is_required=one.name in required) for one in parameters))


TEXTS: Json = {"type": "array", "items": {"type": "string"}}
ASKED = Manner((LENIENT,), (errors.QueryRefused, errors.QueryLimitExceeded, errors.StoreUnavailable))


def _demand_told(route: Route) -> Operation:
    operation = _created(route)
    name = _schema_name(_kind(route))
    known = {"type": "object", "properties": {"report": {"type": "array", "items": ARRIVAL}}}
    content = _offered(RESOURCE_OFFERS, {"anyOf": [_ref(name), {"allOf": [many_of(_ref(name)), known]}]})
    told = (
        Answer(200, "What there is already, or, where the request was to be validated only, would be.", content, WRITTEN),
        Answer(
            201,
            "The new demand signal, or a collection of all that were told, some of them new, with a report on each.",
            content,
            WRITTEN_ANEW,
        ),
    )
    assert operation.body is not None
    return replace(operation, answers=told, body=replace(operation.body, schemas={**operation.body.schemas, TABLE: TEXT}))


WRITTEN_ANEW = ("Location", *WRITTEN)
ARRIVAL: Json = {
    "type": "object",
    "required": ["index", "outcome"],
    "properties": {
        "index": {"type": "integer", "minimum": 0},
        "outcome": {"enum": [str(one) for one in Arrival]},
        "identifier": TEXT,
        "supersedes": TEXT,
    },
}
"""What came of one of many demand signals."""


def _shortfalls(_route: Route) -> Operation:
    page = Answer(200, "A page of the shortfalls.", _offered(COLLECTION_OFFERS, collection_of(_ref("Shortfall"))), ("ETag",))
    return Operation(
        name="listShortfalls",
        group="planning",
        summary="Where there will be fewer units than are wanted, and how many should be built by when",
        answers=(page, NOT_MODIFIED),
        manners=(_filters(ASKED_OF_PLANNING), NAMED, PAGED, _formatted(COLLECTION_OFFERS), CONDITIONAL),
        returns="Collection",
    )


def _demand_cancelled(route: Route) -> Operation:
    kind = _kind(route)
    summary = "Let a demand signal count no more: it is marked cancelled and stays"
    gone = Answer(204, "It counts no more.", headers=("Idempotency-Replayed",))
    return Operation("cancelDemandSignal", kind.frame.name, summary, (gone,), (_of(kind), GUARDED, ONCE, QUERIED))


def _live(_route: Route) -> Operation:
    answers = (Answer(200, "It lives.", {"application/json": HEALTH}),)
    return Operation("isLive", "health", "Whether the process lives", answers)


def _ready(_route: Route) -> Operation:
    answers = (
        Answer(200, "Every part works.", {"application/json": HEALTH}),
        Answer(503, "A part does not work.", {"application/json": HEALTH}),
    )
    return Operation("isReady", "health", "Whether every part works", answers)


def _metrics(_route: Route) -> Operation:
    content = dict.fromkeys(("text/plain", "application/openmetrics-text"), TEXT)
    numbers = Answer(200, "The numbers, as Prometheus or OpenMetrics text.", content)
    return Operation("getMetrics", "health", "What this node has counted, and what waits now", (numbers,))


HEALTH: Json = {
    "type": "object",
    "required": ["status"],
    "properties": {"status": {"enum": ["ok", "down"]}, "parts": {"type": "object", "additionalProperties": {"type": "object"}}},
}


def _look(_route: Route) -> Operation:
    file = Answer(200, "The file.", {medium.media_type: TEXT for medium in MEDIA.values()}, ("ETag",))
    manners = (_in_path("name", "Name of the file."), QUERIED, CONDITIONAL)
    return Operation("getLook", "discovery", "What the pages for people look like", (file, NOT_MODIFIED), manners)


def _feed(_route: Route) -> Operation:
    content = {**_offered(EVENT_OFFERS, _ref("Events")), EVENT_STREAM.media_type: TEXT}
    page = Answer(200, "A page of the feed, or a stream of its events.", content, ("ETag",))
    return Operation(
        name="listEvents",
        group="events",
        summary="Everything that happened, in the order in which it became visible",
        answers=(page, NOT_MODIFIED),
        manners=(FEED, NEGOTIATED, CONDITIONAL),
    )


def _event(_route: Route) -> Operation:
    found = Answer(200, "The event as it was told.", _offered(EVENT_OFFERS, _ref("Event")), ("ETag",))
    manners = (_in_path("identifier", "Id of the event."), QUERIED, NEGOTIATED, CONDITIONAL)
    return Operation("getEvent", "events", "One event", (found, NOT_MODIFIED), manners)


FEED = Manner(
    (
        Parameter("since", "query", "Only what comes behind this: the id of an event, a sequence, or an instant."),
        Parameter("before", "query", "Only what comes before this, the last ones where there is no `since`."),
        Parameter("types", "query", "Only these types, with commas between; `*` stands for any characters."),
        Parameter("subject", "query", "Only what happened to the resource with this identifier."),
        LIMIT,
        Parameter(LAST_EVENT_ID, "header", "Of a stream: the last event that the reader has; goes before `since`."),
    ),
    (errors.InvalidParameter, errors.NoLongerKept, errors.RateLimited),
)


def _sort(route: Route) -> Sort:
    sort: Sort = route.bound["sort"]
    return sort


def _one_of(sort: Sort) -> Manner:
    return _in_path("identifier", f"Identifier of the {sort.name}.")


def _configured(route: Route) -> Operation:
    sort = _sort(route)
    page = Answer(200, "A page of them.", {JSON.media_type: configured_page(_ref(sort.type))}, ("ETag",))
    return Operation(
        name=f"list{sort.type}s",
        group=sort.name,
        summary=f"Every {sort.name}",
        answers=(page, NOT_MODIFIED),
        manners=(_filters(sort.filters), PAGED, NEGOTIATED, CONDITIONAL),
    )


def _configure(route: Route) -> Operation:
    sort = _sort(route)
    content = {JSON.media_type: _ref(sort.type)}
    made = Answer(201, f"The new {sort.name}, with its secrets: they are told this once.", content, ("Location", *WRITTEN))
    rehearsed = Answer(200, "What would have been made: the request was to be validated only.", content, ("Preference-Applied", "Warning"))
    return Operation(
        name=f"create{sort.type}",
        group=sort.name,
        summary=f"A new {sort.name}",
        answers=(rehearsed, made),
        manners=(REHEARSED, ONCE, QUERIED, NEGOTIATED, READ, CONFIGURED),
        body=Content({JSON.media_type: _ref(f"New{sort.type}")}, EXAMPLES[sort.name]),
    )


def _configuration(route: Route) -> Operation:
    sort = _sort(route)
    found = Answer(200, f"The {sort.name} as it is now, without secrets.", {JSON.media_type: _ref(sort.type)}, ("ETag",))
    manners = (_one_of(sort), QUERIED, NEGOTIATED, CONDITIONAL)
    return Operation(f"get{sort.type}", sort.name, f"One {sort.name}", (found, NOT_MODIFIED), manners)


def _reconfigure(route: Route) -> Operation:
    sort = _sort(route)
    changes, patch = _ref(f"{sort.type}Changes"), _ref("JsonPatch")
    after = Answer(200, f"The {sort.name} as it is then.", {JSON.media_type: _ref(sort.type)}, WRITTEN)
    return Operation(
        name=f"change{sort.type}",
        group=sort.name,
        summary=f"Change a {sort.name}: a merge patch (RFC 7396) or a JSON Patch (RFC 6902)",
        answers=(after,),
        manners=(_one_of(sort), REHEARSED, GUARDED, ONCE, QUERIED, NEGOTIATED, READ, CONFIGURED),
        body=Content({media_type: patch if media_type == JSON_PATCH else changes for media_type in PATCHABLE}),
    )


def _unconfigure(route: Route) -> Operation:
    sort = _sort(route)
    gone = Answer(204, "It is gone.")
    in_use = Manner((), (errors.InUse,))
    return Operation(
        f"delete{sort.type}",
        sort.name,
        f"Take a {sort.name} away",
        (gone,),
        (_one_of(sort), GUARDED, QUERIED, *([in_use] if sort is WEBHOOK else [])),
    )


def _matched(_route: Route) -> Operation:
    found = Answer(200, "The events, and what would have been done.", {JSON.media_type: _ref("Matches")})
    return Operation(
        name="matchTrigger",
        group=TRIGGER.name,
        summary="For which past events a trigger is; nothing is sent",
        answers=(found,),
        manners=(_one_of(TRIGGER), QUERIED, NEGOTIATED, READ, OPTIONS_OF_STEP, BEHIND),
        body=Content({JSON.media_type: MATCH}, {"everything": {"since": "0", "types": ["rentAction.*"], "limit": 10}}, is_required=False),
    )


def _rotated(_route: Route) -> Operation:
    after = Answer(200, "The webhook with its new secret, which is told this once.", {JSON.media_type: _ref(WEBHOOK.type)}, WRITTEN)
    return Operation(
        name="rotateSecret",
        group=WEBHOOK.name,
        summary="Another secret; the one before is valid too for a while",
        answers=(after,),
        manners=(_one_of(WEBHOOK), REHEARSED, GUARDED, ONCE, QUERIED, NEGOTIATED, READ, CONFIGURED),
        body=Content({JSON.media_type: ROTATION}, {"everything": {"overlap": "PT12H"}}, is_required=False),
    )


def _key_ring(_route: Route) -> Operation:
    page = Answer(200, "A page of them.", {JSON.media_type: configured_page(_ref("Key"))}, ("ETag",))
    return Operation("listKeys", "key", "Every API key there ever was", (page, NOT_MODIFIED), (PAGED, NEGOTIATED, CONDITIONAL))


def _key_made(_route: Route) -> Operation:
    content = {JSON.media_type: _ref("Key")}
    made = Answer(201, "The new key, with its text in `key`, which is told this once.", content, ("Location", "Idempotency-Replayed"))
    rehearsed = Answer(200, "What would have been made: the request was to be validated only.", content, ("Preference-Applied", "Warning"))
    return Operation(
        name="createKey",
        group="key",
        summary="A new API key",
        answers=(rehearsed, made),
        manners=(REHEARSED, ONCE, QUERIED, NEGOTIATED, READ, Manner((), (errors.ShapeViolation,))),
        body=Content({JSON.media_type: _ref("NewKey")}, KEY_EXAMPLES),
    )


def _key(_route: Route) -> Operation:
    found = Answer(200, "The key as it stands now, without its text.", {JSON.media_type: _ref("Key")}, ("ETag",))
    return Operation("getKey", "key", "One API key", (found, NOT_MODIFIED), (_KEY, QUERIED, NEGOTIATED, CONDITIONAL))


def _key_revoked(_route: Route) -> Operation:
    gone = Answer(204, "It opens nothing any more; it stays in the list.")
    return Operation("revokeKey", "key", "Revoke an API key", (gone,), (_KEY, QUERIED))


_KEY = _in_path("identifier", "Identifier of the key.")
KEY_EXAMPLES: Json = {
    "required": {"name": "Dashboard of Ghent"},
    "everything": {"name": "Planner of Ghent", "scopes": ["planner", "approver"], "expiresAt": "2199-01-31T00:00:00Z"},
}

CONFIGURED = Manner((), (errors.ShapeViolation, errors.UnknownReference))


def _deliveries(_route: Route) -> Operation:
    page = Answer(200, "A page of them.", {JSON.media_type: configured_page(_ref("Delivery"))}, ("ETag",))
    return Operation(
        name="listDeliveries",
        group="delivery",
        summary="What was sent where and with what success, the newest first",
        answers=(page, NOT_MODIFIED),
        manners=(_filters(deliveries.FILTERS), PAGED, NEGOTIATED, CONDITIONAL),
    )


def _runs(_route: Route) -> Operation:
    found = Answer(200, "When it runs next, and its last runs.", {JSON.media_type: _ref("Runs")}, ("ETag",))
    return Operation(
        name="listRuns",
        group=TRIGGER.name,
        summary="When a scheduled trigger runs next, and its last runs, the newest first",
        answers=(found, NOT_MODIFIED),
        manners=(_one_of(TRIGGER), QUERIED, NEGOTIATED, CONDITIONAL),
    )


def _delivery(_route: Route) -> Operation:
    found = Answer(200, "The delivery, with its history.", {JSON.media_type: _ref("DeliveryWithHistory")}, ("ETag",))
    manners = (_in_path("identifier", "Identifier of the delivery."), QUERIED, NEGOTIATED, CONDITIONAL)
    return Operation("getDelivery", "delivery", "One delivery, with every attempt", (found, NOT_MODIFIED), manners)


@dataclass(frozen=True)
class Sent:
    """What has something sent: the name of its operation, its group, what it does, what is answered, what may be said to it."""

    name: str
    group: str
    summary: str
    answer: str
    body: Json
    example: Json
    may_be_shut: bool = False

    def operation(self, route: Route) -> Operation:
        content = {JSON.media_type: _ref(self.answer)}
        answers = (
            Answer(200, "What would be sent: the request was to be validated only.", content, ("Preference-Applied",)),
            Answer(202, "It is sent soon.", content, ("Idempotency-Replayed",)),
        )
        of = (_in_path("identifier", "What it is about."),) if "{identifier}" in route.template else ()
        shut = (SHUT,) if self.may_be_shut else ()
        behind = (BEHIND,) if "since" in self.example else ()
        manners = (*of, REHEARSED, ONCE, QUERIED, NEGOTIATED, READ, SAID, *behind, *shut)
        body = Content({JSON.media_type: self.body}, {"everything": self.example}, is_required=bool(self.example))
        return Operation(self.name, self.group, self.summary, answers, manners, body)


SAID = Manner((), (errors.ShapeViolation,))
SHUT = Manner((), (errors.NotDeliverable,))
BEHIND = Manner((), (errors.InvalidParameter, errors.NoLongerKept))

SENT_BY: Mapping[Any, Sent] = {
    deliveries.redelivery: Sent("redeliver", "delivery", "Send a delivery again", "Delivery", delivery_schemas.NOTHING, {}, True),
    deliveries.run_now: Sent("runTrigger", TRIGGER.name, "Run a scheduled trigger now", "Run", delivery_schemas.NOTHING, {}),
    deliveries.event_replay: Sent(
        "replayEvent", "events", "Do everything again that triggers do for an event", "Replayed", delivery_schemas.NOTHING, {}
    ),
    deliveries.range_replay: Sent(
        "replayEvents",
        "events",
        "Do everything again that triggers do for a range of events",
        "Replayed",
        delivery_schemas.RANGE,
        {"since": "0", "types": ["rentAction.*"], "limit": 100},
    ),
    deliveries.webhook_test: Sent(
        "testWebhook",
        "webhook",
        "Send a test to a webhook, and see the request exactly as it is sent",
        "WebhookTest",
        delivery_schemas.NOTHING,
        {},
        True,
    ),
    deliveries.recovery: Sent(
        "recoverWebhook",
        "webhook",
        "Send to a webhook what it has missed",
        "Replayed",
        delivery_schemas.RECOVERY,
        {"since": "2026-11-01T00:00:00Z"},
        True,
    ),
}
"""What has something sent → how it is described."""


def _sending(route: Route) -> Operation:
    return SENT_BY[route.bound["again"]].operation(route)


# --- maintenance --------------------------------------------------------------------------------------------------------


def _log_of_asset(route: Route) -> Operation:
    listed = _listed(replace(route, endpoint=partial(Collection, kind=LOG_OF_ASSET)))
    summary = "The maintenance log of a unit, page by page"
    return replace(listed, name="listAssetMaintenanceLogs", summary=summary, manners=(_of(ASSET), *listed.manners))


def _history_of_asset(_route: Route) -> Operation:
    page = Answer(200, "A page of it.", _offered(COLLECTION_OFFERS, collection_of(_ref("HistoryEntry"))), ("ETag",))
    return Operation(
        name="listAssetHistory",
        group=ASSET.frame.name,
        summary="What happened to a unit: changes, promises, work and photos, the newest first",
        answers=(page, NOT_MODIFIED),
        manners=(_of(ASSET), PAGED, _formatted(COLLECTION_OFFERS), CONDITIONAL),
        returns="Collection",
    )


def _logged(route: Route) -> Operation:
    created = _created(replace(route, endpoint=partial(Collection, kind=MAINTENANCE_LOG)))
    summary = "Write into the maintenance log of a unit; the next action gives the unit another state"
    return replace(created, name="createAssetMaintenanceLog", summary=summary, manners=(_of(ASSET), *created.manners))


# --- attachments --------------------------------------------------------------------------------------------------------

FILE = Manner((), (errors.ContentRefused, errors.TooLarge, errors.ShapeViolation, errors.UnknownReference))
LIVING = Manner((), (errors.Gone,))
LINK: Json = {"type": "string", "format": "uri"}
UPLOAD: Json = {
    "description": "The request that uploads the file.",
    "type": "object",
    "required": ["identifier", "uploadUrl", "uploadMethod", "uploadHeaders", "expiresAt"],
    "properties": {
        "identifier": TEXT,
        "uploadUrl": LINK,
        "uploadMethod": {"enum": ["PUT"]},
        "uploadHeaders": {"type": "object", "additionalProperties": TEXT},
        "expiresAt": {"type": "string", "format": "date-time"},
    },
}
_SAID: Json = {
    "ownerKind": "maintenance_log",
    "ownerId": "log_8",
    "fileName": "cracked lens.jpg",
    "contentType": "image/jpeg",
    "byteSize": 4_194_304,
    "checksum": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
}


def _initiated(_route: Route) -> Operation:
    answer = Answer(201, "How to upload the file.", dict.fromkeys(JSON_TYPES, UPLOAD), ("Idempotency-Replayed", "Preference-Applied"))
    rehearsed = Answer(200, "What would have been said.", dict.fromkeys(JSON_TYPES, UPLOAD), ("Preference-Applied",))
    return Operation(
        name="initiateAttachment",
        group=ATTACHMENT.frame.name,
        summary="Announce a file, and get a link to upload it",
        answers=(rehearsed, answer),
        manners=(REHEARSED, ONCE, QUERIED, NEGOTIATED, READ, FILE),
        body=Content(dict.fromkeys(STEP_READABLE, _ref("NewAttachment")), {"photo": _SAID}),
    )


def _completed(_route: Route) -> Operation:
    body: Json = {"type": "object", "required": ["identifier"], "properties": {"@context": CONTEXT, "identifier": TEXT}}
    after = Answer(200, "The attachment.", _offered(RESOURCE_OFFERS, _ref(_schema_name(ATTACHMENT))), WRITTEN)
    return Operation(
        name="completeAttachment",
        group=ATTACHMENT.frame.name,
        summary="Make an attachment of a file that was uploaded, after it has been looked at",
        answers=(after,),
        manners=(REHEARSED, ONCE, QUERIED, NEGOTIATED, READ, FILE, Manner((), (errors.NotUploaded,)), NAMED, LIVING),
        body=Content(dict.fromkeys(STEP_READABLE, body), {"uploaded": {"identifier": "att_6"}}),
        returns=ATTACHMENT.name,
    )


def _attached(_route: Route) -> Operation:
    fields = {name: {"type": "string"} for name in ("ownerKind", "ownerId", "fileName", "contentType", "byteSize", "checksum", "metadata")}
    form: Json = {
        "type": "object",
        "required": ["ownerKind", "ownerId", "file"],
        "properties": {**fields, "file": {"type": "string", "contentMediaType": "application/octet-stream"}},
    }
    content = _offered(RESOURCE_OFFERS, _ref(_schema_name(ATTACHMENT)))
    made = Answer(201, "The new attachment.", content, ("Location", *WRITTEN))
    rehearsed = Answer(200, "What would have been made.", content, ("Preference-Applied",))
    return Operation(
        name="createAttachment",
        group=ATTACHMENT.frame.name,
        summary="Attach a file in one request: a form with the fields of `initiate` and the part `file`",
        answers=(rehearsed, made),
        manners=(REHEARSED, ONCE, QUERIED, NEGOTIATED, READ, FILE),
        body=Content({FORM_DATA: form}),
        returns=ATTACHMENT.name,
    )


def _attachment(route: Route) -> Operation:
    found = _read(route)
    return replace(found, manners=(*found.manners, LIVING))


def _detached(_route: Route) -> Operation:
    answers = (
        Answer(204, "It is gone; a tombstone stays.", {}, ("Idempotency-Replayed",)),
        Answer(200, "It would have gone.", {}, ("Preference-Applied",)),
    )
    manners = (_of(ATTACHMENT), REHEARSED, GUARDED, ONCE, QUERIED, LIVING)
    return Operation("deleteAttachment", ATTACHMENT.frame.name, "Delete an attachment and its bytes", answers, manners)


def _bytes(route: Route) -> Operation:
    name = route.template.rpartition("/")[2]
    answers = (Answer(307, "Where it is, without a key and for a while.", {}, ("Location",)),)
    summary = {"content": "The file", "thumbnail": "A small JPEG of a picture"}[name]
    return Operation(
        f"get{ATTACHMENT.name.title()}{name.title()}", ATTACHMENT.frame.name, summary, answers, (_of(ATTACHMENT), QUERIED, LIVING)
    )


SIGNED = Manner(
    tuple(Parameter(name, "query", f"As the link says it: {name}.") for name in ("expires", "signature", "size", "type", "disposition")),
    (errors.InvalidParameter, errors.LinkRefused, errors.StoreUnavailable),
)
RANGED = Manner(
    (
        Parameter("Range", "header", "One range of bytes."),
        Parameter("If-Range", "header", "The tag for which the range is meant."),
        IF_NONE_MATCH,
    ),
    (errors.RangeNotSatisfiable,),
)
OF_BYTES = ("Accept-Ranges", "ETag")


def _blob(_route: Route) -> Operation:
    answers = (
        Answer(200, "The file.", {"*/*": TEXT}, OF_BYTES),
        Answer(206, "A part of the file.", {"*/*": TEXT}, ("Content-Range", *OF_BYTES)),
        Answer(304, "What the client has is still the same.", {}, OF_BYTES),
    )
    return Operation(
        "getBlob", ATTACHMENT.frame.name, "The bytes, by a link that expires", answers, (_in_path("name", "Its name."), SIGNED, RANGED)
    )


def _blob_uploaded(_route: Route) -> Operation:
    manners = (_in_path("name", "Its name."), SIGNED, Manner((), (errors.MalformedBody, errors.TooLarge, errors.UnsupportedMediaType)))
    answers = (Answer(204, "It was uploaded."),)
    return Operation(
        "putBlob", ATTACHMENT.frame.name, "Upload a file, by a link that expires", answers, manners, body=Content({"*/*": TEXT})
    )


TAKEN = Manner((), (errors.TransitionRefused,))
CLAIMING = (errors.TransitionRefused, errors.InsufficientAvailability)
STEP_REFUSALS: Mapping[Step, Manner] = {
    Step.APPROVE: Manner((), (*CLAIMING, errors.OwnReservation)),
    Step.ALLOCATE: Manner((), (*CLAIMING, errors.UnknownReference)),
    Step.RELEASE: Manner((), (errors.TransitionRefused, errors.UnknownReference)),
    Step.SWAP: Manner((), (*CLAIMING, errors.UnknownReference)),
}
"""How a step can be refused beyond the refusals of every step."""


@dataclass(frozen=True)
class Page:
    """A published page: the name of its operation, what it is, and what it is offered as."""

    name: str
    summary: str
    offers: Mapping[str, Choice]

    def __call__(self, route: Route) -> Operation:
        named = (_in_path("name", "Its name; the extension may be left out."),) if "{name}" in route.template else ()
        answers = (Answer(200, "As it is published.", _offered(self.offers, ANY_JSON_LD), ("ETag", *OPEN_TO_ALL)), PUBLIC_NOT_MODIFIED)
        return Operation(self.name, "discovery", self.summary, answers, (*named, _formatted(self.offers), CONDITIONAL))


def _published(forms: Iterable[Format]) -> dict[str, Choice]:
    return {**{form.media_type: Wanted(form) for form in forms}, HTML.media_type: HTML}


GRAPHS = _published(FORMATS)

DESCRIPTIONS: Mapping[tuple[Any, str], Describe] = {
    (Collection, "GET"): _listed,
    (Collection, "POST"): _created,
    (Item, "GET"): _read,
    (Item, "PATCH"): _changed,
    (DemandSignals, "GET"): _listed,
    (DemandSignals, "POST"): _demand_told,
    (DemandSignal, "GET"): _read,
    (DemandSignal, "PATCH"): _changed,
    (DemandSignal, "DELETE"): _demand_cancelled,
    (Shortfalls, "GET"): _shortfalls,
    (Revisions, "GET"): _history,
    (PastState, "GET"): _past,
    (ReservationStep, "POST"): _step,
    (Allocations, "GET"): _allocations,
    (Custody, "POST"): _handed_over,
    (Conflicts, "GET"): _conflicts,
    (Answers, "GET"): _answered,
    (FreeUnits, "GET"): _free_units,
    (AssetHistory, "GET"): _history_of_asset,
    (AssetLog, "GET"): _log_of_asset,
    (AssetLog, "POST"): _logged,
    (Attachments, "GET"): _listed,
    (Attachments, "POST"): _attached,
    (Initiation, "POST"): _initiated,
    (Completion, "POST"): _completed,
    (Attachment, "GET"): _attachment,
    (Attachment, "DELETE"): _detached,
    (Bytes, "GET"): _bytes,
    (Blobs, "GET"): _blob,
    (Blobs, "PUT"): _blob_uploaded,
    (Sparql, "GET"): _queried,
    (Sparql, "POST"): _queried_by_post,
    (Export, "GET"): _exported,
    (Queries, "GET"): _query_list,
    (Query, "GET"): _query_answered,
    (Events, "GET"): _feed,
    (Event, "GET"): _event,
    (Configurations, "GET"): _configured,
    (Configurations, "POST"): _configure,
    (Configuration, "GET"): _configuration,
    (Configuration, "PATCH"): _reconfigure,
    (Configuration, "DELETE"): _unconfigure,
    (KeyRing, "GET"): _key_ring,
    (KeyRing, "POST"): _key_made,
    (Key, "GET"): _key,
    (Key, "DELETE"): _key_revoked,
    (Match, "POST"): _matched,
    (SecretRotation, "POST"): _rotated,
    (Deliveries, "GET"): _deliveries,
    (Delivery, "GET"): _delivery,
    (Runs, "GET"): _runs,
    (Sending, "POST"): _sending,
    (Live, "GET"): _live,
    (Ready, "GET"): _ready,
    (Metrics, "GET"): _metrics,
    (Looks, "GET"): _look,
    (discovery.entry_point, "GET"): Page("enter", "What there is", GRAPHS),
    (discovery.contexts, "GET"): Page("listContexts", "The JSON-LD contexts", GRAPHS),
    (discovery.context_pages, "GET"): Page("getContext", "A JSON-LD context", _published(discovery.CONTEXT_FORMATS)),
    (discovery.shapes, "GET"): Page("listShapes", "The SHACL shapes", GRAPHS),
    (discovery.shape_pages, "GET"): Page("getShape", "A SHACL shape", GRAPHS),
    (discovery.vocabulary, "GET"): Page("getVocabulary", "Our own terms", GRAPHS),
    (discovery.problems, "GET"): Page("listProblems", "The types of problems", GRAPHS),
    (discovery.problem_pages, "GET"): Page("getProblem", "What a problem means, and what to do about it", GRAPHS),
    (description.openapi, "GET"): Page("getOpenApi", "This description", {JSON.media_type: Wanted(JSON)}),
    (description.event_schema, "GET"): Page("getEventSchema", "What every event is like, as JSON Schema", {JSON.media_type: Wanted(JSON)}),
    (description.docs, "GET"): Page("getDocs", "This description, for people", {HTML.media_type: HTML}),
    (description.api_documentation, "GET"): Page("getApiDocumentation", "This description, in Hydra's terms", GRAPHS),
    (description.void, "GET"): Page("getVoid", "What data there is, in VoID's terms", GRAPHS),
}
"""What makes an endpoint, or its class, and a method → its description. A test says that no route lacks one."""


def interface(routes: Iterable[Route]) -> Interface:
    """Every method of these routes with its description."""
    return [Described(route, method, _describe(route, method)) for route in routes for method in route.needs]


def _describe(route: Route, method: str) -> Operation:
    row = DESCRIPTIONS.get((route.endpoint, method)) or DESCRIPTIONS[route.maker, method]
    operation = row(route)
    return replace(operation, manners=(EVERY, _asked_of(route.needs[method]), *operation.manners))


def _asked_of(needed: Needed) -> Manner:
    return Manner() if needed is PUBLIC else KEYED
