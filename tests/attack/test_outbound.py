"""
Nothing leaves but to what is configured: Python tells of every name that is looked up and every connection that is made in this process,
whichever library makes it, while representative requests are answered and the workers do what they leave to do.
"""

import socket
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from ld_server.http.app import ROUTES
from tests import factories
from tests.attack.test_bodies import HARMLESS, NOWHERE, REFUSED
from tests.http.conftest import ITEM_TYPES, Site
from workers.projector import Projector
from workers.relay import Relay


class Ear:
    """Hears where this process goes while it listens. A hook of the interpreter cannot be taken out again, so there is one."""

    def __init__(self) -> None:
        self.heard: list[str] | None = None
        sys.addaudithook(self._note)

    def _note(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.heard is None or not event.startswith("socket."):
            return
        if event in ("socket.getaddrinfo", "socket.gethostbyname"):
            self.heard.append(str(arguments[0]))
        elif event in ("socket.connect", "socket.sendto"):
            self.heard.append(str(arguments[1]))


_EAR = Ear()


@pytest.fixture
def heard() -> Iterator[list[str]]:
    """Where this process has gone since the test began."""
    _EAR.heard = []
    yield _EAR.heard
    _EAR.heard = None


def test_the_ear_hears(heard: list[str]) -> None:
    with socket.socket() as one:
        one.connect_ex(("127.0.0.1", 1))
    assert heard == ["('127.0.0.1', 1)"]


def test_no_request_to_read_leaves(fleet: Site, heard: list[str]) -> None:
    for route in ROUTES:
        if "GET" in route.needs:
            path = route.template.format(identifier=_some(route.template), name="v1", number="1", allocation="alloc_1")
            for accepted in ("application/ld+json", "text/html", "application/rdf+xml"):
                assert fleet.get(path, Accept=accepted).status_code < 500
    assert heard == []


def _some(template: str) -> str:
    found = {"item-types": "itemType_1", "rent-actions": "ra_1", "assets": "asset_1"}
    return next((one for segment, one in found.items() if f"/{segment}/" in template), "x_1")


def test_no_body_makes_us_leave(fleet: Site, heard: list[str]) -> None:
    rows = [row[:3] for row in (*REFUSED, *HARMLESS) if len(row[2]) < 10_000]
    assert len(rows) > 50
    for _, media_type, body in rows:
        for path in (ITEM_TYPES, "/v1/rent-actions", "/v1/assets/asset_1/maintenance-logs"):
            assert fleet.post(path, body, Content_Type=media_type).status_code < 500
    log = {
        "kind": "repair",
        "summary": "S",
        "performedAt": "2027-03-01T08:00:00Z",
        "schemaOrg": {"@context": NOWHERE, "@type": "RepairAction"},
    }
    assert fleet.post("/v1/assets/asset_1/maintenance-logs", log).status_code < 500
    for patch in ({"@context": NOWHERE}, {"description": {"@context": NOWHERE}}):
        assert fleet.ask("PATCH", f"{ITEM_TYPES}/itemType_1", body=patch).status_code < 500
    assert heard == []


QUERIES = [
    f"SELECT * {{ SERVICE <{NOWHERE}> {{ ?s ?p ?o }} }}",
    f"SELECT * {{ SERVICE SILENT <{NOWHERE}> {{ ?s ?p ?o }} }}",
    f"SELECT * {{ BIND(<{NOWHERE}> AS ?x) SERVICE ?x {{ ?s ?p ?o }} }}",
    f"SELECT * {{ FILTER EXISTS {{ SERVICE <{NOWHERE}> {{ ?s ?p ?o }} }} }}",
    f"SELECT * FROM <{NOWHERE}> {{ ?s ?p ?o }}",
    f"SELECT * FROM NAMED <{NOWHERE}> {{ GRAPH ?g {{ ?s ?p ?o }} }}",
    f"SELECT * {{ GRAPH <{NOWHERE}> {{ ?s ?p ?o }} }}",
    f"DESCRIBE <{NOWHERE}>",
    f"LOAD <{NOWHERE}>",
    f"LOAD SILENT <{NOWHERE}> INTO GRAPH <urn:x>",
]


@pytest.mark.parametrize("query", QUERIES)
def test_no_query_leaves(fleet: Site, heard: list[str], query: str) -> None:
    Projector(fleet.parts, "ear").run_once(fleet.parts.now())
    answer = fleet.post("/v1/sparql", query.encode(), Content_Type="application/sparql-query")
    assert answer.status_code in (200, 400), answer.text
    assert answer.status_code == 400 or NOWHERE not in answer.text.replace(query, "") or "boolean" in answer.text
    assert heard == []


def test_what_is_registered_is_looked_up_and_nothing_else_happens(fleet: Site, heard: list[str]) -> None:
    assert fleet.post("/v1/webhooks", {"url": "https://hooks.invalid/in"}).status_code == 201
    assert set(heard) == {"hooks.invalid"}
    heard.clear()
    route = {"type": "route", "config": {"url": "amqps://ld:word@mq.invalid/fleet", "queue": "q"}}
    trigger = {"name": "T", "eventTypes": ["*"], "actions": [route]}
    assert fleet.post("/v1/triggers", trigger).status_code == 201
    assert set(heard) == {"mq.invalid"}


def test_changes_and_the_work_that_follows_them_stay_here(fleet: Site, heard: list[str]) -> None:
    fleet.asset("itemType_1", serialNumber="SN-0002")
    made = fleet.made(
        "/v1/rent-actions", factories.reservation("itemType_1", startTime="2028-03-01T08:00:00Z", endTime="2028-03-02T08:00:00Z")
    )
    assert fleet.post(f"/v1/rent-actions/{made}/approve").status_code == 200
    now = fleet.parts.now()
    for worker in (Relay(fleet.parts, "ear"), Projector(fleet.parts, "ear")):
        assert worker.run_once(now) > 0
    assert heard == []


BROKERS = ["redis://127.0.0.1/0", "amqp://localhost/", "amqp://u:word@169.254.169.254/", "redis://[::1]:6379/", "sqs://10.0.0.1/",
           "redis://2130706433/", "redis://1.1.1.1/0;redis://127.0.0.1/0", "amqp://1.1.1.1\\@127.0.0.1/"]  # fmt: skip


@pytest.mark.parametrize("url", BROKERS)
def test_a_broker_inside_is_refused_when_it_is_registered(fleet: Site, url: str) -> None:
    trigger = {"name": "T", "eventTypes": ["*"], "actions": [{"type": "route", "config": {"url": url, "queue": "q"}}]}
    answer = fleet.post("/v1/triggers", trigger)
    assert answer.status_code == 422, answer.text
    assert answer.json["violations"][0]["pointer"] == "/actions/0/config/url"
    assert "word" not in answer.text.replace("password", "")
