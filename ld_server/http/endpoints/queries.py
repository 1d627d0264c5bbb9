"""`/v1/queries`: questions of analysts that have a name. Each is a SPARQL query of ours, to which clients say values and nothing else."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import falcon
import orjson

from ld_server.domain import duration
from ld_server.domain.errors import InvalidParameter, NotFound
from ld_server.domain.window import earlier, later
from ld_server.http.asking import Asking, Request
from ld_server.http.endpoints.discovery import Publication
from ld_server.http.execution import CACHE_CONTROL
from ld_server.http.negotiation import FORMAT
from ld_server.http.pages.answers import Shown
from ld_server.http.pages.filters import Control
from ld_server.http.pages.pages import TABLE_SYNTAXES
from ld_server.http.paging import value_of
from ld_server.http.parameters import nearest, query_parameters
from ld_server.http.showing import pages_of
from ld_server.rdf import vocab
from ld_server.rdf.formats import JSON_LD
from ld_server.rdf.published import data_directory
from ld_server.resources import KINDS
from ld_server.resources.kind import Filter, identifier_of, instant
from ld_server.services.parts import Parts
from ld_server.sparql.named import NamedQuery, Parameter, Value, read_queries

QUERIES = "/v1/queries"

LARGEST_INTEGER = 1_000_000


def integer(text: str) -> int:
    """A whole number. Raises ValueError."""
    if not (text.isascii() and text.isdecimal() and 1 <= int(text[:20]) <= LARGEST_INTEGER):
        raise ValueError(f"write a whole number from 1 to {LARGEST_INTEGER}")
    return int(text)


READERS: Mapping[str, Callable[[str], Any]] = {
    "dateTime": instant,
    "integer": integer,
    **{kind.name: identifier_of(kind.prefix) for kind in KINDS.values()},
}
"""Type of a parameter → what reads it. Of a resource it is an identifier, or its IRI."""

_EXAMPLES: Mapping[str, str] = {
    "dateTime": "2027-03-01T08:00:00Z",
    "integer": "100",
    **{kind.name: f"{kind.prefix}_7" for kind in KINDS.values()},
}
_RANGES: Mapping[str, str] = {
    "dateTime": vocab.XSD + "dateTime",
    "integer": vocab.XSD + "integer",
    **{kind.name: kind.frame.types[-1] for kind in KINDS.values()},
}

_CONTEXT: Mapping[str, Any] = {
    "hydra": vocab.HYDRA,
    "sh": vocab.SH,
    "Collection": "hydra:Collection",
    "IriTemplate": "hydra:IriTemplate",
    "IriTemplateMapping": "hydra:IriTemplateMapping",
    "Query": "sh:SPARQLSelectExecutable",
    **{word: f"hydra:{word}" for word in ("title", "description", "totalItems", "template", "variable", "required")},
    **{word: {"@id": f"hydra:{word}", "@container": "@set"} for word in ("member", "mapping")},
    "search": "hydra:search",
    "query": "sh:select",
    "default": "sh:defaultValue",
    "range": {"@id": vocab.RDFS + "range", "@type": "@id"},
}
"""The words of Hydra for what can be asked and of SHACL for how a query is written."""


class Queries:
    """`/v1/queries`: every query, with what it is good for and what can be said to it."""

    def __init__(self, parts: Parts) -> None:
        iri = parts.settings.base_iri + QUERIES
        members = [_described(one, iri) for one in read_queries(data_directory("queries")).values()]
        content = {"@context": _CONTEXT, "@id": iri, "@type": "Collection", "totalItems": len(members), "member": members}
        body = orjson.dumps(content, option=orjson.OPT_INDENT_2)
        pages = pages_of(parts)
        self._published = Publication(iri, body, JSON_LD, parts.contexts, pages, view="queries", headers={}, cache_control=CACHE_CONTROL)

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        self._published.give(req, resp)


class Query:
    """`/v1/queries/{name}`: the answer to one of them."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._asking = Asking(parts)
        self._queries = read_queries(data_directory("queries"))

    def on_get(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        """The answer with these parameters, in any syntax of results."""
        query = self._named(name)
        said = query_parameters(req.query_string, (*(one.name for one in query.parameters), FORMAT))
        form = said.pop(FORMAT, None)
        text = query.bound(self._values(query, said, self._parts.now()))
        self._asking.answer(req, resp, Request(text), self._shown(query, text, said), form)

    def _named(self, name: str) -> NamedQuery:
        if name not in self._queries:
            close = nearest(name, self._queries)
            raise NotFound(f"There is no query {name!r}.{f' Did you mean {close}?' if close else ''} {QUERIES} has them all.")
        return self._queries[name]

    def _values(self, query: NamedQuery, said: Mapping[str, str], now: datetime) -> dict[str, Value]:
        """Raises InvalidParameter for a value that cannot be read, and where one is missing."""
        found = {}
        for one in query.parameters:
            if one.name in said:
                found[one.name] = self._term(one, value_of(one.name, said[one.name], Filter("", read=READERS[one.type])))
            elif one.default is not None:
                found[one.name] = _default(one, now)
            elif one.is_required:
                raise InvalidParameter(f"{one.name} must be said: {one.description}", parameter=one.name)
        return found

    def _term(self, parameter: Parameter, value: Any) -> Value:
        term: Value = self._parts.naming.iri(value) if parameter.type in KINDS else value
        return term

    def _shown(self, query: NamedQuery, text: str, said: Mapping[str, str]) -> Shown:
        iri = f"{self._parts.settings.base_iri}{QUERIES}/{query.name}"
        controls = [_control(one, said.get(one.name, "")) for one in query.parameters]
        return Shown(query.title, iri, text, query.description, controls, said, tuple(TABLE_SYNTAXES))


def _default(parameter: Parameter, now: datetime) -> Value:
    """What is meant where nothing is said: `now`, so long before or after it, or a value as a client would write it."""
    text = parameter.default or ""
    if not text.startswith("now"):
        value: Value = READERS[parameter.type](text)
        return value
    shift = {"+": later, "-": earlier}.get(text[3:4])
    return shift(now, timedelta(seconds=duration.seconds(text[4:]))) if shift else now


def _control(parameter: Parameter, said: str) -> Control:
    return Control(parameter.name, parameter.name, parameter.description, said, example=parameter.default or _EXAMPLES[parameter.type])


def _described(query: NamedQuery, collection: str) -> dict[str, Any]:
    iri = f"{collection}/{query.name}"
    names = ",".join(one.name for one in query.parameters)
    return {
        "@id": iri,
        "@type": "Query",
        "title": query.title,
        "description": query.description,
        "search": {"@type": "IriTemplate", "template": f"{iri}{{?{names}}}", "mapping": [_mapping(one) for one in query.parameters]},
        "query": query.text,
    }


def _mapping(parameter: Parameter) -> dict[str, Any]:
    return {
        "@type": "IriTemplateMapping",
        "variable": parameter.name,
        "description": parameter.description,
        "required": parameter.is_required,
        "range": _RANGES[parameter.type],
        **({} if parameter.default is None else {"default": parameter.default}),
    }
