"""Every kind of resource: its collection (`GET` a page, `POST` a new one) and each of them (`GET`, `PATCH`)."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import falcon

from ld_server.http import links
from ld_server.http.authentication import owner_of
from ld_server.http.body import PATCHABLE, READABLE
from ld_server.http.creation import create
from ld_server.http.endpoints.patching import Patches
from ld_server.http.finding import head_of
from ld_server.http.paging import (
    LARGEST_LIMIT,
    MOST_COUNTED,
    PAGE_PARAMETERS,
    SORT,
    CollectionPage,
    Page,
    collection_page,
    conditions,
    cut_sorted,
    sorted_page_of,
)
from ld_server.http.showing import Shown, asked, may_be_listed, may_be_read, show, show_page
from ld_server.resources.kind import Kind
from ld_server.services import exhibits
from ld_server.services.exhibits import Exhibits
from ld_server.services.parts import Parts
from relational.index import Condition
from relational.unit_of_work import UnitOfWork


class Collection:
    """All resources of a kind."""

    accept_post = READABLE

    def __init__(self, parts: Parts, kind: Kind, iri: str = "") -> None:
        """`iri`: where the collection is found, when it is not the one of all resources of the kind."""
        self.kind = kind
        self._parts = parts
        self._iri = iri or parts.naming.collection(kind.prefix)
        self._known = (*kind.filters, SORT, *PAGE_PARAMETERS)
        self._links = links.of_collection(parts.settings.base_iri)
        self._links_of_each = links.of_resource(kind, parts.settings.base_iri)

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """A page of the collection, in the order in which the resources were made unless it is to be sorted."""
        may_be_listed(req)
        parameters = asked(req, self._known)
        wanted = self._wanted(parameters, owner_of(req))
        page, bodies = self._page(parameters, wanted)
        resp.set_header("Link", self._links)
        show_page(req, resp, page, bodies, self.kind, self._parts, partial(self._whole, parameters, wanted))

    def _page(self, parameters: Mapping[str, str], wanted: Sequence[Condition]) -> tuple[CollectionPage, list[str]]:
        page = sorted_page_of(parameters, self.kind)
        with self._parts.ledger.read() as uow:
            found = uow.index.page(self.kind.table, wanted, page.after, page.limit + 1, page.order, page.values)
            total = self._total(uow, wanted, len(found), page)
        count, following = cut_sorted(found, page, parameters.get(SORT), self.kind)
        return collection_page(self._iri, parameters, total, following), [head.body for head in found[:count]]

    def _wanted(self, parameters: Mapping[str, str], owner: str | None) -> list[Condition]:
        """The conditions that every list of the kind has, those of the request, and whose resources alone are to be seen."""
        own = [(self.kind.owned, "belongs to", owner)] if owner is not None and self.kind.owned else []
        return [*self.kind.always, *own, *conditions(parameters, self.kind.filters, self._parts.now())]

    def _total(self, uow: UnitOfWork, wanted: Sequence[Condition], found: int, page: Page) -> int | None:
        """How many there are on all pages, if they are to be counted; where the first page has them all, they have been."""
        if page.after is None and found <= page.limit:
            return found
        return uow.index.count_up_to(MOST_COUNTED, self.kind.table, wanted) if wanted else uow.documents.count(self.kind.name)

    def _whole(self, parameters: Mapping[str, str], wanted: Sequence[Condition]) -> Iterator[str]:
        """
        The documents of this page and of all that follow, as they are at the moment when the first is taken.

        One short transaction says which revisions these are, and others read them, some at a time, since they stay as they are:
        none is open while the client takes its time.
        """
        page = sorted_page_of(parameters, self.kind)
        with self._parts.ledger.read() as uow:
            states = uow.index.states(self.kind.table, wanted, page.after, page.order, page.values)
        for start in range(0, len(states), 2 * LARGEST_LIMIT):
            some = iter(states[start : start + 2 * LARGEST_LIMIT])
            named = [(f"{self.kind.prefix}_{number}", revision) for number, revision in zip(some, some, strict=True)]
            with self._parts.ledger.read() as uow:
                bodies = list(uow.documents.bodies(named))
            yield from bodies

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Makes one or many new resources: 201."""
        create(req, resp, self._parts, self.kind)
        resp.set_header("Link", self._links_of_each)


class Item:
    """One resource of a kind."""

    accept_patch = PATCHABLE

    def __init__(self, parts: Parts, kind: Kind) -> None:
        self.kind = kind
        self._parts = parts
        self._patches = Patches(parts, kind)
        self._links = links.of_resource(kind, parts.settings.base_iri)

    def on_get(self, req: falcon.Request, resp: falcon.Response, identifier: str) -> None:
        """The newest state of the resource, from its document."""
        may_be_read(req)
        asked(req)
        head = head_of(self._parts, self.kind, identifier)
        iri = self._parts.naming.iri(identifier)
        resp.set_header("Link", self._links_of(iri))
        shown = Shown(self.kind, identifier, iri, head.revision, head.body)
        show(req, resp, shown, self._parts, beside=partial(self._beside, identifier))

    def _beside(self, identifier: str) -> Exhibits:
        with self._parts.ledger.read() as uow:
            return exhibits.beside(uow, self.kind, identifier)

    def on_patch(self, req: falcon.Request, resp: falcon.Response, identifier: str) -> None:
        """Changes the resource: 200 with its representation, whether there was anything to change or not."""
        self._patches.take(req, resp, identifier)
        resp.set_header("Link", self._links_of(self._parts.naming.iri(identifier)))

    def _links_of(self, iri: str) -> str:
        """What resources of the kind link to, and the history of this one (RFC 5829)."""
        return f'{self._links}, <{iri}/revisions>; rel="version-history"'
