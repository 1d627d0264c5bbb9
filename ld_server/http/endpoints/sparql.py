"""
`/v1/sparql`: queries by the SPARQL 1.1 Protocol. It only reads, asks no other server, and reads its own writes.

A query waits until the projector has applied every revision that was committed when the query arrived. When that takes too
long, the answer is 503 with Retry-After; a client that prefers an old answer to none sends `Prefer: handling=lenient`.
"""

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass

import falcon

from ld_server.domain.errors import InvalidParameter, QueryRefused, StoreUnavailable, UnsupportedMediaType
from ld_server.http.body import read_body
from ld_server.http.endpoints.discovery import TURTLE_FIRST, Publication, Single
from ld_server.http.negotiation import FORMAT, Wanted, negotiate, not_acceptable, parse
from ld_server.http.parameters import nearest, pairs
from ld_server.http.showing import pages_of
from ld_server.rdf import codecs
from ld_server.rdf.formats import BY_MEDIA_TYPE, FORMATS, TURTLE
from ld_server.services.parts import Parts
from ld_server.sparql import guard, results
from ld_server.sparql.description import description

FORM = "application/x-www-form-urlencoded"
QUERY = "application/sparql-query"
UPDATE = "application/sparql-update"

PARAMETERS = ("query", "default-graph-uri", "named-graph-uri")
_MOST_PARAMETERS = 1000
"""More than elsewhere: a dataset may have many graphs."""

TABLE_OFFERS: Mapping[str, tuple[str, str]] = {
    results.JSON: (results.JSON, results.JSON),
    results.XML: (results.XML, results.XML),
    results.CSV: (results.CSV, "text/csv; charset=utf-8; header=present"),
    results.TSV: (results.TSV, "text/tab-separated-values; charset=utf-8"),
    "application/json": (results.JSON, "application/json"),
    "application/xml": (results.XML, "application/xml"),
}
"""Answers to SELECT and ASK: what a client may accept → the syntax, and the Content-Type it is sent under."""

GRAPH_OFFERS = tuple(name for form in FORMATS for name in form.media_types)
"""Answers to CONSTRUCT and DESCRIBE."""

_PAUSE = 0.004
_LONGEST_PAUSE = 0.05
"""Seconds between two looks at what the projector has still to do: the first, and the longest."""

_LENIENT = re.compile(r'(?:\A|[,;])\s*handling\s*=\s*"?lenient"?\s*(?:\Z|[,;])', re.IGNORECASE)


@dataclass(frozen=True)
class Request:
    """A query as it was asked."""

    query: str
    default_graphs: tuple[str, ...]
    named_graphs: tuple[str, ...]


