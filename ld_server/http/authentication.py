"""
Who is asking, and whether they may: API keys and JSON Web Tokens from `Authorization: Bearer …` or `X-Api-Key`, scopes from the table of
routes.

A browser can send neither, so that what can be read is also opened by HTTP Basic with the key as password. Browsers send that by
themselves, also when another site makes them: it counts for reading only, and nothing can be changed with it.

Keys are looked up by their hash. A key that was found is remembered for MEMORY_SECONDS, because every GET needs it; a
revoked key may therefore work that much longer. A token is checked each time.
"""

import base64
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol

import falcon

from ld_server.domain.errors import Forbidden, StoreUnavailable, Unauthenticated
from ld_server.domain.scopes import Scope, allows, reads_all
from ld_server.http.throttle import Throttle
from ld_server.services.keys import hash_of
from ld_server.services.parts import Parts
from ld_server.services.tokens import Tokens, looks_like_token
from relational.keys import KeyRow

ANY: Literal["any"] = "any"
Needed = Scope | Literal["any"] | None
"""What a method of a route asks for: a scope, ANY valid key, or None: it is public."""

BROWSABLE = ("GET", "HEAD")
"""The methods for which HTTP Basic counts."""

BASIC_CHALLENGE: Mapping[str, str] = {"WWW-Authenticate": 'Basic realm="ld-server", charset="UTF-8"'}
"""What makes a browser ask for user name and password. It is sent with pages only, or scripts would make browsers ask."""

MEMORY_SECONDS = 2.0
MOST_REMEMBERED = 1000
TOUCH_AFTER = timedelta(hours=1)
"""`last_used_at` is this coarse, so that reading does not become writing."""


@dataclass(frozen=True)
class Principal:
    """The holder of a key or a token: the key's identifier and name, or the token's issuer and subject, and what it may do."""

    identifier: str
    name: str
    scopes: frozenset[Scope]

    def may(self, needed: Needed) -> bool:
        """Whether the scopes suffice. ADMIN implies all."""
        return needed is None or (reads_all(self.scopes) if needed == ANY else allows(self.scopes, Scope(needed)))


class Restriction(Protocol):
    """What the scope `requester` opens: see `requesters`, the one that there is."""

    def may(self, template: str, method: str) -> bool: ...

    def refuse_others(self, template: str, identifier: str, owner: str) -> None: ...


def owner_of(req: falcon.Request) -> str | None:
    """Whose reservations alone the answer may be about; None where it may be about all."""
    owner: str | None = getattr(req.context, "owner", None)
    return owner


class Authentication:
    """Middleware: lets a request through to the methods that its key allows. `needed` maps a route template to what its methods ask for."""

    def __init__(self, parts: Parts, needed: Mapping[str, Mapping[str, Needed]], requesters: Restriction, throttle: Throttle) -> None:
        self._requesters = requesters
        self._throttle = throttle
        self._needed = needed
        self._keys = Keys(parts)
        self._tokens = Tokens(parts.settings)

    def process_resource(self, req: falcon.Request, resp: falcon.Response, _resource: object, params: dict[str, Any]) -> None:
        """
        Sets `req.context.principal`, and `owner` to its name where only its own reservations are to be seen.

        Raises Unauthenticated, Forbidden, and NotFound for what belongs to others. Methods that the route does not have are refused
        elsewhere.
        """
        needed = self._needed[req.uri_template or ""].get(req.method)
        if needed is None:
            self._throttle.admit_unknown(req, resp)
            return
        principal = self._principal(self._key_of(req, resp), req)
        req.context.principal = principal
        self._throttle.admit(principal.identifier, resp)
        if not principal.may(needed):
            self._restrict(req, principal, needed, params)

    def _restrict(self, req: falcon.Request, principal: Principal, needed: Needed, params: Mapping[str, Any]) -> None:
        """What else the scope `requester` opens, for its own alone."""
        template = req.uri_template or ""
        if Scope.REQUESTER not in principal.scopes or not self._requesters.may(template, req.method):
            raise _forbidden(needed)
        req.context.owner = principal.name
        if "identifier" in params:
            self._requesters.refuse_others(template, params["identifier"], principal.name)

    def _key_of(self, req: falcon.Request, resp: falcon.Response) -> str:
        try:
            return presented_key(req.env)
        except Unauthenticated:
            self._throttle.admit_unknown(req, resp)
            raise

    def _principal(self, text: str, req: falcon.Request) -> Principal:
        """Whose key it is. Where an address has tried too many, those are let in still that have been known a moment ago."""
        known = self._keys.remembered(text)
        if known is not None:
            return known
        self._throttle.refuse_guessing(req)
        try:
            return self._found(text)
        except Unauthenticated:
            self._throttle.count_guess(req)
            raise

    def _found(self, text: str) -> Principal:
        if not (self._tokens.are_taken and looks_like_token(text)):
            return self._keys.principal(text)
        bearer = self._tokens.bearer(text)
        return Principal(bearer.identifier, bearer.subject, bearer.scopes)


