"""The description of the interface as an OpenAPI 3.1 document, written from the table of operations, the kinds and the problems."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from typing import Any

from ld_server.domain.errors import Refusal, ShapeViolation, Stale
from ld_server.domain.risk import REASONS, Reason
from ld_server.domain.scopes import MEANINGS, Scope
from ld_server.domain.status import Priority
from ld_server.http.answers import AVAILABILITY
from ld_server.http.authentication import ANY, BROWSABLE, Needed
from ld_server.http.body import PATCHABLE, READABLE
from ld_server.http.delivery_schemas import DELIVERY_SCHEMAS
from ld_server.http.endpoints.discovery import OPEN_TO_ALL, PREFLIGHT
from ld_server.http.errors import HEADERS, INTERNAL, PROBLEM_JSON, PROBLEMS, REPORT_OFFERS, TITLES, problem_of
from ld_server.http.event_schemas import CONFIGURATION_SCHEMAS
from ld_server.http.negotiation import HTML
from ld_server.http.operation import Answer, Content, Described, Interface, Operation, Parameter
from ld_server.http.requesters import is_open
from ld_server.http.route import PUBLIC
from ld_server.http.schemas import REFERENCE, REFERENCE_TO_SEND, Json, KindSchemas
from ld_server.rdf.contexts import Contexts
from ld_server.rdf.formats import JSON
from ld_server.rdf.shapes import Shapes
from ld_server.resources import KINDS

VERSION = "3.1.1"

DESCRIPTION = """Reservations for fleet equipment, served as linked data.

Every resource is an RDF graph: it is read and written as JSON, JSON-LD, Turtle, N-Triples, N-Quads, TriG or RDF/XML, as `Accept` and
`Content-Type` say. Where a schema stands at a JSON type, it describes the compacted form under our own context.

Refusals are problem documents (RFC 9457). `HEAD` goes wherever `GET` goes; `OPTIONS` says what a path takes.
A parameter of a query that is given without a value counts as not given.

Scopes of keys:

