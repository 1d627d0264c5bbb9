"""
Whatever is read from a request, fed with bytes that are nothing and with honest documents in which something was cut, doubled or put in:
no answer is a 5xx, a refusal is a problem document, and none takes long.
"""

import csv
import io
from collections.abc import Sequence

import orjson
import pytest
from falcon import testing
from hypothesis import given
from hypothesis import strategies as st

from tests import factories
from tests.attack.examples import tried
from tests.costs import within
from tests.http.conftest import ITEM_TYPES, RESERVATIONS, Site

ITEM, RESERVATION = f"{ITEM_TYPES}/itemType_1", f"{RESERVATIONS}/ra_1"
JSON = "application/json"
NASTY = [
    b"\x00", b"\xff\xfe", b"\xed\xa0\x80", b"\xef\xbb\xbf", "\u202e\ufdd0\U0010ffff".encode(), b"\r\n", b"\\u0000", b"\\ud800", b'"',
    b"'", b'"""', b"<", b">", b"{", b"}", b"[", b"]", b"null", b"-0", b"1e400", b"9" * 40, b"NaN", b'{"@id": 1}', b'"@context": null,',
    b'"@type": [],', b'"@reverse": {},', b"@base <x> .", b"@prefix s: <> .", b"_:", b"<urn:\xf3\xb2\xb6\xb3>", b'"@value": 1,', b"<!--",
    b"<![CDATA[", b"&#0;", b"--edge\r\n", b"--edge--", b"0000-00-00", b"P9999999Y", b"\t\x0b\x0c", b"<<", b"^^", b"@en", b"/~2", b"/-",
    b'"__proto__": 1,',
]  # fmt: skip
FORM = b"".join(
    [
        b'--edge\r\nContent-Disposition: form-data; name="ownerKind"\r\n\r\nasset\r\n',
        b'--edge\r\nContent-Disposition: form-data; name="ownerId"\r\n\r\nasset_1\r\n',
        b'--edge\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\nContent-Type: text/plain\r\n\r\nhello\r\n--edge--\r\n',
    ]
)
PATCH = [
    {"op": "test", "path": "/identifier", "value": "x"},
    {"op": "add", "path": "/metadata", "value": {"a": [1]}},
    {"op": "copy", "from": "/name", "path": "/description"},
]
TRIGGER = {
    "name": "t",
    "source": "schedule",
    "schedule": {"type": "rrule", "expr": "FREQ=DAILY;COUNT=3", "timezone": "Europe/Brussels"},
    "jobType": "x",
}
FILTERED = {"name": "t", "source": "event", "eventTypes": ["rentAction.*"], "filter": {"data.status": {"in": ["a"]}, "x.y": {"gt": 1}},
            "actions": [{"type": "transform", "expression": "data.{a: b[0]}", "redact": ["data.agent"]}]}  # fmt: skip
TABLE = (
    b"source,sourceRef,itemTypeId,quantityRequired,startTime,endTime,location,metadata\r\n"
    b"sgl,e-1,itemType_1,5,2027-06-01T08:00:00+02:00,2027-06-02T08:00:00Z,Depot A,\r\n"
    b'sgl,e-2,itemType_1,7,2027-06-01T08:00:00Z,2027-06-02T08:00:00Z,"Depot ""B""","{""a"": [1]}"\r\n'
)
LOG = {"kind": "repair", "summary": "x", "performedAt": "2026-03-01T08:00:00Z", "details": "y"}
ANNOUNCED = {
    "ownerKind": "asset",
    "ownerId": "asset_1",
    "fileName": "a.txt",
    "contentType": "text/plain",
    "byteSize": 5,
    "checksum": "0" * 64,
}
SELECT = b"SELECT ?s (COUNT(*) AS ?n) WHERE { ?s ?p 'x'@en ; <http://schema.org/name> ?o FILTER(REGEX(?o, '^a+$')) } GROUP BY ?s LIMIT 3"

