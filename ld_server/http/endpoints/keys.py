"""
API keys: made, listed, revoked. JSON only.

The text of a key is told in the answer to the request that made it and nowhere else: not even when that answer is given again.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import falcon
import orjson

from ld_server.domain.errors import ShapeViolation, Violation
from ld_server.domain.reading import Member, choice, members, name_of, read, several, text, wrong
from ld_server.domain.scopes import Scope
from ld_server.http.endpoints.configuration import AS_JSON, NEVER_KEPT, SENT, give_json, may_be_json, read_json
from ld_server.http.execution import perform
from ld_server.http.idempotency import Answer
from ld_server.http.paging import PAGE_PARAMETERS, collection_page, cut, page_of
from ld_server.http.parameters import query_parameters
from ld_server.http.preferences import VALIDATE
from ld_server.resources.kind import instant, written
from ld_server.services import keys
from ld_server.services.occasion import Occasion
from ld_server.services.parts import Parts
from relational.index import number_of
from relational.keys import KeyRow
from relational.unit_of_work import UnitOfWork

PATH = "/v1/keys"


def _moment(value: Any, pointer: str) -> datetime:
    try:
        return instant(value if isinstance(value, str) else "")
    except (ValueError, OverflowError):
        raise wrong(pointer, value, f"{name_of(pointer)} must be an instant with a zone, such as 2027-01-31T00:00:00Z") from None


_NEW: Mapping[str, Member] = {
    "name": Member(text(), is_required=True),
    "scopes": Member(several(choice(*Scope), len(Scope)), default=()),
    "expiresAt": Member(_moment),
}
"""What may be said of a new key. Without scopes it may read, without an end it is valid until it is revoked."""


def document(row: KeyRow, parts: Parts) -> dict[str, Any]:
    """A key as it is shown."""
    times = {"createdAt": row.created_at, "expiresAt": row.expires_at, "revokedAt": row.revoked_at, "lastUsedAt": row.last_used_at}
    return {
        "@id": f"{parts.settings.base_iri}{PATH}/{row.identifier}",
        "@type": "Key",
        "identifier": row.identifier,
        "name": row.name,
        "scopes": list(row.scopes),
        "status": keys.state(row, parts.now()),
        **{name: written(moment) for name, moment in times.items() if moment is not None},
    }


class KeyRing:
    """`/v1/keys`: every key there ever was."""

    accept_post = SENT

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """A page of them, in the order in which they were made."""
        may_be_json(req)
        parameters = query_parameters(req.query_string, PAGE_PARAMETERS)
        page = page_of(parameters, "key")
        with self._parts.ledger.read() as uow:
            rows, total = uow.keys.page(page.after or 0, page.limit + 1), uow.keys.count()
        count, following = cut([number_of(row.identifier) for row in rows], page, "key")
        shown = collection_page(self._parts.settings.base_iri + PATH, parameters, total, following)
        whole = {name: value for name, value in shown.document(None).items() if name != "@context"}
        give_json(req, resp, {**whole, "member": [document(row, self._parts) for row in rows[:count]]}, page=shown)

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Makes a new one: 201, with its text in `key`."""
        may_be_json(req)
        query_parameters(req.query_string, (VALIDATE,))
        body, said = read_json(req, self._parts, SENT)
        wanted = read(members(_NEW), said)
        _refuse_ended(wanted["expiresAt"], self._parts.now())

        def act(uow: UnitOfWork, occasion: Occasion) -> Answer:
            made = keys.new_text()
            row = keys.add(uow, made, wanted["name"], sorted(set(wanted["scopes"])), occasion.now, wanted["expiresAt"])
            return _told(document(row, self._parts), made)

        perform(req, self._parts, act, body).give(resp)


class Key:
    """`/v1/keys/{identifier}`: one of them."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def on_get(self, req: falcon.Request, resp: falcon.Response, identifier: str) -> None:
        """As it stands now, without its text."""
        may_be_json(req)
        query_parameters(req.query_string)
        with self._parts.ledger.read() as uow:
            row = keys.found(uow, identifier)
        give_json(req, resp, document(row, self._parts))

    def on_delete(self, req: falcon.Request, resp: falcon.Response, identifier: str) -> None:
        """Revokes it: 204, also where it was revoked before. It stays in the list."""
        query_parameters(req.query_string)
        with self._parts.ledger.write() as uow:
            keys.revoke(uow, identifier, self._parts.now())
        resp.status = falcon.HTTP_204


def _refuse_ended(end: datetime | None, now: datetime) -> None:
    if end is not None and end <= now:
        message = "expiresAt must be in the future"
        raise ShapeViolation(f"{message}.", [Violation("/expiresAt", "", written(end), message)])


def _told(shown: Mapping[str, Any], made: str) -> Answer:
    """The answer that tells the text, and what is kept of it for a repeated request."""
    headers = {"Content-Type": AS_JSON.content_type, "Vary": "Accept", "Cache-Control": NEVER_KEPT, "Location": shown["@id"]}
    return Answer(201, headers, orjson.dumps({**shown, "key": made}), orjson.dumps(shown))
