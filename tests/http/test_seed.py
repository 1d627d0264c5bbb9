"""The specification, row by row: every endpoint is called, every parameter narrows, every column is kept."""

import ast
import hashlib
import urllib.request
from collections.abc import Mapping
from functools import cache
from typing import Any

import pytest

from ld_server.domain import events, triggers
from ld_server.domain.scopes import Scope
from tests import factories, pictures, seed
from tests.http.conftest import Site
from tests.seed import COLUMNS, ENDPOINTS, Endpoint
from workers.jobs import shortfall_scan

WINDOW = "startTime=2027-03-01T08:00:00Z&endTime=2027-03-02T08:00:00Z"
META = {"costCentre": 4711}
PICTURE = pictures.picture()

POSTED: Mapping[str, tuple[str, dict[str, Any]]] = {
    "item_types": ("/v1/catalog/item-types", factories.item_type(metadata=META, isActive=True)),
    "cables": ("/v1/catalog/item-types", factories.item_type("cable", kind="fungible")),
    "assets": (
        "/v1/catalog/assets",
        factories.asset(
            assetTag="TN-1", status="available", location="Depot A", assignedTo="crew 2", meshNodeId="node//7", wireguardHostname="tn-1.wg",
            metadata=META,
        ),
    ),
    "stock_pools": ("/v1/catalog/stock-pools", factories.stock_pool("itemType_2", isActive=True, metadata=META)),
    "kit_templates": ("/v1/catalog/kit-templates", factories.kit_template(("itemType_1", 1), metadata=META, isActive=True)),
    "rent_actions": (
        "/v1/rent-actions",
        factories.several_lines(
            ("itemType_1", 1), ("itemType_2", 4), priority="high", description="Start of the rally", externalSource="sgl",
            externalRef="event-9",
            isAsap=False, metadata=META,
        ),
    ),
    "other_rent_actions": ("/v1/rent-actions", factories.reservation("itemType_1", 1, startTime="2027-09-01T08:00:00Z",
        endTime="2027-09-02T08:00:00Z")),
    "demand_signals": (
        "/v1/planning/demand-signals",
        factories.demand_signal(location="Depot A", priority="high", status="active", metadata=META),
    ),
    "build_requests": (
        "/v1/planning/build-requests",
        factories.build_request(
            triggerEventId="evt_1", demandSignal="demand_1", externalSystem="inventree", externalRef="BO-0001", metadata=META
        ),
    ),
    "maintenance_logs": (
        "/v1/assets/asset_1/maintenance-logs",
        {
            "kind": "repair", "summary": "Lens replaced", "performedAt": "2026-11-01T10:00:00Z", "performedBy": "tess",
            "details": "Cracked.",
            "outcome": "pass", "nextAction": "return_to_pool", "schemaOrg": {"@type": "RepairAction",
            "description": "a new lens"}, "metadata": META,
        },
    ),
    "attachments": (
        "/v1/attachments/initiate",
        {
            "ownerKind": "asset", "ownerId": "asset_1", "fileName": "lens.jpg", "contentType": "image/jpeg", "byteSize": len(PICTURE),
            "checksum": hashlib.sha256(PICTURE).hexdigest(), "metadata": META,
        },
    ),
    "triggers": (
        "/v1/triggers",
        {"name": "Runs", "eventTypes": ["rentAction.*"], "actions": [{"type": "invoke_internal",
        "config": {"handler": "planning.shortfall_scan"}}]},
    ),
    "webhooks": ("/v1/webhooks", {"name": "LMT", "url": "https://lmt.example/hooks"}),
}  # fmt: skip
"""One resource of each kind, with every column that a client may fill."""

LINE_NOTES = {"notes": "the quick one", "metadata": META}


@pytest.fixture
def fleet(site: Site) -> Site:
    """All that is posted, in this order."""
    for path, body in POSTED.values():
        whole = {**body, "lineItems": [{**line, **LINE_NOTES} for line in body["lineItems"]]} if "lineItems" in body else body
        answer = site.post(path, whole)
        assert answer.status_code == 201, answer.text
    return site


REJECTED, OTHER = "/v1/rent-actions/ra_2", "/v1/rent-actions/ra_1"

