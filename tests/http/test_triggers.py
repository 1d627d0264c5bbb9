"""Triggers: configured, told what is wrong, changed, tried on the past, taken away. Their secrets are told once and kept sealed."""

from dataclasses import replace
from typing import Any

import pytest
from falcon import testing

from ld_server.services.dispatch import relayed
from tests.http.conftest import Site, problem

TRIGGERS, WEBHOOKS = "/v1/triggers", "/v1/webhooks"
ADDRESS = "https://192.0.2.7/hook"
"""An address of documentation, which the tests allow so that no name needs to be looked up."""

LOG = {"type": "invoke_internal", "config": {"handler": "log"}}
GOOD: dict[str, Any] = {"name": "log approvals", "eventTypes": ["rentAction.approved"], "actions": [LOG]}
SECRET = "whsec_" + "A" * 43 + "="


@pytest.fixture
def site(either_site: Site) -> Site:
    return either_site.over(settings=replace(either_site.parts.settings, webhook_allow="192.0.2.0/24"))


def stored(site: Site) -> str:
    with site.parts.ledger.read() as uow:
        return "".join(f"{row}" for rows in (uow.triggers, uow.webhooks) for row in rows.page(0, 99))


def calling(**config: Any) -> dict[str, Any]:
    return {**GOOD, "actions": [{"type": "webhook", **config}]}


def test_a_new_trigger_is_given_back_whole(site: Site) -> None:
    answer = site.post(TRIGGERS, {**GOOD, "filter": {"data.priority": {"in": ["high"]}}, "metadata": {"owner": "ops"}})
    assert answer.status_code == 201
    made = answer.json
    assert answer.headers["location"] == made["@id"] == "http://localhost:8000/v1/triggers/trig_1"
    assert made["identifier"] == "trig_1"
    assert made["enabled"] is True and made["source"] == "event"
    assert made["filter"] == {"data.priority": {"in": ["high"]}}
    assert made["actions"] == [LOG]
    assert made["createdAt"] == made["updatedAt"]
    read = site.get(f"{TRIGGERS}/trig_1")
    assert read.json == made
    assert read.headers["etag"] == answer.headers["etag"] == '"1-json"'
    assert site.get(f"{TRIGGERS}/trig_1", If_None_Match='"1-json"').status_code == 304


def test_everything_that_is_wrong_is_told_with_its_place(site: Site) -> None:
    body = {**GOOD, "name": "", "eventTypes": ["rentAction.aproved"], "filter": {"dta.x": 1}}
    found = problem(site.post(TRIGGERS, body), "shape-violation", 422)
    assert {one["pointer"] for one in found["violations"]} == {"/name", "/eventTypes/0", "/filter/dta.x"}
    assert "did you mean rentAction.approved?" in found["detail"]
    assert site.get(TRIGGERS).json["totalItems"] == 0


def test_what_is_not_json_is_refused(site: Site) -> None:
    problem(site.post(TRIGGERS, b"{", Content_Type="application/json"), "malformed-body", 400)
    problem(site.post(TRIGGERS, b"a b c .", Content_Type="text/turtle"), "unsupported-media-type", 415)
    problem(site.get(TRIGGERS, Accept="text/turtle"), "not-acceptable", 406)
    problem(site.get(TRIGGERS, query="colour=red"), "invalid-parameter", 400)
    problem(site.get(f"{TRIGGERS}/trig_9"), "not-found", 404)
    problem(site.get(f"{TRIGGERS}/ra_1"), "not-found", 404)


def test_only_an_admin_configures(site: Site) -> None:
    problem(site.get(TRIGGERS, key="planner"), "forbidden", 403)
    problem(site.post(TRIGGERS, GOOD, key="catalog_admin"), "forbidden", 403)


def test_a_secret_is_told_once_and_kept_sealed(site: Site) -> None:
    answer = site.post(TRIGGERS, calling(url=ADDRESS))
    secret = answer.json["actions"][0]["config"]["secret"]
    assert secret.startswith("whsec_") and answer.headers["cache-control"] == "no-store"
    assert site.get(f"{TRIGGERS}/trig_1").json["actions"] == [{"type": "webhook", "config": {"url": ADDRESS}}]
    assert secret not in site.get(TRIGGERS).text + stored(site)
    given = site.post(TRIGGERS, calling(config={"url": ADDRESS, "secret": SECRET}))
    assert given.json["actions"][0]["config"]["secret"] == SECRET
    assert SECRET not in site.get(f"{TRIGGERS}/trig_2").text + stored(site)