SYNTAXES = [
    "application/ld+json",
    JSON,
    "text/turtle",
    "application/trig",
    "application/n-triples",
    "application/n-quads",
    "application/rdf+xml",
]
BODIES = [
    ("POST", RESERVATIONS, JSON, [factories.reservation(), factories.several_lines(("itemType_1", 1), ("itemType_1", 2))]),
    ("POST", RESERVATIONS, "application/ld+json", [{"@context": "https://schema.org", "@graph": [factories.reservation()]}]),
    ("PATCH", RESERVATION, "application/merge-patch+json", [{"startTime": "2027-03-01T09:00:00Z", "agent": {"name": None}, }]),
    ("PATCH", ITEM, "application/json-patch+json", [PATCH]),
    ("POST", f"{RESERVATION}/approve", JSON, [{"allocationPolicy": "hard_fail", "reason": "x"}]),
    ("POST", f"{RESERVATION}/check-out", JSON, [{"allocations": [{"id": "alloc_1", "quantity": 1, "condition": "good"}]}]),
    ("POST", f"{RESERVATION}/release-allocations", JSON, [{"allocations": ["alloc_1"]}]),
    ("POST", "/v1/assets/asset_1/maintenance-logs", JSON, [LOG]),
    ("POST", "/v1/planning/demand-signals", JSON, [factories.demand_signal()]),
    ("POST", "/v1/planning/demand-signals", "text/csv", [TABLE]),
    ("POST", "/v1/attachments", "multipart/form-data; boundary=edge", [FORM]),
    ("POST", "/v1/attachments/initiate", JSON, [ANNOUNCED]),
    ("POST", "/v1/attachments/complete", JSON, [{"identifier": "att_1"}]),
    ("POST", "/v1/triggers", JSON, [TRIGGER, FILTERED]),
    ("POST", "/v1/webhooks", JSON, [{"name": "w", "url": "https://[2001:db8::1]:8443/a?b#c"}]),
    ("POST", "/v1/keys", JSON, [{"name": "k", "scopes": ["planner"], "expiresAt": "2199-01-31T00:00:00Z"}]),
    ("POST", "/v1/sparql", "application/sparql-query", [SELECT]),
    ("POST", "/v1/sparql", "application/x-www-form-urlencoded", [b"query=SELECT+%2A+WHERE+%7B%7D&default-graph-uri=urn%3Ax"]),
    ("POST", "/v1/events/replay", JSON, [{"since": "0", "types": ["rentAction.*"], "webhook": "hook_1"}]),
]  # fmt: skip


def mutated(documents: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    """One of the documents with something cut out, doubled or put in, at up to four places; or nothing that was ever a document."""
    put = st.one_of(st.sampled_from(NASTY), st.binary(max_size=6), st.just(b""), st.sampled_from(documents).map(lambda one: one[:200]))
    edits = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 30), put), min_size=1, max_size=4)
    return st.one_of(st.builds(_edited, st.sampled_from(documents), edits), st.binary(max_size=60))


def _edited(document: bytes, edits: list[tuple[float, int, bytes]]) -> bytes:
    for place, length, put in edits:
        at = int(place * len(document))
        document = document[:at] + put + document[at + length :]
    return document


def _is_answered(site: Site, method: str, path: str, body: bytes, **headers: str) -> None:
    with within():
        answer = site.ask(method, path, body=body, **headers)
    assert answer.status_code < 500 or answer.json["type"].endswith("/store-unavailable"), answer.text
    assert answer.status_code < 400 or answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_a_graph_in_any_syntax_is_taken_or_refused(fleet: Site, syntax: str) -> None:
    document = fleet.get(ITEM, Accept=syntax).content.replace(b"TimerNode-v2", b"other")

    @tried(12)
    @given(mutated([document]))
    def post(body: bytes) -> None:
        _is_answered(fleet, "POST", ITEM_TYPES, body, Content_Type=syntax)

    post()


@pytest.mark.parametrize(("method", "path", "media_type", "honest"), BODIES, ids=[f"{one[0]} {one[1]} {one[2]}" for one in BODIES])
def test_a_body_is_taken_or_refused(fleet: Site, method: str, path: str, media_type: str, honest: list[object]) -> None:
    documents = [one if isinstance(one, bytes) else orjson.dumps(one) for one in honest]

    @tried(12)
    @given(mutated(documents))
    def send(body: bytes) -> None:
        _is_answered(fleet, method, path, body, Content_Type=media_type)

    send()