CALLS: Mapping[str, tuple[str, Any]] = {
    "GET /v1/availability": (f"itemTypeId=itemType_1&{WINDOW}&quantity=1&location=Depot+A", None),
    "GET /v1/availability/kits": (f"kitTemplateId=kit_1&{WINDOW}&quantity=1&location=Depot+A", None),
    "GET /v1/availability/assets": (f"itemTypeId=itemType_1&{WINDOW}&location=Depot+A", None),
    "GET /v1/availability/asset": (f"assetId=asset_1&{WINDOW}", None),
    "GET /v1/planning/shortfalls": (
        "startFrom=2027-06-01T00:00:00Z&endUntil=2027-07-01T00:00:00Z&itemTypeId=itemType_1&location=Depot+A",
        None,
    ),
    "PATCH /v1/catalog/item-types/{id}": ("", {"name": "Another"}),
    "PATCH /v1/catalog/assets/{id}": ("", {"location": "Depot B"}),
    "PATCH /v1/catalog/stock-pools/{id}": ("", {"quantityTotal": 50}),
    "PATCH /v1/catalog/kit-templates/{id}": ("", {"name": "Another"}),
    "PATCH /v1/rent-actions/{id}": ("", {"endTime": "2027-03-03T08:00:00Z"}),
    "PATCH /v1/planning/demand-signals/{id}": ("", {"quantityRequired": 20}),
    "PATCH /v1/planning/build-requests/{id}": ("", {"status": "submitted", "externalRef": "BO-0002"}),
    "PATCH /v1/triggers/{id}": ("", {"enabled": False}),
    "PATCH /v1/webhooks/{id}": ("", {"name": "Another"}),
    "POST /v1/planning/demand-signals": ("", factories.demand_signal(sourceRef="another")),
}
"""What has to be said besides the path; what is created gets a body of POSTED with other names."""

IDENTIFIERS = {
    "item-types": "itemType_1", "assets": "asset_1", "stock-pools": "pool_1", "kit-templates": "kit_1", "rent-actions": "ra_1",
    "demand-signals": "demand_1", "build-requests": "build_1", "maintenance-logs": "log_1", "attachments": "att_2", "triggers": "trig_1",
    "webhooks": "hook_1",
}  # fmt: skip


def path_of(one: Endpoint) -> str:
    collection = next((word for word in IDENTIFIERS if f"/{word}/{{id}}" in one.path), "")
    return one.path.replace("{id}", IDENTIFIERS.get(collection, "")).replace("{assetId}", "asset_1")


def body_of(one: Endpoint) -> Any:
    """A body that makes another resource, where the endpoint makes one."""
    found = next((body for path, body in POSTED.values() if path == one.path.replace("{assetId}", "asset_1")), {})
    return {**found, **{name: f"{found[name]}-2" for name in ("code", "assetTag", "serialNumber") if name in found}}


@pytest.mark.parametrize("one", ENDPOINTS, ids=lambda one: f"{one.method} {one.path}")
def test_every_endpoint_answers(fleet: Site, one: Endpoint) -> None:
    if one.path.endswith(("/allocate", "/release-allocations")):
        assert fleet.post(f"{OTHER}/approve").status_code == 200
    query, body = CALLS.get(f"{one.method} {one.path}", ("", None))
    if one.path in ("/v1/attachments/complete", "/v1/attachments/{id}"):
        body = {"identifier": _uploaded(fleet)}
    if one.path == "/v1/attachments/{id}":
        assert fleet.post("/v1/attachments/complete", body).status_code == 200
    if body is None and one.method == "POST" and "{id}" not in one.path:
        body = body_of(one)
    answer = fleet.ask(one.method, path_of(one), body=body, query=query)
    assert answer.status_code in (200, 201, 204), answer.text
    made = one.method == "POST" and "{id}" not in one.path and not one.path.endswith("/complete")
    assert (answer.status_code == 201) is made, answer.text


