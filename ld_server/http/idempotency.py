"""
Idempotency-Key (IETF draft-ietf-httpapi-idempotency-key-header): a repeated POST gets the answer that the first one got.

The answer is stored in the transaction of what it tells about, so there is never one without the other. Refusals are not
stored: nothing happened, and the same request may succeed later.
"""

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import falcon

from ld_server.domain.errors import IdempotencyInProgress, IdempotencyMismatch, InvalidParameter
from relational.unit_of_work import UnitOfWork

_KEY = re.compile(r"[\x21-\x7e]{1,255}\Z")


@dataclass(frozen=True)
class Answer:
    """A whole answer: status, headers and body. `kept` is what is stored in place of a body that tells something only once."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    kept: bytes | None = None

    @property
    def lasting(self) -> bytes:
        """The body that may be given again."""
        return self.body if self.kept is None else self.kept

    def give(self, resp: falcon.Response) -> None:
        """Answers with it."""
        resp.status = self.status
        resp.set_headers(dict(self.headers))
        resp.data = self.body


@dataclass(frozen=True)
class Once:
    """A request that must happen only once: whose it is, its key, its fingerprint, and the times between which the answer is kept."""

    principal: str
    key: str
    fingerprint: str
    now: datetime
    keep: timedelta

    def answer(self, uow: UnitOfWork, act: Callable[[], Answer]) -> Answer:
        """
        The stored answer, or that of `act`, which is then stored.

        Raises IdempotencyInProgress while the first request runs, IdempotencyMismatch when it was another one.
        """
        if not uow.idempotency.lock(self.principal, self.key):
            raise IdempotencyInProgress("The first request with this Idempotency-Key is still running.")
        stored = uow.idempotency.find(self.principal, self.key)
        if stored is not None and stored.expires_at > self.now:
            if stored.fingerprint != self.fingerprint:
                raise IdempotencyMismatch("This Idempotency-Key was used for another request.")
            return Answer(stored.status, {**stored.headers, "Idempotency-Replayed": "true"}, stored.body)
        answer = act()
        self._store(uow, answer)
        return answer

    def _store(self, uow: UnitOfWork, answer: Answer) -> None:
        until = self.now + self.keep
        uow.idempotency.store(
            self.principal, self.key, self.fingerprint, answer.status, dict(answer.headers), answer.lasting, self.now, until
        )


def key_of(req: falcon.Request) -> str | None:
    """
    The Idempotency-Key of a request, or None; the draft's quotes may be there or not.

    Raises InvalidParameter when it is not 1 to 255 visible ASCII characters.
    """
    text: str | None = req.env.get("HTTP_IDEMPOTENCY_KEY")
    if text is None:
        return None
    key = text.strip()
    if len(key) >= 2 and key[0] == key[-1] == '"':
        key = key[1:-1]
    if not _KEY.match(key):
        raise InvalidParameter("Idempotency-Key must be 1 to 255 visible ASCII characters.", parameter="Idempotency-Key")
    return key


def fingerprint(req: falcon.Request, body: bytes) -> str:
    """What makes two requests the same: method, address, media type and body."""
    said = "\n".join((req.method, req.path, req.query_string, (req.content_type or "").lower()))
    return hashlib.sha256(said.encode() + b"\n\n" + body).hexdigest()