def test_a_repeated_request_is_not_told_the_secret_again(site: Site) -> None:
    first = site.post(TRIGGERS, calling(url=ADDRESS), Idempotency_Key="once")
    again = site.post(TRIGGERS, calling(url=ADDRESS), Idempotency_Key="once")
    assert again.headers["idempotency-replayed"] == "true"
    assert "secret" in first.json["actions"][0]["config"]
    assert again.json["actions"] == [{"type": "webhook", "config": {"url": ADDRESS}}]
    assert site.get(TRIGGERS).json["totalItems"] == 1


def test_a_trigger_that_is_sent_back_keeps_its_secrets(site: Site) -> None:
    site.post(TRIGGERS, calling(url=ADDRESS, secret=SECRET))
    before = stored(site)
    shown = site.get(f"{TRIGGERS}/trig_1").json
    changed = patch(site, {**shown, "name": "another name"})
    assert changed.json["name"] == "another name"
    assert changed.json["actions"] == shown["actions"]
    sealed = before.partition('"sealed":"')[2].partition('"')[0]
    assert sealed and sealed in stored(site)
    moved = patch(site, {"actions": [{"type": "webhook", "url": "https://192.0.2.8/"}, *shown["actions"]]})
    assert moved.json["actions"][0]["config"]["secret"].startswith("whsec_")
    assert "secret" not in moved.json["actions"][1]["config"]


def patch(
    site: Site, body: Any, path: str = f"{TRIGGERS}/trig_1", media_type: str = "application/merge-patch+json", **more: Any
) -> testing.Result:
    return site.ask("PATCH", path, body=body, Content_Type=media_type, **more)


def test_the_password_of_a_broker_is_not_shown(site: Site) -> None:
    route = {"type": "route", "config": {"url": "amqp://ld:hunter2@mq.internal/vhost", "queue": "events"}}
    shown = site.post(TRIGGERS, {**GOOD, "actions": [route]}).json["actions"]
    assert shown == [{"type": "route", "config": {"url": "amqp://ld:***@mq.internal/vhost", "queue": "events"}}]
    assert "hunter2" not in stored(site)
    kept = patch(site, {"actions": shown, "name": "kept"}).json
    assert kept["actions"] == shown and '"sealed"' in stored(site)


def test_patches_of_both_sorts_change_it_and_nothing_else_does(site: Site) -> None:
    site.post(TRIGGERS, GOOD)
    assert patch(site, {"enabled": False}).json["enabled"] is False
    operations = [{"op": "add", "path": "/eventTypes/-", "value": "rentAction.rejected"}]
    answer = patch(site, operations, media_type="application/json-patch+json")
    assert answer.json["eventTypes"] == ["rentAction.approved", "rentAction.rejected"]
    assert answer.headers["etag"] == '"3-json"'
    same = patch(site, {"enabled": False})
    assert same.headers["etag"] == '"3-json"', "what says nothing new changes nothing"
    found = problem(patch(site, {"identifier": "trig_7", "createdAt": None}), "shape-violation", 422)
    assert {one["pointer"] for one in found["violations"]} == {"/identifier", "/createdAt"}
    problem(patch(site, {"actions": []}), "shape-violation", 422)
    problem(
        patch(site, [{"op": "test", "path": "/name", "value": "x"}], media_type="application/json-patch+json"), "precondition-failed", 412
    )


def test_changes_can_depend_on_the_state(site: Site) -> None:
    site.post(TRIGGERS, GOOD)
    problem(patch(site, {"name": "x"}, If_Match='"7-json"'), "precondition-failed", 412)
    problem(site.ask("DELETE", f"{TRIGGERS}/trig_1", If_Match='"7-json"'), "precondition-failed", 412)
    assert patch(site, {"name": "x"}, If_Match='"1-json"').status_code == 200
    assert site.ask("DELETE", f"{TRIGGERS}/trig_1", If_Match='"2-json"').status_code == 204
    problem(site.get(f"{TRIGGERS}/trig_1"), "not-found", 404)
    problem(site.ask("DELETE", f"{TRIGGERS}/trig_1"), "not-found", 404)


def test_a_repeated_patch_is_carried_out_once(site: Site) -> None:
    site.post(TRIGGERS, GOOD)
    operations = [{"op": "test", "path": "/name", "value": GOOD["name"]}, {"op": "replace", "path": "/name", "value": "renamed"}]
    answers = [patch(site, operations, media_type="application/json-patch+json", Idempotency_Key="k") for _ in range(2)]
    assert [one.status_code for one in answers] == [200, 200]
    assert answers[0].json == answers[1].json


