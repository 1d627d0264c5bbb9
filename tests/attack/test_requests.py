"""
Requests that are made to hurt: headers, addresses, parameters, and texts that would be scripts. None is a 500, none opens what is shut,
none puts words into our mouth.
"""

from urllib.parse import quote

import pytest
from falcon import testing
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ld_server.http.app import ROUTES
from tests import factories
from tests.html import Page
from tests.http.conftest import ITEM_TYPES, Site

# --- headers ----------------------------------------------------------------------------------------------------------

LINE = "a\r\nSet-Cookie: x=1"
HEADERS = [
    ("X-Correlation-Id", LINE, 200),
    ("X-Correlation-Id", "a" * 10_000, 200),
    ("X-Correlation-Id", "\xff\u0130", 200),
    ("Accept", ",".join(f"x/y{n};q=0.{n % 10}" for n in range(10_000)), 406),
    ("Accept", ";" * 10_000, 200),
    ("Accept", 'text/html;q="' + "\\" * 5000, 200),
    ("If-None-Match", ", ".join(f'"{n}"' for n in range(10_000)), 200),
    ("If-Match", '"' * 9999, 412),
    ("Range", "bytes=0-,0-,0-,0-,0-", 200),
    ("X-HTTP-Method-Override", "DELETE", 200),
    ("X-Method-Override", "DELETE", 200),
    ("X-Original-URL", "/v1/keys", 200),
    ("X-Rewrite-URL", "/v1/keys", 200),
    ("X-Forwarded-Host", "evil.example", 200),
    ("Host", "evil.example", 200),
    ("Forwarded", "host=evil.example;proto=https", 200),
    ("Prefer", "x=" * 5000, 200),
    ("Content-Length", "0", 200),
    ("Authorization", "Bearer " + "x" * 100_000, 401),
    ("Authorization", "Basic ////", 401),
    ("Authorization", "Bearer \x00\xff", 401),
    ("X-Api-Key", "\u2028", 200),
]


@pytest.mark.parametrize(("name", "value", "status"), HEADERS, ids=[f"{name} {value[:20]!r}" for name, value, _ in HEADERS])
def test_a_header_changes_nothing_but_what_it_is_for(fleet: Site, name: str, value: str, status: int) -> None:
    answer = _raw(fleet, "GET", f"{ITEM_TYPES}/itemType_1", **{name: value})
    assert answer.status_code == status, answer.text
    assert "set-cookie" not in answer.headers
    assert not any("\r" in one or "\n" in one or "evil" in one for one in answer.headers.values())
    assert "evil" not in answer.text


@pytest.mark.parametrize("key", ["a\r\nLocation: x", "", '""', "\x00", "\u0130", "a" * 256, "a b"])
def test_a_key_that_is_no_key_of_an_answer_is_refused(fleet: Site, key: str) -> None:
    before = fleet.written()
    answer = _raw(fleet, "POST", ITEM_TYPES, **{"Idempotency-Key": key})
    assert (answer.status_code, answer.json["parameter"]) == (400, "Idempotency-Key")
    assert fleet.written() == before


def _raw(
    site: Site, method: str, path: str, body: bytes = b'{"code": "raw", "name": "R", "kind": "kit"}', **headers: str
) -> testing.Result:
    """A request whose headers say exactly this, whatever a client would refuse to send."""
    environ = testing.create_environ(path, method=method, body=body if method == "POST" else b"")
    environ |= {"HTTP_AUTHORIZATION": f"Bearer {site.keys['admin']}", "CONTENT_TYPE": "application/json"}
    special = {"Content-Length": "CONTENT_LENGTH"}
    environ |= {special.get(name, f"HTTP_{name.upper().replace('-', '_')}"): value for name, value in headers.items()}
    answer = testing.StartResponseMock()
    return testing.Result(site.client.app(environ, answer), answer.status, answer.headers)


# --- addresses --------------------------------------------------------------------------------------------------------

PATHS = [
    "/v1/../v1/keys", "/v1/%2e%2e/v1/keys", "/%2e/v1/keys", "/v1//keys", "/v1/keys;a=b", "/v1/keys%00", "/v1/keys%0d%0aX: y",
    "/v1/keys/%2e%2e", "/V1/KEYS", "/v1/rent-actions/%2e%2e%2fkeys", "/v1/catalog/item-types/itemType_1%2f..%2f..%2f..%2fkeys",
    "/shapes/..%2f..%2fsettings.py", "/contexts/../../etc/passwd", "/contexts/..%2f..%2fpyproject.toml", "/pages/..%2fpages.py",
    "/pages/%2e%2e%5cpages.py", "/v1/blobs/..%2f..%2fledger.db", "/v1/blobs/%2fetc%2fpasswd", "/problems/%00", "/v1/keys/..;/",
    "/%c0%ae%c0%ae/v1/keys", "/v1/keys%ff", "/" + "a/" * 2000, "/v1/catalog/item-types/itemType_" + "9" * 4000,
    "/v1/catalog/item-types/itemType_-1", "/v1/catalog/item-types/itemType_1/revisions/" + "9" * 400,
    "/v1/catalog/item-types/itemType_\u0661",
]  # fmt: skip


@pytest.mark.parametrize("path", PATHS, ids=[path[:40] for path in PATHS])
def test_an_address_that_is_written_otherwise_leads_nowhere(fleet: Site, path: str) -> None:
    for key in ("admin", "nobody"):
        answer = fleet.client.simulate_get(path, headers={"Authorization": f"Bearer {fleet.keys.get(key, key)}"})
        assert answer.status_code in ((400, 403, 404) if key == "admin" else (400, 401, 403, 404)), answer.text
        assert "root:" not in answer.text and "SQLite" not in answer.text


