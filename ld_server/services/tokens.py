"""
JSON Web Tokens: whose they are and what their holder may do. Which algorithm counts is a matter of the key, never of the token.

A key of the JWKS verifies the one algorithm of its kind; the shared secret verifies HS256 alone. So `none` is nobody's algorithm, and a
public key cannot be passed off as a secret. Addresses in a token (`jku`, `x5u`) are not looked at.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
import orjson
import urllib3
from jwt.types import Options

from ld_server.domain.errors import StoreUnavailable, Unauthenticated
from ld_server.domain.scopes import Scope
from ld_server.settings import InvalidSetting, Settings

log = logging.getLogger(__name__)

SHORTEST_SECRET = 32
"""Bytes; RFC 7518, section 3.2, wants as many as the hash has."""
SMALLEST_RSA = 2048
"""Bits; RFC 7518, section 3.3."""

LONGEST_TOKEN = 8192
LONGEST_SUBJECT = 191
MOST_KEYS = 100
MOST_BYTES = 256 * 1024
FETCH_SECONDS = 5.0
BETWEEN_FETCHES = 30.0
"""Seconds. A token can name any key it likes: that must not make us fetch as often as it is sent."""
FRESH_SECONDS = 900.0
"""After this long the keys are fetched again, so that one that was taken out is forgotten."""
KEPT_SECONDS = 24 * 3600.0
"""For so long the keys are used on while they cannot be fetched."""

CLAIMS: Options = {"require": ["exp", "iss", "aud", "sub"]}


@dataclass(frozen=True)
class Bearer:
    """Who holds a token: a name for them that no other issuer can give, their `sub`, and what they may do."""

    identifier: str
    subject: str
    scopes: frozenset[Scope]


@dataclass(frozen=True)
class PublicKey:
    """A key of the JWKS, with the one algorithm that it verifies."""

    kid: str | None
    algorithm: str
    key: Any


def looks_like_token(text: str) -> bool:
    """Whether this is a JSON Web Token rather than an API key: three parts, the first of which is a JSON object."""
    return text.startswith("eyJ") and text.count(".") == 2


class KeySet:
    """
    The keys of a JWKS, from a file or a URL: read when they are first needed, when they are old, and when a token names one that is not
    there, but never twice within BETWEEN_FETCHES. `seconds` is a clock that only goes forward.
    """

    def __init__(self, source: str, seconds: Callable[[], float] = time.monotonic) -> None:
        self._source = source
        self._seconds = seconds
        self._reading = threading.Lock()
        self._keys: tuple[PublicKey, ...] = ()
        self._tried_at: float | None = None
        self._read_at: float | None = None

    def matching(self, kid: str | None, algorithm: str) -> PublicKey | None:
        """The key of this name for this algorithm; without a name the only one there is. Raises StoreUnavailable without any keys."""
        if self._is_older_than(FRESH_SECONDS):
            self._refresh()
        found = _the_one(self._keys, kid, algorithm)
        if found is None:
            self._refresh()
            found = _the_one(self._keys, kid, algorithm)
        if self._is_older_than(KEPT_SECONDS):
            raise StoreUnavailable("The keys that tokens are checked with cannot be read now.")
        return found

    def _is_older_than(self, seconds: float) -> bool:
        return self._read_at is None or self._seconds() - self._read_at > seconds

    def _refresh(self) -> None:
        """Who has keys does not wait for another thread that reads them."""
        if not self._reading.acquire(blocking=self._read_at is None):
            return
        try:
            if self._tried_at is None or self._seconds() - self._tried_at >= BETWEEN_FETCHES:
                self._tried_at = self._seconds()
                self._keys = tuple(public_keys(contents(self._source)))
                self._read_at = self._seconds()
        except (OSError, ValueError, urllib3.exceptions.HTTPError) as error:
            log.warning("the keys of LD_JWT_JWKS cannot be read: %s", type(error).__name__)
        finally:
            self._reading.release()


def contents(source: str) -> bytes:
    """What a file or a URL has, at most MOST_BYTES. Redirects are not followed. Raises ValueError, OSError or an HTTPError of urllib3."""
    if not _is_url(source):
        with Path(source).open("rb") as file:
            return _bounded(file.read(MOST_BYTES + 1))
    timeout = urllib3.Timeout(total=FETCH_SECONDS)
    with urllib3.PoolManager(retries=False, timeout=timeout) as pool:
        answer = pool.request("GET", source, redirect=False, preload_content=False, headers={"Accept": "application/json"})
        try:
            if answer.status != 200:
                raise ValueError(f"it answered {answer.status}")
            return _bounded(_taken(answer, time.monotonic() + FETCH_SECONDS))
        finally:
            answer.close()


def _taken(answer: urllib3.BaseHTTPResponse, until: float) -> bytes:
    """A server that sends a byte now and then is given up: urllib3 measures each read alone."""
    found = b""
    while len(found) <= MOST_BYTES and (piece := answer.read1(65536, decode_content=False)):
        found += piece
        if time.monotonic() > until:
            raise ValueError("it takes too long")
    return found


def _bounded(content: bytes) -> bytes:
    if len(content) > MOST_BYTES:
        raise ValueError(f"it has more than {MOST_BYTES} bytes")
    return content


def _is_url(source: str) -> bool:
    return source.startswith(("http://", "https://"))


def public_keys(content: bytes) -> Iterable[PublicKey]:
    """The keys of a JWKS (RFC 7517) that we can use; others are left out, secrets among them. Raises ValueError when it is none."""
    said = orjson.loads(content)
    if not isinstance(said, dict) or not isinstance(said.get("keys"), list):
        raise ValueError("it is no JWKS")
    return [key for one in said["keys"][:MOST_KEYS] if isinstance(one, dict) and (key := _public_key(one)) is not None]


_ALGORITHMS: Mapping[tuple[Any, Any], str] = {("RSA", None): "RS256", ("EC", "P-256"): "ES256", ("OKP", "Ed25519"): "EdDSA"}
"""Kind and curve of a key → the one algorithm that it verifies."""


def _public_key(said: Mapping[str, Any]) -> PublicKey | None:
    kind, curve, kid = said.get("kty"), said.get("crv"), said.get("kid")
    algorithm = _ALGORITHMS.get((kind, curve)) if isinstance(kind, str) and isinstance(curve, str | None) else None
    if algorithm is None or said.get("use", "sig") != "sig" or said.get("alg", algorithm) != algorithm:
        return None
    public = {name: value for name, value in said.items() if name in ("kty", "crv", "n", "e", "x", "y")}
    try:
        key = jwt.PyJWK(public, algorithm).key
    except (jwt.PyJWTError, ValueError, TypeError, AttributeError):
        return None
    is_weak = kind == "RSA" and key.key_size < SMALLEST_RSA
    return None if is_weak else PublicKey(kid if isinstance(kid, str) else None, algorithm, key)


def _the_one(keys: Iterable[PublicKey], kid: str | None, algorithm: str) -> PublicKey | None:
    found = [key for key in keys if key.algorithm == algorithm and (kid is None or key.kid == kid)]
    return found[0] if len(found) == 1 else None


class Tokens:
    """The tokens that the settings let in; none where they name no key."""

    def __init__(self, settings: Settings) -> None:
        _refuse_halves(settings)
        self._settings = settings
        self._secret = settings.jwt_secret.encode()
        self._keys = KeySet(settings.jwt_jwks) if settings.jwt_jwks else None
        self.are_taken = bool(self._secret or self._keys)

    def bearer(self, text: str) -> Bearer:
        """Who holds this token. Raises Unauthenticated, and StoreUnavailable while the keys to check it with cannot be had."""
        if len(text) > LONGEST_TOKEN:
            raise Unauthenticated(f"The token has more than {LONGEST_TOKEN} characters.")
        try:
            key = self._key_of(jwt.get_unverified_header(text))
            claims = self._claims(text, key)
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError) as error:
            raise Unauthenticated(_REASONS.get(type(error), "The token is not valid here.")) from None
        return _bearer(claims)

    def _key_of(self, header: Mapping[str, Any]) -> PublicKey:
        algorithm, kid = header.get("alg"), header.get("kid")
        if algorithm == "HS256" and self._secret:
            return PublicKey(None, "HS256", self._secret)
        if self._keys is None or algorithm not in _ALGORITHMS.values():
            raise jwt.InvalidAlgorithmError
        found = self._keys.matching(kid, str(algorithm))
        if found is None:
            raise jwt.InvalidKeyError
        return found

    def _claims(self, text: str, key: PublicKey) -> dict[str, Any]:
        settings = self._settings
        return jwt.decode(
            text,
            key.key,
            algorithms=[key.algorithm],
            options=CLAIMS,
            issuer=settings.jwt_issuer,
            audience=settings.jwt_audience,
            leeway=settings.jwt_leeway,
        )


_REASONS: Mapping[type[Exception], str] = {
    jwt.ExpiredSignatureError: "The token has expired.",
    jwt.ImmatureSignatureError: "The token is not valid yet.",
    jwt.InvalidAudienceError: "The token is for another audience.",
    jwt.InvalidIssuerError: "The token is from another issuer.",
    jwt.MissingRequiredClaimError: "The token must have the claims exp, iss, aud and sub.",
    jwt.InvalidAlgorithmError: "The token is signed with an algorithm that is not taken here.",
    jwt.InvalidKeyError: "The token is signed with a key that is not known here.",
}


def _bearer(claims: Mapping[str, Any]) -> Bearer:
    subject = claims["sub"]
    if not isinstance(subject, str) or not subject.isprintable() or not 0 < len(subject.strip()) <= LONGEST_SUBJECT:
        raise Unauthenticated(f"The claim sub of the token must be one line with 1 to {LONGEST_SUBJECT} characters.")
    said = {*_words(claims.get("scope")), *_words(claims.get("roles"))}
    return Bearer(f"{claims['iss']} {subject}", subject, frozenset(scope for scope in Scope if scope in said))


def _words(claim: Any) -> list[str]:
    """What a claim lists, as text with spaces (RFC 8693) or as an array; words of others are for others."""
    if isinstance(claim, str):
        return claim.split()
    return [one for one in claim if isinstance(one, str)] if isinstance(claim, list) else []


def _refuse_halves(settings: Settings) -> None:
    """Raises InvalidSetting for keys without an issuer and an audience: a token for anybody would then be one for us."""
    if not (settings.jwt_secret or settings.jwt_jwks):
        return
    if not (settings.jwt_issuer and settings.jwt_audience):
        raise InvalidSetting("LD_JWT_ISSUER and LD_JWT_AUDIENCE are needed where LD_JWT_JWKS or LD_JWT_SECRET is set")
    if settings.jwt_secret and len(settings.jwt_secret.encode()) < SHORTEST_SECRET:
        raise InvalidSetting(f"LD_JWT_SECRET must have at least {SHORTEST_SECRET} bytes")
    if settings.jwt_leeway < 0:
        raise InvalidSetting("LD_JWT_LEEWAY must not be negative")
