"""Demand signals over HTTP: told one by one and in bulk, as graphs and as tables, again and again."""

from typing import Any

import orjson
import pytest
from falcon import testing

from tests import factories
from tests.http.conftest import LD_JSON, RESERVATIONS, Site, problem

SIGNALS = "/v1/planning/demand-signals"
HEADER = "source,sourceRef,itemTypeId,quantityRequired,startTime,endTime,location,metadata"


def row(ref: str, item: str = "itemType_1", quantity: Any = 5, **changes: str) -> str:
    cells = {"location": "Depot A", "metadata": "", **changes}
    return f"sgl,{ref},{item},{quantity},2027-06-01T08:00:00+02:00,2027-06-02T08:00:00Z,{cells['location']},{cells['metadata']}"


def table(*rows: str, header: str = HEADER) -> bytes:
    return "\r\n".join([header, *rows, ""]).encode()


def told(site: Site, body: Any, media_type: str = "application/json", **more: Any) -> testing.Result:
    return site.post(SIGNALS, body if isinstance(body, bytes) else orjson.dumps(body), Content_Type=media_type, **more)


def active(site: Site) -> list[str]:
    return [one["identifier"] for one in site.get(SIGNALS, query="status=active").json["member"]]


def test_a_signal_is_a_demand_with_what_goes_without_saying(either_site: Site) -> None:
    item = either_site.item_type()
    answer = told(either_site, factories.demand_signal(item, name="Regatta"))
    assert answer.status_code == 201
    assert answer.headers["location"].endswith(f"{SIGNALS}/demand_1")
    found = answer.json
    assert (found["@type"], found["status"], found["priority"], found["createdBy"]) == ("Demand", "active", "normal", "admin")
    assert found["itemType"]["name"] == "TimerNode v2"
    assert either_site.get(f"{SIGNALS}/demand_1").json == found


def test_what_is_told_twice_is_there_once(either_site: Site) -> None:
    either_site.item_type()
    first, again = (told(either_site, factories.demand_signal()) for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json == first.json
    assert active(either_site) == ["demand_1"]


def test_what_is_told_anew_supersedes_what_was_told_before(either_site: Site) -> None:
    either_site.item_type()
    told(either_site, factories.demand_signal(quantity=12))
    answer = told(either_site, factories.demand_signal(quantity=15))
    assert (answer.status_code, answer.json["identifier"], answer.json["quantityRequired"]) == (201, "demand_2", 15)
    assert answer.json["supersedes"]["identifier"] == "demand_1"
    assert either_site.get(f"{SIGNALS}/demand_1").json["status"] == "superseded"
    assert active(either_site) == ["demand_2"]
    types = [one["type"] for one in either_site.get("/v1/events", query="types=demandSignal.*").json["member"]]
    assert types == ["demandSignal.created", "demandSignal.superseded", "demandSignal.created"]


def test_another_source_reference_or_item_is_another_demand(site: Site) -> None:
    timer, cable = site.item_type("TN"), site.item_type("CABLE", kind="fungible")
    for changes in ({}, {"source": "manual"}, {"sourceRef": "event-2"}, {"itemType": cable}, {"sourceRef": None}, {"sourceRef": None}):
        assert (
            told(site, {**factories.demand_signal(timer), **changes} if None not in changes.values() else _without(timer)).status_code
            == 201
        )
    assert len(active(site)) == 6


def _without(item: str) -> dict[str, Any]:
    return factories.demand_signal(item, sourceRef=None)


def test_a_kit_can_be_needed(site: Site) -> None:
    kit = site.made("/v1/catalog/kit-templates", factories.kit_template((site.item_type(), 2)))
    answer = told(site, factories.demand_signal(kit))
    assert answer.json["itemType"]["@type"] == ["Product", "KitTemplate"]
    assert [one["identifier"] for one in site.get(SIGNALS, query=f"kitTemplateId={kit}").json["member"]] == ["demand_1"]


@pytest.mark.parametrize("changes", [{"itemType": "itemType_9"}, {"itemType": "kit_9"}])
def test_demand_for_what_there_is_not_is_refused(site: Site, changes: dict[str, str]) -> None:
    assert problem(told(site, {**factories.demand_signal(), **changes}), "unknown-reference", 422)["field"] == "itemType"


def test_a_table_is_told_row_by_row_with_a_report(either_site: Site) -> None:
    either_site.item_type()
    told(either_site, {**factories.demand_signal(), "sourceRef": "e-2"})
    answer = told(either_site, table(row("e-1", metadata='"{""a"": 1}"'), row("e-2"), row("e-3", location="")), "text/csv; charset=utf-8")
    assert answer.status_code == 201, answer.text
    assert answer.json["report"] == [
        {"index": 0, "outcome": "created", "identifier": "demand_2"},
        {"index": 1, "outcome": "superseded", "identifier": "demand_3", "supersedes": "demand_1"},
        {"index": 2, "outcome": "created", "identifier": "demand_4"},
    ]
    first, _, last = answer.json["member"]
    assert (first["startTime"], first["metadata"], first["quantityRequired"]) == ("2027-06-01T06:00:00Z", {"a": 1}, 5)
    assert "location" not in last


def test_a_table_that_is_told_again_changes_nothing(either_site: Site) -> None:
    either_site.item_type()
    whole = table(*(row(f"e-{number}") for number in range(5)))
    assert told(either_site, whole, "text/csv").status_code == 201
    events = len(either_site.get("/v1/events").json["member"])
    for _ in range(3):
        answer = told(either_site, whole, "text/csv")
        assert answer.status_code == 200
        assert {one["outcome"] for one in answer.json["report"]} == {"unchanged"}
    assert len(active(either_site)) == 5
    assert len(either_site.get("/v1/events").json["member"]) == events


def test_a_table_with_a_wrong_row_is_refused_as_a_whole_and_every_wrong_row_is_named(site: Site) -> None:
    site.item_type()
    rows = [row("e-1"), row("e-2", quantity="many"), row("e-3", item="itemType_9"), row("e-4"), row("e-4", quantity=6)]
    found = problem(told(site, table(*rows), "text/csv"), "resources-refused", 422)
    assert [(one["index"], one["type"].rpartition("/")[2]) for one in found["reports"]] == [
        (1, "shape-violation"),
        (2, "unknown-reference"),
        (4, "duplicate"),
    ]
    assert found["reports"][0]["violations"][0]["pointer"] == "/1/quantityRequired"
    assert active(site) == []


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "first line"),
        (b"source,source\n1,2\n", "each once"),
        (table(row("e-1") + ",too,many"), "Row 1"),
        (table(row("e-1", metadata="{")), "metadata in row 1"),
        (table('sgl,"open'), "CSV"),
    ],
)
def test_what_is_no_table_is_refused_with_the_place(site: Site, body: bytes, says: str) -> None:
    assert says in problem(told(site, body, "text/csv"), "malformed-body", 400)["detail"]


