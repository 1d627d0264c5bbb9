"""JSON Web Tokens: let in when everything about them is right, refused for each thing that is not."""

import base64
import hashlib
import hmac
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jwt
import orjson
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from ld_server.bootstrap import build
from ld_server.services import tokens
from ld_server.services.tokens import KeySet, public_keys
from ld_server.settings import InvalidSetting, Settings
from tests.http.conftest import RESERVATIONS, Site, problem

SECRET = "a shared secret that is long enough for it"
RSA, OTHER_RSA, WEAK_RSA = (rsa.generate_private_key(65537, bits) for bits in (2048, 2048, 1024))
P256, ED25519 = ec.generate_private_key(ec.SECP256R1()), ed25519.Ed25519PrivateKey.generate()
PRIVATE: dict[str, Any] = {"RS256": RSA, "ES256": P256, "EdDSA": ED25519, "HS256": SECRET}
WRITERS: dict[str, Any] = {
    "RS256": jwt.algorithms.RSAAlgorithm,
    "ES256": jwt.algorithms.ECAlgorithm,
    "EdDSA": jwt.algorithms.OKPAlgorithm,
}


def public(algorithm: str, key: Any, kid: str) -> dict[str, Any]:
    return {**WRITERS[algorithm].to_jwk(key.public_key(), as_dict=True), "kid": kid, "use": "sig"}


def jwks(*more: dict[str, Any]) -> bytes:
    mine = [public(algorithm, PRIVATE[algorithm], algorithm) for algorithm in WRITERS]
    return orjson.dumps({"keys": [*mine, {"kty": "oct", "k": "c2VjcmV0", "kid": "oct"}, public("RS256", WEAK_RSA, "weak"), *more]})


def claims(**changes: Any) -> dict[str, Any]:
    said = {
        "iss": "https://login.example.org",
        "aud": "reservations",
        "sub": "mara@example.org",
        "exp": datetime.now(UTC) + timedelta(hours=1),
        "scope": "openid planner",
    }
    return {name: value for name, value in {**said, **changes}.items() if value is not None}


def token(algorithm: str = "RS256", key: Any = None, kid: str | None = "", **changes: Any) -> str:
    headers = {} if kid is None else {"kid": kid or algorithm}
    return jwt.encode(claims(**changes), key or PRIVATE[algorithm], algorithm, headers=headers)


@pytest.fixture
def trusting(site: Site, tmp_path: Path) -> Site:
    file = tmp_path / "jwks.json"
    file.write_bytes(jwks())
    named = {"jwt_issuer": "https://login.example.org", "jwt_audience": "reservations"}
    return site.over(settings=replace(site.parts.settings, jwt_jwks=str(file), jwt_secret=SECRET, **named))


@pytest.mark.parametrize("algorithm", PRIVATE)
def test_a_token_of_each_algorithm_lets_its_subject_in(trusting: Site, algorithm: str) -> None:
    item = trusting.item_type()
    body = {"startTime": "2027-02-03T08:00:00Z", "endTime": "2027-02-03T18:00:00Z", "object": item, "requestedQuantity": 1, "agent": "Mara"}
    answer = trusting.post(RESERVATIONS, body, key=token(algorithm))
    assert answer.status_code == 201, answer.text
    assert answer.json["createdBy"] == "mara@example.org"
    problem(trusting.post(f"{RESERVATIONS}/{answer.json['identifier']}/approve", key=token(algorithm)), "forbidden", 403)


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"scope": "catalog_admin"}, 201),
        ({"scope": None, "roles": ["x", "catalog_admin", 7]}, 201),
        ({"scope": None, "roles": "catalog_admin"}, 201),
        ({"scope": "catalog_administrator"}, 403),
        ({"scope": {"catalog_admin": True}}, 403),
        ({"scope": None}, 403),
    ],
)
def test_scopes_come_from_scope_and_roles(trusting: Site, changes: dict[str, Any], status: int) -> None:
    body = {"code": "TimerNode-v2", "name": "Timer", "kind": "serialized"}
    assert trusting.post("/v1/catalog/item-types", body, key=token(**changes)).status_code == status


