"""
How a SPARQL query is asked and its answer given: by `/v1/sparql`, and by the queries that have a name.

A query waits until the projector has applied every revision that was committed when the query arrived. When that takes too
long, the answer is 503 with Retry-After; a client that prefers an old answer to none sends `Prefer: handling=lenient`.
"""

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import falcon

from ld_server.domain.errors import InvalidParameter, RateLimited, StoreUnavailable
from ld_server.domain.scopes import Scope, allows
from ld_server.http.negotiation import HTML, Wanted, choose, negotiate, not_acceptable
from ld_server.http.pages.answers import Shown
from ld_server.http.pages.pages import PAGE_HEADERS
from ld_server.http.showing import pages_of
from ld_server.rdf import codecs
from ld_server.rdf.formats import BY_MEDIA_TYPE, FORMATS
from ld_server.rdf.personal import with_persons
from ld_server.services.parts import Parts
from ld_server.services.seats import Sitting
from ld_server.sparql import guard, results
from ld_server.sparql.port import limits_of


@dataclass(frozen=True)
class Syntax:
    """How a table is sent: what the parameter `format` calls it, what the store is asked for, and the Content-Type."""

    key: str
    syntax: str
    content_type: str


TABLE_OFFERS: Mapping[str, Syntax] = {
    results.JSON: Syntax("srj", results.JSON, results.JSON),
    results.XML: Syntax("srx", results.XML, results.XML),
    results.CSV: Syntax("csv", results.CSV, "text/csv; charset=utf-8; header=present"),
    results.TSV: Syntax("tsv", results.TSV, "text/tab-separated-values; charset=utf-8"),
    "application/json": Syntax("json", results.JSON, "application/json"),
    "application/xml": Syntax("xml", results.XML, "application/xml"),
    HTML.media_type: Syntax(HTML.key, results.JSON, HTML.content_type),
}
"""Answers to SELECT and ASK, by what a client may accept."""

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
    default_graphs: Sequence[str] = ()
    named_graphs: Sequence[str] = ()

    @property
    def has_dataset(self) -> bool:
        """Whether the request chooses the dataset, and not the query."""
        return bool(self.default_graphs or self.named_graphs)


class Asking:
    """Asks the SPARQL store of a deployment."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def answer(self, req: falcon.Request, resp: falcon.Response, request: Request, shown: Shown, name: str | None = None) -> None:
        """
        The answer as the client likes it, or as `name`, the key of a syntax, says. `shown` is what a page says around a table.

        Raises NotAcceptable, InvalidParameter, QueryRefused, QueryLimitExceeded, RateLimited and StoreUnavailable.
        """
        form = guard.check(request.query).form
        resp.set_header("Vary", "Accept, Prefer")
        resp.set_header("Cache-Control", "private, no-cache")
        with self._seat():
            if form.gives_graph:
                self._graph(req, resp, request)
            else:
                self._table(req, resp, request, shown, choose(req.env.get("HTTP_ACCEPT"), TABLE_OFFERS, name))

    @contextmanager
    def _seat(self) -> Iterator[None]:
        """Holds one of the few threads that may be held for long. Raises RateLimited where none is left."""
        if not self._parts.seats.take(Sitting.QUERY, self._parts.settings):
            raise RateLimited("Too many queries are being answered here; ask again in a moment.")
        try:
            yield
        finally:
            self._parts.seats.give_back(Sitting.QUERY)

    def _table(self, req: falcon.Request, resp: falcon.Response, request: Request, shown: Shown, chosen: Syntax) -> None:
        limits = limits_of(self._parts.settings)
        found = results.finished(self._ask(req, resp, request, results.JSON), results.JSON, chosen.syntax, limits).body
        if chosen.key == HTML.key:
            resp.set_headers(dict(PAGE_HEADERS))
            found = pages_of(self._parts).answer(shown, found).encode()
        resp.data = found
        resp.content_type = chosen.content_type

    def _graph(self, req: falcon.Request, resp: falcon.Response, request: Request) -> None:
        form = BY_MEDIA_TYPE[_accepted(req)]
        found = self._ask(req, resp, request, results.N_TRIPLES)
        resp.data = found if form.media_type == results.N_TRIPLES else codecs.write(results.statements(found), form)
        resp.content_type = Wanted(form).content_type

    def _ask(self, req: falcon.Request, resp: falcon.Response, request: Request, syntax: str) -> bytes:
        """The answer of the store, with people's names and addresses for whoever may see them."""
        self._refuse_unknown_graphs(request)
        self._catch_up(req, resp)
        parts = self._parts
        answer = parts.sparql.query(
            request.query,
            syntax,
            default_graphs=request.default_graphs,
            named_graphs=request.named_graphs,
            timeout=parts.settings.sparql_timeout,
        )
        return with_persons(answer.body, parts.sealing.person) if allows(req.context.principal.scopes, Scope.PERSONAL) else answer.body

    def _refuse_unknown_graphs(self, request: Request) -> None:
        """A dataset is made of graphs that there are. Raises InvalidParameter for a name that no resource has."""
        dataset = guard.check(request.query).dataset_given(request.default_graphs, request.named_graphs)
        if dataset is None:
            return
        known = self._known((*dataset.default, *dataset.named))
        for names, parameter in ((dataset.default, "default-graph-uri"), (dataset.named, "named-graph-uri")):
            for name in names:
                if name not in known:
                    said = f"There is no graph <{name[:200]}>: every resource has one, under its own IRI, and there are no others."
                    raise InvalidParameter(said, parameter=parameter if request.has_dataset else "query")

    def _known(self, names: Sequence[str]) -> set[str]:
        """Those of the names that resources have."""
        naming = self._parts.naming
        identifiers = [identifier for name in names if (identifier := naming.identifier(name)) and naming.iri(identifier) == name]
        return {naming.iri(one) for one in self._parts.ledger.at_once(lambda reading: reading.documents.heads(identifiers))}

    def _catch_up(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Waits until everything is projected that is committed now. Raises StoreUnavailable, unless the client is lenient."""
        newest = self._parts.ledger.at_once(lambda reading: reading.projections.newest())
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
        return self._parts.ledger.at_once(lambda reading: reading.projections.waiting(newest))


def _accepted(req: falcon.Request) -> str:
    chosen = negotiate(req.env.get("HTTP_ACCEPT"), GRAPH_OFFERS)
    if chosen is None:
        raise not_acceptable(GRAPH_OFFERS)
    return chosen