HEADERS = {
    "If-Match": [b'"1-jsonld", W/"2-turtle"', b"*"],
    "If-None-Match": [b'"1-jsonld", W/"2-turtle"', b"*"],
    "Prefer": [b'handling=validate-only; a="b", respond-async, wait=10'],
    "Accept": [b'application/ld+json;profile="http://www.w3.org/ns/json-ld#expanded";q=0.5, text/*;q=0, */*'],
    "Range": [b"bytes=0-1,-5,7-"],
    "If-Range": [b'"1-jsonld"'],
    "Authorization": [b"Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln", b"Basic OnJzdl94"],
    "X-Api-Key": [b"rsv_0123456789"],
    "X-Correlation-Id": [b"order-77"],
    "X-Forwarded-For": [b"192.0.2.1, [2001:db8::1]:80"],
    "Last-Event-ID": [b"evt_01"],
    "Idempotency-Key": [b'"order-77"'],
    "Content-Type": [b'application/json; charset="utf-8"', b"multipart/form-data; boundary=x"],
    "Content-Length": [b"12"],
    "Accept-Encoding": [b"gzip;q=1.0, *;q=0"],
    "Origin": [b"https://evil.example"],
}


@pytest.mark.parametrize("name", HEADERS)
@pytest.mark.parametrize(("method", "path"), [("GET", ITEM), ("POST", ITEM_TYPES), ("PATCH", ITEM)], ids=["GET", "POST", "PATCH"])
def test_a_header_is_taken_or_refused(fleet: Site, method: str, path: str, name: str) -> None:
    @tried(8)
    @given(mutated(HEADERS[name]))
    def ask(value: bytes) -> None:
        body = b"" if method == "GET" else b'{"name": "N"}'
        environ = testing.create_environ(path, method=method, body=body)
        environ |= {"HTTP_AUTHORIZATION": f"Bearer {fleet.keys['admin']}", "CONTENT_TYPE": JSON}
        environ[name.upper().replace("-", "_") if name.startswith("Content") else f"HTTP_{name.upper().replace('-', '_')}"] = value.decode(
            "latin-1"
        )
        told = testing.StartResponseMock()
        answer = testing.Result(fleet.client.app(environ, told), told.status, told.headers)
        assert answer.status_code < 500, answer.text
        assert answer.status_code < 400 or answer.headers["content-type"] == "application/problem+json"
        assert all(one.isprintable() for one in answer.headers.values())

    ask()


# --- times ------------------------------------------------------------------------------------------------------------

TIMES = [
    "0000-01-01T00:00:00Z", "-0044-03-15T12:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59Z", "9999-12-31T23:59:59-14:00",
    "9999-12-31T24:00:00Z", "10000-01-01T00:00:00Z", "+12027-01-01T00:00:00Z", "2016-12-31T23:59:60Z", "2027-03-01T24:00:00Z",
    "2027-03-01T24:00:01Z", "2027-03-01T08:00:00+24:00", "2027-03-01T08:00:00-24:00", "2027-03-01T08:00:00+14:01",
    "2027-03-01T08:00:00+99:99", "2027-03-01T08:00:00-00:00", "2027-03-01T08:00:00.123456789012345678901234567890Z",
    "2027-03-01T08:00:00." + "9" * 30 + "Z", "2027-03-01T08:00:00.Z", "2027-03-01T08:00:00,5Z", "2027-02-29T08:00:00Z",
    "2027-13-01T08:00:00Z", "2027-W09-1T08:00:00Z", "2027-060T08:00:00Z", "20270301T080000Z", "2027-03-01", "2027-03-01T08Z",
    "2027-03-01 08:00:00Z", "2027-03-01t08:00:00z", "\u0662\u0660\u0662\u0667-03-01T08:00:00Z", "2027-03-01T08:00:00Z\u200b",
    " 2027-03-01T08:00:00Z ", "now", "NaN", "1e9", "9" * 30, "Infinity", "2027-03-01T08:00:00[Europe/Brussels]",
    "2027-03-01T08:00:00Z[u-ca=hebrew]",
]  # fmt: skip
"""Instants at the edge of what there is, and what looks like one."""
ASKED = [
    (RESERVATIONS, "startFrom"), (RESERVATIONS, "endUntil"), ("/v1/events", "since"), ("/v1/export", "since"),
    ("/v1/maintenance-logs", "to"), ("/v1/planning/shortfalls", "startFrom"), ("/v1/planning/build-requests", "neededBy"),
    ("/v1/availability/next", "after"),
]  # fmt: skip