# --- parameters -------------------------------------------------------------------------------------------------------

NAMES = (
    "limit", "after", "q", "sort", "format", "status", "startFrom", "endUntil", "startTime", "endTime", "quantity", "location",
    "itemTypeId", "kitTemplateId", "duration", "since", "types", "subject", "query", "default-graph-uri", "validate",
    "createdAfter", "neededBy",
)  # fmt: skip
VALUES = st.one_of(
    st.text(max_size=40),
    st.integers().map(str),
    st.floats().map(str),
    st.datetimes().map(lambda moment: f"{moment.isoformat()}Z"),
    st.sampled_from(
        [
            "0000-01-01T00:00:00Z",
            "9999-12-31T23:59:60Z",
            "2027-03-01T24:00:00Z",
            "10000-01-01T00:00:00Z",
            "P99999999999Y",
            "-P1D",
            "1e400",
            "0x10",
            "١",
        ]
    ),
    st.sampled_from(["itemType_1", "ra_1", "asset_1", "text", "jsonld", "evt_x", "a" * 7000, "-" * 3000]),
)
READ = [route.template for route in ROUTES if "GET" in route.needs and "blobs" not in route.template]


@pytest.mark.parametrize("template", READ)
def test_no_parameter_of_any_address_is_too_strange(fleet: Site, template: str) -> None:
    path = template.format(identifier=_some(template), name="v1", number="1", allocation="alloc_1")
    known = [
        one["name"]
        for one in map(fleet.description.resolved, fleet.description.operations["GET", template]["parameters"])
        if one["in"] == "query"
    ]

    @settings(max_examples=6, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(st.tuples(st.sampled_from(known or NAMES), VALUES), max_size=4), st.booleans())
    def ask(said: list[tuple[str, str]], is_repeated: bool) -> None:
        query = "&".join(f"{name}={quote(value.encode('utf-8', 'surrogatepass'))}" for name, value in (said * 2 if is_repeated else said))
        assert fleet.get(path, query=query).status_code < 500, query

    ask()


def _some(template: str) -> str:
    found = {"item-types": "itemType_1", "rent-actions": "ra_1", "assets": "asset_1"}
    return next((one for segment, one in found.items() if f"/{segment}/" in template), "x_1")


# --- pages ------------------------------------------------------------------------------------------------------------

SCRIPTS = [
    "<script>alert(1)</script>", "</script><script>alert(1)</script>", "<img src=x onerror=alert(1)>", "\" onmouseover=\"alert(1)",
    "' autofocus onfocus='alert(1)", "javascript:alert(1)", " javascript:alert(1)", "data:text/html,<script>alert(1)</script>",
    "<svg/onload=alert(1)>", "{{7*7}}", "{% include '/etc/passwd' %}", "</title><script>alert(1)</script>", "<!--", "]]>",
    "<a href=javascript:alert(1)>x</a>", "http://x/\" onclick=\"alert(1)", "https://user:pass@evil.example/", "\u202egnp.exe",
    "&lt;script&gt;", "<iframe srcdoc='<script>alert(1)</script>'>", "vbscript:x", "JaVaScRiPt:alert(1)", "java\tscript:alert(1)",
    "<base href=//evil.example/>",
]  # fmt: skip


@pytest.mark.parametrize("text", SCRIPTS)
def test_what_is_written_into_a_resource_is_text_on_its_page(fleet: Site, text: str) -> None:
    thing = {
        "description": text,
        "metadata": {text: text},
        "url": text,
        "image": {"@id": quote(text, safe=":")},
        "http://e.example/x": [text, {"@language": "en", "@value": text}],
    }
    code = f"s{fleet.written()['itemType']}"
    item = fleet.post(ITEM_TYPES, factories.item_type(code, name="X" if "\t" in text else text.strip(), **thing))
    assert item.status_code == 201, item.text
    booked = factories.reservation(
        "itemType_1", agent={"@type": "Person", "name": text.strip(), "email": text.strip()}, purpose=text, description=text
    )
    reservation = fleet.post("/v1/rent-actions", booked)
    pages = [item.headers["location"], "http://localhost:8000" + ITEM_TYPES]
    if reservation.status_code == 201:
        pages += [reservation.headers["location"], "http://localhost:8000/v1/rent-actions"]
    for page in pages:
        _has_no_script(fleet.get(page.removeprefix("http://localhost:8000"), Accept="text/html"))


@pytest.mark.parametrize("text", SCRIPTS)
def test_what_is_asked_for_is_text_on_the_page_of_the_refusal(fleet: Site, text: str) -> None:
    for answer in (
        fleet.get(ITEM_TYPES, query=f"q={quote(text)}", Accept="text/html"),
        fleet.get(ITEM_TYPES, query=f"{quote(text)}=1", Accept="text/html"),
    ):
        _has_no_script(answer)


def _has_no_script(answer: testing.Result) -> None:
    assert answer.headers["content-type"].startswith("text/html")
    page = Page(answer.text)
    for element in page.elements:
        assert element.tag not in ("iframe", "object", "embed", "base", "svg", "math", "frame"), element
        assert element.tag != "script" or element.attributes == {"type": "application/ld+json"}
        assert not any(name.startswith("on") or name in ("style", "srcdoc", "formaction") for name in element.attributes), element
        for name in ("href", "src", "action"):
            assert element.attributes.get(name, "").partition(":")[0].lower() in (
                "http",
                "https",
                "mailto",
            ) or ":" not in element.attributes.get(name, "")
    assert page.unclosed == []
