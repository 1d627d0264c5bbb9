"""
How a resource, or a page of a collection, leaves the house. The endpoints say what is shown; here it is said as what, and how.

RENDERERS is the one table from media types to what makes the bytes. Whoever offers another way to show things adds a row there and
one among the offers of `negotiation`.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, cast

import falcon
import orjson

from ld_server.http import csv
from ld_server.http.execution import CACHE_CONTROL
from ld_server.http.negotiation import COLLECTION_OFFERS, CSV, FORMAT, HTML, READ_OFFERS, Choice, Wanted, choose, not_acceptable
from ld_server.http.pages.pages import PAGE_HEADERS, RESOURCE_SYNTAXES, Pages, page_headers
from ld_server.http.paging import CollectionPage
from ld_server.http.parameters import query_parameters
from ld_server.http.preconditions import content_tag, entity_tag, not_modified
from ld_server.rdf.contexts import Contexts
from ld_server.rdf.formats import FORMATS, JSON
from ld_server.rdf.representation import collection_bytes, represent
from ld_server.resources.kind import Kind
from ld_server.services.exhibits import Exhibits
from ld_server.services.parts import Parts

Whole = Callable[[], Iterable[str]]
"""The documents of the members of a page and of all that follow, as they were at one moment."""


@dataclass(frozen=True)
class Shown:
    """
    A state of a resource: the number of its revision and its document, serialised.

    `iri` is where it is found: the resource's own IRI for the newest state, that of the revision for a past one. `passing` is what the
    document says besides and only for a while, such as a link that expires: the tag changes with it. `exhibits` are
    shown to people beside it.
    """

    kind: Kind
    identifier: str
    iri: str
    revision: int
    body: str
    passing: str = ""
    exhibits: Exhibits = Exhibits()


@dataclass(frozen=True)
class ShownPage:
    """
    A page of a collection; `bodies` are the documents of its members, serialised. `kind` is what the members are, or what they
    belong to. `whole` gives the members of the following pages too; a collection without it has no others.
    """

    page: CollectionPage
    bodies: Sequence[str]
    kind: Kind
    whole: Whole | None = None

    def of_kind(self) -> Kind | None:
        """The kind of the members, all of them or those of one resource; None where they are no resources of their own."""
        name = self.kind.path.rpartition("/")[2]
        is_collection = self.page.iri.endswith(self.kind.path) or re.search(rf"_[0-9]+/{name}\Z", self.page.iri)
        return self.kind if is_collection else None


def asked(req: falcon.Request, known: Sequence[str] = ()) -> dict[str, str]:
    """The parameters of a request to read something, without `format`. Raises InvalidParameter."""
    parameters = query_parameters(req.query_string, (*known, FORMAT))
    return {name: value for name, value in parameters.items() if name != FORMAT}


def chosen(req: falcon.Request, offers: Mapping[str, Choice]) -> Choice:
    """What the client gets: what the parameter `format` names, else what Accept likes best. Raises NotAcceptable, InvalidParameter."""
    return choose(req.env.get("HTTP_ACCEPT"), offers, req.get_param(FORMAT) or None)


def may_be_read(req: falcon.Request) -> None:
    """Raises NotAcceptable when the client accepts nothing that a resource can be shown as."""
    chosen(req, READ_OFFERS)


def may_be_listed(req: falcon.Request) -> None:
    """Raises NotAcceptable when the client accepts nothing that a collection can be shown as."""
    chosen(req, COLLECTION_OFFERS)


def show(
    req: falcon.Request,
    resp: falcon.Response,
    shown: Shown,
    parts: Parts,
    cache_control: str = CACHE_CONTROL,
    beside: Callable[[], Exhibits] = Exhibits,
) -> None:
    """
    Answers with a resource as the client likes it: 200, or 304 when the client has it. `beside` is asked for what a page shows besides.

    Raises NotAcceptable and Stale.
    """
    choice = chosen(req, READ_OFFERS)
    say_how_to_keep(resp, CACHE_CONTROL if choice is HTML else cache_control)  # the templates may change although the state does not
    resp.set_headers(_headers(choice, shown.iri))
    if choice is HTML:
        shown = replace(shown, exhibits=beside())
        resp.set_headers(page_headers(parts.blobs.origin))
    if not_modified(req, resp, entity_tag(shown.revision, choice, _edition(shown, choice, parts))):
        return
    resp.content_type = choice.content_type
    resp.data = RENDERERS[choice.media_type].resource(shown, choice, parts)


def _edition(shown: Shown, choice: Choice, parts: Parts) -> str:
    """Eight letters for whatever is shown besides the state itself; nothing where it is shown alone."""
    edition = pages_of(parts).edition if choice is HTML else ""
    besides = [one for one in (shown.passing, shown.exhibits.tag) if one]
    return hashlib.sha256("\n".join((edition, *besides)).encode()).hexdigest()[:8] if besides else edition


def show_page(
    req: falcon.Request,
    resp: falcon.Response,
    page: CollectionPage,
    bodies: Sequence[str],
    kind: Kind,
    parts: Parts,
    whole: Whole | None = None,
) -> None:
    """
    Answers with a page of a collection as the client likes it: see ShownPage. The tag comes from the bytes; what is streamed has none.

    Raises NotAcceptable and Stale.
    """
    choice = chosen(req, COLLECTION_OFFERS)
    content = RENDERERS[choice.media_type].collection(ShownPage(page, bodies, kind, whole), choice, parts)
    say_how_to_keep(resp)
    resp.set_headers(_headers(choice, page.iri))
    if not isinstance(content, bytes):
        resp.content_type = choice.content_type
        resp.stream = cast(Any, content)
        return
    resp.append_link(page.first, "first")
    if page.next:
        resp.append_link(page.next, "next")
    if not_modified(req, resp, content_tag(content, choice)):
        return
    resp.content_type = choice.content_type
    resp.data = content


def show_answer(req: falcon.Request, resp: falcon.Response, document: Mapping[str, Any], parts: Parts) -> None:
    """Answers with what was found out just now, which has an `@id`. Nobody keeps it: it may be otherwise at once. Raises NotAcceptable."""
    choice = chosen(req, READ_OFFERS)
    say_how_to_keep(resp, "no-store")
    resp.set_headers(HEADERS.get(choice.media_type, {}))
    resp.content_type = choice.content_type
    iri, body = str(document["@id"]), orjson.dumps(document).decode()
    if isinstance(choice, Wanted):
        resp.data = represent(body, choice.form, iri, parts.contexts, choice.profile)
    else:
        resp.data = pages_of(parts).published("answer", iri, body, "", RESOURCE_SYNTAXES).encode()


def say_how_to_keep(resp: falcon.Response, cache_control: str = CACHE_CONTROL) -> None:
    """The headers of every negotiated answer, 304 included."""
    resp.set_header("Vary", "Accept")
    resp.set_header("Cache-Control", cache_control)


def _headers(choice: Choice, iri: str) -> dict[str, str]:
    """What goes with a page or a table, besides what goes with every answer."""
    return {name: value.format(name=file_name(iri)) for name, value in HEADERS.get(choice.media_type, {}).items()}


def file_name(iri: str) -> str:
    """What the table of a collection is called when it is saved: `rent-actions`, `ra_1-allocations`."""
    *_, owner, name = iri.split("/")
    return f"{owner}-{name}" if "_" in owner else name


HEADERS: Mapping[str, Mapping[str, str]] = {
    HTML.media_type: PAGE_HEADERS,
    CSV.media_type: {"Content-Disposition": 'attachment; filename="{name}.csv"', "X-Content-Type-Options": "nosniff"},
}
"""Media type → its headers."""


def pages_of(parts: Parts) -> Pages:
    """The pages of a deployment."""
    return _pages(parts.settings.base_iri, parts.contexts)


@lru_cache(maxsize=8)
def _pages(base_iri: str, contexts: Contexts) -> Pages:
    return Pages(base_iri, contexts)


# --- renderers --------------------------------------------------------------------------------------------------------


def _resource_graph(shown: Shown, choice: Choice, parts: Parts) -> bytes:
    wanted = cast(Wanted, choice)
    return represent(shown.body, wanted.form, shown.iri, parts.contexts, wanted.profile)


def _collection_graph(shown: ShownPage, choice: Choice, parts: Parts) -> bytes:
    wanted = cast(Wanted, choice)
    return collection_bytes(shown.page.document(parts.contexts.reference), shown.bodies, wanted.form, parts.contexts, wanted.profile)


def _resource_page(shown: Shown, _choice: Choice, parts: Parts) -> bytes:
    return pages_of(parts).resource(shown.kind, shown.iri, shown.body, shown.exhibits).encode()


def _collection_page(shown: ShownPage, _choice: Choice, parts: Parts) -> bytes:
    body = _collection_graph(shown, Wanted(JSON), parts).decode()
    page = shown.page
    return pages_of(parts).collection(page.iri, body, {**page.filters, **page.page}, shown.of_kind()).encode()


def _no_table(_shown: Shown, _choice: Choice, _parts: Parts) -> bytes:
    """One resource makes no table."""
    raise not_acceptable(READ_OFFERS)


def _collection_table(shown: ShownPage, _choice: Choice, parts: Parts) -> bytes | Iterator[bytes]:
    """The page that `limit` asks for, else this and every page that follows, read while they are sent."""
    kind = shown.of_kind()
    columns = ("identifier", *kind.keys) if kind else csv.columns_of(map(orjson.loads, shown.bodies))
    if "limit" in shown.page.page or shown.whole is None:
        return b"".join(csv.table(map(orjson.loads, shown.bodies), columns))
    return csv.table(map(orjson.loads, shown.whole()), columns)


@dataclass(frozen=True)
class Renderer:
    """What makes the bytes of a resource, and of a page of a collection."""

    resource: Callable[[Shown, Choice, Parts], bytes]
    collection: Callable[[ShownPage, Choice, Parts], bytes | Iterator[bytes]]


_GRAPH = Renderer(_resource_graph, _collection_graph)

RENDERERS: Mapping[str, Renderer] = {
    **dict.fromkeys((form.media_type for form in FORMATS), _GRAPH),
    HTML.media_type: Renderer(_resource_page, _collection_page),
    CSV.media_type: Renderer(_no_table, _collection_table),
}
"""Media type → renderer."""
