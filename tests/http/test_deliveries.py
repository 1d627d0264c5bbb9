"""Deliveries over HTTP: what was sent, sending it again, and who had that done."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from tests.http.conftest import Site, problem
from tests.receivers import Receiver, Reply, receiving
from workers.deliver import Deliverer
from workers.relay import Relay

DELIVERIES = "/v1/deliveries"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def site(either_site: Site) -> Site:
    return either_site.over(settings=replace(either_site.parts.settings, webhook_allow="127.0.0.1", webhook_timeout=5.0))


def work(site: Site) -> int:
    """What a worker does; how many attempts that made."""
    relay, deliverer, total = Relay(site.parts, "worker"), Deliverer(site.parts, "worker"), 0
    while relay.run_once(site.parts.now()):
        pass
    relay.stop()
    while done := deliverer.run_once():
        total += done
    return total


def configure(site: Site, receiver: Receiver, **more: Any) -> None:
    """A webhook and a trigger that tells it of item types."""
    site.made("/v1/webhooks", {"url": receiver.url, "concurrency": 1})
    action = {"type": "webhook", "webhookId": "hook_1"}
    site.made("/v1/triggers", {"name": "Tell", "eventTypes": ["catalog.itemType.*"], "actions": [action], **more})


def test_an_item_type_is_made_and_its_event_is_delivered(site: Site, receiver: Receiver) -> None:
    configure(site, receiver)
    made = site.item_type()
    work(site)
    (got,) = receiver.got
    assert (got.json["type"], got.json["subject"]["id"]) == ("catalog.itemType.created", made)
    page = site.get(DELIVERIES).json
    (member,) = page["member"]
    assert page["totalItems"] == 1
    assert (member["identifier"], member["status"], member["event"], member["webhook"]) == ("dlv_1", "delivered", got.json["id"], "hook_1")
    shown = site.get(f"{DELIVERIES}/dlv_1").json
    assert shown.items() >= member.items()
    (attempt,) = shown["attemptList"]
    assert (attempt["status"], attempt["responseHead"], attempt["error"]) == (200, "thanks", None)
    assert attempt["requestHeaders"]["webhook-signature"] == got.headers["webhook-signature"]
    assert shown["replays"] == []


def test_deliveries_are_found_by_what_they_are_and_shown_page_by_page(site: Site, receiver: Receiver) -> None:
    configure(site, receiver)
    for number in range(5):
        site.item_type(f"T{number}")
    work(site)
    event = receiver.ids[0]
    for query, count in {
        "status=delivered": 5,
        "status=dead": 0,
        f"event={event}": 1,
        "webhook=hook_1": 5,
        "webhook=hook_2": 0,
        "trigger=trig_1&status=delivered": 5,
    }.items():
        assert site.get(DELIVERIES, query=query).json["totalItems"] == count, query
    first = site.get(DELIVERIES, query="limit=2").json
    assert [one["identifier"] for one in first["member"]] == ["dlv_5", "dlv_4"]
    after = first["view"]["next"].partition("?")[2]
    assert [one["identifier"] for one in site.get(DELIVERIES, query=after).json["member"]] == ["dlv_3", "dlv_2"]
    tag = site.get(f"{DELIVERIES}/dlv_1").headers["etag"]
    assert site.get(f"{DELIVERIES}/dlv_1", If_None_Match=tag).status_code == 304


@pytest.mark.parametrize("query", ["status=lost", "colour=red", "limit=0", "after=xyz"])
def test_what_cannot_be_looked_for_is_refused(site: Site, query: str) -> None:
    problem(site.get(DELIVERIES, query=query), "invalid-parameter", 400)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", DELIVERIES),
        ("GET", f"{DELIVERIES}/dlv_1"),
        ("POST", f"{DELIVERIES}/dlv_1/redeliver"),
        ("POST", "/v1/events/evt_1/replay"),
        ("POST", "/v1/events/replay"),
        ("POST", "/v1/webhooks/hook_1/test"),
        ("POST", "/v1/webhooks/hook_1/recover"),
    ],
)
def test_all_of_this_is_for_administrators_alone(site: Site, method: str, path: str) -> None:
    problem(site.ask(method, path, key="planner"), "forbidden", 403)
    problem(site.ask(method, path, key=None), "unauthenticated", 401)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (f"{DELIVERIES}/dlv_1/redeliver", None),
        ("/v1/events/evt_1/replay", None),
        ("/v1/webhooks/hook_1/test", None),
        ("/v1/webhooks/hook_1/recover", {"since": "0"}),
    ],
)
def test_what_does_not_exist_is_not_sent(site: Site, path: str, body: Any) -> None:
    problem(site.post(path, body), "not-found", 404)


def test_a_delivery_is_sent_again_and_it_is_told_who_wanted_that(site: Site, receiver: Receiver) -> None:
    configure(site, receiver)
    site.item_type()
    work(site)
    answer = site.post(f"{DELIVERIES}/dlv_1/redeliver", X_Correlation_Id="mistake-77")
    assert (answer.status_code, answer.json["status"], answer.json["replayedBy"]) == (202, "pending", "admin")
    assert work(site) == 1
    assert receiver.ids[0] == receiver.ids[1]
    (replay,) = site.get(f"{DELIVERIES}/dlv_1").json["replays"]
    assert (replay["askedFor"], replay["replayedBy"], replay["correlationId"]) == ("delivery dlv_1", "admin", "mistake-77")


def test_to_ask_twice_under_one_key_sends_once(site: Site, receiver: Receiver) -> None:
    configure(site, receiver)
    site.item_type()
    work(site)
    answers = [site.post(f"{DELIVERIES}/dlv_1/redeliver", Idempotency_Key="again") for _ in range(2)]
    assert [one.headers.get("idempotency-replayed") for one in answers] == [None, "true"]
    assert len(site.get(f"{DELIVERIES}/dlv_1").json["replays"]) == 1


def test_what_is_only_validated_is_not_sent(site: Site, receiver: Receiver) -> None:
    configure(site, receiver)
    site.item_type()
    work(site)
    assert site.post(f"{DELIVERIES}/dlv_1/redeliver", query="validate=only").status_code == 200
    assert site.post("/v1/webhooks/hook_1/test", query="validate=only").status_code == 200
    assert work(site) == 0


def test_an_event_and_a_range_of_events_are_replayed(site: Site, receiver: Receiver) -> None:
    configure(site, receiver)
    for number in range(4):
        site.item_type(f"T{number}")
    work(site)
    events = list(receiver.ids)
    assert site.post(f"/v1/events/{events[2]}/replay").json == {"events": 1, "deliveries": ["dlv_3"]}
    assert work(site) == 1
    answer = site.post("/v1/events/replay", {"since": events[0], "until": events[3], "types": ["catalog.*"], "limit": 1})
    assert (answer.status_code, answer.json["deliveries"]) == (202, ["dlv_2"])
    rest = site.post("/v1/events/replay", {"since": answer.json["next"], "until": events[3]})
    assert rest.json == {"events": 1, "deliveries": ["dlv_3"]}
    assert work(site) == 2
    assert site.post("/v1/events/replay", {"since": "0", "subject": "itemType_1"}).json["deliveries"] == ["dlv_1"]
    assert site.post("/v1/events/replay", {"since": "0", "trigger": "trig_9"}).json["deliveries"] == []


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/since"),
        ({"since": "0", "types": ["rentAction.aproved"]}, "/types/0"),
        ({"since": "0", "limit": 0}, "/limit"),
        ({"since": "0", "x": 1}, "/x"),
    ],
)
def test_a_range_that_makes_no_sense_is_refused(site: Site, body: Any, pointer: str) -> None:
    found = problem(site.post("/v1/events/replay", body), "shape-violation", 422)
    assert found["violations"][0]["pointer"] == pointer


def test_a_place_that_nothing_has_is_refused(site: Site) -> None:
    problem(site.post("/v1/events/replay", {"since": "evt_unknown"}), "invalid-parameter", 400)


def test_a_webhook_is_tested_with_the_request_that_is_shown(site: Site, receiver: Receiver) -> None:
    configure(site, receiver)
    answer = site.post("/v1/webhooks/hook_1/test")
    assert answer.status_code == 202
    request = answer.json["request"]
    assert (request["method"], request["url"]) == ("POST", receiver.url)
    work(site)
    (got,) = receiver.got
    assert got.body.decode() == request["body"]
    assert got.json["type"] == "webhook.test"
    assert request["headers"]["webhook-id"] == got.headers["webhook-id"] == got.json["id"]


def test_a_webhook_that_is_disabled_is_neither_tested_nor_sent_to_before_it_is_enabled(site: Site, receiver: Receiver) -> None:
    receiver.answer = lambda _got: Reply(410)
    configure(site, receiver)
    site.item_type("T1")
    site.item_type("T2")
    work(site)
    shown = site.get("/v1/webhooks/hook_1").json
    assert (shown["enabled"], "410" in shown["disabledReason"]) == (False, True)
    for path, body in {
        "/v1/webhooks/hook_1/test": None,
        "/v1/webhooks/hook_1/recover": {"since": "0"},
        f"{DELIVERIES}/dlv_1/redeliver": None,
    }.items():
        assert problem(site.post(path, body), "not-deliverable", 409)["webhook"] == "hook_1"
    receiver.answer = lambda _got: Reply()
    site.ask("PATCH", "/v1/webhooks/hook_1", body={"enabled": True})
    answer = site.post("/v1/webhooks/hook_1/recover", {"since": "2026-01-01T00:00:00Z"})
    assert (answer.status_code, answer.json["deliveries"]) == (202, ["dlv_1", "dlv_2"])
    work(site)
    assert [one["status"] for one in site.get(DELIVERIES).json["member"]] == ["delivered", "delivered"]


def test_the_secret_of_a_webhook_is_nowhere_to_be_seen(site: Site, receiver: Receiver) -> None:
    secret = "whsec_" + "B" * 43 + "="
    action = {"type": "webhook", "url": receiver.url, "secret": secret}
    site.made("/v1/triggers", {"name": "Tell", "eventTypes": ["catalog.itemType.*"], "actions": [action]})
    site.item_type()
    work(site)
    shown = site.get(f"{DELIVERIES}/dlv_1").text + site.get(DELIVERIES).text
    assert len(receiver.got) == 1
    assert "B" * 43 not in shown
    assert "sealed" not in shown


def test_an_event_about_what_was_deleted_is_no_trouble(site: Site, receiver: Receiver) -> None:
    configure(site, receiver)
    site.item_type()
    work(site)
    assert site.ask("DELETE", "/v1/triggers/trig_1").status_code == 204
    assert site.ask("DELETE", "/v1/webhooks/hook_1").status_code == 204
    problem(site.post(f"{DELIVERIES}/dlv_1/redeliver"), "not-found", 404)
    assert site.get(f"{DELIVERIES}/dlv_1").json["status"] == "delivered"


def test_readiness_tells_of_what_waits_and_of_what_was_given_up(site: Site, receiver: Receiver) -> None:
    configure(site, receiver)
    receiver.answer = lambda _got: Reply(500)
    site.item_type()
    work(site)
    found = site.get("/health/ready").json["parts"]["deliveries"]
    assert found == {"status": "ok", "waiting": 1, "dead": 0}
    site.post(f"{DELIVERIES}/dlv_1/redeliver")
    assert site.get("/health/ready").json["parts"]["deliveries"].keys() == {"status", "waiting", "dead", "oldestDueAt"}
