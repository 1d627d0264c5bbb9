"""The descriptions of the interface and of the data: OpenAPI, a page for people, Hydra, VoID. None of them needs a key."""

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
from ld_server.http.void import PATH, description
from ld_server.rdf.formats import JSON, JSON_LD
from ld_server.rdf.published import data_directory
from ld_server.rdf.shapes import Shapes
from ld_server.services.parts import Parts


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


def void(parts: Parts) -> Late:
    """`/.well-known/void`."""

    def make() -> Publication:
        base = parts.settings.base_iri
        return Publication(
            base + PATH, orjson.dumps(description(base), option=orjson.OPT_INDENT_2), JSON_LD, parts.contexts, pages_of(parts)
        )

    return Late(make)