def _forbidden(needed: Needed) -> Forbidden:
    if needed == ANY:
        return Forbidden(f"The scope {Scope.REQUESTER} does not open this, and a key with any other scope does.")
    return Forbidden(f"This needs a key with the scope {needed}.", scope=needed)


def presented_key(env: Mapping[str, Any]) -> str:
    """The key that a request brings. Raises Unauthenticated when there is none."""
    authorization = env.get("HTTP_AUTHORIZATION")
    if authorization is None:
        key = env.get("HTTP_X_API_KEY", "").strip()
    else:
        scheme, _, credentials = authorization.partition(" ")
        key = _SCHEMES.get(scheme.lower(), _no_scheme)(credentials.strip(), env.get("REQUEST_METHOD", ""))
    if not key:
        raise Unauthenticated("Send a key: `Authorization: Bearer <key>` or `X-Api-Key: <key>`.")
    return str(key)


def _bearer(credentials: str, _method: str) -> str:
    return credentials


def _basic(credentials: str, method: str) -> str:
    """The password, where the method only reads."""
    if method not in BROWSABLE:
        raise Unauthenticated("HTTP Basic is for reading only; send the key as `Authorization: Bearer <key>` or `X-Api-Key: <key>`.")
    try:
        return base64.b64decode(credentials, validate=True).decode().partition(":")[2]
    except ValueError:
        return ""


def _no_scheme(_credentials: str, _method: str) -> str:
    return ""


_SCHEMES: Mapping[str, Callable[[str, str], str]] = {"bearer": _bearer, "basic": _basic}
"""Scheme → the key in its credentials; nothing where there is none."""


class Keys:
    """Principals by the text of their keys."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._remembered: dict[str, tuple[Principal, float]] = {}

    def remembered(self, text: str) -> Principal | None:
        """The holder of the key, where it was found a moment ago."""
        found = self._remembered.get(hash_of(text))
        return found[0] if found is not None and found[1] > time.monotonic() else None

    def principal(self, text: str) -> Principal:
        """The holder of the key. Raises Unauthenticated when it is unknown, expired or revoked."""
        digest = hash_of(text)
        return self._remember(digest, self._look_up(digest))

    def _remember(self, digest: str, principal: Principal) -> Principal:
        if len(self._remembered) >= MOST_REMEMBERED:
            self._remembered.clear()
        self._remembered[digest] = principal, time.monotonic() + MEMORY_SECONDS
        return principal

    def _look_up(self, digest: str) -> Principal:
        now = self._parts.now()
        with self._parts.ledger.read() as uow:
            row = uow.keys.by_hash(digest)
        if row is None or row.revoked_at is not None or (row.expires_at is not None and row.expires_at <= now):
            self._remembered.pop(digest, None)
            raise Unauthenticated("The key is unknown, expired or revoked.")
        self._touch(row, now)
        return Principal(row.identifier, row.name, frozenset(map(Scope, row.scopes)))

    def _touch(self, row: KeyRow, now: datetime) -> None:
        """Notes the use. Reading goes on while the ledger takes no writes."""
        if row.last_used_at is not None and now - row.last_used_at < TOUCH_AFTER:
            return
        try:
            with self._parts.ledger.write() as uow:
                uow.keys.touch(row.identifier, now)
        except StoreUnavailable:
            return