PAST, FUTURE = datetime(2020, 1, 1, tzinfo=UTC), datetime(2199, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": PAST},
        {"exp": None},
        {"nbf": FUTURE},
        {"iss": "https://login.example.com"},
        {"iss": None},
        {"aud": "elsewhere"},
        {"aud": None},
        {"sub": None},
        {"sub": " "},
        {"sub": "mara\nadmin"},
        {"sub": "m" * 192},
    ],
)
def test_a_token_with_a_wrong_claim_is_refused(trusting: Site, changes: dict[str, Any]) -> None:
    problem(trusting.get(RESERVATIONS, key=token(**changes)), "unauthenticated", 401)


def signed_by_hand(header: dict[str, Any], secret: bytes) -> str:
    parts = [base64.urlsafe_b64encode(orjson.dumps(one)).rstrip(b"=") for one in (header, claims(exp=4102444800))]
    signature = hmac.new(secret, b".".join(parts), hashlib.sha256).digest() if secret else b""
    return b".".join([*parts, base64.urlsafe_b64encode(signature).rstrip(b"=")]).decode()


PEM = RSA.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
FORGED = {
    "none": signed_by_hand({"alg": "none"}, b""),
    "None": signed_by_hand({"alg": "None", "kid": "RS256"}, b""),
    "public key as a secret": signed_by_hand({"alg": "HS256", "kid": "RS256"}, PEM),
    "secret in the key set": signed_by_hand({"alg": "HS256", "kid": "oct"}, b"secret"),
    "other key": token(key=OTHER_RSA),
    "key of its own": jwt.encode(claims(), OTHER_RSA, "RS256", headers={"jwk": public("RS256", OTHER_RSA, "x"), "kid": "x"}),
    "unknown name": token(kid="nobody"),
    "weak key": jwt.PyJWT({"enforce_minimum_key_length": False}).encode(claims(), WEAK_RSA, "RS256", headers={"kid": "weak"}),
    "name of a key of another kind": token("ES256", kid="RS256"),
    "algorithm that is not taken": jwt.encode(claims(), RSA, "RS512", headers={"kid": "RS256"}),
    "another signature": token()[:-8] + "AAAAAAAA",
    "nothing": "eyJ..",
    "nonsense": "eyJhbGciOiJSUzI1NiJ9.e30.x",
    "depth": "eyJ" + base64.urlsafe_b64encode(b"[" * 5000).decode().rstrip("=") + ".e30.x",
    "length": token(padding="x" * 9000),
}


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
@pytest.mark.parametrize("name", FORGED)
def test_a_forged_token_is_refused(trusting: Site, name: str) -> None:
    problem(trusting.get(RESERVATIONS, key=FORGED[name]), "unauthenticated", 401)


def test_without_a_name_the_only_key_for_the_algorithm_counts(trusting: Site) -> None:
    assert trusting.get(RESERVATIONS, key=token(kid=None)).status_code == 200


def test_keys_go_on_working_beside_tokens(trusting: Site) -> None:
    assert trusting.get(RESERVATIONS, key="reader").status_code == 200


def test_where_no_keys_are_named_no_token_counts(site: Site) -> None:
    problem(site.get(RESERVATIONS, key=token("HS256")), "unauthenticated", 401)


def test_an_unreadable_key_set_is_no_fault_of_the_client(trusting: Site) -> None:
    blind = trusting.over(settings=replace(trusting.parts.settings, jwt_jwks="/nowhere/jwks.json"))
    found = problem(blind.get(RESERVATIONS, key=token()), "store-unavailable", 503)
    assert "nowhere" not in str(found)