def _uploaded(site: Site) -> str:
    """Announces another attachment and brings its bytes to where it was said; its identifier."""
    draft = site.post(*POSTED["attachments"]).json
    place = draft["uploadUrl"].removeprefix(site.parts.settings.base_iri)
    if place.startswith("/"):
        stored = site.client.simulate_request(draft["uploadMethod"], place, headers=draft["uploadHeaders"], body=PICTURE)
        assert stored.status_code < 300, stored.text
    else:
        request = urllib.request.Request(place, PICTURE, draft["uploadHeaders"], method=draft["uploadMethod"])
        urllib.request.urlopen(request, timeout=60).close()
    return str(draft["identifier"])


NARROWED = {
    "/v1/catalog/assets": {"itemTypeId": ("itemType_1", "itemType_2"), "status": ("available", "lost"), "location": ("Depot A", "Depot Z")},
    "/v1/catalog/stock-pools": {"itemTypeId": ("itemType_2", "itemType_1"), "location": ("Depot A", "Depot Z")},
    "/v1/rent-actions": {
        "status": ("pending", "fulfilled"),
        "startFrom": ("2027-03-01T00:00:00Z", "2028-01-01T00:00:00Z"),
        "endUntil": ("2027-03-05T00:00:00Z", "2027-01-01T00:00:00Z"),
        "externalRef": ("event-9", "event-10"),
    },
    "/v1/planning/demand-signals": {
        "startFrom": ("2027-06-01T00:00:00Z", "2028-01-01T00:00:00Z"),
        "endUntil": ("2027-06-05T00:00:00Z", "2027-01-01T00:00:00Z"),
        "itemTypeId": ("itemType_1", "itemType_2"),
        "source": ("sgl", "manual"),
    },
    "/v1/planning/build-requests": {
        "status": ("requested", "failed"),
        "itemTypeId": ("itemType_1", "itemType_2"),
        "neededBy": ("2027-06-01T00:00:00Z", "2027-01-01T00:00:00Z"),
    },
    "/v1/events": {"since": ("0", "1000000"), "types": ("rentAction.created", "buildRequest.failed")},
    "/v1/planning/shortfalls": {
        "startFrom": ("2027-06-02T00:00:00Z", "2027-06-20T00:00:00Z"),
        "endUntil": ("2027-06-20T00:00:00Z", "2027-05-20T00:00:00Z"),
        "itemTypeId": ("itemType_1", "itemType_2"),
        "location": ("Depot A", "Depot Z"),
    },
}
"""Path → parameter → a value that finds something, and one that does not."""

BESIDE = {"/v1/planning/shortfalls": {"startFrom": "2027-05-01T00:00:00Z", "endUntil": "2027-07-01T00:00:00Z"}}

LISTS = [(one.path, name) for one in ENDPOINTS if one.path in NARROWED and one.method == "GET" for name in one.parameters]


@pytest.mark.parametrize(("path", "name"), LISTS)
def test_every_parameter_of_a_list_narrows_it(fleet: Site, path: str, name: str) -> None:
    found = [
        fleet.client.simulate_get(path, params={**BESIDE.get(path, {}), name: value}, headers=_key(fleet)) for value in NARROWED[path][name]
    ]
    assert [answer.status_code for answer in found] == [200, 200], [answer.text for answer in found]
    assert found[0].json["member"] and not found[1].json["member"]


def _key(site: Site) -> dict[str, str]:
    return {"Authorization": f"Bearer {site.keys['admin']}"}


def test_every_endpoint_with_parameters_is_tried_with_each() -> None:
    said = {f"GET {path}": set(names) for path, names in NARROWED.items()}
    for one in ENDPOINTS:
        query, _ = CALLS.get(f"{one.method} {one.path}", ("", None))
        tried = said.get(f"{one.method} {one.path}", set()) | {pair.partition("=")[0] for pair in query.split("&") if query}
        assert set(one.parameters) <= tried, one


