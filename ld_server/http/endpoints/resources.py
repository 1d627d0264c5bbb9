"""Every kind of resource: its collection (`GET` a page, `POST` a new one) and each of them (`GET`)."""

from collections.abc import Mapping, Sequence

import falcon

from ld_server.domain.errors import NotFound
from ld_server.http.body import READABLE, format_of, read_body
from ld_server.http.execution import CACHE_CONTROL, execute, wanted_by
from ld_server.http.negotiation import Wanted
from ld_server.http.paging import PAGE_PARAMETERS, CollectionPage, collection_page, conditions, cut, page_of
from ld_server.http.parameters import query_parameters
from ld_server.http.preconditions import content_tag, entity_tag, not_modified
from ld_server.rdf.codecs import Limits
from ld_server.rdf.representation import collection_bytes, represent
from ld_server.resources.intake import take_in
from ld_server.resources.kind import Kind
from ld_server.services.parts import Parts
from relational.documents import Head


class Collection:
    """All resources of a kind."""

    accept_post = READABLE

    def __init__(self, parts: Parts, kind: Kind) -> None:
        self._parts = parts
        self._kind = kind
        self._limits = Limits(parts.settings.max_json_depth, parts.settings.max_triples)
        self._iri = parts.naming.collection(kind.prefix)
        self._known = (*kind.filters, *PAGE_PARAMETERS)

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """A page of the collection, in the order in which the resources were made."""
        form = wanted_by(req)
        parameters = query_parameters(req.query_string, self._known)
        shown, heads = self._page(parameters)
        give_page(req, resp, shown, [head.body for head in heads], form, self._parts)

    def _page(self, parameters: Mapping[str, str]) -> tuple[CollectionPage, list[Head]]:
        page, wanted = page_of(parameters, self._kind.name), conditions(parameters, self._kind.filters)
        with self._parts.ledger.read() as uow:
            found = uow.index.page(self._kind.table, wanted, page.after, page.limit + 1)
            total = uow.index.count(self._kind.table, wanted)
        count, following = cut([head.number for head in found], page, self._kind.name)
        return collection_page(self._iri, parameters, total, following), found[:count]

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Makes a new resource: 201 with its address and its representation."""
        wanted_by(req)
        query_parameters(req.query_string)
        syntax = format_of(req)
        body = read_body(req, self._parts.settings.max_body_bytes)
        parts = self._parts
        document = take_in(body, syntax, self._kind, parts.naming, parts.contexts, parts.validator, self._limits)
        execute(req, resp, parts, self._kind.to_create(document), body, status=201)


class Item:
    """One resource of a kind."""

    def __init__(self, parts: Parts, kind: Kind) -> None:
        self._parts = parts
        self._kind = kind

    def on_get(self, req: falcon.Request, resp: falcon.Response, identifier: str) -> None:
        """The newest state of the resource, from its document."""
        form = wanted_by(req)
        query_parameters(req.query_string)
        head = head_of(self._parts, self._kind, identifier)
        say_how_to_keep(resp)
        if not_modified(req, resp, entity_tag(head.revision, form)):
            return
        resp.content_type = form.content_type
        resp.data = head.body.encode() if form.is_stored else self._written(head, form)

    def _written(self, head: Head, form: Wanted) -> bytes:
        return represent(head.body, form.form, self._parts.naming.iri(head.identifier), self._parts.contexts, form.profile)


def head_of(parts: Parts, kind: Kind, identifier: str) -> Head:
    """The head of a resource of the kind. Raises NotFound, without asking the ledger for what cannot be one."""
    check_identifier(parts, kind, identifier)
    head = parts.ledger.head(identifier)
    if head is None:
        raise _nothing(kind, identifier)
    return head


def check_identifier(parts: Parts, kind: Kind, identifier: str) -> None:
    """Raises NotFound for what is not an identifier of this kind."""
    parsed = parts.naming.parse(identifier)
    if parsed is None or parsed[0] != kind.prefix:
        raise _nothing(kind, identifier)


def _nothing(kind: Kind, identifier: str) -> NotFound:
    return NotFound(f"There is no {kind.frame.name} {identifier!r}.")


def give_page(req: falcon.Request, resp: falcon.Response, shown: CollectionPage, bodies: Sequence[str], form: Wanted, parts: Parts) -> None:
    """Answers with a page of a collection. Its tag comes from its bytes."""
    content = collection_bytes(shown.document(parts.contexts.reference), bodies, form.form, parts.contexts, form.profile)
    say_how_to_keep(resp)
    if shown.next:
        resp.append_link(shown.next, "next")
    if not_modified(req, resp, content_tag(content, form)):
        return
    resp.content_type = form.content_type
    resp.data = content


def say_how_to_keep(resp: falcon.Response) -> None:
    """The headers of every negotiated answer, 304 included."""
    resp.set_header("Vary", "Accept")
    resp.set_header("Cache-Control", CACHE_CONTROL)
