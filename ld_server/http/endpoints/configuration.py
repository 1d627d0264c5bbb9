"""
Triggers and webhooks are configuration: plain JSON, no resources with a graph of their own. Their collections, and each of them.

What is secret is told in the answer to the request that made it and nowhere else: not even when that answer is given again.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import falcon
import orjson

from ld_server.domain.commands import Expected
from ld_server.domain.errors import NotFound, Refusal, ShapeViolation, Stale, Violation
from ld_server.http.body import PATCHABLE, media_type_of, read_body
from ld_server.http.endpoints.patching import TRIES, read_patch
from ld_server.http.execution import CACHE_CONTROL, Act, perform
from ld_server.http.idempotency import Answer, key_of
from ld_server.http.negotiation import Choice, Wanted, choose
from ld_server.http.paging import PAGE_PARAMETERS, CollectionPage, collection_page, conditions, cut, page_of
from ld_server.http.parameters import query_parameters
from ld_server.http.preconditions import content_tag, entity_tag, expected_revisions, not_modified
from ld_server.http.preferences import VALIDATE
from ld_server.http.showing import say_how_to_keep
from ld_server.rdf import codecs
from ld_server.rdf.formats import JSON
from ld_server.resources.kind import Filter, boolean, is_same, written
from ld_server.services.occasion import Occasion
from ld_server.services.parts import Parts
from relational.rows import Rows
from relational.unit_of_work import UnitOfWork

AS_JSON = Wanted(JSON)
JSON_OFFERS: Mapping[str, Choice] = {JSON.media_type: AS_JSON}
SENT = (JSON.media_type,)
MANAGED = ("@id", "@type", "identifier", "createdAt", "updatedAt")
"""What the server alone says. It may be sent back as it is."""

ENABLED = Filter("enabled", read=boolean, description="Whether it is enabled.")

NEVER_KEPT = "no-store"
"""For answers with a secret in them."""


@dataclass(frozen=True)
class Outcome:
    """What came of a change: the row as it is then, and what of it is told this once, as a merge patch of what is shown."""

    row: Any
    told: Mapping[str, Any] = field(default_factory=dict)


Change = Callable[[UnitOfWork, Occasion], Outcome]
"""What is done in the transaction, everything that can be checked without it having been checked."""


@dataclass(frozen=True)
class Sort:
    """
    A sort of configuration. `shown` are the members of a row that its owner can say. `to_create` and `to_change` read what its owner
    said, and raise what is wrong with it; `unsaid` are members that are shown and cannot be said.
    """

    name: str
    prefix: str
    path: str
    rows: Callable[[UnitOfWork], Rows[Any]]
    shown: Callable[[Any], dict[str, Any]]
    to_create: Callable[[Any, Parts], Change]
    to_change: Callable[[Any, Any, Expected, Parts], Change]
    remove: Callable[[UnitOfWork, str, Expected, datetime], None]
    filters: Mapping[str, Filter] = field(default_factory=lambda: {"enabled": ENABLED})
    unsaid: tuple[str, ...] = ()

    @property
    def type(self) -> str:
        """What `@type` says."""
        return self.name.title()

    def document(self, row: Any, parts: Parts) -> dict[str, Any]:
        """A row as it is shown."""
        iri = f"{parts.settings.base_iri}{self.path}/{row.identifier}"
        times = {"createdAt": written(row.created_at), "updatedAt": written(row.updated_at)}
        return {"@id": iri, "@type": self.type, "identifier": row.identifier, **self.shown(row), **times}

    def found(self, parts: Parts, identifier: str) -> Any:
        """The row with this identifier. Raises NotFound."""
        with parts.ledger.read() as uow:
            row = self.rows(uow).find(identifier)
        if row is None:
            raise NotFound(f"There is no {self.name} {identifier!r}.")
        return row


class Configurations:
    """All of a sort."""

    accept_post = SENT

    def __init__(self, parts: Parts, sort: Sort) -> None:
        self._parts = parts
        self._sort = sort

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """A page of them, in the order in which they were made."""
        may_be_json(req)
        parameters = query_parameters(req.query_string, (*self._sort.filters, *PAGE_PARAMETERS))
        page, members = self._page(parameters)
        document = {name: value for name, value in page.document(None).items() if name != "@context"}
        give_json(req, resp, {**document, "member": members}, page=page)

    def _page(self, parameters: Mapping[str, str]) -> tuple[CollectionPage, list[dict[str, Any]]]:
        sort, page = self._sort, page_of(parameters, self._sort.name)
        having = {column: value for column, _, value in conditions(parameters, sort.filters, self._parts.now())}
        with self._parts.ledger.read() as uow:
            rows = sort.rows(uow).page(page.after or 0, page.limit + 1, **having)
            total = sort.rows(uow).count(**having)
        count, following = cut([row.number for row in rows], page, sort.name)
        iri = f"{self._parts.settings.base_iri}{sort.path}"
        return collection_page(iri, parameters, total, following), [sort.document(row, self._parts) for row in rows[:count]]

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Makes a new one: 201."""
        may_be_json(req)
        query_parameters(req.query_string, (VALIDATE,))
        body, said = read_json(req, self._parts, SENT)
        change = self._sort.to_create(said, self._parts)
        perform(req, self._parts, answering(change, self._sort, self._parts, 201), body).give(resp)