def test_availability_heeds_each_parameter(fleet: Site) -> None:
    """Where an answer is not a list, each parameter changes it."""
    asked = {"itemTypeId": "itemType_1", "startTime": "2027-03-01T08:00:00Z", "endTime": "2027-03-02T08:00:00Z", "quantity": "1"}

    def told(**changes: str) -> dict[str, Any]:
        found: dict[str, Any] = fleet.client.simulate_get("/v1/availability", params={**asked, **changes}, headers=_key(fleet)).json
        return found

    assert told()["isAvailable"] and told()["totalCapacity"] == 1
    assert fleet.post(f"{OTHER}/approve").status_code == 200
    assert not told()["isAvailable"]
    assert told(startTime="2027-03-05T08:00:00Z", endTime="2027-03-06T08:00:00Z")["isAvailable"]
    assert told(startTime="2027-03-02T08:00:00Z", endTime="2027-03-06T08:00:00Z")["isAvailable"]
    assert told(endTime="2027-03-01T09:00:00Z")["isAvailable"] is False
    assert told(itemTypeId="itemType_2")["totalCapacity"] == 40
    assert told(itemTypeId="itemType_2", quantity="41")["isAvailable"] is False
    assert told(location="Depot Z")["totalCapacity"] == 0


def resource(site: Site, table: str) -> Any:
    """The JSON in which the columns of a table are."""
    if table == "attachments":
        return site.post("/v1/attachments/complete", {"identifier": _uploaded(site)}).json
    if table == "supply_snapshots":
        shortfall_scan.run(site.parts, {"createBuildRequests": False, "horizon": "P360D"}, site.parts.now())
        return site.get("/v1/planning/snapshots").json["member"][0]
    if table.startswith("rent_action"):
        assert site.post(f"{OTHER}/approve").status_code == 200
        out = {"allocations": [{"id": "alloc_1", "metadata": META}]}
        assert table != "rent_action_allocations" or site.post(f"{OTHER}/check-out", out).status_code == 200
        return site.post(f"{OTHER}/cancel").json if table == "rent_actions" else site.get(OTHER).json
    path, identifier = {
        "item_types": ("/v1/catalog/item-types", "itemType_1"), "assets": ("/v1/catalog/assets", "asset_1"),
        "stock_pools": ("/v1/catalog/stock-pools", "pool_1"), "kit_templates": ("/v1/catalog/kit-templates", "kit_1"),
        "kit_template_items": ("/v1/catalog/kit-templates", "kit_1"), "demand_signals": ("/v1/planning/demand-signals", "demand_1"),
        "build_requests": ("/v1/planning/build-requests", "build_1"), "maintenance_logs": ("/v1/maintenance-logs", "log_1"),
    }[table]  # fmt: skip
    return site.get(f"{path}/{identifier}").json


ELSEWHERE = {("rent_actions", "rejected_at")}
"""Columns that this resource cannot have together with the others."""


@pytest.mark.parametrize("table", COLUMNS)
def test_every_column_is_kept_and_given_back(fleet: Site, table: str) -> None:
    found = resource(fleet, table)
    missing = [column for column, key in COLUMNS[table].items() if (table, column) not in ELSEWHERE and at(found, key) is None]
    assert missing == [], found


def test_a_rejected_reservation_says_when(fleet: Site) -> None:
    assert fleet.post(f"{REJECTED}/reject").json["rejectedAt"]


def at(value: Any, path: str) -> Any:
    """What is at a path of keys and places, or None."""
    for step in path.split("/"):
        if isinstance(value, list):
            value = value[int(step)] if int(step) < len(value) else None
        else:
            value = value.get(step) if isinstance(value, dict) else None
    return value


def test_what_is_owed_is_what_there_is() -> None:
    assert set(seed.EVENTS) <= events.EVENTS.keys()
    assert set(seed.JOBS) == set(triggers.JOB_TYPES)
    assert set(seed.ACTIONS) == set(triggers.ACTION_TYPES)
    assert set(seed.ROLES) <= set(Scope)
    assert len(ENDPOINTS) == len({(one.method, one.path) for one in ENDPOINTS}) == 53


@cache
def named_in(file: str) -> frozenset[str]:
    tree = ast.parse((seed.ROOT / file).read_text(encoding="utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"))


@pytest.mark.parametrize("test", sorted({test for *_, tests in seed.rows() for test in tests}))
def test_every_test_that_is_named_exists(test: str) -> None:
    file, _, name = test.partition("::")
    assert named_in(file) and (not name or name in named_in(file))


def test_the_page_says_what_the_tables_say() -> None:
    assert seed.PAGE.read_text(encoding="utf-8") == seed.page(), "write it anew: python -m tests.seed"
