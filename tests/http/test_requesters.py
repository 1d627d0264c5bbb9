"""The scope `requester`: who has it alone sees and changes what is its own, and does not even learn that there is anything else."""

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from sqlalchemy import text

from ld_server.bootstrap import build
from ld_server.services import keys
from ld_server.settings import Settings
from relational.owners import owned_by
from tests import factories
from tests.http.conftest import ASSETS, BASE, ITEM_TYPES, RESERVATIONS, Site, open_site, problem
from tests.pictures import picture

ME = "requester"
"""The name of the key whose only scope it is."""
WINDOW = "startTime=2027-03-01T08:00:00Z&endTime=2027-03-02T08:00:00Z"


@pytest.fixture
def site(either_site: Site) -> Site:
    """One unit; `ra_1` of others, `ra_2` made by us, `ra_3` made by others for us, `ra_4` of others again."""
    site = either_site
    item = site.item_type()
    site.asset(item)
    site.reservation(item, description="theirs")
    made = site.post(RESERVATIONS, factories.reservation(item, description="made by us"), key=ME)
    assert (made.status_code, made.json["createdBy"]) == (201, ME)
    site.reservation(item, agent={"@type": "Person", "identifier": ME, "name": "Me"}, description="for us")
    site.reservation(item, agent={"@type": "Person", "identifier": "x-1", "name": ME}, description="of a namesake")
    return site


def identifiers(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [one["identifier"] for one in answer.json["member"]]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["ra_2", "ra_3"]),
        ("sort=-createdAt", ["ra_3", "ra_2"]),
        ("limit=1", ["ra_2"]),
        ("q=us", ["ra_2", "ra_3"]),
        ("q=theirs", []),
        ("requester=alice@example.org", ["ra_2"]),
        ("itemTypeId=itemType_1&status=pending", ["ra_2", "ra_3"]),
    ],
)
def test_a_list_has_its_own_and_counts_no_others(site: Site, query: str, expected: list[str]) -> None:
    page = site.get(RESERVATIONS, query=query, key=ME)
    assert identifiers(page) == expected
    assert page.json["totalItems"] == (2 if query == "limit=1" else len(expected))


def test_pages_that_follow_have_no_others_either(site: Site) -> None:
    first = site.get(RESERVATIONS, query="limit=1", key=ME).json
    second = site.get(RESERVATIONS, query=first["view"]["next"].partition("?")[2], key=ME)
    assert identifiers(second) == ["ra_3"]
    assert "next" not in second.json["view"]


@pytest.mark.parametrize("accept", ["text/csv", "text/html", "text/turtle", "application/trig"])
def test_no_syntax_of_a_list_has_others(site: Site, accept: str) -> None:
    text = site.get(RESERVATIONS, key=ME, Accept=accept).text
    assert "ra_2" in text and "ra_3" in text and "ra_1" not in text and "ra_4" not in text


OF_ONE = ("", "/revisions", "/revisions/1", "/allocations", "/conflicts")


@pytest.mark.parametrize("path", OF_ONE)
def test_what_is_its_own_can_be_read(site: Site, path: str) -> None:
    for own in ("ra_2", "ra_3"):
        assert site.get(f"{RESERVATIONS}/{own}{path}", key=ME).status_code == 200


@pytest.mark.parametrize("path", OF_ONE)
@pytest.mark.parametrize("accept", ["application/ld+json", "text/html"])
def test_what_is_of_others_is_not_there(site: Site, path: str, accept: str) -> None:
    theirs, nobodys = (site.get(f"{RESERVATIONS}/{one}{path}", key=ME, Accept=accept) for one in ("ra_1", "ra_999"))
    assert (theirs.status_code, nobodys.status_code) == (404, 404)
    without_names = [answer.text.replace(name, "ra_n") for answer, name in ((theirs, "ra_1"), (nobodys, "ra_999"))]
    ids = [answer.headers["x-correlation-id"] for answer in (theirs, nobodys)]
    assert without_names[0].replace(ids[0], "") == without_names[1].replace(ids[1], "")