def test_lists_are_paged_and_filtered(site: Site) -> None:
    for number in range(5):
        site.post(TRIGGERS, {**GOOD, "name": f"trigger {number}", "enabled": number % 2 == 0})
    first = site.get(TRIGGERS, query="limit=2")
    assert [one["identifier"] for one in first.json["member"]] == ["trig_1", "trig_2"]
    assert first.json["totalItems"] == 5
    rest = site.get(TRIGGERS, query=first.json["view"]["next"].partition("?")[2])
    assert [one["identifier"] for one in rest.json["member"]] == ["trig_3", "trig_4"]
    assert "rel=next" in str(rest.headers["link"])
    assert site.get(TRIGGERS, query="enabled=false").json["totalItems"] == 2
    assert site.get(TRIGGERS, query="source=schedule").json["member"] == []
    problem(site.get(TRIGGERS, query="source=weather"), "invalid-parameter", 400)
    problem(site.get(TRIGGERS, query="enabled=perhaps"), "invalid-parameter", 400)
    etag = site.get(TRIGGERS).headers["etag"]
    assert site.get(TRIGGERS, If_None_Match=etag).status_code == 304


@pytest.mark.parametrize(
    ("config", "pointer"),
    [
        ({"url": "https://127.0.0.1/"}, "/actions/0/url"),
        ({"config": {"url": "https://[::ffff:169.254.169.254]/"}}, "/actions/0/config/url"),
        ({"url": "http://192.168.1.4/"}, "/actions/0/url"),
        ({"url": "https://user@192.0.2.7/"}, "/actions/0/url"),
    ],
)
def test_addresses_that_nobody_may_be_sent_to_are_refused(site: Site, config: dict[str, Any], pointer: str) -> None:
    found = problem(site.post(TRIGGERS, calling(**config)), "shape-violation", 422)
    assert [one["pointer"] for one in found["violations"]] == [pointer]


def test_an_expression_that_is_none_is_refused(site: Site) -> None:
    body = {**GOOD, "actions": [{"type": "transform", "config": {"expression": "data.["}}, LOG]}
    found = problem(site.post(TRIGGERS, body), "shape-violation", 422)
    assert [one["pointer"] for one in found["violations"]] == ["/actions/0/config/expression"]


def test_a_webhook_must_be_there_and_stays_while_it_is_used(site: Site) -> None:
    problem(site.post(TRIGGERS, calling(webhookId="hook_1")), "unknown-reference", 422)
    site.post(WEBHOOKS, {"url": ADDRESS})
    made = site.post(TRIGGERS, calling(webhookId="hook_1"))
    assert made.json["actions"] == [{"type": "webhook", "config": {"webhookId": "hook_1"}}]
    assert problem(site.ask("DELETE", f"{WEBHOOKS}/hook_1"), "in-use", 409)["triggers"] == ["trig_1"]
    site.ask("DELETE", f"{TRIGGERS}/trig_1")
    assert site.ask("DELETE", f"{WEBHOOKS}/hook_1").status_code == 204


def test_validation_alone_makes_nothing(site: Site) -> None:
    answer = site.post(TRIGGERS, calling(url=ADDRESS), query="validate=only")
    assert answer.status_code == 200
    assert "secret" not in answer.text
    problem(site.post(TRIGGERS, {**GOOD, "eventTypes": ["x"]}, query="validate=only"), "shape-violation", 422)
    assert site.get(TRIGGERS).json["totalItems"] == 0


def test_a_trigger_sees_what_happens_after_it_was_enabled(site: Site) -> None:
    site.item_type("before")
    site.post(TRIGGERS, {**GOOD, "enabled": False})
    site.item_type("meanwhile")
    patch(site, {"enabled": True})
    patch(site, {"name": "another"})
    with site.parts.ledger.read() as uow:
        row = uow.triggers.find("trig_1")
        assert row is not None and row.sees_after == uow.outbox.newest() == 2
        assert uow.triggers.listening() == [row]


def test_what_a_deleted_trigger_has_not_delivered_is_cancelled(site: Site) -> None:
    site.post(TRIGGERS, CATALOG)
    site.item_type("one")
    with site.parts.ledger.write() as uow:
        uow.outbox.number()
        relayed(uow, uow.outbox.since(0, 9), uow.triggers.listening(), site.parts.now())
        assert uow.deliveries.count({"status": "pending"}) == 1
    site.ask("DELETE", f"{TRIGGERS}/trig_1")
    with site.parts.ledger.read() as uow:
        assert uow.deliveries.count({"status": "cancelled"}) == 1


# --- dry runs -----------------------------------------------------------------------------------------------------------


def match(site: Site, trigger: dict[str, Any], body: Any = None) -> Any:
    made = site.post(TRIGGERS, trigger)
    assert made.status_code == 201, made.text
    answer = site.post(f"{TRIGGERS}/{made.json['identifier']}/match", body)
    assert answer.status_code == 200, answer.text
    return answer.json


