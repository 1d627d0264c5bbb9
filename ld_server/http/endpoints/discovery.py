"""
What can be read without a key: the entry point, contexts, shapes, the vocabulary and the types of problems.

All of it is RDF in one native syntax, kept in memory and written in the others when they are asked for.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import falcon
import orjson

from ld_server.domain.errors import NotFound
from ld_server.http import links
from ld_server.http.errors import TITLES
from ld_server.http.negotiation import HTML, Choice, Wanted
from ld_server.http.pages.pages import Pages
from ld_server.http.parameters import nearest
from ld_server.http.preconditions import content_tag, not_modified
from ld_server.http.showing import HEADERS, asked, chosen, pages_of, say_how_to_keep
from ld_server.rdf import codecs, vocab
from ld_server.rdf.codecs import Limits
from ld_server.rdf.contexts import Contexts
from ld_server.rdf.formats import FORMATS, JSON, JSON_LD, TURTLE, Format
from ld_server.rdf.published import data_directory
from ld_server.rdf.representation import labelled
from ld_server.resources import KINDS
from ld_server.services.parts import Parts

PUBLIC_CACHE = "public, max-age=300"
"""Seconds after which a published file is asked for again: an upgrade of the server may change it."""

OPEN_TO_ALL: Mapping[str, str] = {"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": "ETag, Link, X-Correlation-Id"}
"""What is published may be loaded by a page from anywhere, as tools for JSON-LD in a browser do."""

PREFLIGHT: Mapping[str, str] = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET, HEAD, OPTIONS",
    "Access-Control-Allow-Headers": "Accept, If-None-Match, X-Correlation-Id",
    "Access-Control-Max-Age": "86400",
}
"""What OPTIONS answers where something is published: pages from anywhere may load it."""

CONTEXT_FORMATS = (JSON_LD, JSON)
TURTLE_FIRST = (TURTLE, *(form for form in FORMATS if form is not TURTLE))


@dataclass
class Publication:
    """
    Something published. `native` is the syntax of `body`; `iri` resolves its relative IRIs; `offered` in order of preference.

    `view` names how people see it (see `pages.views`); empty where there is no page for them. `headers` are in every answer;
    `cache_control` says who may keep it.
    """

    iri: str
    body: bytes
    native: Format
    contexts: Contexts
    pages: Pages
    offered: tuple[Format, ...] = FORMATS
    view: str = "source"
    headers: Mapping[str, str] = field(default_factory=lambda: OPEN_TO_ALL)
    cache_control: str = PUBLIC_CACHE
    _written: dict[Format, bytes] = field(default_factory=dict)

    def in_syntax(self, form: Format) -> bytes:
        """Its bytes in a syntax; the native ones as they are."""
        if form is self.native or (form.json and self.native.json):
            return self.body
        if form not in self._written:
            statements = codecs.read(self.body, self.native, self.iri, self.contexts, Limits())
            self._written[form] = codecs.write(labelled(statements), form, self.iri)
        return self._written[form]

    def give(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Answers with it as the client likes it. Raises NotAcceptable."""
        resp.set_headers(dict(self.headers))
        choice = chosen(req, self.offers)
        asked(req)
        content = self.in_syntax(choice.form) if isinstance(choice, Wanted) else self.page()
        say_how_to_keep(resp, self.cache_control)
        resp.set_headers(HEADERS.get(choice.media_type, {}))
        if not_modified(req, resp, content_tag(content, choice)):
            return
        resp.content_type = choice.content_type
        resp.data = content

    @cached_property
    def offers(self) -> Mapping[str, Choice]:
        """What it is served as."""
        page = {HTML.media_type: HTML} if self.view else {}
        return {**{form.media_type: Wanted(form) for form in self.offered}, **page}

    def page(self) -> bytes:
        """The page for people."""
        syntaxes = [form.key for form in self.offered]
        linked = self.in_syntax(JSON_LD).decode()
        return self.pages.published(self.view, self.iri, linked, self.body.decode(), syntaxes).encode()


class Single:
    """An endpoint with one publication."""

    is_published = True

    def __init__(self, publication: Publication, link: str = "") -> None:
        """`link`: its Link header, where that has more than what everything links to."""
        self._publication = publication
        self._link = link

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        if self._link:
            resp.set_header("Link", self._link)
        self._publication.give(req, resp)


