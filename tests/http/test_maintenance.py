"""The maintenance log of a unit over HTTP: what is written into it, what becomes of the unit, and who is told."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
import pytest
from falcon import testing

from ld_server.http.execution import new_event_id
from ld_server.rdf.representation import triples_of
from ld_server.services import index, maintenance
from ld_server.services.occasion import Occasion
from tests.http.conftest import ASSETS, BASE, RESERVATIONS, Site, problem

LOGS = "/v1/maintenance-logs"
DONE = {"kind": "repair", "summary": "Replaced the lens", "performedAt": "2026-11-20T09:00:00Z", "outcome": "pass"}
PLANNED = {
    "kind": "inspection",
    "summary": "Yearly inspection",
    "plannedStart": "2027-03-01T08:00:00Z",
    "plannedEnd": "2027-03-01T18:00:00Z",
}


@dataclass
class Workshop:
    """A site with one unit, and what a technician does."""

    site: Site
    asset: str = "asset_1"

    def log(self, body: Any = None, **more: Any) -> testing.Result:
        changes = {name: more.pop(name) for name in list(more) if name not in ("key", "query", "Content_Type", "Accept", "Idempotency_Key")}
        whole = body if isinstance(body, bytes) else {**(DONE if body is None else body), **changes}
        return self.site.post(f"/v1/assets/{self.asset}/maintenance-logs", whole, **{"key": "technician", **more})

    def logged(self, body: Any = None, **changes: Any) -> dict[str, Any]:
        answer = self.log(body, **changes)
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = answer.json
        return found

    def status(self) -> str:
        return str(self.site.get(f"{ASSETS}/{self.asset}").json["status"])

    def events(self) -> list[tuple[str, str]]:
        with self.site.parts.ledger.read() as uow:
            return [(one.entry.type, one.entry.subject_id) for one in uow.outbox.after(0, 1000)]

    def scan(self, at: str) -> int:
        parts = self.site.parts
        occasion = Occasion(datetime.fromisoformat(at), "clock", "scan-1", "default", parts.naming, parts.contexts.reference, new_event_id)
        with parts.ledger.write() as uow:
            return maintenance.overdue_scan(uow, occasion)


@pytest.fixture
def workshop(site: Site) -> Workshop:
    return Workshop(site, site.asset(site.item_type(), assetTag="TN-001"))


@pytest.fixture
def either_workshop(either_site: Site) -> Workshop:
    return Workshop(either_site, either_site.asset(either_site.item_type(), assetTag="TN-001"))


# --- entries ----------------------------------------------------------------------------------------------------------


def test_work_is_written_down_and_read_again(either_workshop: Workshop) -> None:
    answer = either_workshop.log(details="The old one had a crack.", metadata={"hours": 2})
    found = answer.json
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"] == found["@id"] == f"{BASE}{LOGS}/log_1"
    assert sorted(found["@type"]) == ["MaintenanceLog", "RepairAction"]
    assert found["object"] == {
        "@id": f"{BASE}{ASSETS}/asset_1",
        "@type": "IndividualProduct",
        "identifier": "asset_1",
        "name": "TN-001",
    }
    assert (found["performedBy"], found["agent"]["identifier"], found["createdBy"]) == ("technician",) * 3
    assert found["actionStatus"] == "CompletedActionStatus"
    assert either_workshop.site.get(f"{LOGS}/log_1", key="reader").json == found
    assert ("maintenanceLog.created", "log_1") in either_workshop.events()


CLASSES = {
    "repair": "RepairAction", "refurb": "RepairAction", "update": "UpdateAction", "inspection": "CheckAction", "qa": "CheckAction",
    "clean": "Action", "other": "Action",
}  # fmt: skip


@pytest.mark.parametrize("kind", CLASSES)
def test_the_class_follows_from_the_kind(workshop: Workshop, kind: str) -> None:
    assert sorted(workshop.logged(kind=kind)["@type"]) == sorted(["MaintenanceLog", CLASSES[kind]])


def test_failed_work_has_failed(workshop: Workshop) -> None:
    assert workshop.logged(outcome="fail")["actionStatus"] == "FailedActionStatus"
    assert workshop.logged(outcome="n_a")["actionStatus"] == "CompletedActionStatus"


def test_an_entry_may_come_in_any_syntax(workshop: Workshop) -> None:
    body = (
        "@prefix rsv: <https://w3id.org/ld-reservations#> . @prefix xsd: <http://www.w3.org/2001/XMLSchema#> ."
        '<> a rsv:MaintenanceLog ; rsv:kind rsv:clean ; rsv:summary "Washed" ; rsv:performedAt "2026-11-20T09:00:00Z"^^xsd:dateTime .'
    )
    found = workshop.log(body.encode(), Content_Type="text/turtle").json
    assert (found["kind"], found["object"]["identifier"]) == ("clean", "asset_1")
    turtle = workshop.site.get(f"{LOGS}/log_1", Accept="text/turtle")
    assert turtle.status_code == 200 and "MaintenanceLog" in turtle.text


def test_what_is_stored_has_the_shape_that_is_published(workshop: Workshop) -> None:
    workshop.logged(nextAction="hold", schemaOrg={"@type": "RepairAction", "instrument": {"@type": "Thing", "name": "Screwdriver"}})
    workshop.logged(PLANNED)
    parts = workshop.site.parts
    with parts.ledger.read() as uow:
        for head in uow.documents.each("maintenanceLog"):
            shape = "https://w3id.org/ld-reservations/shapes#MaintenanceLog"
            parts.validator.check(triples_of(head.body, parts.contexts), parts.naming.iri(head.identifier), shape)


WRONG = {
    "no kind": ({"kind": None}, "shape-violation", "/kind"),
    "unknown kind": ({"kind": "magic"}, "shape-violation", "/kind"),
    "no summary": ({"summary": None}, "shape-violation", "/summary"),
    "long summary": ({"summary": "x" * 192}, "shape-violation", "/summary"),
    "no time": ({"performedAt": None}, "shape-violation", "/performedAt"),
    "time without a zone": ({"performedAt": "2026-11-20T09:00:00"}, "shape-violation", "/performedAt"),
    "unknown outcome": ({"outcome": "fine"}, "shape-violation", "/outcome"),
    "unknown next action": ({"nextAction": "explode"}, "shape-violation", "/nextAction"),
    "half a plan": ({"plannedStart": "2027-01-01T08:00:00Z"}, "shape-violation", "/plannedEnd"),
    "plan that ends before it starts": (
        {"plannedStart": "2027-01-02T08:00:00Z", "plannedEnd": "2027-01-01T08:00:00Z"}, "shape-violation", "/plannedEnd",
    ),
    "plan that ends as it starts": (
        {"plannedStart": "2027-01-01T08:00:00Z", "plannedEnd": "2027-01-01T09:00:00+01:00"}, "shape-violation", "/plannedEnd",
    ),
    "work that ends before it starts": (
        {"startTime": "2026-11-20T09:00:00Z", "endTime": "2026-11-20T09:30:00+01:00"}, "shape-violation", "/startTime",
    ),
    "an action that ends before it starts": (
        {"schemaOrg": {"startTime": "2026-11-20T09:00:00Z", "endTime": "2026-11-20T08:00:00Z"}}, "shape-violation", "/schemaOrg/startTime",
    ),
    "an action that ends before the entry says it starts": (
        {"startTime": "2026-11-20T09:00:00Z", "schemaOrg": {"endTime": "2026-11-20T08:00:00Z"}}, "shape-violation", "/startTime",
    ),
    "another unit": ({"assetId": "asset_2"}, "shape-violation", "/assetId"),
    "another class": ({"@type": "CheckAction"}, "shape-violation", "/@type"),
    "typo": ({"sumary": "x"}, "unknown-term", None),
    "correction of nothing": ({"corrects": "log_9"}, "unknown-reference", None),
    "schemaOrg with a typo": ({"schemaOrg": {"@type": "RepairAction", "instrumnt": "x"}}, "unknown-term", None),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_with_an_entry_is_told(workshop: Workshop, case: str) -> None:
    changes, slug, pointer = WRONG[case]
    workshop.site.asset("itemType_1", serialNumber="2")
    before = workshop.site.written()
    found = problem(workshop.log({key: value for key, value in {**DONE, **changes}.items() if value is not None}), slug, 422)
    if pointer:
        assert pointer in [one["pointer"] for one in found["violations"]], found
    assert workshop.site.written() == before


def test_only_technicians_write_and_everybody_reads(workshop: Workshop) -> None:
    for key in ("planner", "catalog_admin", "reader"):
        problem(workshop.log(key=key), "forbidden", 403)
    workshop.logged()
    assert workshop.site.get(f"/v1/assets/{workshop.asset}/maintenance-logs", key="reader").json["totalItems"] == 1
    problem(workshop.site.get("/v1/assets/asset_99/maintenance-logs"), "not-found", 404)
    problem(workshop.site.post("/v1/assets/asset_99/maintenance-logs", DONE), "not-found", 404)


def test_entries_are_never_changed(workshop: Workshop) -> None:
    workshop.logged()
    for method in ("PATCH", "DELETE", "PUT"):
        problem(workshop.site.ask(method, f"{LOGS}/log_1", body={"summary": "x"}), "method-not-allowed", 405)
    problem(workshop.site.post(LOGS, DONE), "method-not-allowed", 405)


def test_a_request_can_be_repeated_and_tried(workshop: Workshop) -> None:
    first, again = workshop.log(Idempotency_Key="k1"), workshop.log(Idempotency_Key="k1")
    assert first.json == again.json and again.headers["idempotency-replayed"] == "true"
    before = workshop.site.written()
    assert workshop.log(nextAction="retire", query="validate=only").status_code == 200
    assert workshop.site.written() == before and workshop.status() == "available"


# --- schema.org -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("context", [{"@context": "https://schema.org"}, {}], ids=["with its context", "without"])
def test_an_action_of_schema_org_is_merged_into_the_entry(workshop: Workshop, context: dict[str, str]) -> None:
    action = {
        **context,
        "@type": "RepairAction",
        "agent": {"@type": "Organization", "identifier": "lens-doctor", "name": "Lens Doctor"},
        "object": {"@type": "IndividualProduct", "identifier": "asset_1"},
        "startTime": "2026-11-20T08:00:00Z",
        "instrument": {"@type": "Product", "name": "Torque wrench"},
    }
    found = workshop.logged(schemaOrg=action)
    assert found["schemaOrg"] == action
    assert sorted(found["@type"]) == ["MaintenanceLog", "RepairAction"]
    assert (found["agent"]["name"], found["performedBy"]) == ("Lens Doctor", "lens-doctor")
    assert found["instrument"]["name"] == "Torque wrench" and found["startTime"] == "2026-11-20T08:00:00Z"
    assert found["object"]["identifier"] == "asset_1"


CONTRADICTIONS = {
    "another class": ({"schemaOrg": {"@type": "CheckAction"}}, "/schemaOrg/@type", "RepairAction"),
    "no action at all": ({"schemaOrg": {"@type": "Product"}}, "/schemaOrg/@type", "RepairAction"),
    "another unit": ({"schemaOrg": {"object": "asset_2"}}, "/schemaOrg/object", "the unit in whose log"),
    "another unit by its address": ({"schemaOrg": {"object": {"@id": f"{BASE}{ASSETS}/asset_2"}}}, "/schemaOrg/object", "the unit"),
    "another unit by what is said of it": ({"schemaOrg": {"object": {"identifier": "asset_2"}}}, "/schemaOrg/object", "the unit"),
    "another state": ({"schemaOrg": {"actionStatus": "FailedActionStatus"}}, "/schemaOrg/actionStatus", "CompletedActionStatus"),
    "another start": (
        {"startTime": "2026-11-20T07:00:00Z", "schemaOrg": {"startTime": "2026-11-20T08:00:00Z"}},
        "/schemaOrg/startTime",
        "another startTime",
    ),
    "another agent": ({"agent": "mika", "schemaOrg": {"agent": {"identifier": "noor"}}}, "/schemaOrg/agent", "another agent"),
    "another summary": ({"schemaOrg": {"summary": "Did nothing"}}, "/schemaOrg/summary", "another summary"),
}


@pytest.mark.parametrize("case", CONTRADICTIONS)
def test_an_action_of_schema_org_says_nothing_else_than_the_entry(workshop: Workshop, case: str) -> None:
    changes, pointer, told = CONTRADICTIONS[case]
    workshop.site.asset("itemType_1", serialNumber="2")
    before = workshop.site.written()
    found = problem(workshop.log({**DONE, **changes}), "shape-violation", 422)
    assert [one["pointer"] for one in found["violations"]] == [pointer]
    assert told in found["detail"]
    assert workshop.site.written() == before


AGREEING = {
    "the unit by its identifier": {"object": "asset_1"},
    "the unit by its address": {"object": {"@id": f"{BASE}{ASSETS}/asset_1"}},
    "a unit of which nothing is said": {"object": {"@type": "Product", "name": "Timer"}},
    "the same state": {"actionStatus": "CompletedActionStatus"},
    "the same agent": {"agent": {"@type": "Person", "identifier": "mika", "name": "Mika"}},
    "the same start": {"startTime": "2026-11-20T09:00:00+01:00"},
}


@pytest.mark.parametrize("case", AGREEING)
def test_what_an_action_says_as_well_is_no_contradiction(workshop: Workshop, case: str) -> None:
    found = workshop.logged(agent="mika", startTime="2026-11-20T08:00:00Z", schemaOrg=AGREEING[case])
    assert found["schemaOrg"] == AGREEING[case]
    assert (found["agent"]["identifier"], found["startTime"]) == ("mika", "2026-11-20T08:00:00Z")
    assert found["object"]["identifier"] == "asset_1"
    if "agent" in AGREEING[case]:
        assert found["agent"]["name"] == "Mika"


MISPLACED = {
    "a time that is none": ({"schemaOrg": {"startTime": "yesterday"}}, "/schemaOrg/startTime"),
    "in the words of another context": (
        {"schemaOrg": {"@context": {"schema": "http://schema.org/"}, "schema:startTime": "soon"}},
        "/schemaOrg/schema:startTime",
    ),
    "expanded": ({"schemaOrg": {"http://schema.org/endTime": [{"@value": "late"}]}}, "/schemaOrg/http:~1~1schema.org~1endTime/0/@value"),
    "beside what is right": ({"startTime": "2026-11-20T08:00:00Z", "schemaOrg": {"endTime": "late"}}, "/schemaOrg/endTime"),
    "in the entry itself": ({"startTime": "soon", "schemaOrg": {"endTime": "2026-11-20T08:00:00Z"}}, "/startTime"),
}


@pytest.mark.parametrize("case", MISPLACED)
def test_a_pointer_leads_into_the_action_that_was_sent(workshop: Workshop, case: str) -> None:
    changes, pointer = MISPLACED[case]
    found = problem(workshop.log({**DONE, **changes}), "shape-violation", 422)
    assert [one["pointer"] for one in found["violations"]] == [pointer]


UNKNOWN = {
    "of the action": ({"instrumnt": "x"}, "/schemaOrg/instrumnt"),
    "of what it was done with": ({"instrument": {"@type": "Product", "nmae": "x"}}, "/schemaOrg/instrument/nmae"),
    "of a class": ({"instrument": {"@type": "Prodduct"}}, "/schemaOrg/instrument/@type"),
}


@pytest.mark.parametrize("case", UNKNOWN)
def test_a_typo_in_an_action_is_found(workshop: Workshop, case: str) -> None:
    action, pointer = UNKNOWN[case]
    assert problem(workshop.log(schemaOrg=action), "unknown-term", 422)["pointer"] == pointer


@pytest.mark.parametrize("action", [[], "RepairAction", 3, {}, {"@graph": [{"name": "a"}, {"name": "b"}]}], ids=str)
def test_what_is_no_action_cannot_be_merged(workshop: Workshop, action: Any) -> None:
    found = problem(workshop.log(schemaOrg=action), "malformed-body", 400)
    assert found["pointer"] == "/schemaOrg" and "schemaOrg" in found["detail"]


def test_an_action_comes_and_goes_in_turtle_too(workshop: Workshop) -> None:
    text = '{"@context":"https://schema.org","@type":"RepairAction","instrument":{"@type":"Product","name":"Torque wrench"}}'
    body = (
        "@prefix rsv: <https://w3id.org/ld-reservations#> . @prefix xsd: <http://www.w3.org/2001/XMLSchema#> ."
        "@prefix rdf: <http://www.w3.org/1999/02/22-rdf-syntax-ns#> ."
        '<> a rsv:MaintenanceLog ; rsv:kind rsv:repair ; rsv:summary "Tightened" ; rsv:performedAt "2026-11-20T09:00:00Z"^^xsd:dateTime ;'
        f"rsv:schemaOrg {orjson.dumps(text).decode()}^^rdf:JSON ."
    )
    answer = workshop.log(body.encode(), Content_Type="text/turtle")
    assert answer.status_code == 201, answer.text
    assert workshop.site.get(f"{LOGS}/log_1").json["schemaOrg"] == orjson.loads(text)
    written = workshop.site.get(f"{LOGS}/log_1", Accept="application/n-triples").text
    assert "http://schema.org/instrument" in written and "Torque wrench" in written and "schemaOrg" in written
    broken = body.replace("RepairAction", "CheckAction")
    found = problem(workshop.log(broken.encode(), Content_Type="text/turtle"), "shape-violation", 422)
    assert "RepairAction" in found["detail"]


# --- what becomes of the unit -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("next_action", "status"), [("hold", "hold"), ("send_refurb", "maintenance"), ("retire", "retired"), ("return_to_pool", "available")]
)
def test_the_next_action_gives_the_unit_its_state(either_workshop: Workshop, next_action: str, status: str) -> None:
    workshop = either_workshop
    if next_action == "return_to_pool":
        workshop.logged(nextAction="hold")
    events = len(workshop.events())
    workshop.logged(nextAction=next_action)
    assert workshop.status() == status
    assert ("catalog.asset.updated", "asset_1") in workshop.events()[events:]


def test_a_next_action_that_changes_nothing_tells_nothing(workshop: Workshop) -> None:
    workshop.logged(nextAction="return_to_pool")
    assert ("catalog.asset.updated", "asset_1") not in workshop.events()


def test_reservations_that_are_endangered_are_told(either_workshop: Workshop) -> None:
    workshop, site = either_workshop, either_workshop.site
    site.reservation("itemType_1")
    assert site.post(f"{RESERVATIONS}/ra_1/approve").status_code == 200
    found = workshop.logged(outcome="fail", nextAction="hold")
    assert [one["identifier"] for one in found["endangers"]] == ["ra_1"]
    assert ("rentAction.atRisk", "ra_1") in workshop.events()
    assert [one["identifier"] for one in site.get(RESERVATIONS, query="atRisk=true").json["member"]] == ["ra_1"]


def test_an_entry_that_is_refused_leaves_the_unit_alone(workshop: Workshop) -> None:
    problem(workshop.log(nextAction="hold", corrects="log_9"), "unknown-reference", 422)
    assert workshop.status() == "available"


# --- corrections ------------------------------------------------------------------------------------------------------


def test_a_correction_is_another_entry(either_workshop: Workshop) -> None:
    workshop = either_workshop
    workshop.logged()
    found = workshop.logged(summary="Replaced the filter, not the lens", corrects="log_1")
    assert found["corrects"]["identifier"] == "log_1" and found["corrects"]["name"] == "Replaced the lens"
    assert workshop.site.get(f"{LOGS}/log_1").json["summary"] == "Replaced the lens"
    problem(workshop.log(corrects="log_1"), "duplicate", 409)
    other = Workshop(workshop.site, workshop.site.asset("itemType_1", serialNumber="2"))
    problem(other.log(corrects="log_2"), "shape-violation", 422)


# --- plans ------------------------------------------------------------------------------------------------------------


def is_available(workshop: Workshop) -> bool:
    query = "assetId=asset_1&startTime=2027-03-01T09:00:00Z&endTime=2027-03-01T10:00:00Z"
    return bool(workshop.site.get("/v1/availability/asset", query=query).json["isAvailable"])


def test_planned_work_keeps_the_unit_from_everybody(either_workshop: Workshop) -> None:
    workshop, site = either_workshop, either_workshop.site
    assert is_available(workshop)
    found = workshop.logged(PLANNED)
    assert found["actionStatus"] == "PotentialActionStatus" and not is_available(workshop)
    site.reservation("itemType_1")
    problem(site.post(f"{RESERVATIONS}/ra_1/approve"), "insufficient-availability", 409)
    index.rebuild(site.parts.ledger)
    assert not is_available(workshop)
    workshop.logged(corrects="log_1", performedAt="2026-11-22T09:00:00Z")
    assert is_available(workshop)
    index.rebuild(site.parts.ledger)
    assert is_available(workshop)
    assert site.post(f"{RESERVATIONS}/ra_1/approve").status_code == 200


def test_planned_work_endangers_what_was_promised(workshop: Workshop) -> None:
    workshop.site.reservation("itemType_1")
    assert workshop.site.post(f"{RESERVATIONS}/ra_1/approve").status_code == 200
    workshop.logged(PLANNED)
    assert ("rentAction.atRisk", "ra_1") in workshop.events()


def test_a_plan_whose_time_is_over_is_told_of_once(either_workshop: Workshop) -> None:
    workshop = either_workshop
    workshop.logged(PLANNED)
    workshop.logged({**PLANNED, "performedAt": "2027-03-01T17:00:00Z", "outcome": "pass"})
    assert workshop.scan("2027-03-01T17:59:59+00:00") == 0
    for _ in range(2):
        assert workshop.scan("2027-03-01T18:00:00+00:00") == 1
    assert [one for one in workshop.events() if one[0] == "maintenance.overdue"] == [("maintenance.overdue", "log_1")]
    workshop.logged(corrects="log_1")
    assert workshop.scan("2027-03-02T18:00:00+00:00") == 0


# --- lists ------------------------------------------------------------------------------------------------------------


def test_entries_are_found_by_what_is_asked_for(either_workshop: Workshop) -> None:
    workshop = either_workshop
    other = Workshop(workshop.site, workshop.site.asset("itemType_1", serialNumber="2"))
    workshop.logged(performedBy="mika")
    workshop.logged(kind="clean", summary="Washed", outcome="n_a", performedAt="2026-11-21T09:00:00Z")
    other.logged(outcome="fail", performedBy="mika", performedAt="2026-11-22T09:00:00Z")
    for query, expected in {
        "": ["log_1", "log_2", "log_3"],
        "assetId=asset_1": ["log_1", "log_2"],
        "kind=repair": ["log_1", "log_3"],
        "outcome=fail": ["log_3"],
        "performedBy=mika&kind=repair": ["log_1", "log_3"],
        "from=2026-11-21T00:00:00Z": ["log_2", "log_3"],
        "to=2026-11-21T09:00:00Z": ["log_1", "log_2"],
        "q=WASH": ["log_2"],
        "sort=-performedAt": ["log_3", "log_2", "log_1"],
    }.items():
        assert [one["identifier"] for one in workshop.site.get(LOGS, query=query).json["member"]] == expected, query
    path = "/v1/assets/asset_1/maintenance-logs"
    page = workshop.site.get(path, query="limit=1").json
    assert page["@id"] == BASE + path and [one["identifier"] for one in page["member"]] == ["log_1"]
    following = workshop.site.get(path, query=page["view"]["next"].partition("?")[2]).json
    assert [one["identifier"] for one in following["member"]] == ["log_2"]
    assert [one["identifier"] for one in workshop.site.get(path, query="outcome=n_a").json["member"]] == ["log_2"]
    problem(workshop.site.get(path, query="kind=magic"), "invalid-parameter", 400)


def test_the_log_of_one_unit_is_searched_as_all_logs_are(either_workshop: Workshop) -> None:
    workshop = either_workshop
    other = Workshop(workshop.site, workshop.site.asset("itemType_1", serialNumber="2"))
    for performed_by, day in (("mika", 20), ("noor", 21), ("mika", 22)):
        for one in (workshop, other):
            one.logged(performedBy=performed_by, performedAt=f"2026-11-{day}T09:00:00Z")
    for query, expected in {
        "performedBy=mika": ["log_1", "log_5"],
        "performedBy=nobody": [],
        "from=2026-11-21T09:00:00Z": ["log_3", "log_5"],
        "to=2026-11-21T10:00:00%2B01:00": ["log_1", "log_3"],
        "from=2026-11-20T09:00:01Z&to=2026-11-22T08:59:59Z": ["log_3"],
        "performedBy=mika&from=2026-11-21T00:00:00Z": ["log_5"],
    }.items():
        page = workshop.site.get("/v1/assets/asset_1/maintenance-logs", query=query).json
        assert ([one["identifier"] for one in page["member"]], page["totalItems"]) == (expected, len(expected)), query
    found = problem(workshop.site.get("/v1/assets/asset_1/maintenance-logs", query="from=yesterday"), "invalid-parameter", 400)
    assert found["parameter"] == "from"


def test_work_may_end_as_it_starts(workshop: Workshop) -> None:
    found = workshop.logged(startTime="2026-11-20T09:00:00Z", endTime="2026-11-20T09:00:00Z")
    assert found["startTime"] == found["endTime"]


def test_photos_belong_to_an_entry(workshop: Workshop) -> None:
    workshop.logged()
    said = {"ownerKind": "maintenance_log", "ownerId": "log_1", "fileName": "a.txt", "contentType": "text/plain", "byteSize": 3}
    assert workshop.site.post("/v1/attachments/initiate", said, key="technician").status_code == 201


def test_the_page_of_a_unit_leads_to_its_log(workshop: Workshop) -> None:
    workshop.logged()
    assert f"{LOGS}?assetId=asset_1" in workshop.site.get(f"{ASSETS}/asset_1", Accept="text/html").text
    assert workshop.site.get("/v1/assets/asset_1/maintenance-logs", Accept="text/html").status_code == 200


# --- at the same time -------------------------------------------------------------------------------------------------


def test_of_two_corrections_at_once_one_counts(either_workshop: Workshop) -> None:
    workshop = either_workshop
    workshop.logged()
    barrier = threading.Barrier(3)

    def correct(_number: int) -> int:
        barrier.wait()
        return workshop.log(corrects="log_1").status_code

    with ThreadPoolExecutor(3) as pool:
        assert sorted(pool.map(correct, range(3))) == [201, 409, 409]


def test_entries_at_once_leave_the_unit_in_the_state_of_the_last(either_workshop: Workshop) -> None:
    workshop = either_workshop
    workshop.logged()
    actions = ["hold", "send_refurb", "return_to_pool", "hold", "send_refurb"]
    barrier = threading.Barrier(len(actions))

    def write(action: str) -> tuple[int, str]:
        barrier.wait()
        answer = workshop.log(nextAction=action)
        assert answer.status_code == 201, answer.text
        return int(answer.json["identifier"].rpartition("_")[2]), action

    with ThreadPoolExecutor(len(actions)) as pool:
        written = dict(pool.map(write, actions))
    assert workshop.status() in {str(maintenance.BECOMES[action]) for action in written.values()}
    assert len(written) == len(actions)


def test_two_scans_at_once_tell_once(either_workshop: Workshop) -> None:
    workshop = either_workshop
    workshop.logged(PLANNED)
    barrier = threading.Barrier(3)

    def scan(_number: int) -> int:
        barrier.wait()
        return workshop.scan("2027-03-02T00:00:00+00:00")

    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(scan, range(3))) == [1, 1, 1]
    assert [one for one in workshop.events() if one[0] == "maintenance.overdue"] == [("maintenance.overdue", "log_1")]


# --- history ----------------------------------------------------------------------------------------------------------


def test_everything_that_happened_to_a_unit_is_one_timeline(either_workshop: Workshop) -> None:
    workshop, site = either_workshop, either_workshop.site
    site.reservation("itemType_1")
    assert site.post(f"{RESERVATIONS}/ra_1/approve").status_code == 200
    workshop.logged(nextAction="hold")
    workshop.logged(PLANNED)
    assert site.ask("PATCH", f"{ASSETS}/asset_1", body={"location": "Depot B"}).status_code == 200
    path = "/v1/assets/asset_1/history"
    found = site.get(path, key="reader").json
    told = [(one["about"]["identifier"], one["summary"]) for one in found["member"]]
    assert told == [
        ("ra_1", "Promised for 2027-03-01T08:00:00Z to 2027-03-02T08:00:00Z"),
        ("log_2", "Inspection: Yearly inspection (planned)"),
        ("asset_1", "Changed: location"),
        ("asset_1", "Became hold, was available"),
        ("asset_1", "Added to the catalog"),
        ("log_1", "Repair: Replaced the lens (pass)"),
    ]
    assert [one["changedAt"] for one in found["member"]] == sorted((one["changedAt"] for one in found["member"]), reverse=True)
    assert {summary for _, summary in told} >= {"Became hold, was available", "Changed: location", "Added to the catalog"}
    assert len(told) == found["totalItems"] == 6


def test_a_timeline_is_turned_page_by_page(workshop: Workshop) -> None:
    for number in range(4):
        workshop.logged(summary=f"Step {number}", performedAt=f"2026-11-2{number}T09:00:00Z")
    path, query, seen = "/v1/assets/asset_1/history", "limit=2", []
    while query:
        page = workshop.site.get(path, query=query).json
        seen += [one["summary"] for one in page["member"]]
        query = page["view"].get("next", "").partition("?")[2]
    assert len(seen) == 5 and seen == [one["summary"] for one in workshop.site.get(path).json["member"]]
    for media_type in ("text/html", "text/csv", "text/turtle"):
        assert workshop.site.get(path, Accept=media_type).status_code == 200
    problem(workshop.site.get("/v1/assets/asset_9/history"), "not-found", 404)