@pytest.mark.parametrize(
    "halves",
    [
        {"jwt_secret": SECRET},
        {"jwt_secret": SECRET, "jwt_issuer": "x"},
        {"jwt_jwks": "jwks.json", "jwt_audience": "x"},
        {"jwt_secret": "short", "jwt_issuer": "x", "jwt_audience": "y"},
        {"jwt_secret": SECRET, "jwt_issuer": "x", "jwt_audience": "y", "jwt_leeway": -1.0},
    ],
)
def test_nothing_starts_that_would_check_by_halves(settings: Settings, halves: dict[str, Any]) -> None:
    with pytest.raises(InvalidSetting, match="LD_JWT"):
        build(replace(settings, **halves))


# --- the key set -------------------------------------------------------------------------------------------------------


class Issuer(ThreadingHTTPServer):
    """Publishes keys, and counts how often it is asked."""

    daemon_threads = True
    keys, status, asked = b"", 200, 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/keys"


class Publishing(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        issuer: Any = self.server
        issuer.asked += 1
        self.send_response(issuer.status)
        self.send_header("Location", issuer.url)
        self.send_header("Content-Length", str(len(issuer.keys)))
        self.end_headers()
        self.wfile.write(issuer.keys)

    def log_message(self, format: str, *args: Any) -> None: ...


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    server = Issuer(("127.0.0.1", 0), Publishing)
    server.keys = jwks()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_new_key_is_fetched_when_it_is_named_but_not_more_often_than_that(issuer: Issuer) -> None:
    clock = Clock()
    keys = KeySet(issuer.url, clock)
    assert keys.matching("RS256", "RS256") and keys.matching("ES256", "ES256")
    assert issuer.asked == 1
    issuer.keys = jwks(public("RS256", OTHER_RSA, "new"))
    assert [keys.matching(name, "RS256") for name in ("new", "a", "b")] == [None] * 3
    assert issuer.asked == 1
    clock.now += tokens.BETWEEN_FETCHES
    assert keys.matching("new", "RS256") and not keys.matching("c", "RS256")
    assert issuer.asked == 2


def test_a_key_that_was_taken_out_is_forgotten(issuer: Issuer) -> None:
    clock = Clock()
    keys = KeySet(issuer.url, clock)
    assert keys.matching("RS256", "RS256")
    issuer.keys = b'{"keys": []}'
    clock.now += tokens.FRESH_SECONDS + 1
    assert keys.matching("RS256", "RS256") is None


def test_keys_outlast_their_issuer_for_a_day(issuer: Issuer) -> None:
    clock = Clock()
    keys = KeySet(issuer.url, clock)
    assert keys.matching("RS256", "RS256")
    issuer.status = 500
    clock.now += tokens.KEPT_SECONDS - 1
    assert keys.matching("RS256", "RS256")
    clock.now += 2
    with pytest.raises(tokens.StoreUnavailable):
        keys.matching("RS256", "RS256")


@pytest.mark.parametrize(
    ("status", "content"), [(302, b""), (404, b"{}"), (200, b"<html>"), (200, b"[]"), (200, b" " * (tokens.MOST_BYTES + 1))]
)
def test_what_is_no_key_set_is_none(issuer: Issuer, status: int, content: bytes) -> None:
    issuer.status, issuer.keys = status, content
    keys = KeySet(issuer.url, Clock())
    for _ in range(3):
        with pytest.raises(tokens.StoreUnavailable):
            keys.matching("RS256", "RS256")
    assert issuer.asked == 1


def test_odd_keys_are_left_out() -> None:
    odd = [
        7,
        {},
        {"kty": "RSA"},
        {"kty": "RSA", "n": 1, "e": 2},
        {"kty": ["RSA"]},
        {"kty": "EC", "crv": {}},
        {"kty": "OKP", "crv": "Ed25519", "x": "AA"},
    ]
    usable = public("RS256", RSA, "x")
    odd += [{**usable, "use": "enc"}, {**usable, "alg": "HS256"}, {**usable, "n": "!"}]
    assert list(public_keys(orjson.dumps({"keys": odd}))) == []
