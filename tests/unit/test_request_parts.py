"""What is taken out of a request: its body, its key, its Idempotency-Key, its correlation id."""

import io
import json
from pathlib import Path
from typing import Any

import falcon
import pytest
from falcon import testing

from ld_server.domain.errors import (
    InvalidParameter,
    MalformedBody,
    ShapeViolation,
    TooLarge,
    Unauthenticated,
    UnknownTerm,
    UnsupportedMediaType,
)
from ld_server.domain.scopes import Scope
from ld_server.http.authentication import ANY, Principal, presented_key
from ld_server.http.body import format_of, read_body, read_options
from ld_server.http.conversation import Conversation, access_line
from ld_server.http.idempotency import fingerprint, key_of
from ld_server.rdf.formats import FORMATS, JSON_LD, TURTLE
from ld_server.services.meters import Meters
from ld_server.settings import Settings

SETTINGS = Settings(max_body_bytes=100_000)
OPTIONS = {"allocationPolicy": ("hard_fail", "allow_under_allocation"), "reason": None}


def request(body: bytes = b"", headers: dict[str, str] | None = None, **environment: Any) -> falcon.Request:
    """A POST with this body; entries of the WSGI environment given as None are taken away."""
    env = testing.create_environ(method="POST", path="/v1/rent-actions", body=body, headers=headers or {})
    env.update({name: value for name, value in environment.items() if value is not None})
    for name in [name for name, value in environment.items() if value is None]:
        env.pop(name, None)
    return falcon.Request(env)


class Wire(io.BytesIO):
    """A body that counts what is taken from it, and gives at most `most` bytes at once."""

    taken = 0
    most = 1000

    def read(self, size: int | None = -1) -> bytes:
        assert size is not None
        assert size >= 0, "reading without a bound"
        chunk = super().read(min(size, self.most))
        self.taken += len(chunk)
        return chunk


def test_a_body_is_read_whole_however_it_arrives() -> None:
    wire = Wire(b"x" * 2500)
    assert read_body(request(CONTENT_LENGTH="2500", **{"wsgi.input": wire}), 4000) == b"x" * 2500


def test_a_body_that_says_it_is_too_large_is_not_read_at_all() -> None:
    wire = Wire(b"x" * 5000)
    with pytest.raises(TooLarge):
        read_body(request(CONTENT_LENGTH=str(50 * 1024 * 1024), **{"wsgi.input": wire}), 4000)
    assert wire.taken == 0


def test_a_chunked_body_is_read_to_just_beyond_the_limit() -> None:
    wire = Wire(b"x" * 50_000)
    with pytest.raises(TooLarge, match="more than 4000 bytes"):
        read_body(request(CONTENT_LENGTH=None, HTTP_TRANSFER_ENCODING="Chunked", **{"wsgi.input": wire}), 4000)
    assert wire.taken == 4001


def test_a_chunked_body_within_the_limit_is_taken() -> None:
    wire = Wire(b"x" * 3000)
    assert len(read_body(request(CONTENT_LENGTH=None, HTTP_TRANSFER_ENCODING="chunked", **{"wsgi.input": wire}), 4000)) == 3000


def test_a_body_may_be_as_large_as_the_limit() -> None:
    assert len(read_body(request(b"x" * 4000), 4000)) == 4000


def test_without_a_length_there_is_no_body() -> None:
    assert read_body(request(CONTENT_LENGTH=None, **{"wsgi.input": Wire(b"never read")}), 4000) == b""


def test_a_body_that_ends_early_is_malformed() -> None:
    with pytest.raises(MalformedBody, match="ended after 3 of 10 bytes"):
        read_body(request(CONTENT_LENGTH="10", **{"wsgi.input": Wire(b"abc")}), 4000)


class BadChunk(Exception):
    """As web servers raise them: below nothing that we know."""


@pytest.mark.parametrize("error", [OSError("reset by peer, /some/path"), BadChunk("ZZ, /some/path")])
def test_a_body_that_breaks_off_is_malformed(error: Exception) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise error

    with pytest.raises(MalformedBody) as refusal:
        read_body(request(CONTENT_LENGTH="10", **{"wsgi.input": Broken()}), 4000)
    assert "path" not in refusal.value.detail