CATALOG: dict[str, Any] = {"name": "n", "eventTypes": ["catalog.*"], "actions": [LOG]}


def test_a_dry_run_tells_which_past_events_match(site: Site) -> None:
    site.asset(site.item_type("one"))
    site.item_type("two")
    found = match(site, CATALOG)
    types = [one["event"]["type"] for one in found["matches"]]
    assert types == ["catalog.itemType.created", "catalog.asset.created", "catalog.itemType.created"]
    assert found["isComplete"] and found["through"] == 3
    assert found["matches"][0]["actions"] == [{**LOG, "isDone": True}]
    narrowed = match(site, {**CATALOG, "filter": {"data.code": "two"}})
    assert [one["event"]["meta"]["sequence"] for one in narrowed["matches"]] == [3]
    assert match(site, CATALOG, {"types": ["catalog.asset.*", "rentAction.*"]})["matches"][0]["event"]["type"] == "catalog.asset.created"
    assert match(site, {**GOOD})["matches"] == []


def test_a_dry_run_goes_on_where_it_stopped(site: Site) -> None:
    for code in ("one", "two", "three"):
        site.item_type(code)
    first = match(site, CATALOG, {"limit": 2})
    assert len(first["matches"]) == 2 and not first["isComplete"] and first["through"] == 2
    rest = match(site, CATALOG, {"since": str(first["through"])})
    assert [one["event"]["meta"]["sequence"] for one in rest["matches"]] == [3]
    by_id = match(site, CATALOG, {"since": first["matches"][0]["event"]["id"]})
    assert len(by_id["matches"]) == 2


def test_a_dry_run_shows_what_stands_behind_a_filter_that_says_no(site: Site) -> None:
    site.item_type("one")
    stop = {"type": "filter", "config": {"filter": {"data.code": "two"}}}
    found = match(site, {**CATALOG, "actions": [LOG, stop, LOG]})
    assert [one["isDone"] for one in found["matches"][0]["actions"]] == [True, True, False]


def test_mistakes_in_a_dry_run_are_told(site: Site) -> None:
    site.post(TRIGGERS, GOOD)
    path = f"{TRIGGERS}/trig_1/match"
    assert problem(site.post(path, {"limt": 1}), "shape-violation", 422)["violations"][0]["pointer"] == "/limt"
    problem(site.post(path, {"limit": 0}), "shape-violation", 422)
    problem(site.post(path, {"types": ["x"]}), "shape-violation", 422)
    problem(site.post(path, {"since": "yesterday"}), "invalid-parameter", 400)
    problem(site.post(path, {"since": "evt_1"}), "invalid-parameter", 400)
    problem(site.post(f"{TRIGGERS}/trig_9/match"), "not-found", 404)


@pytest.mark.parametrize(("arguments", "member"), [
    ({"createBuildRequests": "yes"}, "createBuildRequests"), ({"horizon": "soon"}, "horizon"), ({"horizon": "P3M"}, "horizon"),
    ({"horizon": "P0D"}, "horizon"), ({"horizon": "P9999999D"}, "horizon"), ({"horizon": 90}, "horizon"),
    ({"createBuildRequest": True}, "createBuildRequest"),
])  # fmt: skip
def test_arguments_that_a_planning_run_cannot_take_are_refused_when_they_are_configured(
    site: Site, arguments: dict[str, Any], member: str
) -> None:
    action = {"type": "invoke_internal", "config": {"handler": "planning.shortfall_scan", "arguments": arguments}}
    (violation,) = problem(site.post("/v1/triggers", {**NIGHTLY_SCAN, "actions": [action]}), "shape-violation", 422)["violations"]
    assert violation["pointer"] == f"/actions/0/config/arguments/{member}"


def test_a_planning_run_takes_its_options_from_its_trigger(site: Site) -> None:
    arguments = {"createBuildRequests": True, "horizon": "P90D", "includePending": False, "itemTypeId": "itemType_1", "location": "Depot A"}
    action = {"type": "invoke_internal", "config": {"handler": "planning.shortfall_scan", "arguments": arguments}}
    made = site.post("/v1/triggers", {**NIGHTLY_SCAN, "actions": [action]})
    assert (made.status_code, made.json["actions"][0]["config"]["arguments"]) == (201, arguments)


NIGHTLY_SCAN = {
    "name": "Nightly shortfall scan",
    "source": "schedule",
    "schedule": {"type": "cron", "expr": "0 2 * * *", "timezone": "UTC"},
    "jobType": "planning.shortfall_scan",
}
