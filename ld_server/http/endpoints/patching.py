"""`PATCH`: merge patches (RFC 7396) and JSON Patches (RFC 6902) of every kind of resource."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import falcon
import orjson

from ld_server.domain.commands import Expected
from ld_server.domain.errors import Refusal, Stale, Violation
from ld_server.http import remarks
from ld_server.http.body import JSON_PATCH, MERGE_PATCH, PATCHABLE, media_type_of, read_body
from ld_server.http.creation import limits_of
from ld_server.http.execution import execute, perform, wanted_by
from ld_server.http.finding import check_identifier, head_of
from ld_server.http.idempotency import Answer, key_of
from ld_server.http.parameters import query_parameters
from ld_server.http.preconditions import expected_revisions
from ld_server.http.preferences import VALIDATE
from ld_server.rdf import codecs
from ld_server.rdf.formats import JSON, JSON_LD
from ld_server.resources.intake import Remark, take_in
from ld_server.resources.kind import Document, Kind
from ld_server.resources.patching import Patch, Patching, json_patch, merge_patch
from ld_server.services.occasion import Occasion
from ld_server.services.opening import refuse_unexpected
from ld_server.services.parts import Parts
from ld_server.settings import Settings
from relational.unit_of_work import UnitOfWork

TRIES = 10
"""How often a patch without `If-Match` is applied anew because somebody was faster."""


class Patches:
    """Takes patches of one kind of resource."""

    def __init__(self, parts: Parts, kind: Kind) -> None:
        self._parts = parts
        self._kind = kind
        self._limits = limits_of(parts)

    def take(self, req: falcon.Request, resp: falcon.Response, identifier: str) -> None:
        """
        Carries out a patch and gives the resource as it is then.

        It is applied and its result checked before any lock is taken. `If-Match` holds for the state to which it was applied, and
        the transaction sees to it that this is still the state; without `If-Match` the patch is applied anew to the new one.
        """
        wanted_by(req)
        query_parameters(req.query_string, (VALIDATE,))
        check_identifier(self._parts, self._kind, identifier)
        expected = expected_revisions(req.env.get("HTTP_IF_MATCH"))
        body, patch = read_patch(req, self._parts.settings)
        said: dict[Violation, None] = {}
        self._carry_out(req, resp, lambda: self._command(identifier, patch, expected, said.setdefault), body, TRIES)
        remarks.tell(resp, list(said))

    def _carry_out(self, req: falcon.Request, resp: falcon.Response, make: Callable[[], Any], body: bytes, tries: int) -> None:
        try:
            command = make()
        except Refusal as refusal:
            self._refuse(req, resp, refusal, body)
            return
        try:
            execute(req, resp, self._parts, command, body)
        except Stale:
            if tries == 1:
                raise
            self._carry_out(req, resp, make, body, tries - 1)

    def _refuse(self, req: falcon.Request, resp: falcon.Response, refusal: Refusal, body: bytes) -> None:
        """Raises the refusal, unless the patch was carried out before under its Idempotency-Key: then it gets that answer again."""
        if key_of(req) is None:
            raise refusal

        def act(_uow: UnitOfWork, _occasion: Occasion) -> Answer:
            raise refusal

        perform(req, self._parts, act, body).give(resp)

    def _command(self, identifier: str, patch: Patch, expected: Expected, remark: Remark) -> Any:
        patching = Patching(self._kind, self._parts.naming, self._parts.contexts, partial(self._take_in, remark))
        head = head_of(self._parts, self._kind, identifier)
        refuse_unexpected(head, expected)
        document = patching.changed(orjson.loads(head.body), patch)
        return self._kind.to_change(identifier, document, frozenset({head.revision}))

    def _take_in(self, remark: Remark, body: bytes) -> Document:
        parts = self._parts
        return take_in(body, JSON_LD, self._kind, parts.naming, parts.contexts, parts.validator, self._limits, remark)


def read_patch(req: falcon.Request, settings: Settings) -> tuple[bytes, Patch]:
    """The body of a PATCH and the patch that it holds. Raises what `read_body` raises, UnsupportedMediaType and MalformedBody."""
    media_type = media_type_of(req, PATCHABLE)
    body = read_body(req, settings.max_body_bytes)
    return body, READERS[media_type](codecs.read_json(body, settings.max_json_depth), settings.max_body_bytes)


def _merge(body: Any, _largest: int) -> Patch:
    return merge_patch(body)


READERS: Mapping[str, Callable[[Any, int], Patch]] = {MERGE_PATCH: _merge, JSON_PATCH: json_patch, JSON.media_type: _merge}
"""Media type → how its JSON becomes a patch, by which a resource grows to so many bytes at most."""