def test_a_byte_order_mark_is_passed_over() -> None:
    assert read_body(request(b"\xef\xbb\xbf{}"), 4000) == b"{}"


@pytest.mark.parametrize("body", ["{}".encode("utf-16"), b'{"name": "caf\xe9"}', b"\xed\xa0\x80", b"\xff"])
def test_a_body_is_utf_8(body: bytes) -> None:
    with pytest.raises(MalformedBody, match="not UTF-8"):
        read_body(request(body), 4000)


def test_a_compressed_body_is_refused() -> None:
    with pytest.raises(UnsupportedMediaType, match="compressed"):
        read_body(request(b"x", {"Content-Encoding": "gzip"}), 4000)


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_can_be_posted(form: Any) -> None:
    for name in form.media_types:
        assert format_of(request(headers={"Content-Type": f"{name.upper()} ; Charset=UTF-8"})) is form


def test_parameters_of_a_content_type_do_not_matter() -> None:
    given = 'application/ld+json; profile="http://www.w3.org/ns/json-ld#expanded"'
    assert format_of(request(headers={"Content-Type": given})) is JSON_LD
    assert format_of(request(headers={"Content-Type": "text/turtle;charset=us-ascii"})) is TURTLE


@pytest.mark.parametrize(
    "content_type", [None, "", "text/plain", "application/*", "nonsense", "application/json; charset=utf-16", "text/turtle;charset=klingon"]
)
def test_other_content_types_are_refused_with_what_can_be_sent(content_type: str | None) -> None:
    headers = {} if content_type is None else {"Content-Type": content_type}
    with pytest.raises(UnsupportedMediaType) as refusal:
        format_of(request(b"{}", headers))
    assert "application/ld+json" in refusal.value.members["supported"]


@pytest.mark.parametrize("body", [b"", b" \n"])
def test_a_step_needs_no_body(body: bytes) -> None:
    assert read_options(request(body), SETTINGS, OPTIONS) == (b"", {})


def test_a_step_takes_its_options() -> None:
    body = json.dumps({"@context": "https://schema.org", "reason": "rained off"}).encode()
    assert read_options(request(body, {"Content-Type": "application/ld+json"}), SETTINGS, OPTIONS)[1] == {"reason": "rained off"}


@pytest.mark.parametrize(
    ("body", "refusal", "message"),
    [
        ("{", MalformedBody, "not valid JSON"),
        ("[]", MalformedBody, "must be a JSON object"),
        ("[" * 5000 + "]" * 5000, MalformedBody, "not valid JSON"),
        ('{"allocationPolcy": "hard_fail"}', UnknownTerm, "Did you mean allocationPolicy?"),
        ('{"allocationPolicy": "soft"}', ShapeViolation, "must be one of hard_fail, allow_under_allocation"),
        ('{"allocationPolicy": null}', ShapeViolation, "must be one of"),
        ('{"allocationPolicy": ["hard_fail"]}', ShapeViolation, "must be one of"),
        ('{"reason": 7}', ShapeViolation, "must be a text"),
        ('{"reason": ""}', ShapeViolation, "must be a text"),
        ('{"reason": "a\\u0000b"}', ShapeViolation, "control characters"),
    ],
)
def test_wrong_options_are_refused(body: str, refusal: type[Exception], message: str) -> None:
    with pytest.raises(refusal, match=message.replace("?", r"\?")):
        read_options(request(body.encode(), {"Content-Type": "application/json"}), SETTINGS, OPTIONS)


def test_options_need_a_content_type() -> None:
    with pytest.raises(UnsupportedMediaType):
        read_options(request(b"{}"), SETTINGS, OPTIONS)


