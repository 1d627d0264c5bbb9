"""Planning runs: what they saw is kept, what is missing is asked for once, and what is needed no more is proposed to be called off."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from ld_server.bootstrap import build
from ld_server.settings import Settings
from relational.unit_of_work import Ledger
from tests import factories
from tests.html import Page
from tests.http.conftest import BASE, Site, open_site
from workers.actions.internal import scan_for_shortfalls
from workers.jobs import shortfall_scan

NOW = datetime(2027, 5, 1, 2, tzinfo=UTC)
SIGNALS, BUILDS, SNAPSHOTS = "/v1/planning/demand-signals", "/v1/planning/build-requests", "/v1/planning/snapshots"
CREATING = {"createBuildRequests": True, "horizon": "P90D"}


@pytest.fixture
def planned(database_url: str, tmp_path: Path) -> Iterator[Site]:
    """Two units of which five are wanted in June, and plenty of another item type."""
    parts = build(Settings(data_dir=tmp_path, database_url=database_url, sparql_url="memory:"))
    site = open_site(parts)
    timer, cable = site.item_type("TN"), site.item_type("CABLE", kind="fungible")
    for number in range(2):
        site.asset(timer, assetTag=f"T-{number}", serialNumber=None)
    site.made("/v1/catalog/stock-pools", factories.stock_pool(cable, 100))
    site.made(SIGNALS, factories.demand_signal(timer, 5))
    site.made(SIGNALS, factories.demand_signal(cable, 7))
    yield site
    parts.close()


def run(site: Site, **config: Any) -> dict[str, Any]:
    return shortfall_scan.run(site.parts, {**CREATING, **config}, NOW)


def members(site: Site, path: str, query: str = "") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = site.get(path, query=query).json["member"]
    return found


def told(ledger: Ledger, kind: str) -> int:
    with ledger.read() as uow:
        return sum(orjson.loads(one.entry.body)["type"] == kind for one in uow.outbox.after(0, 100_000))


def test_a_run_only_reports_unless_it_is_told_to_ask(planned: Site) -> None:
    result = run(planned, createBuildRequests=False)
    assert (result["shortfalls"], result["buildRequests"]) == (1, [])
    assert members(planned, BUILDS) == []
    assert len(members(planned, SNAPSHOTS)) == 2


def test_what_is_missing_is_asked_for_with_its_reasons(planned: Site) -> None:
    run(planned, eventId="evt_1")
    (request,) = members(planned, BUILDS)
    assert (request["itemType"]["identifier"], request["quantity"], request["reason"]) == ("itemType_1", 3, "shortfall")
    assert (request["neededBy"], request["demandSignal"]["identifier"]) == ("2027-06-01T08:00:00Z", "demand_1")
    assert (request["triggerEventId"], request["createdBy"]) == ("evt_1", "planning")
    snapshot = planned.get(f"{SNAPSHOTS}/{request['snapshot']['identifier']}").json
    assert snapshot["@id"] == request["snapshot"]["@id"]
    keys = ("totalCapacity", "reservedCapacity", "availableCapacity", "shortfallQuantity", "openBuildQuantity")
    assert [snapshot[key] for key in keys] == [2, 5, -3, 3, 0]
    (shortfall,) = snapshot["shortfalls"]
    assert (shortfall["demand"], shortfall["supply"], shortfall["recommendedBuildQuantity"]) == (5, 2, 3)
    assert shortfall["causes"][0]["demandSignal"]["identifier"] == "demand_1"
    assert told(planned.parts.ledger, "buildRequest.requested") == 1


def test_the_page_of_a_request_leads_to_the_numbers_that_caused_it(planned: Site) -> None:
    run(planned)
    (request,) = members(planned, BUILDS)
    page = Page(planned.get(f"{BUILDS}/{request['identifier']}", Accept="text/html").text)
    (link,) = {one for one in page.links if f"{SNAPSHOTS}/" in one}
    seen = planned.get(link.removeprefix(BASE), Accept="text/html")
    assert (seen.status_code, seen.headers["content-type"]) == (200, "text/html; charset=utf-8")
    shown = "".join(Page(seen.text).body.partition("As JSON-LD")[0].split())
    for numbers in ("Totalcapacity2", "Reservedcapacity5", "Availablecapacity-3", "Shortfallquantity3"):
        assert numbers in shown


def test_ten_runs_ask_once(planned: Site) -> None:
    for _ in range(10):
        run(planned)
    assert [one["quantity"] for one in members(planned, BUILDS)] == [3]
    assert told(planned.parts.ledger, "availability.shortfall.detected") == 1
    assert len(members(planned, SNAPSHOTS, "itemTypeId=itemType_1")) == 10


def test_runs_at_once_ask_once(planned: Site) -> None:
    barrier = threading.Barrier(4)

    def at_once() -> None:
        barrier.wait(10)
        run(planned)

    threads = [threading.Thread(target=at_once) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(60)
    assert [one["quantity"] for one in members(planned, BUILDS)] == [3]


def test_a_growing_shortfall_asks_for_the_rest_alone(planned: Site) -> None:
    run(planned)
    planned.made(SIGNALS, factories.demand_signal("itemType_1", 6))
    assert run(planned)["shortfalls"] == 1
    assert [one["quantity"] for one in members(planned, BUILDS)] == [3, 1]


def test_a_shrinking_shortfall_proposes_to_call_off_what_nobody_builds_yet(planned: Site) -> None:
    run(planned)
    planned.made(SIGNALS, factories.demand_signal("itemType_1", 3))
    assert run(planned)["proposals"] == [{"buildRequest": "build_1", "proposal": "reduce", "quantity": 2, "of": 3}]
    planned.ask("DELETE", f"{SIGNALS}/demand_3")
    assert run(planned)["proposals"] == [{"buildRequest": "build_1", "proposal": "cancel", "quantity": 3, "of": 3}]
    assert members(planned, SNAPSHOTS, "itemTypeId=itemType_1")[-1]["proposals"][0]["proposal"] == "cancel"
    planned.ask("PATCH", f"{BUILDS}/build_1", body={"status": "submitted"})
    assert run(planned)["proposals"] == []


def test_spare_units_are_asked_for_as_such(planned: Site) -> None:
    planned.ask("PATCH", "/v1/catalog/item-types/itemType_2", body={"bufferQuantity": 95})
    run(planned)
    assert [(one["itemType"]["identifier"], one["quantity"], one["reason"]) for one in members(planned, BUILDS)] == [
        ("itemType_1", 3, "shortfall"),
        ("itemType_2", 2, "buffer"),
    ]


def test_a_horizon_ends_the_view(planned: Site) -> None:
    assert run(planned, horizon="P7D")["shortfalls"] == 0
    with pytest.raises(ValueError, match="duration"):
        run(planned, horizon="soon")


def test_what_a_run_saw_is_a_graph_that_is_valid(planned: Site) -> None:
    run(planned)
    assert b"recommendedBuildQuantity" in planned.get(f"{SNAPSHOTS}/snap_1", Accept="text/turtle").content


def test_an_event_can_set_a_run_going(planned: Site) -> None:
    scan_for_shortfalls(planned.parts, {"id": "evt_9"}, {"createBuildRequests": True, "horizon": "P3000D"})
    assert [one["triggerEventId"] for one in members(planned, BUILDS)] == ["evt_9"]
