"""Build requests over HTTP, and the life that they lead."""

import pytest

from ld_server.domain.builds import BUILD_STEPS, BuildStatus
from tests import factories
from tests.http.conftest import Site, problem

BUILDS = "/v1/planning/build-requests"


def asked(site: Site, **changes: object) -> str:
    return site.made(BUILDS, factories.build_request(**{"item_type_id": "itemType_1", **changes}))


def types(site: Site) -> list[str]:
    return [one["type"] for one in site.get("/v1/events", query="types=buildRequest.*").json["member"]]


def test_a_build_request_is_an_order(either_site: Site) -> None:
    either_site.item_type()
    identifier = asked(either_site, triggerEventId="evt_1", location="Depot A")
    found = either_site.get(f"{BUILDS}/{identifier}").json
    assert (identifier, found["@type"], found["status"]) == ("build_1", ["OrderAction", "BuildRequest"], "requested")
    assert (found["itemType"]["identifier"], found["quantity"], found["reason"]) == ("itemType_1", 3, "shortfall")
    assert (found["triggerEventId"], found["createdBy"]) == ("evt_1", "admin")
    assert types(either_site) == ["buildRequest.requested"]


def test_a_build_request_can_name_the_demand_behind_it(site: Site) -> None:
    item = site.item_type()
    signal = site.made("/v1/planning/demand-signals", factories.demand_signal(item, name="Regatta"))
    found = site.get(f"{BUILDS}/{asked(site, demandSignal=signal)}").json
    assert (found["demandSignal"]["identifier"], found["demandSignal"]["name"]) == (signal, "Regatta")


def test_what_cannot_be_built_is_refused(site: Site) -> None:
    site.item_type("KIT", kind="kit")
    assert problem(site.post(BUILDS, factories.build_request("itemType_1")), "unknown-reference", 422)["field"] == "itemType"
    assert problem(site.post(BUILDS, factories.build_request("itemType_9")), "unknown-reference", 422)["field"] == "itemType"
    site.item_type()
    assert (
        problem(site.post(BUILDS, factories.build_request("itemType_2", demandSignal="demand_7")), "unknown-reference", 422)["field"]
        == "demandSignal"
    )
    for changes in ({"quantity": 0}, {"reason": "boredom"}, {"status": "accepted"}):
        problem(site.post(BUILDS, {**factories.build_request("itemType_2"), **changes}), "shape-violation", 422)


@pytest.mark.parametrize("before", BuildStatus)
def test_each_state_leads_where_the_table_says_and_nowhere_else(site: Site, before: BuildStatus) -> None:
    site.item_type()
    for after in BuildStatus:
        path = f"{BUILDS}/{asked(site)}"
        for step in () if before is BuildStatus.REQUESTED else (before,):
            assert site.ask("PATCH", path, body={"status": step}).status_code == 200
        answer = site.ask("PATCH", path, body={"status": after})
        if after == before or after in BUILD_STEPS[before]:
            assert answer.json["status"] == after
            assert after == before or types(site)[-2:] == ["buildRequest.updated", f"buildRequest.{after}"]
        else:
            assert problem(answer, "transition-refused", 409)["allowedSteps"] == sorted(BUILD_STEPS[before])


def test_external_references_are_written_back(either_site: Site) -> None:
    either_site.item_type()
    path = f"{BUILDS}/{asked(either_site)}"
    sent = {"status": "submitted", "externalSystem": "inventree", "externalRef": "BO-0042"}
    found = either_site.ask("PATCH", path, body=sent, key="planner").json
    assert {key: found[key] for key in sent} == sent
    assert either_site.get(BUILDS, query="externalSystem=inventree&externalRef=BO-0042").json["totalItems"] == 1


def test_what_somebody_has_been_asked_for_is_not_changed_behind_their_back(site: Site) -> None:
    site.item_type()
    path = f"{BUILDS}/{asked(site)}"
    assert site.ask("PATCH", path, body={"quantity": 4}).json["quantity"] == 4
    site.ask("PATCH", path, body={"status": "submitted"})
    problem(site.ask("PATCH", path, body={"quantity": 5}), "transition-refused", 409)
    assert site.ask("PATCH", path, body={"neededBy": "2027-05-01T00:00:00Z"}).status_code == 200


def test_lists_are_filtered_by_what_the_specification_names(either_site: Site) -> None:
    either_site.item_type("A"), either_site.item_type("B")
    asked(either_site, neededBy="2027-05-01T00:00:00Z")
    asked(either_site, item_type_id="itemType_2")
    asked(either_site, neededBy=None, reason="buffer")
    either_site.ask("PATCH", f"{BUILDS}/build_3", body={"status": "cancelled"})
    for query, wanted in {
        "status=requested": ["build_1", "build_2"],
        "itemTypeId=itemType_2": ["build_2"],
        "neededBy=2027-05-10T00:00:00Z": ["build_1"],
        "reason=buffer": ["build_3"],
        "sort=-neededBy": ["build_2", "build_1", "build_3"],
    }.items():
        assert [one["identifier"] for one in either_site.get(BUILDS, query=query).json["member"]] == wanted, query