@pytest.mark.parametrize(
    ("method", "path", "body"), [("PATCH", "", {"purpose": "mine now"}), ("POST", "/submit", None), ("POST", "/cancel", {"reason": "no"})]
)
def test_what_is_of_others_cannot_be_changed(site: Site, method: str, path: str, body: Any) -> None:
    before = site.get(f"{RESERVATIONS}/ra_1").json
    for headers in ({}, {"Idempotency_Key": '"k-1"'}, {"If_Match": "*"}, {"Prefer": "handling=validate-only"}):
        problem(site.ask(method, f"{RESERVATIONS}/ra_1{path}", body=body, key=ME, **headers), "not-found", 404)
    assert site.get(f"{RESERVATIONS}/ra_1").json == before


def test_its_own_can_be_changed_handed_in_and_called_off(site: Site) -> None:
    draft = site.post(RESERVATIONS, factories.reservation(status="draft"), key=ME).json["identifier"]
    mine = f"{RESERVATIONS}/{draft}"
    assert site.ask("PATCH", mine, body={"purpose": "a regatta"}, key=ME).json["purpose"] == "a regatta"
    assert site.post(f"{mine}/submit", key=ME).json["status"] == "pending"
    problem(site.post(f"{mine}/approve", key=ME), "forbidden", 403)
    assert site.post(f"{mine}/cancel", {"reason": "rain"}, key=ME).json["status"] == "cancelled"
    assert site.post(f"{RESERVATIONS}/ra_3/cancel", key=ME).json["status"] == "cancelled"


def test_who_is_no_longer_its_agent_sees_it_no_more(site: Site) -> None:
    changed = site.ask("PATCH", f"{RESERVATIONS}/ra_3", body={"agent": {"@type": "Person", "identifier": "bob", "name": "Bob"}}, key=ME)
    assert changed.status_code == 200
    problem(site.get(f"{RESERVATIONS}/ra_3", key=ME), "not-found", 404)
    assert identifiers(site.get(RESERVATIONS, key=ME)) == ["ra_2"]


# --- who is in the way ----------------------------------------------------------------------------------------------------


def test_a_refusal_says_how_many_are_in_the_way_and_not_who(site: Site) -> None:
    later = {"startTime": "2027-03-05T08:00:00Z", "endTime": "2027-03-06T08:00:00Z"}
    mine = site.post(RESERVATIONS, factories.reservation("itemType_1", **later), key=ME).json["identifier"]
    assert site.post(f"{RESERVATIONS}/{mine}/approve").status_code == site.post(f"{RESERVATIONS}/ra_1/approve").status_code == 200
    refused = site.ask("PATCH", f"{RESERVATIONS}/{mine}", body={"startTime": "2027-03-01T08:00:00Z"}, key=ME)
    line = problem(refused, "insufficient-availability", 409)["lines"][0]
    assert line["countInTheWay"] == 1
    assert "ra_1" not in refused.text
    assert "ra_1" in site.ask("PATCH", f"{RESERVATIONS}/{mine}", body={"startTime": "2027-03-01T08:00:00Z"}).text


def test_units_that_are_kept_out_longer_do_not_tell_who_waits_for_them(site: Site) -> None:
    later = {"startTime": "2027-03-03T08:00:00Z", "endTime": "2027-03-04T08:00:00Z"}
    rival = site.reservation("itemType_1", **later)
    for name in ("ra_2", rival):
        assert site.post(f"{RESERVATIONS}/{name}/approve").status_code == 200
    assert site.post(f"{RESERVATIONS}/ra_2/check-out").status_code == 200
    refused = site.ask("PATCH", f"{RESERVATIONS}/ra_2", body={"endTime": "2027-03-03T12:00:00Z"}, key=ME)
    found = problem(refused, "insufficient-availability", 409)
    assert (found["countInTheWay"], "promised to others" in found["detail"]) == (1, True)
    assert rival not in refused.text