{scopes}
"""

ANSWER_HEADERS: Mapping[str, str] = {
    "X-Correlation-Id": "The identifier of this exchange, taken from the request or made.",
    "Link": "Where to go from here (RFC 8288): the description of the interface, the shape, the collection, the next page.",
    "Cache-Control": "How long, and by whom, the answer may be kept.",
    "Vary": "The headers of the request on which the answer depends.",
    "ETag": "The name of this state in this syntax.",
    "RateLimit-Policy": "How many requests there may be (`q`) in how many seconds (`w`).",
    "RateLimit": "How many more there may be now (`r`), and the seconds until there may be more (`t`).",
    "Location": "The address of the new resource.",
    "Content-Location": "The address of the resource that the answer shows.",
    "Idempotency-Replayed": "`true` when this is the answer to an earlier request with the same Idempotency-Key.",
    "Preference-Applied": "The preference that was followed.",
    "Warning": "What shapes say of the resource without refusing it: `299 ld-server`, and a JSON pointer with a message, for each.",
    "X-Projection-Backlog": "How many changes the answer does not know of yet.",
    "Access-Control-Allow-Origin": "`*`: pages from anywhere may load it.",
    "Access-Control-Expose-Headers": "The headers that such pages may read.",
    "Access-Control-Allow-Methods": "The methods that such pages may use.",
    "Access-Control-Allow-Headers": "The headers that such pages may send.",
    "Access-Control-Max-Age": "Seconds for which this need not be asked again.",
    "Content-Encoding": "`gzip` where the answer is compressed.",
    "Allow": "The methods that the path takes.",
    "Accept-Post": "The media types that can be posted.",
    "Accept-Patch": "The media types of patches.",
    "Accept-Encoding": "The codings that a body may have.",
    "WWW-Authenticate": "How to show a key.",
    "Accept-Ranges": "`bytes`: a range can be asked for.",
    "Content-Range": "Which bytes of how many these are.",
    "Retry-After": "Seconds after which it is worth trying again.",
}
"""Every header of an answer that belongs to the interface, with what it says."""

ALWAYS = ("X-Correlation-Id", "Link", "Cache-Control", "Vary", "RateLimit-Policy", "RateLimit")
"""Headers of every answer that has a body or stands for one."""

VIOLATION: Json = {
    "type": "object",
    "required": ["pointer", "path", "value", "message"],
    "properties": {
        "pointer": {"type": "string", "description": "JSON pointer (RFC 6901) into what was sent."},
        "path": {"type": "string", "description": "The IRI of the property."},
        "value": {"description": "The wrong value."},
        "message": {"type": "string"},
    },
}

PROBLEM: Json = {
    "description": "A refusal (RFC 9457). Further members depend on its type, which can be opened.",
    "type": "object",
    "required": ["type", "title", "status", "detail", "correlationId"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "correlationId": {"type": "string"},
        "violations": {"type": "array", "items": {"$ref": "#/components/schemas/Violation"}},
        "reports": {"type": "array", "items": {"type": "object"}, "description": "What is wrong with each of many resources."},
    },
}

JSON_PATCH: Json = {
    "description": "A JSON Patch (RFC 6902).",
    "type": "array",
    "items": {
        "type": "object",
        "required": ["op", "path"],
        "properties": {
            "op": {"enum": ["add", "remove", "replace", "move", "copy", "test"]},
            "path": {"type": "string", "description": "JSON pointer (RFC 6901)."},
            "from": {"type": "string", "description": "JSON pointer; of move and copy."},
            "value": {"description": "Of add, replace and test."},
        },
    },
}

HISTORY_ENTRY: Json = {
    "description": "One thing that happened to a unit.",
    "type": "object",
    "required": ["@type", "changedAt", "summary", "about"],
    "properties": {
        "@type": {"const": "HistoryEntry"},
        "changedAt": {"type": "string", "format": "date-time"},
        "changedBy": {"type": "string"},
        "summary": {"type": "string"},
        "about": {"$ref": "#/components/schemas/Reference"},
    },
}

REVISION: Json = {
    "description": "A change of a resource; its document is at its address.",
    "type": "object",
    "required": ["@id", "@type", "revision", "revisionOf", "changedBy", "changedAt", "correlationId"],
    "properties": {
        "@id": {"type": "string", "format": "uri"},
        "@type": {"const": "Revision"},
        "revision": {"type": "integer", "minimum": 1},
        "revisionOf": {"type": "string", "format": "uri"},
        "changedBy": {"type": "string"},
        "changedAt": {"type": "string", "format": "date-time"},
        "correlationId": {"type": "string"},
    },
}

_LINK: Json = {"type": "object", "required": ["@id"], "properties": {"@id": {"type": "string", "format": "uri"}}}

CONFLICT: Json = {
    "description": "Something that endangers a promise, or keeps a reservation from being approved.",
    "type": "object",
    "required": ["@id", "@type", "forLine", "reasonCode", "explanation"],
    "properties": {
        "@id": {"type": "string", "format": "uri"},
        "@type": {"const": "Conflict"},
        "forLine": _LINK,
        "ofAllocation": _LINK,
        "object": {"$ref": "#/components/schemas/Reference"},
        "asset": {"$ref": "#/components/schemas/Reference"},
        "stockPool": {"$ref": "#/components/schemas/Reference"},
        "quantity": {"type": "integer", "minimum": 1},
        "reasonCode": {
            "enum": [str(one) for one in Reason],
            "description": "\n".join(f"* `{one}`: {text}" for one, text in REASONS.items()),
        },
        "explanation": {"type": "string"},
        "heldBy": {"type": "array", "items": {"$ref": "#/components/schemas/Reference"}},
        "since": {"type": "string", "format": "date-time"},
        "until": {"type": "string", "format": "date-time", "description": "Missing where nobody knows."},
        "shortage": {"type": "object", "description": "A line of the problem `insufficient-availability`."},
    },
}

_COUNT: Json = {"type": "integer", "minimum": 0}
_INSTANT: Json = {"type": "string", "format": "date-time"}
_REFERRED: Json = {"$ref": "#/components/schemas/Reference"}
SHORTFALL: Json = {
    "description": "A window in which there are fewer units than are wanted and to be kept spare; `demand` and `supply` when it is worst.",
    "type": "object",
    "required": [
        "@id", "@type", "itemType", "startTime", "endTime", "demand", "supply", "shortfallQuantity", "recommendedBuildQuantity", "neededBy",
        "causes",
    ],
    "properties": {
        "@id": {"type": "string", "format": "uri"},
        "@type": {"const": "Shortfall"},
        "itemType": _REFERRED,
        "location": {"type": "string", "description": "Missing where all locations are looked at together."},
        "startTime": _INSTANT,
        "endTime": _INSTANT,
        "demand": _COUNT,
        "supply": {"type": "integer"},
        "bufferQuantity": {**_COUNT, "description": "How many units are to be kept spare."},
        "shortfallQuantity": {**_COUNT, "description": "How many of the wanted units are missing; 0 where only spare ones are used."},
        "openBuildQuantity": {**_COUNT, "description": "How many units have been asked for and are not there yet."},
        "recommendedBuildQuantity": {**_COUNT, "description": "How many more should be built, besides those that have been asked for."},
        "neededBy": {**_INSTANT, "description": "When they must be there."},
        "orderBy": {**_INSTANT, "description": "When they must be ordered for that, by the lead time of the item type."},
        "isLate": {"type": "boolean", "description": "Whether that is over."},
        "causes": {"type": "array", "items": {"$ref": "#/components/schemas/ShortfallCause"}},
    },
}  # fmt: skip
SHORTFALL_CAUSE: Json = {
    "description": "A reservation or a demand signal that wants units when a shortfall is worst.",
    "type": "object",
    "required": ["@type", "quantity", "priority"],
    "properties": {
        "@type": {"const": "ShortfallCause"},
        "rentAction": _REFERRED,
        "demandSignal": _REFERRED,
        "quantity": {"type": "integer", "minimum": 1},
        "priority": {"enum": [str(one) for one in Priority]},
    },
}

SCHEMAS: Json = {
    "Shortfall": SHORTFALL,
    "ShortfallCause": SHORTFALL_CAUSE,
    "Conflict": CONFLICT,
    **AVAILABILITY,
    "Revision": REVISION,
    "HistoryEntry": HISTORY_ENTRY,
    "Reference": REFERENCE,
    "ReferenceToSend": REFERENCE_TO_SEND,
    "JsonPatch": JSON_PATCH,
    "Problem": PROBLEM,
    "Violation": VIOLATION,
}
"""Schemas of what no kind is."""

SECURITY_SCHEMES: Json = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "An API key as `Authorization: Bearer …`."},
    "apiKey": {"type": "apiKey", "in": "header", "name": "X-Api-Key", "description": "The same key in a header of its own."},
    "basic": {"type": "http", "scheme": "basic", "description": "The key as the password, for browsers; it counts for reading only."},
}


@dataclass(frozen=True)
class OpenApi:
    """The document of a deployment. `interface` is what can be asked of it."""

    interface: Interface
    base_iri: str
    shapes: Shapes
    contexts: Contexts

    def document(self) -> Json:
        """The whole document."""
        paths: dict[str, Json] = {}
        for one in self.interface:
            paths.setdefault(one.route.template, {}).update(self._methods(one))
        return {
            "openapi": VERSION,
            "info": {"title": "ld-reservations", "version": version("ld-reservations"), "description": _description()},
            "servers": [{"url": self.base_iri}],
            "tags": self._tags(),
            "paths": paths,
            "components": self._components(),
        }

    # --- operations ---------------------------------------------------------------------------------------------------

    def _methods(self, one: Described) -> Json:
        """The method with what goes with it: HEAD with GET, and OPTIONS."""
        written = self._operation(one)
        head = {"head": _as_head(written)} if one.method == "GET" else {}
        return {one.method.lower(): written, **head, "options": self._options(one)}

    def _operation(self, one: Described) -> Json:
        operation = one.operation
        return {
            "operationId": operation.name,
            "tags": [operation.group],
            "summary": operation.summary,
            "security": _security(one.route.needs[one.method], one.method, is_open(one.route.template, one.method)),
            "parameters": [self._parameter(each) for each in operation.parameters],
            **({"requestBody": self._body(operation)} if operation.body else {}),
            "responses": {**_answers(operation.answers), **_refused(operation)},
        }

    def _options(self, one: Described) -> Json:
        """The same for every method of a path."""
        words = "".join(filter(str.isalnum, one.route.template.title()))
        said = Answer(204, "Nothing but headers.", headers=("Allow", "Accept-Post", "Accept-Patch", *PREFLIGHT))
        return {
            "operationId": f"options{words}",
            "tags": [one.operation.group],
            "summary": "What the path takes",
            "security": [],
            "parameters": [self._parameter(each) for each in one.operation.parameters if each.where == "path"],
            "responses": _answers([said]),
        }

    def _parameter(self, parameter: Parameter) -> Json:
        is_shared = parameter.name in self._shared
        return {"$ref": f"#/components/parameters/{parameter.name}"} if is_shared else _written(parameter)

    @cached_property
    def _shared(self) -> Mapping[str, Parameter]:
        """Parameters that several operations have and that are the same wherever they stand, by name."""
        places: dict[str, list[Parameter]] = {}
        for one in self.interface:
            for parameter in one.operation.parameters:
                places.setdefault(parameter.name, []).append(parameter)
        return {name: found[0] for name, found in places.items() if len(found) > 1 and all(each == found[0] for each in found)}

    def _body(self, operation: Operation) -> Json:
        body = operation.body or Content({})
        examples = self._kinds[operation.expects].examples() if operation.expects else body.examples
        content = {name: _media_type(name, schema, examples) for name, schema in body.schemas.items()}
        return {"required": body.is_required, "content": content}

    # --- components ---------------------------------------------------------------------------------------------------

    @cached_property
    def _kinds(self) -> Mapping[str, KindSchemas]:
        return {kind.name: KindSchemas(kind, self.shapes, self.contexts) for kind in KINDS.values()}

    def _components(self) -> Json:
        refused = {_name_of(slugs): slugs for one in self.interface for slugs in _slugs_by_status(one.operation).values()}
        schemas = {name: schema for kind in self._kinds.values() for name, schema in kind.all().items()}
        return {
            "schemas": {**schemas, **SCHEMAS, **CONFIGURATION_SCHEMAS, **DELIVERY_SCHEMAS},
            "parameters": {name: _written(parameter) for name, parameter in self._shared.items()},
            "headers": {name: {"description": text, "schema": {"type": "string"}} for name, text in ANSWER_HEADERS.items()},
            "responses": {name: self._refusal(refused[name]) for name in sorted(refused)},
            "securitySchemes": SECURITY_SCHEMES,
        }

    def _refusal(self, slugs: Sequence[str]) -> Json:
        """The response of problems that share a status."""
        rows = [TITLES[slug] for slug in slugs]
        types = [f"{self.base_iri}/problems/{slug}" for slug in slugs]
        schema = {"$ref": "#/components/schemas/Problem", "properties": {"type": {"enum": types}, "status": {"const": rows[0][1].status}}}
        may_report = problem_of(ShapeViolation).slug in slugs
        reports = {name: _as_text_or_graph(name) for name in REPORT_OFFERS if name not in (PROBLEM_JSON, JSON.media_type) and may_report}
        return {
            "description": "\n".join(f"* `{problem.slug}`: {title}. {problem.advice}" for title, problem in rows),
            "headers": _headers(*ALWAYS, *OPEN_TO_ALL, *dict.fromkeys(name for slug in slugs for name in _PROBLEM_HEADERS[slug])),
            "content": {PROBLEM_JSON: {"schema": schema}, HTML.media_type: {"schema": {"type": "string"}}, **reports},
        }

    # --- tags ---------------------------------------------------------------------------------------------------------

    def _tags(self) -> list[Json]:
        """The groups, in the order of the routes."""
        about = {kind.frame.name: self.shapes.shape(kind.frame.shape).description for kind in KINDS.values()}
        groups = dict.fromkeys(one.operation.group for one in self.interface)
        return [{"name": group, **({"description": about[group]} if group in about else {})} for group in groups]


def _written(parameter: Parameter) -> Json:
    return {
        "name": parameter.name,
        "in": parameter.where,
        **({"required": True} if parameter.is_required or parameter.where == "path" else {}),
        "description": parameter.description,
        "schema": parameter.schema,
    }


def _media_type(name: str, schema: Json, examples: Mapping[str, Any]) -> Json:
    """A body in a media type; the examples are JSON terms, which a form has too."""
    written = {} if schema.get("type") == "string" else {"examples": {each: {"value": value} for each, value in examples.items()}}
    return {"schema": schema, **written}


def _answers(answers: Iterable[Answer]) -> Json:
    return {str(one.status): _answer(one) for one in answers}


def _answer(one: Answer) -> Json:
    content = {"content": {name: {"schema": schema} for name, schema in one.content.items()}} if one.content else {}
    return {"description": one.meaning, "headers": _headers(*ALWAYS, *one.headers), **content}


def _as_head(operation: Json) -> Json:
    """The same answers without what they hold."""
    bare = {status: {name: part for name, part in one.items() if name != "content"} for status, one in operation["responses"].items()}
    name = operation["operationId"]
    return {**operation, "operationId": f"head{name[0].upper()}{name[1:]}", "responses": bare}


def _headers(*names: str) -> Json:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _security(needed: Needed, method: str, opens_to_requesters: bool) -> list[Json]:
    """Which keys are asked for, any of them; a scope stands there as what OpenAPI calls a role."""
    if needed is PUBLIC:
        return []
    others = [Scope.REQUESTER] if opens_to_requesters else []
    roles = [[]] if needed == ANY else [[str(one)] for one in (needed, *others)]
    return [{scheme: each} for each in roles for scheme in SECURITY_SCHEMES if scheme != "basic" or method in BROWSABLE]


def _slugs_by_status(operation: Operation) -> dict[int, list[str]]:
    """Status → the problems that have it, in the order of the table of problems."""
    possible = {problem_of(refusal).slug for refusal in operation.refusals} | {INTERNAL.slug}
    found: dict[int, list[str]] = {}
    for slug, (_, problem) in TITLES.items():
        if slug in possible:
            found.setdefault(problem.status, []).append(slug)
    return found


def _refused(operation: Operation) -> Json:
    return {str(status): {"$ref": f"#/components/responses/{_name_of(slugs)}"} for status, slugs in _slugs_by_status(operation).items()}


def _name_of(slugs: Iterable[str]) -> str:
    return ".".join(slugs)


def _as_text_or_graph(media_type: str) -> Json:
    return {"schema": {"type": ["array", "object"]} if "json" in media_type else {"type": "string"}}


def _headers_of(refusal: type[Refusal]) -> list[str]:
    """The headers beside a problem, whatever its members are."""
    ways = [refusal("", **members) for members in _MEMBERS] if refusal in HEADERS else []
    return [name for way in ways for name in HEADERS[refusal](way)]


_MEMBERS: Sequence[Mapping[str, Any]] = ({}, {"supported": READABLE}, {"supported": PATCHABLE})
"""Members of refusals on which their headers depend."""

_PROBLEM_HEADERS: Mapping[str, Sequence[str]] = {
    INTERNAL.slug: (),
    **{row.slug: _headers_of(refusal) for refusal, row in PROBLEMS.items()},
    PROBLEMS[Stale].slug: ("ETag",),
}
"""Slug → the headers of the problem that not every problem has."""


def _description() -> str:
    return DESCRIPTION.format(scopes="\n".join(f"* `{scope}`: {meaning}" for scope, meaning in MEANINGS.items()))