@pytest.mark.parametrize("digits", [19, 30, 5000])
def test_a_number_with_too_many_digits_is_a_wrong_one(site: Site, digits: int) -> None:
    site.item_type()
    found = problem(told(site, table(row("e-1", quantity="9" * digits)), "text/csv"), "resources-refused", 422)
    assert found["reports"][0]["violations"][0]["pointer"] == "/0/quantityRequired"


def test_a_table_with_an_unknown_column_is_refused_with_the_nearest_known_one(site: Site) -> None:
    site.item_type()
    found = problem(told(site, table(row("e-1"), header=HEADER.replace("location", "lokation")), "text/csv"), "resources-refused", 422)
    assert found["reports"][0]["type"].endswith("/problems/unknown-term")
    assert "location" in found["reports"][0]["detail"]


def test_the_table_of_the_collection_can_be_told_again(site: Site) -> None:
    site.item_type()
    told(site, factories.demand_signal(metadata={"a": [1]}, name="=1+1"))
    exported = site.get(SIGNALS, Accept="text/csv").content
    answer = told(site, exported, "text/csv")
    assert answer.status_code == 200, answer.text
    assert answer.json["report"] == [{"index": 0, "outcome": "unchanged", "identifier": "demand_1"}]


def test_many_are_told_in_json_ld(site: Site) -> None:
    site.item_type()
    graph = [{"@type": "Demand", **factories.demand_signal(sourceRef=f"e-{number}")} for number in range(3)]
    context = ["https://schema.org", "http://localhost:8000/contexts/v1.jsonld"]
    answer = told(site, {"@context": context, "@graph": graph}, LD_JSON)
    assert answer.status_code == 201, answer.text
    assert answer.json["totalItems"] == 3


def test_many_are_told_once_under_an_idempotency_key(site: Site) -> None:
    site.item_type()
    first, again = (told(site, table(row("e-1"), row("e-2")), "text/csv", Idempotency_Key="monday") for _ in range(2))
    assert (again.status_code, again.json) == (201, first.json)


