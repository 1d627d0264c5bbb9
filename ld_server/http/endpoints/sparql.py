"""`/v1/sparql`: queries by the SPARQL 1.1 Protocol. It only reads, asks no other server, and reads its own writes."""

import falcon

from ld_server.domain.errors import InvalidParameter, QueryRefused, UnsupportedMediaType
from ld_server.http.asking import Asking, Request
from ld_server.http.body import read_body
from ld_server.http.endpoints.discovery import TURTLE_FIRST, Publication, Single
from ld_server.http.negotiation import FORMAT, parse
from ld_server.http.pages.answers import Shown
from ld_server.http.parameters import nearest, pairs
from ld_server.http.showing import pages_of
from ld_server.rdf.formats import TURTLE
from ld_server.services.parts import Parts
from ld_server.sparql.description import description

FORM = "application/x-www-form-urlencoded"
QUERY = "application/sparql-query"
UPDATE = "application/sparql-update"

PARAMETERS = ("query", "default-graph-uri", "named-graph-uri")
_MOST_PARAMETERS = 1000
"""More than elsewhere: a dataset may have many graphs."""


class Sparql:
    """The endpoint."""

    accept_post = (FORM, QUERY)

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._asking = Asking(parts)
        self._iri = iri = parts.settings.base_iri + "/v1/sparql"
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
        self._asking.answer(req, resp, request, Shown("Answer", self._iri, request.query))


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
    if name in PARAMETERS:
        return
    if name == "update":
        raise QueryRefused("Updates are not allowed: this endpoint only reads.", parameter=name)
    meant = nearest(name, PARAMETERS)
    if meant:
        raise InvalidParameter(f"There is no parameter {name!r} here. Did you mean {meant}?", parameter=name, suggestion=meant)