def test_conflicts_and_what_blocks_a_unit_name_nobody_else(site: Site) -> None:
    assert site.post(f"{RESERVATIONS}/ra_1/approve").status_code == 200
    conflicts = site.get(f"{RESERVATIONS}/ra_2/conflicts", key=ME)
    assert len(conflicts.json["member"]) == 1
    assert "ra_1" not in conflicts.text and "ra_1" in site.get(f"{RESERVATIONS}/ra_2/conflicts").text
    blocked = site.get("/v1/availability/asset", query=f"assetId=asset_1&{WINDOW}", key=ME)
    assert blocked.json["blockedBy"] == [
        {"@type": "Block", "startTime": "2027-03-01T08:00:00Z", "endTime": "2027-03-02T08:00:00Z"},
    ]
    assert "ra_1" in site.get("/v1/availability/asset", query=f"assetId=asset_1&{WINDOW}").text


def test_a_unit_that_another_has_not_brought_back_is_out_with_others(site: Site) -> None:
    for step in ("approve", "check-out"):
        assert site.post(f"{RESERVATIONS}/ra_1/{step}").status_code == 200
    later = {"startTime": "2027-03-10T08:00:00Z", "endTime": "2027-03-11T08:00:00Z"}
    mine = site.post(RESERVATIONS, factories.reservation("itemType_1", **later), key=ME).json["identifier"]
    assert site.post(f"{RESERVATIONS}/{mine}/approve").status_code == 200
    afterwards = site.over(now=lambda: datetime(2027, 3, 9, 8, tzinfo=UTC))
    found = afterwards.get(f"{RESERVATIONS}/{mine}/conflicts", key=ME)
    assert "still out with others" in found.json["member"][0]["explanation"]
    assert "ra_1" not in found.text and "ra_1" in afterwards.get(f"{RESERVATIONS}/{mine}/conflicts").text


# --- events and attachments -----------------------------------------------------------------------------------------------


def test_events_are_those_about_its_own(site: Site) -> None:
    feed = site.get("/v1/events", key=ME).json["member"]
    assert {one["subject"]["id"] for one in feed} == {"ra_2", "ra_3"}
    assert site.get("/v1/events", query="subject=ra_1", key=ME).json["member"] == []
    every = site.get("/v1/events").json["member"]
    ids = {one["subject"]["id"]: one["id"] for one in every}
    assert site.get(f"/v1/events/{ids['ra_3']}", key=ME).status_code == 200
    for name in (ids["ra_1"], ids["asset_1"], "evt_0"):
        problem(site.get(f"/v1/events/{name}", key=ME), "not-found", 404)


def test_a_stream_has_its_own_events_alone(site: Site) -> None:
    answer = site.get("/v1/events", query="since=0&limit=2", key=ME, Accept="text/event-stream")
    assert answer.text.count("\ndata: ") == 2
    assert "ra_2" in answer.text and "ra_3" in answer.text and "ra_1" not in answer.text


def test_attachments_are_those_of_its_own(site: Site) -> None:
    for owner in ("ra_1", "ra_2"):
        attach(site, owner)
    assert identifiers(site.get("/v1/attachments", key=ME)) == ["att_2"]
    for path in ("", "/content"):
        assert site.get(f"/v1/attachments/att_2{path}", key=ME).status_code in (200, 307)
        problem(site.get(f"/v1/attachments/att_1{path}", key=ME), "not-found", 404)


def attach(site: Site, owner: str) -> None:
    boundary, content = "x", picture()
    said = {"ownerKind": "rent_action", "ownerId": owner}
    fields = "".join(f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in said.items())
    file = '--x\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\nContent-Type: image/jpeg\r\n\r\n'
    body = fields.encode() + file.encode() + content + b"\r\n--x--\r\n"
    answer = site.post("/v1/attachments", body, Content_Type=f"multipart/form-data; boundary={boundary}")
    assert answer.status_code == 201, answer.text


