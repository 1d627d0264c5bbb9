"""The descriptions of the interface and of the data: OpenAPI, a page for people, Hydra, VoID. None of them needs a key."""

import time
from collections.abc import Callable
from functools import cached_property

import falcon
import orjson

from ld_server.http.endpoints.discovery import PUBLIC_CACHE, Publication
from ld_server.http.event_schemas import published_envelope
from ld_server.http.hydra import ApiDocumentation
from ld_server.http.negotiation import HTML
from ld_server.http.openapi import OpenApi
from ld_server.http.operation import Interface
from ld_server.http.pages.pages import PAGE_HEADERS
from ld_server.http.preconditions import content_tag, not_modified
from ld_server.http.schemas import Json
from ld_server.http.showing import asked, chosen, pages_of, say_how_to_keep
from ld_server.http.void import PATH, Count, description
from ld_server.rdf.formats import JSON, JSON_LD
from ld_server.rdf.published import data_directory
from ld_server.rdf.shapes import Shapes
from ld_server.resources import KINDS
from ld_server.resources.kind import Kind
from ld_server.services.parts import Parts
from relational.unit_of_work import UnitOfWork

COUNTED_FOR = 60.0
"""Seconds after which resources are counted again: everybody may ask, and counting is work."""


class Late:
    """An endpoint with one publication, which is made when it is first asked for."""

    is_published = True

    def __init__(self, make: Callable[[], Publication]) -> None:
        self._make = make

    @cached_property
    def publication(self) -> Publication:
        return self._make()

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        self.publication.give(req, resp)


def openapi(parts: Parts, interface: Callable[[], Interface]) -> Late:
    """`/openapi.json`. `interface` is asked when the document is first asked for."""

    def make() -> Publication:
        iri, body = f"{parts.settings.base_iri}/openapi.json", orjson.dumps(_openapi(parts, interface()))
        return Publication(iri, body, JSON, parts.contexts, pages_of(parts), (JSON,), view="")

    return Late(make)


def event_schema(parts: Parts) -> Late:
    """`/shapes/event-envelope.json`: what receivers of events can rely on, as JSON Schema."""

    def make() -> Publication:
        iri = f"{parts.settings.base_iri}/shapes/event-envelope.json"
        return Publication(iri, orjson.dumps(published_envelope(iri)), JSON, parts.contexts, pages_of(parts), (JSON,), view="")

    return Late(make)


def docs(parts: Parts, interface: Callable[[], Interface]) -> "Docs":
    """`/docs`."""
    return Docs(parts, lambda: _openapi(parts, interface()))


class Docs:
    """The OpenAPI document as a page."""

    def __init__(self, parts: Parts, document: Callable[[], Json]) -> None:
        self._parts = parts
        self._document = document

    @cached_property
    def _page(self) -> bytes:
        return pages_of(self._parts).interface(f"{self._parts.settings.base_iri}/docs", self._document()).encode()

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """In HTML alone: `/openapi.json` says the same to programs."""
        chosen(req, {HTML.media_type: HTML})
        asked(req)
        say_how_to_keep(resp, PUBLIC_CACHE)
        resp.set_headers(dict(PAGE_HEADERS))
        if not_modified(req, resp, content_tag(self._page, HTML)):
            return
        resp.content_type = HTML.content_type
        resp.data = self._page


def api_documentation(parts: Parts, interface: Callable[[], Interface]) -> Late:
    """`/v1/api-documentation`."""

    def make() -> Publication:
        documentation = ApiDocumentation(interface(), parts.settings.base_iri, _shapes(), parts.contexts)
        body = orjson.dumps(documentation.document(), option=orjson.OPT_INDENT_2)
        return Publication(documentation.iri, body, JSON_LD, parts.contexts, pages_of(parts))

    return Late(make)


def _openapi(parts: Parts, interface: Interface) -> Json:
    return OpenApi(interface, parts.settings.base_iri, _shapes(), parts.contexts).document()


def _shapes() -> Shapes:
    return Shapes(data_directory("shapes"))


def void(parts: Parts) -> "Void":
    """`/.well-known/void`."""
    return Void(parts)


class Void:
    """The description of the data, with numbers that are at most COUNTED_FOR seconds old."""

    is_published = True

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._made: tuple[Publication, float] | None = None

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        self._publication().give(req, resp)

    def _publication(self) -> Publication:
        made = self._made
        if made is not None and made[1] > time.monotonic():
            return made[0]
        publication = self._described()
        self._made = publication, time.monotonic() + COUNTED_FOR
        return publication

    def _described(self) -> Publication:
        base = self._parts.settings.base_iri
        with self._parts.ledger.read() as uow:
            counts = {kind.name: Count(uow.documents.count(kind.name), self._first(uow, kind)) for kind in KINDS.values()}
        body = orjson.dumps(description(base, counts), option=orjson.OPT_INDENT_2)
        return Publication(base + PATH, body, JSON_LD, self._parts.contexts, pages_of(self._parts))

    def _first(self, uow: UnitOfWork, kind: Kind) -> str | None:
        found = uow.index.page(kind.table, [], None, 1)
        return self._parts.naming.iri(found[0].identifier) if found else None
