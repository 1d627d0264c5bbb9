"""What browsers are told beside the answer, and which sites' pages may ask."""

from dataclasses import replace
from typing import Any

import pytest
from falcon import testing

from ld_server.http.app import create_app
from ld_server.http.browsers import origins_of
from ld_server.settings import InvalidSetting, Settings
from tests.http.conftest import ASSETS, RESERVATIONS, Site

FLEET = "https://fleet.example.org"


def answer(site: Site, method: str, path: str, headers: dict[str, str], **settings: Any) -> testing.Result:
    parts = replace(site.parts, settings=replace(site.parts.settings, **settings))
    return testing.TestClient(create_app(parts)).simulate_request(method, path, headers=headers)


def by(site: Site, **more: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {site.keys['admin']}", **{name.replace("_", "-"): value for name, value in more.items()}}


PAGES = (
    "/",
    "/docs",
    "/contexts",
    "/problems/not-found",
    RESERVATIONS,
    f"{RESERVATIONS}/ra_1",
    f"{RESERVATIONS}/ra_99",
    "/nothing",
    "/v1/export",
)


@pytest.mark.parametrize("path", PAGES)
def test_every_page_says_what_a_browser_must_not_do(site: Site, path: str) -> None:
    site.asset(site.item_type())
    site.reservation("itemType_1")
    for headers in (by(site, Accept="text/html"), {"Accept": "text/html"}):
        page = answer(site, "GET", path, headers)
        assert page.headers["content-type"].startswith("text/html"), page.text
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy and "unsafe" not in policy and "script" not in policy
        assert page.headers["x-content-type-options"] == "nosniff"
        assert page.headers["referrer-policy"] == "same-origin"
        assert page.headers["cross-origin-opener-policy"] == page.headers["cross-origin-resource-policy"] == "same-origin"


def test_there_are_no_cookies(site: Site) -> None:
    site.asset(site.item_type())
    for path in (*PAGES, ASSETS, "/health/ready", "/v1/events"):
        for headers in (by(site), by(site, Accept="text/html", Cookie="session=1"), {}):
            assert "set-cookie" not in answer(site, "GET", path, headers).headers


def test_browsers_come_back_by_tls_where_there_is_tls(site: Site) -> None:
    for path in ("/", RESERVATIONS, "/nothing"):
        assert "strict-transport-security" not in answer(site, "GET", path, by(site)).headers
        assert "max-age=" in answer(site, "GET", path, by(site), base_iri=FLEET).headers["strict-transport-security"]


@pytest.mark.parametrize("named", ["", "https://other.example.org"])
@pytest.mark.parametrize("origin", [FLEET, "null", "https://fleet.example.org.evil.example", "https://FLEET.example.org"])
def test_no_other_site_may_ask(site: Site, named: str, origin: str) -> None:
    for method in ("GET", "POST", "OPTIONS"):
        asked = by(site, Origin=origin, Access_Control_Request_Method="GET")
        found = answer(site, method, RESERVATIONS, asked, cors_origins=named)
        assert not [name for name in found.headers if name.startswith("access-control")]


def test_sites_that_are_named_may_ask(site: Site) -> None:
    named = f"https://other.example.org, {FLEET}"
    before = answer(site, "OPTIONS", RESERVATIONS, {"Origin": FLEET, "Access-Control-Request-Method": "POST"}, cors_origins=named)
    assert before.status_code == 204
    assert before.headers["access-control-allow-origin"] == FLEET
    assert "POST" in before.headers["access-control-allow-methods"]
    assert {"Authorization", "Idempotency-Key", "If-Match"} <= set(before.headers["access-control-allow-headers"].split(", "))
    for headers in (by(site, Origin=FLEET), {"Origin": FLEET}):
        got = answer(site, "GET", RESERVATIONS, headers, cors_origins=named)
        assert (got.headers["access-control-allow-origin"], "Origin" in got.headers["vary"]) == (FLEET, True)
        assert "access-control-allow-credentials" not in got.headers


def test_what_is_published_is_for_everybodys_pages(site: Site) -> None:
    assert answer(site, "GET", "/contexts/v1.jsonld", {"Origin": FLEET}).headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize("text", ["*", "fleet.example.org", "https://fleet.example.org/", "https://a b"])
def test_an_origin_that_is_none_is_refused_at_start(text: str) -> None:
    with pytest.raises(InvalidSetting, match="LD_CORS_ORIGINS"):
        origins_of(Settings(cors_origins=text))