class Configuration:
    """One of a sort."""

    accept_patch = PATCHABLE

    def __init__(self, parts: Parts, sort: Sort) -> None:
        self._parts = parts
        self._sort = sort

    def on_get(self, req: falcon.Request, resp: falcon.Response, identifier: str) -> None:
        """As it is now."""
        may_be_json(req)
        query_parameters(req.query_string)
        row = self._sort.found(self._parts, identifier)
        give_json(req, resp, self._sort.document(row, self._parts), entity_tag(row.revision, AS_JSON))

    def on_patch(self, req: falcon.Request, resp: falcon.Response, identifier: str) -> None:
        """Changes it: 200 with what it is then, whether there was anything to change or not."""
        may_be_json(req)
        query_parameters(req.query_string, (VALIDATE,))
        expected = expected_revisions(req.env.get("HTTP_IF_MATCH"))
        body, patch = read_patch(req, self._parts.settings)

        def make() -> Act:
            row = self._sort.found(self._parts, identifier)
            if expected is not None and row.revision not in expected:
                raise Stale(f"{identifier} has changed since it was read: it is at revision {row.revision} now.", resource=identifier)
            said = self._said(row, patch(self._sort.document(row, self._parts)))
            return answering(self._sort.to_change(said, row, frozenset({row.revision}), self._parts), self._sort, self._parts, 200)

        self._carry_out(req, resp, make, body, TRIES)

    def on_delete(self, req: falcon.Request, resp: falcon.Response, identifier: str) -> None:
        """Takes it away: 204."""
        query_parameters(req.query_string)
        expected = expected_revisions(req.env.get("HTTP_IF_MATCH"))
        with self._parts.ledger.write() as uow:
            self._sort.remove(uow, identifier, expected, self._parts.now())
        resp.status = falcon.HTTP_204

    def _said(self, row: Any, after: Any) -> Any:
        """What its owner says in the patched document. Raises ShapeViolation for changes of what only the server says."""
        before = self._sort.document(row, self._parts)
        fixed = (*MANAGED, *self._sort.unsaid)
        if not isinstance(after, dict):
            return after
        violations = [
            Violation(f"/{name}", "", after.get(name), f"{name} is given by the server and cannot be changed")
            for name in fixed
            if not is_same(before.get(name), after.get(name))
        ]
        if violations:
            raise ShapeViolation("; ".join(one.message for one in violations) + ".", violations)
        return {name: value for name, value in after.items() if name not in fixed}

    def _carry_out(self, req: falcon.Request, resp: falcon.Response, make: Callable[[], Act], body: bytes, tries: int) -> None:
        """Without `If-Match` a patch is applied anew when somebody was faster. What is refused may have been done before, under its key."""
        try:
            act = make()
        except Refusal as refusal:
            if key_of(req) is None:
                raise
            act = _refusing(refusal)
        try:
            perform(req, self._parts, act, body).give(resp)
        except Stale:
            if tries == 1 or "HTTP_IF_MATCH" in req.env:
                raise
            self._carry_out(req, resp, make, body, tries - 1)


def _refusing(refusal: Refusal) -> Act:
    def act(_uow: UnitOfWork, _occasion: Occasion) -> Answer:
        raise refusal

    return act


# --- in and out -----------------------------------------------------------------------------------------------------------


def may_be_json(req: falcon.Request) -> None:
    """Raises NotAcceptable for a client that does not take JSON."""
    choose(req.env.get("HTTP_ACCEPT"), JSON_OFFERS)


def read_json(req: falcon.Request, parts: Parts, readable: tuple[str, ...], may_be_empty: bool = False) -> tuple[bytes, Any]:
    """The bytes of the body and the JSON in them; an empty one, where that is allowed, is an empty object."""
    if may_be_empty and not req.content_type:
        body = read_body(req, parts.settings.max_body_bytes)
        if not body.strip():
            return b"", {}
    media_type_of(req, readable)
    body = read_body(req, parts.settings.max_body_bytes)
    return body, codecs.read_json(body, parts.settings.max_json_depth) if body.strip() or not may_be_empty else {}


def give_json(req: falcon.Request, resp: falcon.Response, document: Any, tag: str = "", page: CollectionPage | None = None) -> None:
    """Answers with JSON: 200, or 304 when the client has it. The tag comes from the bytes where none is given."""
    content = orjson.dumps(document)
    say_how_to_keep(resp)
    for relation in ("first", "next") if page else ():
        if getattr(page, relation):
            resp.append_link(getattr(page, relation), relation)
    if not_modified(req, resp, tag or content_tag(content, AS_JSON)):
        return
    resp.content_type = AS_JSON.content_type
    resp.data = content


def answer_json(resp: falcon.Response, document: Any) -> None:
    """Answers a question that is asked anew each time: 200 with JSON, and nothing to compare it by."""
    say_how_to_keep(resp, NEVER_KEPT)
    resp.content_type = AS_JSON.content_type
    resp.data = orjson.dumps(document)


def answering(change: Change, sort: Sort, parts: Parts, status: int) -> Act:
    """What makes the change and answers with what is there then. What is told once is not kept for a repeated request."""

    def act(uow: UnitOfWork, occasion: Occasion) -> Answer:
        outcome = change(uow, occasion)
        document = sort.document(outcome.row, parts)
        headers = _headers(document["@id"], outcome.row.revision, status, bool(outcome.told))
        shown, kept = ({**document, **outcome.told}, orjson.dumps(document)) if outcome.told else (document, None)
        return Answer(status, headers, orjson.dumps(shown), kept)

    return act


def _headers(iri: str, revision: int, status: int, is_secret: bool) -> dict[str, str]:
    return {
        "Content-Type": AS_JSON.content_type,
        "Vary": "Accept",
        "Cache-Control": NEVER_KEPT if is_secret else CACHE_CONTROL,
        "Content-Location": iri,
        "ETag": entity_tag(revision, AS_JSON),
        **({"Location": iri} if status == 201 else {}),
    }