class Sparql:
    """The endpoint."""

    accept_post = (FORM, QUERY)

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        iri = parts.settings.base_iri + "/v1/sparql"
        self._itself = Single(Publication(iri, description(iri), TURTLE, parts.contexts, pages_of(parts), TURTLE_FIRST, "sparql", {}))

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """The answer to `?query=`; without any parameter, what the endpoint says about itself."""
        if not req.params.keys() - {FORMAT}:
            self._itself.on_get(req, resp)
        else:
            self._answer(req, resp, _request(pairs(req.query_string, _MOST_PARAMETERS)))

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """The answer to a query in the body: in a form, or by itself."""
        posted = _posted(req, self._parts.settings.max_body_bytes)
        self._answer(req, resp, _request([*pairs(req.query_string, _MOST_PARAMETERS), *posted]))

    def _answer(self, req: falcon.Request, resp: falcon.Response, request: Request) -> None:
        form = guard.check(request.query).form
        respond = self._graph if form.gives_graph else self._table
        resp.set_header("Vary", "Accept, Prefer")
        resp.set_header("Cache-Control", "private, no-cache")
        respond(req, resp, request)

    def _table(self, req: falcon.Request, resp: falcon.Response, request: Request) -> None:
        syntax, content_type = TABLE_OFFERS[_accepted(req, tuple(TABLE_OFFERS))]
        resp.data = self._ask(req, resp, request, syntax)
        resp.content_type = content_type

    def _graph(self, req: falcon.Request, resp: falcon.Response, request: Request) -> None:
        form = BY_MEDIA_TYPE[_accepted(req, GRAPH_OFFERS)]
        found = self._ask(req, resp, request, results.N_TRIPLES)
        resp.data = found if form.media_type == results.N_TRIPLES else codecs.write(results.statements(found), form)
        resp.content_type = Wanted(form).content_type

    def _ask(self, req: falcon.Request, resp: falcon.Response, request: Request, syntax: str) -> bytes:
        self._catch_up(req, resp)
        parts = self._parts
        answer = parts.sparql.query(
            request.query,
            syntax,
            default_graphs=request.default_graphs,
            named_graphs=request.named_graphs,
            timeout=parts.settings.sparql_timeout,
        )
        return answer.body

    def _catch_up(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Waits until everything is projected that is committed now. Raises StoreUnavailable, unless the client is lenient."""
        with self._parts.ledger.read() as uow:
            newest = uow.projections.newest()
        if newest == 0 or self._projected(newest):
            return
        with self._parts.ledger.read() as uow:
            backlog = uow.projections.backlog().count
        if not _LENIENT.search(req.env.get("HTTP_PREFER", "")):
            raise StoreUnavailable(f"{backlog} revisions wait for the SPARQL store; send Prefer: handling=lenient to do without them.")
        resp.set_header("Preference-Applied", "handling=lenient")
        resp.set_header("X-Projection-Backlog", str(backlog))

    def _projected(self, newest: int) -> bool:
        """Whether everything up to a position is in the store, at the latest after the time that a query may wait."""
        deadline, pause = time.monotonic() + self._parts.settings.sparql_wait, _PAUSE
        while self._waits(newest):
            if time.monotonic() + pause > deadline:
                return False
            time.sleep(pause)
            pause = min(_LONGEST_PAUSE, pause * 1.5)
        return True

    def _waits(self, newest: int) -> bool:
        with self._parts.ledger.read() as uow:
            return uow.projections.waiting(newest)


def _accepted(req: falcon.Request, offers: tuple[str, ...]) -> str:
    chosen = negotiate(req.env.get("HTTP_ACCEPT"), offers)
    if chosen is None:
        raise not_acceptable(offers)
    return chosen


def _posted(req: falcon.Request, limit: int) -> list[tuple[str, str]]:
    """The parameters in a body, by its media type."""
    media_type = parse(req.content_type or "")
    essence = media_type.essence if media_type else ""
    if essence == UPDATE:
        raise QueryRefused("Updates are not allowed: this endpoint only reads.")
    charset = media_type.parameters.get("charset", "utf-8") if media_type else ""
    if essence not in Sparql.accept_post or charset.lower() not in ("utf-8", "utf8"):
        raise UnsupportedMediaType(f"Send the query as {FORM} or {QUERY}, in UTF-8.", supported=list(Sparql.accept_post))
    text = read_body(req, limit).decode()
    return [("query", text)] if essence == QUERY else pairs(text, _MOST_PARAMETERS)


def _request(pairs: list[tuple[str, str]]) -> Request:
    """What was asked. Parameters of other servers (`format`, `timeout` …), which many clients send, are passed over."""
    for name, _ in pairs:
        _refuse_parameter(name)
    given = {name: tuple(value for one, value in pairs if one == name) for name in PARAMETERS}
    if len(given["query"]) != 1:
        raise InvalidParameter(f"There must be one query, not {len(given['query'])}.", parameter="query")
    return Request(given["query"][0], given["default-graph-uri"], given["named-graph-uri"])


def _refuse_parameter(name: str) -> None:
    """An update is refused, and a misspelled parameter: to pass it over would change what the query means."""
    if name == "update":
        raise QueryRefused("Updates are not allowed: this endpoint only reads.", parameter=name)
    meant = nearest(name, PARAMETERS)
    if name not in PARAMETERS and meant:
        raise InvalidParameter(f"There is no parameter {name!r} here. Did you mean {meant}?", parameter=name, suggestion=meant)