@pytest.mark.parametrize(
    ("environment", "key"),
    [
        ({"HTTP_AUTHORIZATION": "Bearer rsv_1"}, "rsv_1"),
        ({"HTTP_AUTHORIZATION": "bearer   rsv_1 "}, "rsv_1"),
        ({"HTTP_X_API_KEY": " rsv_2 "}, "rsv_2"),
        ({"HTTP_AUTHORIZATION": "Bearer rsv_1", "HTTP_X_API_KEY": "rsv_2"}, "rsv_1"),
    ],
)
def test_a_key_comes_in_either_header(environment: dict[str, str], key: str) -> None:
    assert presented_key(environment) == key


@pytest.mark.parametrize(
    "environment",
    [{}, {"HTTP_AUTHORIZATION": "Basic dTpw"}, {"HTTP_AUTHORIZATION": "Bearer"}, {"HTTP_AUTHORIZATION": ""}, {"HTTP_X_API_KEY": " "}],
)
def test_without_a_key_nobody_is_known(environment: dict[str, str]) -> None:
    with pytest.raises(Unauthenticated):
        presented_key(environment)


def test_a_bad_authorization_is_not_made_good_by_the_other_header() -> None:
    with pytest.raises(Unauthenticated):
        presented_key({"HTTP_AUTHORIZATION": "Basic dTpw", "HTTP_X_API_KEY": "rsv_2"})


def test_scopes_allow_what_they_name_and_admin_everything() -> None:
    planner, admin, reader = (Principal("key_1", "k", frozenset(scopes)) for scopes in ([Scope.PLANNER], [Scope.ADMIN], []))
    assert planner.may(Scope.PLANNER)
    assert not planner.may(Scope.APPROVER)
    assert all(admin.may(scope) for scope in Scope)
    assert reader.may(ANY)
    assert not any(reader.may(scope) for scope in Scope)


@pytest.mark.parametrize(("header", "key"), [("abc", "abc"), ('"abc"', "abc"), (" abc ", "abc"), ("x" * 255, "x" * 255), ('"', '"')])
def test_an_idempotency_key_may_be_quoted(header: str, key: str) -> None:
    assert key_of(request(HTTP_IDEMPOTENCY_KEY=header)) == key


@pytest.mark.parametrize("header", ["", '""', "a b", "x" * 256, "caf\u00e9", '"a b"'])
def test_an_idempotency_key_is_short_and_visible(header: str) -> None:
    with pytest.raises(InvalidParameter, match="Idempotency-Key must be"):
        key_of(request(HTTP_IDEMPOTENCY_KEY=header))


def test_without_the_header_there_is_no_idempotency_key() -> None:
    assert key_of(request()) is None


def test_a_fingerprint_tells_requests_apart() -> None:
    same = fingerprint(request(headers={"Content-Type": "application/json"}), b"{}")
    assert fingerprint(request(headers={"Content-Type": "Application/JSON"}), b"{}") == same
    assert fingerprint(request(headers={"Content-Type": "application/json"}), b"{ }") != same
    assert fingerprint(request(headers={"Content-Type": "text/turtle"}), b"{}") != same
    assert fingerprint(request(headers={"Content-Type": "application/json"}, PATH_INFO="/v1/other"), b"{}") != same


@pytest.mark.parametrize("given", ["", "a b", "x" * 129, "caf\u00e9", "a\nb"])
def test_a_correlation_id_that_is_none_is_replaced(given: str) -> None:
    req = request(HTTP_X_CORRELATION_ID=given)
    Conversation("", Meters(Path("unused"))).process_request(req, falcon.Response())
    assert len(req.context.correlation_id) == 32


def test_a_correlation_id_is_taken() -> None:
    req = request(HTTP_X_CORRELATION_ID="order-4711/2")
    Conversation("", Meters(Path("unused"))).process_request(req, falcon.Response())
    assert req.context.correlation_id == "order-4711/2"


def test_the_access_line_is_one_json_object_without_secrets() -> None:
    req = request(PATH_INFO="/v1/x\n{}", QUERY_STRING="token=secret", HTTP_AUTHORIZATION="Bearer secret")
    Conversation("", Meters(Path("unused"))).process_request(req, falcon.Response())
    line = access_line(req, falcon.Response())
    assert "secret" not in line
    assert "\n" not in line
    assert json.loads(line)["path"] == "/v1/x\n{}"
