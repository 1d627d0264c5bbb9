"""
What can be read without a key: the entry point, contexts, shapes, the vocabulary and the types of problems.

All of it is RDF in one native syntax, kept in memory and written in the others when they are asked for.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import falcon
import orjson

from ld_server.domain.errors import NotFound
from ld_server.http.errors import TITLES
from ld_server.http.negotiation import Wanted, negotiate, not_acceptable
from ld_server.http.parameters import nearest, query_parameters
from ld_server.http.preconditions import content_tag, not_modified
from ld_server.rdf import codecs, vocab
from ld_server.rdf.codecs import Limits
from ld_server.rdf.contexts import Contexts
from ld_server.rdf.formats import BY_MEDIA_TYPE, FORMATS, JSON, JSON_LD, TURTLE, Format
from ld_server.rdf.published import data_directory
from ld_server.resources import KINDS
from ld_server.services.parts import Parts

PUBLIC_CACHE = "public, max-age=300"
"""Seconds after which a published file is asked for again: an upgrade of the server may change it."""

CONTEXT_FORMATS = (JSON_LD, JSON)
TURTLE_FIRST = (TURTLE, *(form for form in FORMATS if form is not TURTLE))


@dataclass
class Publication:
    """Something published. `native` is the syntax of `body`; `iri` resolves its relative IRIs; `offered` in order of preference."""

    iri: str
    body: bytes
    native: Format
    contexts: Contexts
    offered: tuple[Format, ...] = FORMATS
    _written: dict[Format, bytes] = field(default_factory=dict)

    def in_syntax(self, form: Format) -> bytes:
        """Its bytes in a syntax; the native ones as they are."""
        if form is self.native or (form.json and self.native.json):
            return self.body
        if form not in self._written:
            self._written[form] = codecs.write(codecs.read(self.body, self.native, self.iri, self.contexts, Limits()), form, self.iri)
        return self._written[form]

    def give(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Answers with it as the client likes it. Raises NotAcceptable."""
        query_parameters(req.query_string)
        form = Wanted(_chosen(req, self.offered))
        content = self.in_syntax(form.form)
        resp.set_header("Vary", "Accept")
        resp.set_header("Cache-Control", PUBLIC_CACHE)
        if not_modified(req, resp, content_tag(content, form)):
            return
        resp.content_type = form.content_type
        resp.data = content


def _chosen(req: falcon.Request, offered: tuple[Format, ...]) -> Format:
    names = tuple(form.media_type for form in offered)
    chosen = negotiate(req.env.get("HTTP_ACCEPT"), names)
    if chosen is None:
        raise not_acceptable(names)
    return BY_MEDIA_TYPE[chosen]


class Single:
    """An endpoint with one publication."""

    def __init__(self, publication: Publication) -> None:
        self._publication = publication

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        self._publication.give(req, resp)


class Named:
    """An endpoint with publications by name; what stands behind a dot, the extension, may be left out."""

    def __init__(self, publications: Mapping[str, Publication], what: str) -> None:
        self._publications = publications
        self._what = what

    def on_get(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        found = self._publications.get(name)
        if found is None:
            close = nearest(name, self._publications)
            raise NotFound(f"There is no {self._what} {name!r}.{f' Did you mean {close}?' if close else ''}")
        found.give(req, resp)


def _document(parts: Parts, path: str, content: Mapping[str, Any]) -> Publication:
    iri = parts.settings.base_iri + path
    body = orjson.dumps({"@id": iri, **content, "@context": _OWN_CONTEXT}, option=orjson.OPT_INDENT_2)
    return Publication(iri, body, JSON_LD, parts.contexts)


_OWN_CONTEXT: Mapping[str, Any] = {
    "hydra": vocab.HYDRA,
    "title": "hydra:title",
    "description": "hydra:description",
    "advice": "hydra:description",
    "status": "hydra:statusCode",
    "collection": "hydra:collection",
    "member": {"@id": "hydra:member", "@container": "@set"},
    "totalItems": "hydra:totalItems",
    "Collection": "hydra:Collection",
    "EntryPoint": "hydra:EntryPoint",
    "Problem": "hydra:Status",
    "sparql": {"@id": vocab.VOID + "sparqlEndpoint", "@type": "@id"},
    "vocabulary": {"@id": vocab.VOID + "vocabulary", "@type": "@id"},
    **{name: {"@id": vocab.RDFS + "seeAlso", "@type": "@id"} for name in ("contexts", "shapes", "problems", "health")},
}
"""The few words of these pages: Hydra's where it has them."""


def entry_point(parts: Parts) -> Single:
    """`/`: what there is."""
    base = parts.settings.base_iri
    collections = [{"@id": base + kind.path, "@type": "Collection", "title": f"every {kind.frame.name}"} for kind in KINDS.values()]
    content = {
        "@type": "EntryPoint",
        "title": "ld-reservations",
        "description": "Reservations for fleet equipment, served as linked data.",
        "collection": collections,
        "sparql": base + "/v1/sparql",
        "vocabulary": base + "/ns/reservations",
        "contexts": base + "/contexts",
        "shapes": base + "/shapes",
        "problems": base + "/problems",
        "health": base + "/health/ready",
    }
    return Single(_document(parts, "/", content))


def problems(parts: Parts) -> Single:
    """`/problems`: every type of problem."""
    members = [_problem(parts, slug) for slug in TITLES]
    return Single(_document(parts, "/problems", {"@type": "Collection", "totalItems": len(members), "member": members}))


def problem_pages(parts: Parts) -> Named:
    """`/problems/{slug}`: what a problem means and what to do about it."""
    return Named({slug: _document(parts, f"/problems/{slug}", _problem(parts, slug)) for slug in TITLES}, "type of problem")


def _problem(parts: Parts, slug: str) -> dict[str, Any]:
    title, problem = TITLES[slug]
    iri = f"{parts.settings.base_iri}/problems/{slug}"
    return {"@id": iri, "@type": "Problem", "title": title, "status": problem.status, "advice": problem.advice}


def vocabulary(parts: Parts) -> Single:
    """`/ns/reservations`: our own terms."""
    file = data_directory("shapes") / "vocabulary" / "reservations.ttl"
    return Single(Publication(f"{parts.settings.base_iri}/ns/reservations", file.read_bytes(), TURTLE, parts.contexts, TURTLE_FIRST))


def _list(parts: Parts, directory: str, pattern: str) -> Single:
    iri = f"{parts.settings.base_iri}/{directory}"
    members = [{"@id": f"{iri}/{file.name}", "title": file.stem} for file in _files(directory, pattern)]
    return Single(_document(parts, f"/{directory}", {"@type": "Collection", "totalItems": len(members), "member": members}))


def _pages(parts: Parts, directory: str, pattern: str, what: str, native: Format, offered: tuple[Format, ...]) -> Named:
    found: dict[str, Publication] = {}
    for file in _files(directory, pattern):
        publication = Publication(f"{parts.settings.base_iri}/{directory}/{file.name}", file.read_bytes(), native, parts.contexts, offered)
        found |= {file.stem: publication, file.name: publication}
    return Named(found, what)


def _files(directory: str, pattern: str) -> list[Path]:
    return sorted(data_directory(directory).glob(pattern))


contexts = partial(_list, directory="contexts", pattern="*.jsonld")
context_pages = partial(_pages, directory="contexts", pattern="*.jsonld", what="context", native=JSON_LD, offered=CONTEXT_FORMATS)
shapes = partial(_list, directory="shapes", pattern="*.ttl")
shape_pages = partial(_pages, directory="shapes", pattern="*.ttl", what="shape", native=TURTLE, offered=TURTLE_FIRST)