# --- everything else ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", [ITEM_TYPES, ASSETS, f"{ITEM_TYPES}/itemType_1", f"{ASSETS}/asset_1", f"/v1/availability?itemTypeId=itemType_1&{WINDOW}"]
)
def test_the_catalog_and_availability_can_be_read(site: Site, path: str) -> None:
    address, _, query = path.partition("?")
    assert site.get(address, query=query, key=ME).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        f"{ASSETS}/asset_1/revisions",
        "/v1/assets/asset_1/history",
        "/v1/maintenance-logs",
        "/v1/planning/shortfalls",
        "/v1/planning/demand-signals",
    ],
)
def test_what_may_tell_of_others_is_closed(site: Site, path: str) -> None:
    problem(site.get(path, key=ME), "forbidden", 403)


@pytest.mark.parametrize("accept", ["application/ld+json", "text/html"])
def test_no_answer_to_a_requester_names_what_is_of_others(site: Site, accept: str) -> None:
    """Whatever the table opens, with the catalog in use by others."""
    for step in ("approve", "check-out"):
        assert site.post(f"{RESERVATIONS}/ra_1/{step}").status_code == 200
    for path in (
        RESERVATIONS,
        ITEM_TYPES,
        ASSETS,
        f"{ASSETS}/asset_1",
        f"{RESERVATIONS}/ra_2",
        f"{RESERVATIONS}/ra_2/conflicts",
        "/v1/events",
    ):
        answer = site.get(path, key=ME, Accept=accept if path != "/v1/events" else "application/json")
        assert answer.status_code == 200, (path, answer.text)
        assert "ra_1" not in answer.text, path


def test_a_wider_scope_counts(settings: Settings) -> None:
    site = open_site(build(settings))
    item = site.item_type()
    site.reservation(item)
    for name, scopes in {"both": ["requester", "analyst"], "named": ["requester", "personal"]}.items():
        site.keys[name] = keys.new_text()
        with site.parts.ledger.write() as uow:
            keys.add(uow, site.keys[name], name, scopes, site.parts.now())
    assert identifiers(site.get(RESERVATIONS, key="both")) == ["ra_1"]
    assert site.get("/v1/planning/shortfalls", key="both").status_code == 200
    assert site.post(RESERVATIONS, factories.reservation(item), key="both").status_code == 201
    problem(site.ask("PATCH", f"{RESERVATIONS}/ra_1", body={"purpose": "x"}, key="both"), "not-found", 404)
    assert identifiers(site.get(RESERVATIONS, key="named")) == []
    site.parts.close()


def test_its_lists_are_read_from_indexes(site: Site) -> None:
    """No reservation of others is looked at, however many there are."""
    query = str(owned_by("someone").compile(compile_kwargs={"literal_binds": True}))
    with site.parts.ledger.engine.connect() as connection:
        if connection.dialect.name == "sqlite":
            plan = str(connection.execute(text(f"EXPLAIN QUERY PLAN {query}")).all())
        else:
            connection.execute(text("SET enable_seqscan = off"))
            plan = str(connection.execute(text(f"EXPLAIN {query}")).all())
    assert "rent_actions_by_creator" in plan and "rent_actions_by_requester" in plan


def test_bulk_and_rehearsal_make_its_own(site: Site) -> None:
    body = orjson.dumps([factories.reservation("itemType_1"), factories.reservation("itemType_1")])
    made = site.post(RESERVATIONS, body, key=ME, Content_Type="application/json")
    assert [one["createdBy"] for one in made.json["member"]] == [ME, ME]
    assert site.post(RESERVATIONS, body, key=ME, query="validate=only", Content_Type="application/json").status_code == 200
    assert len(identifiers(site.get(RESERVATIONS, key=ME))) == 4
    assert made.json["member"][0]["@id"].startswith(BASE)