class Named:
    """An endpoint with publications by name; what stands behind a dot, the extension, may be left out."""

    is_published = True

    def __init__(self, publications: Mapping[str, Publication], what: str) -> None:
        self._publications = publications
        self._what = what

    def on_get(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        found = self._publications.get(name)
        if found is None:
            close = nearest(name, self._publications)
            raise NotFound(f"There is no {self._what} {name!r}.{f' Did you mean {close}?' if close else ''}")
        found.give(req, resp)


def _document(parts: Parts, path: str, content: Mapping[str, Any], view: str) -> Publication:
    iri = parts.settings.base_iri + path
    body = orjson.dumps({"@id": iri, **content, "@context": _OWN_CONTEXT}, option=orjson.OPT_INDENT_2)
    return Publication(iri, body, JSON_LD, parts.contexts, pages_of(parts), view=view)


_FURTHER = ("queries", "contexts", "shapes", "problems", "openapi", "docs", "void", "health")
"""What the entry point leads to that neither Hydra nor VoID has a word for."""

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
    "EntryPoint": vocab.ENTRY_POINT,
    "apiDocumentation": {"@id": "hydra:apiDocumentation", "@type": "@id"},
    "Problem": "hydra:Status",
    "sparql": {"@id": vocab.VOID + "sparqlEndpoint", "@type": "@id"},
    "export": {"@id": vocab.VOID + "dataDump", "@type": "@id"},
    "vocabulary": {"@id": vocab.VOID + "vocabulary", "@type": "@id"},
    **{name: {"@id": vocab.RDFS + "seeAlso", "@type": "@id"} for name in _FURTHER},
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
        "export": base + "/v1/export",
        "queries": base + "/v1/queries",
        "vocabulary": base + "/ns/reservations",
        "contexts": base + "/contexts",
        "shapes": base + "/shapes",
        "problems": base + "/problems",
        "openapi": base + "/openapi.json",
        "docs": base + "/docs",
        "apiDocumentation": base + links.API_DOCUMENTATION,
        "void": base + "/.well-known/void",
        "health": base + "/health/ready",
    }
    return Single(_document(parts, "/", content, "entry"), links.of_entry(base))


def problems(parts: Parts) -> Single:
    """`/problems`: every type of problem."""
    members = [_problem(parts, slug) for slug in TITLES]
    return Single(_document(parts, "/problems", {"@type": "Collection", "totalItems": len(members), "member": members}, "listing"))


def problem_pages(parts: Parts) -> Named:
    """`/problems/{slug}`: what a problem means and what to do about it."""
    return Named({slug: _document(parts, f"/problems/{slug}", _problem(parts, slug), "plain") for slug in TITLES}, "type of problem")


def _problem(parts: Parts, slug: str) -> dict[str, Any]:
    title, problem = TITLES[slug]
    iri = f"{parts.settings.base_iri}/problems/{slug}"
    return {"@id": iri, "@type": "Problem", "title": title, "status": problem.status, "advice": problem.advice}


def vocabulary(parts: Parts) -> Single:
    """`/ns/reservations`: our own terms."""
    file = data_directory("shapes") / "vocabulary" / "reservations.ttl"
    iri = f"{parts.settings.base_iri}/ns/reservations"
    return Single(Publication(iri, file.read_bytes(), TURTLE, parts.contexts, pages_of(parts), TURTLE_FIRST, "vocabulary"))


def _list(parts: Parts, directory: str, pattern: str) -> Single:
    iri = f"{parts.settings.base_iri}/{directory}"
    members = [{"@id": f"{iri}/{file.name}", "title": file.stem} for file in _files(directory, pattern)]
    return Single(_document(parts, f"/{directory}", {"@type": "Collection", "totalItems": len(members), "member": members}, "listing"))


def _pages(parts: Parts, directory: str, pattern: str, what: str, native: Format, offered: tuple[Format, ...]) -> Named:
    found: dict[str, Publication] = {}
    for file in _files(directory, pattern):
        iri = f"{parts.settings.base_iri}/{directory}/{file.name}"
        publication = Publication(iri, file.read_bytes(), native, parts.contexts, pages_of(parts), offered, what)
        found |= {file.stem: publication, file.name: publication}
    return Named(found, what)


def _files(directory: str, pattern: str) -> list[Path]:
    """What is published: the files of the directory, and those of `events` below it, which no resource is checked against."""
    place = data_directory(directory)
    return sorted((*place.glob(pattern), *(place / "events").glob(pattern)), key=lambda file: file.name)


contexts = partial(_list, directory="contexts", pattern="*.jsonld")
context_pages = partial(_pages, directory="contexts", pattern="*.jsonld", what="context", native=JSON_LD, offered=CONTEXT_FORMATS)
shapes = partial(_list, directory="shapes", pattern="*.ttl")
shape_pages = partial(_pages, directory="shapes", pattern="*.ttl", what="shape", native=TURTLE, offered=TURTLE_FIRST)