@pytest.mark.parametrize("moment", TIMES)
def test_a_time_is_a_time_or_is_refused(fleet: Site, moment: str) -> None:
    for path, name in ASKED:
        answer = fleet.client.simulate_get(path, params={name: moment}, headers={"Authorization": f"Bearer {fleet.keys['admin']}"})
        assert answer.status_code in (200, 400), answer.text
    window = {"itemTypeId": "itemType_1", "startTime": moment, "endTime": "9999-12-31T23:59:59Z"}
    found = fleet.client.simulate_get("/v1/availability", params=window, headers={"Authorization": f"Bearer {fleet.keys['admin']}"})
    assert found.status_code in (200, 400), found.text
    for body in (factories.reservation(startTime=moment), factories.reservation(endTime=moment)):
        booked = fleet.post(RESERVATIONS, body)
        assert booked.status_code in (201, 422), booked.text
    log = {"kind": "repair", "summary": "x", "performedAt": moment}
    assert fleet.post("/v1/assets/asset_1/maintenance-logs", log).status_code in (201, 422)
    assert fleet.post("/v1/keys", {"name": "k", "expiresAt": moment}).status_code in (201, 422)


# --- forms ------------------------------------------------------------------------------------------------------------

NAMES = [
    b'a"; filename="/etc/passwd', b"../../etc/passwd", b"..\\..\\boot.ini", b"a\x00.jpg", b"a%00.jpg", b"a%0d%0aSet-Cookie: x=1",
    b"a\rSet-Cookie: x=1", b"a\r\nSet-Cookie: x=1", b"a\r\n\r\n<script>", b"\xe2\x80\xaegpj.exe", b"\xff\xfe", b"C:\\x\\y.txt",
    b"~/.ssh/id_rsa", b".htaccess", b"CON", b"a" * 5000, b"a\\", b'\\"', b"=?utf-8?b?Li4v?=", b"a;b", b"%2e%2e%2f", b"a\tb", b"", b".",
    b"..",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_name_of_a_file_is_a_name_wherever_it_is_told(fleet: Site, name: bytes) -> None:
    answer = fleet.post("/v1/attachments", FORM.replace(b"a.txt", name), Content_Type="multipart/form-data; boundary=edge")
    assert answer.status_code in (201, 400, 422), answer.text
    if answer.status_code == 201:
        kept = answer.json["fileName"]
        assert kept.isprintable() and "/" not in kept and "\\" not in kept and kept not in (".", "..")
        shown = fleet.get(f"/v1/attachments/{answer.json['identifier']}").json
        link = shown["downloadUrl"].removeprefix("http://localhost:8000")
        told = fleet.client.simulate_get(link).headers
        assert told["content-disposition"].startswith("attachment;") and told["content-disposition"].isprintable()
        assert "set-cookie" not in told


FORMS = {
    "a thousand parts": b"".join(b'--edge\r\nContent-Disposition: form-data; name="f%d"\r\n\r\nx\r\n' % n for n in range(1000))
    + b"--edge--\r\n",
    "a head of a megabyte": FORM.replace(b"text/plain", b"text/plain; x=" + b"y" * 1_000_000),
    "a hundred thousand heads": FORM.replace(b"Content-Type: text/plain", b"X-A: b\r\n" * 100_000 + b"Content-Type: text/plain"),
    "a field of two megabytes": FORM.replace(b"\r\n\r\nasset\r\n", b"\r\n\r\n" + b"x" * 2_000_000 + b"\r\n"),
    "boundaries alone": b"--edge\r\n" * 200_000,
    "no end": FORM.removesuffix(b"--edge--\r\n"),
    "a form within a form": FORM.replace(b"text/plain", b"multipart/mixed; boundary=edge").replace(b"hello", FORM),
    "a name in base64": FORM.replace(b"Content-Type", b"Content-Transfer-Encoding: base64\r\nContent-Type"),
    "no disposition": FORM.replace(b"Content-Disposition", b"X-Disposition"),
    "no name": FORM.replace(b'name="ownerKind"', b"x=y"),
    "one field twice": FORM.replace(b'name="ownerId"', b'name="ownerKind"'),
}


@pytest.mark.parametrize("case", FORMS)
def test_a_form_that_is_made_to_cost_is_refused_soon(fleet: Site, case: str) -> None:
    before = fleet.written()
    with within():
        answer = fleet.post("/v1/attachments", FORMS[case], Content_Type="multipart/form-data; boundary=edge")
    assert answer.status_code in (400, 413, 422), answer.text
    assert fleet.written() == before


# --- tables ------------------------------------------------------------------------------------------------------------

TABLES = {
    "quotes that never end": TABLE + b'"' + b"x" * 3_000_000,
    "quotes within quotes": TABLE + b'""' * 1_000_000,
    "commas alone": TABLE + b"," * 3_000_000,
    "lines alone": b"source\r\n" + b"\r\n" * 1_000_000,
    "a cell of a megabyte": TABLE.replace(b"Depot A", b"D" * 1_000_000),
    "ten thousand columns": TABLE.replace(b"source,", b"source," + b"".join(b"c%d," % n for n in range(10_000)), 1),
    "one column a thousand times": TABLE.replace(b"source,", b"source," * 1000, 1),
    "a million rows": TABLE + b"a\r\n" * 1_000_000,
    "zero bytes": TABLE.replace(b"Depot A", b"\x00"),
    "another encoding": TABLE.decode().encode("utf-16"),
    "no header": TABLE.partition(b"\n")[2],
    "a formula for a number": TABLE.replace(b",5,", b",=2+3,"),
    "a number of many digits": TABLE.replace(b",5,", b"," + b"9" * 5000 + b","),
    "a nested cell": TABLE.replace(b'{""a"": [1]}', b"[" * 200_000),
}


@pytest.mark.parametrize("case", TABLES)
def test_a_table_that_is_made_to_cost_is_refused_soon(fleet: Site, case: str) -> None:
    with within():
        answer = fleet.post("/v1/planning/demand-signals", TABLES[case], Content_Type="text/csv")
    assert answer.status_code in (400, 413, 422), answer.text
    assert fleet.get("/v1/planning/demand-signals", query="source=sgl").json["totalItems"] == 0


@pytest.mark.parametrize("formula", ["=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(A1)", "\t=1", '=HYPERLINK("http://evil.example")'])
def test_a_formula_in_a_table_is_a_text_and_none_when_it_is_given_back(fleet: Site, formula: str) -> None:
    posted = factories.demand_signal(source="formulas", sourceRef=formula.strip(), location=formula.strip())
    made = fleet.post("/v1/planning/demand-signals", posted)
    assert made.status_code in (200, 201) and made.json["location"] == formula.strip()
    table = fleet.get("/v1/planning/demand-signals", query="source=formulas", Accept="text/csv").text
    cells = [cell for row in csv.reader(io.StringIO(table)) for cell in row]
    assert not [cell for cell in cells if cell[:1] in ("=", "+", "-", "@", "\t", "\r")]


# --- patches ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["copy", "add"])
def test_a_patch_cannot_grow_a_resource_beyond_measure(fleet: Site, verb: str) -> None:
    doubling = [{"op": "add", "path": "/metadata", "value": {"a": "x" * 100}}]
    doubling += [{"op": verb, "from": "/metadata", "path": f"/metadata/b{n}", "value": {"c": "y" * 40_000}} for n in range(60)]
    before = fleet.written()
    with within():
        answer = fleet.ask("PATCH", ITEM, body=orjson.dumps(doubling), Content_Type="application/json-patch+json")
    assert answer.status_code == {"copy": 413, "add": 200}[verb], answer.text
    assert (fleet.written() == before) == (verb == "copy")