def test_only_looking_whether_it_could_be_told_writes_nothing(site: Site) -> None:
    site.item_type()
    assert told(site, table(row("e-1"), row("e-2")), "text/csv", query="validate=only").status_code == 200
    assert active(site) == []


def test_lists_are_filtered(either_site: Site) -> None:
    timer, cable = either_site.item_type("TN"), either_site.item_type("CABLE", kind="fungible")
    told(either_site, factories.demand_signal(timer, startTime="2027-05-01T00:00:00Z", endTime="2027-05-02T00:00:00Z"))
    told(either_site, factories.demand_signal(cable, source="manual", location="Depot B", priority="urgent"))
    for query, wanted in {
        "startFrom=2027-05-15T00:00:00Z": ["demand_2"],
        "endUntil=2027-05-15T00:00:00Z": ["demand_1"],
        f"itemTypeId={cable}": ["demand_2"],
        "source=manual": ["demand_2"],
        "sourceRef=event-4711": ["demand_1", "demand_2"],
        "status=cancelled": [],
        "location=Depot%20B": ["demand_2"],
        "priority=urgent": ["demand_2"],
        "q=MANUAL": ["demand_2"],
        "sort=-startTime": ["demand_2", "demand_1"],
    }.items():
        assert [one["identifier"] for one in either_site.get(SIGNALS, query=query).json["member"]] == wanted, query


def test_delete_marks_a_signal_cancelled(either_site: Site) -> None:
    either_site.item_type()
    told(either_site, factories.demand_signal())
    for _ in range(2):
        answer = either_site.ask("DELETE", f"{SIGNALS}/demand_1", key="planner")
        assert (answer.status_code, answer.content) == (204, b"")
    found = either_site.get(f"{SIGNALS}/demand_1").json
    assert (found["status"], active(either_site)) == ("cancelled", [])
    assert [one["type"] for one in either_site.get("/v1/events", query="types=demandSignal.cancelled").json["member"]] == [
        "demandSignal.cancelled"
    ]
    assert told(either_site, factories.demand_signal()).json["identifier"] == "demand_2"


def test_a_signal_is_cancelled_once_under_an_idempotency_key_as_is_described(site: Site) -> None:
    site.item_type()
    told(site, factories.demand_signal())
    first, again = (site.ask("DELETE", f"{SIGNALS}/demand_1", Idempotency_Key="monday") for _ in range(2))
    assert (first.status_code, again.status_code, again.headers["idempotency-replayed"]) == (204, 204, "true")


def test_delete_heeds_if_match_and_knows_what_there_is(site: Site) -> None:
    site.item_type()
    told(site, factories.demand_signal())
    problem(site.ask("DELETE", f"{SIGNALS}/demand_1", If_Match='"7-jsonld"'), "precondition-failed", 412)
    for unknown in ("demand_9", "itemType_1", "x"):
        problem(site.ask("DELETE", f"{SIGNALS}/{unknown}"), "not-found", 404)
    problem(site.ask("DELETE", f"{SIGNALS}/demand_1", key="approver"), "forbidden", 403)


def test_a_patch_changes_what_is_needed_and_may_call_it_off(site: Site) -> None:
    site.item_type()
    told(site, factories.demand_signal())
    path = f"{SIGNALS}/demand_1"
    assert site.ask("PATCH", path, body={"quantityRequired": 20}).json["quantityRequired"] == 20
    assert site.ask("PATCH", path, body={"status": "cancelled"}).json["status"] == "cancelled"
    assert problem(site.ask("PATCH", path, body={"status": "superseded"}), "transition-refused", 409)["allowedSteps"] == ["active"]
    assert site.ask("PATCH", path, body={"status": "active"}).json["status"] == "active"


def test_a_patch_does_not_make_a_second_signal_of_one_demand(site: Site) -> None:
    site.item_type()
    told(site, factories.demand_signal())
    told(site, factories.demand_signal(sourceRef="e-2"))
    found = problem(site.ask("PATCH", f"{SIGNALS}/demand_2", body={"sourceRef": "event-4711"}), "duplicate", 409)
    assert found["resource"] == "demand_1"


def test_a_signal_says_nothing_about_reservations(site: Site) -> None:
    site.item_type()
    told(site, factories.demand_signal())
    assert site.get(RESERVATIONS).json["totalItems"] == 0
