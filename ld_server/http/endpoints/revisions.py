"""The history of every kind of resource: what was changed when and by whom, and each state as it was."""

import re
from collections.abc import Mapping
from functools import partial
from typing import Any

import falcon
import orjson

from ld_server.domain.errors import NotFound
from ld_server.http.finding import head_of
from ld_server.http.paging import PAGE_PARAMETERS, CollectionPage, collection_page, cut, page_of
from ld_server.http.showing import Shown, asked, may_be_listed, may_be_read, show, show_page
from ld_server.resources.kind import Kind, written
from ld_server.services.parts import Parts
from relational.documents import LARGEST_REVISION, HistoryEntry

KEPT_FOR_GOOD = "private, max-age=31536000, immutable"
"""A past state never changes (RFC 8246), and whoever has read it need not ask again."""

_NUMBER = re.compile(r"[1-9][0-9]{0,17}\Z")


class Revisions:
    """`GET {resource}/revisions`: every change of a resource, oldest first."""

    def __init__(self, parts: Parts, kind: Kind) -> None:
        self.kind = kind
        self._parts = parts

    def on_get(self, req: falcon.Request, resp: falcon.Response, identifier: str) -> None:
        """A page of the history. The documents themselves are read one by one."""
        may_be_listed(req)

        parameters = asked(req, PAGE_PARAMETERS)
        page, bodies = self._page(identifier, parameters)
        show_page(req, resp, page, bodies, self.kind, self._parts, partial(self._whole, identifier, parameters))

    def _page(self, identifier: str, parameters: Mapping[str, str]) -> tuple[CollectionPage, list[str]]:
        collection = f"{identifier}_revisions"
        page = page_of(parameters, collection)
        head = head_of(self._parts, self.kind, identifier)
        with self._parts.ledger.read() as uow:
            found = uow.documents.history(identifier, page.after or 0, page.limit + 1)
        count, following = cut([entry.revision for entry in found], page, collection)
        iri = self._parts.naming.iri(identifier)
        shown = collection_page(f"{iri}/revisions", parameters, max(head.revision, *(one.revision for one in found)), following)
        return shown, [_body(iri, entry) for entry in found[:count]]

    def _whole(self, identifier: str, parameters: Mapping[str, str]) -> list[str]:
        after = page_of(parameters, f"{identifier}_revisions").after or 0
        with self._parts.ledger.read() as uow:
            found = uow.documents.history(identifier, after, LARGEST_REVISION)
        return [_body(self._parts.naming.iri(identifier), entry) for entry in found]


def _body(iri: str, entry: HistoryEntry) -> str:
    member: Mapping[str, Any] = {
        "@id": f"{iri}/revisions/{entry.revision}",
        "@type": "Revision",
        "revision": entry.revision,
        "revisionOf": iri,
        "changedBy": entry.changed_by,
        "changedAt": written(entry.changed_at),
        "correlationId": entry.correlation_id,
    }
    return orjson.dumps(member).decode()


class PastState:
    """`GET {resource}/revisions/{number}`: a resource as it was."""

    def __init__(self, parts: Parts, kind: Kind) -> None:
        self.kind = kind
        self._parts = parts

    def on_get(self, req: falcon.Request, resp: falcon.Response, identifier: str, number: str) -> None:
        """The document of that revision. In the quad syntaxes its graph is named after the revision, not after the resource."""
        may_be_read(req)
        asked(req)
        newest = head_of(self._parts, self.kind, identifier).revision
        wanted = int(number) if _NUMBER.match(number) else 0
        if not 1 <= wanted <= newest:
            raise NotFound(f"{identifier} has no revision {number!r}; the newest is {newest}.")
        with self._parts.ledger.read() as uow:
            found = uow.documents.revision(identifier, wanted)
        if found is None:
            raise NotFound(f"{identifier} has no revision {number!r}.")
        iri = self._parts.naming.iri(identifier)
        _say_neighbours(resp, iri, wanted, newest)
        show(req, resp, Shown(self.kind, identifier, f"{iri}/revisions/{wanted}", wanted, found.body), self._parts, KEPT_FOR_GOOD)


def _say_neighbours(resp: falcon.Response, iri: str, number: int, newest: int) -> None:
    """Links to the states around it (RFC 5829)."""
    resp.append_link(iri, "latest-version")
    resp.append_link(f"{iri}/revisions", "version-history")
    if number > 1:
        resp.append_link(f"{iri}/revisions/{number - 1}", "predecessor-version")
    if number < newest:
        resp.append_link(f"{iri}/revisions/{number + 1}", "successor-version")
