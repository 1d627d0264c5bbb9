"""Bad input, a row per case: each gets a clear problem document, none is a 500, and nothing is written."""

import io
import json
from typing import Any

import falcon
import orjson
import pytest
from falcon import testing
from pyoxigraph import RdfFormat, parse

from ld_server.rdf import vocab
from tests import factories
from tests.http.conftest import ASSETS, ITEM_TYPES, LD_JSON, RESERVATIONS, Site, problem

JSON, TURTLE, XML = "application/json", "text/turtle", "application/rdf+xml"
EVIL = "https://evil.example/context.jsonld"


def deep(levels: int) -> bytes:
    return b'{"metadata":' + b'{"a":' * levels + b"1" + b"}" * (levels + 1)


def with_context(context: Any) -> bytes:
    return orjson.dumps({"@context": context, "@type": "RentAction", **factories.reservation()})


BODIES = [
    ("not JSON at all", JSON, b"hello", "malformed-body", 400),
    ("cut off", JSON, b'{"code": "A", ', "malformed-body", 400),
    ("a trailing comma", JSON, b'{"code": "A",}', "malformed-body", 400),
    ("two documents", JSON, b"{} {}", "malformed-body", 400),
    ("a number", JSON, b"7", "malformed-body", 400),
    ("null", JSON, b"null", "malformed-body", 400),
    ("nothing", JSON, b"", "malformed-body", 400),
    ("not a number", JSON, b'{"requestedQuantity": NaN}', "malformed-body", 400),
    ("half a character", JSON, b'{"name": "\\ud800"}', "malformed-body", 400),
    ("Latin-1", JSON, '{"description": "caf\u00e9"}'.encode("latin-1"), "malformed-body", 400),
    ("UTF-16", JSON, "{}".encode("utf-16"), "malformed-body", 400),
    ("nested beyond the limit", JSON, deep(200), "malformed-body", 400),
    ("nested beyond everything", JSON, deep(100_000), "malformed-body", 400),
    ("arrays nested beyond everything", JSON, b"[" * 500_000, "malformed-body", 400),
    ("a remote context", LD_JSON, with_context(EVIL), "unknown-context", 400),
    ("a remote context on loopback", LD_JSON, with_context("http://127.0.0.1:9/context.jsonld"), "unknown-context", 400),
    ("a remote context among others", LD_JSON, with_context(["https://schema.org", EVIL]), "unknown-context", 400),
    ("a remote context inside", LD_JSON, with_context({"x": {"@id": "urn:x", "@context": EVIL}}), "unknown-context", 400),
    ("an imported context", LD_JSON, with_context({"@version": 1.1, "@import": EVIL}), "unknown-context", 400),
    ("a file as a context", LD_JSON, with_context("file:///etc/passwd"), "unknown-context", 400),
    ("Turtle that is none", TURTLE, b"this is not turtle", "malformed-body", 400),
    ("Turtle cut off", TURTLE, b"<> a <http://schema.org/RentAction", "malformed-body", 400),
    ("RDF/XML with an entity bomb", XML, b'<!DOCTYPE a [<!ENTITY b "bbbb">]><a>&b;</a>', "malformed-body", 400),
    ("RDF/XML that reads a file", XML, b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>', "malformed-body", 400),
    ("N-Triples that are none", "application/n-triples", b"<a> <b>", "malformed-body", 400),
    ("no media type", None, b"{}", "unsupported-media-type", 415),
    ("plain text", "text/plain", b"{}", "unsupported-media-type", 415),
    ("a form", "application/x-www-form-urlencoded", b"code=A", "unsupported-media-type", 415),
    ("a media type that cannot be read", "json", b"{}", "unsupported-media-type", 415),
    ("an unknown charset", "application/json; charset=klingon", b"{}", "unsupported-media-type", 415),
    ("another charset", "application/json; charset=iso-8859-1", b"{}", "unsupported-media-type", 415),
]  # fmt: skip


@pytest.mark.parametrize("path", [ITEM_TYPES, ASSETS, RESERVATIONS])
@pytest.mark.parametrize(("content_type", "body", "slug", "status"), [case[1:] for case in BODIES], ids=[case[0] for case in BODIES])
def test_a_body_that_cannot_be_read_is_refused(
    site: Site, path: str, content_type: str | None, body: bytes, slug: str, status: int
) -> None:
    before = site.written()
    headers = {"Content-Type": content_type} if content_type else {}
    problem(site.post(path, body, **headers), slug, status)
    assert site.written() == before


def test_a_media_type_that_cannot_be_read_is_answered_with_those_that_can(site: Site) -> None:
    answer = site.post(ITEM_TYPES, b"{}", Content_Type="text/plain")
    assert "text/turtle" in answer.headers["accept-post"]
    assert "application/ld+json" in answer.json["supported"]


def test_a_compressed_body_is_answered_with_the_coding_that_can_be_read(site: Site) -> None:
    answer = site.post(ITEM_TYPES, b"\x1f\x8b", Content_Type=JSON, Content_Encoding="gzip")
    problem(answer, "unsupported-media-type", 415)
    assert answer.headers["accept-encoding"] == "identity"


class Endless(io.RawIOBase):
    """A body of any size that counts what is taken."""

    def __init__(self, size: int) -> None:
        self.left, self.taken = size, 0

    def read(self, size: int = -1) -> bytes:
        assert size >= 0, "read without a bound"
        chunk = b" " * min(size, self.left, 65536)
        self.left -= len(chunk)
        self.taken += len(chunk)
        return chunk


def raw(site: Site, **environment: Any) -> testing.Result:
    """A POST with exactly this WSGI environment."""
    environ = testing.create_environ(ITEM_TYPES, method="POST", headers={"X-Api-Key": site.keys["admin"], "Content-Type": JSON})
    environ.pop("CONTENT_LENGTH", None)
    environ.update(environment)
    answer = testing.StartResponseMock()
    return testing.Result(site.client.app(environ, answer), answer.status, answer.headers)


FIFTY_MEGABYTES = 50 * 1024 * 1024


@pytest.mark.parametrize(
    ("what", "environment", "most_taken"),
    [
        ("announced", {"CONTENT_LENGTH": str(FIFTY_MEGABYTES)}, 0),
        ("chunked", {"HTTP_TRANSFER_ENCODING": "chunked"}, 4 * 1024 * 1024 + 1),
    ],
)
def test_fifty_megabytes_are_not_read(site: Site, what: str, environment: dict[str, str], most_taken: int) -> None:
    before, wire = site.written(), Endless(FIFTY_MEGABYTES)
    found = problem(raw(site, **environment, **{"wsgi.input": wire}), "payload-too-large", 413)
    assert found["limit"] == 4 * 1024 * 1024
    assert wire.taken <= most_taken
    assert site.written() == before


@pytest.mark.parametrize(
    ("environment", "slug", "status"),
    [
        ({"CONTENT_LENGTH": "100"}, "malformed-body", 400),
        ({"CONTENT_LENGTH": "ten"}, "invalid-parameter", 400),
        ({"CONTENT_LENGTH": "-1"}, "invalid-parameter", 400),
        ({"CONTENT_LENGTH": "9" * 5000}, "invalid-parameter", 400),
        ({}, "malformed-body", 400),
    ],
)
def test_a_length_that_is_not_true_is_refused(site: Site, environment: dict[str, str], slug: str, status: int) -> None:
    problem(raw(site, **environment, **{"wsgi.input": io.BytesIO(b"{}")}), slug, status)


VALUES = [
    ("the end before the start", {"endTime": "2027-02-28T08:00:00Z"}, "shape-violation", "/endTime"),
    ("the end at the start", {"endTime": "2027-03-01T08:00:00Z"}, "shape-violation", "/endTime"),
    ("a time without a zone", {"startTime": "2027-03-01T08:00:00"}, "shape-violation", "/startTime"),
    ("a time that is none", {"startTime": "tomorrow"}, "shape-violation", "/startTime"),
    ("the 30th of February", {"startTime": "2027-02-30T08:00:00Z"}, "shape-violation", "/startTime"),
    ("a time that is a number", {"startTime": 1772352000}, "shape-violation", "/startTime"),
    ("no end", {"endTime": None}, "shape-violation", "/endTime"),
    ("nobody", {"agent": None}, "shape-violation", "/agent"),
    ("no units", {"requestedQuantity": 0}, "shape-violation", "/requestedQuantity"),
    ("fewer than no units", {"requestedQuantity": -1}, "shape-violation", "/requestedQuantity"),
    ("half a unit", {"requestedQuantity": 1.5}, "shape-violation", "/requestedQuantity"),
    ("a word for a number", {"requestedQuantity": "two"}, "shape-violation", "/requestedQuantity"),
    ("more than there can be", {"requestedQuantity": 10**30}, "shape-violation", "/requestedQuantity"),
    ("a list for a time", {"startTime": ["2027-03-01T08:00:00Z", "2027-03-01T09:00:00Z"]}, "shape-violation", "/startTime"),
    ("an unknown priority", {"priority": "asap"}, "shape-violation", "/priority"),
    ("a status that only a step gives", {"status": "approved"}, "shape-violation", "/status"),
    ("an unknown item type", {"object": "itemType_99"}, "unknown-reference", None),
    ("an asset for an item type", {"object": "asset_1"}, None, None),
    ("something elsewhere", {"object": "https://example.org/thing"}, None, None),
    ("a misspelt key", {"requestedQuantitty": 1}, "unknown-term", None),
    ("an unknown key", {"colour": "red"}, "unknown-term", None),
    ("a control character", {"description": "a\u0000b"}, "shape-violation", "/description"),
]


@pytest.mark.parametrize(("changes", "slug", "pointer"), [case[1:] for case in VALUES], ids=[case[0] for case in VALUES])
def test_a_reservation_with_a_wrong_value_is_refused(site: Site, changes: dict[str, Any], slug: str | None, pointer: str | None) -> None:
    item = site.item_type()
    before = site.written()
    answer = site.post(RESERVATIONS, json.dumps(factories.reservation(item, **changes)).encode(), Content_Type=JSON)
    if slug is None:
        assert answer.status_code == 422, answer.text
        slug = answer.json["type"].rpartition("/")[2]
    found = problem(answer, slug, 422)
    if slug == "shape-violation":
        assert {"pointer", "path", "value", "message"} <= set(found["violations"][0])
    if pointer is not None:
        assert pointer in {one["pointer"] for one in found["violations"]}, found["violations"]
    assert site.written() == before


def test_the_nearest_known_key_is_suggested(site: Site) -> None:
    site.item_type()
    found = problem(site.post(RESERVATIONS, {**factories.reservation(), "requestedQuantitty": 1}), "unknown-term", 422)
    assert "requestedQuantity" in str(found)


def test_a_second_code_is_a_duplicate(site: Site) -> None:
    site.item_type("A")
    before = site.written()
    found = problem(site.post(ITEM_TYPES, factories.item_type("A")), "duplicate", 409)
    assert (found["field"], found["resource"]) == ("code", "itemType_1")
    assert site.written() == before


WRONG = factories.reservation(requestedQuantity=0)


@pytest.mark.parametrize("accept", ["text/turtle", "application/n-triples", LD_JSON, "application/rdf+xml", "application/trig"])
def test_a_shape_violation_is_the_shacl_report_when_rdf_is_accepted(site: Site, accept: str) -> None:
    site.item_type()
    answer = site.post(RESERVATIONS, WRONG, Accept=accept)
    assert answer.status_code == 422
    assert answer.headers["content-type"].split(";")[0] == accept
    types = {quad.object.value for quad in parse(answer.content, RdfFormat.from_media_type(accept)) if quad.predicate.value == vocab.TYPE}
    assert {vocab.SH + "ValidationReport", vocab.SH + "ValidationResult"} <= types


@pytest.mark.parametrize(
    "accept", [None, "", "*/*", "application/json", "application/ld+json, application/problem+json", "application/json, text/turtle;q=0.9"]
)
def test_a_shape_violation_is_a_problem_document_otherwise(site: Site, accept: str | None) -> None:
    site.item_type()
    problem(site.post(RESERVATIONS, WRONG, **({} if accept is None else {"Accept": accept})), "shape-violation", 422)


PARAMETERS = [
    (RESERVATIONS, "stauts=pending", "status"),
    (RESERVATIONS, "itemTypeID=1", None),
    (RESERVATIONS, "status=open", None),
    (RESERVATIONS, "status=pending&status=draft", None),
    (RESERVATIONS, "startFrom=yesterday", None),
    (RESERVATIONS, "startFrom=2027-01-01T00:00:00", None),
    (RESERVATIONS, "startFrom=99999-01-01T00:00:00Z", None),
    (RESERVATIONS, "endUntil=0001-01-01T00:00:00%2B14:00", None),
    (RESERVATIONS, "limit=0", None),
    (RESERVATIONS, "limit=1001", None),
    (RESERVATIONS, "limit=many", None),
    (RESERVATIONS, "after=7", None),
    (RESERVATIONS, "externalRef=a%00b", None),
    (RESERVATIONS, "externalRef=%ff", None),
    (ITEM_TYPES, "isActive=perhaps", None),
    (ITEM_TYPES, "limt=5", "limit"),
    (ASSETS, "itemTypeId=asset_1", None),
    (ASSETS, "itemTypeId=nonsense", None),
    (ASSETS, "itemtypeid=itemType_1", "itemTypeId"),
]


@pytest.mark.parametrize(("path", "query", "suggestion"), PARAMETERS)
def test_a_query_that_cannot_be_answered_is_refused(either_site: Site, path: str, query: str, suggestion: str | None) -> None:
    found = problem(either_site.get(path, query=query), "invalid-parameter", 400)
    if suggestion:
        assert found["suggestion"] == suggestion


@pytest.mark.parametrize(
    "path", ["/", "/contexts", "/shapes/asset", "/problems", f"{RESERVATIONS}/ra_1", f"{RESERVATIONS}/ra_1/allocations"]
)
def test_a_parameter_where_there_is_none_is_refused(site: Site, path: str) -> None:
    problem(site.get(path, query="pretty=1"), "invalid-parameter", 400)


def test_a_post_takes_no_parameters(site: Site) -> None:
    before = site.written()
    problem(site.post(ITEM_TYPES, factories.item_type(), query="dryRun=true"), "invalid-parameter", 400)
    assert site.written() == before


def test_our_own_mistakes_are_logged_and_not_shown(site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    def broken(_identifier: str) -> None:
        raise RuntimeError("secret detail in /srv/file.py")

    monkeypatch.setattr(site.parts.ledger, "head", broken)
    answer = site.get(f"{RESERVATIONS}/ra_1", X_Correlation_Id="order-77")
    problem(answer, "internal-error", 500)
    assert "secret" not in answer.text
    assert "order-77" in caplog.text
    assert "secret detail" in caplog.text


def test_an_error_of_falcon_that_has_no_row_is_ours(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_identifier: str) -> None:
        raise falcon.HTTPInsufficientStorage()

    monkeypatch.setattr(site.parts.ledger, "head", broken)
    problem(site.get(f"{RESERVATIONS}/ra_1"), "internal-error", 500)
