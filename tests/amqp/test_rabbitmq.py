"""Events are published to a real RabbitMQ by AMQP 0-9-1: `make test-amqp`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kombu import Connection, Exchange, Queue

from tests.amqp.brokers import rabbitmq
from tests.workers.posts import PostOffice, open_office


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with rabbitmq(tmp_path_factory.mktemp("rabbitmq")) as url:
        yield url


@pytest.fixture
def office(sqlite_url: str, tmp_path: Path) -> Iterator[PostOffice]:
    office = open_office(sqlite_url, tmp_path)
    yield office
    office.parts.close()


def taken(broker: str, queue: str) -> Any:
    """The next message of a queue, as another client gets it."""
    with Connection(broker) as connection:
        message = connection.SimpleQueue(Queue(queue, durable=True)).get(timeout=10)
        message.ack()
        return message


def test_an_event_is_published_to_a_queue_that_is_made(office: PostOffice, broker: str) -> None:
    office.trigger({"type": "route", "url": broker, "queue": "fleet"})
    event = office.event("ra_5")
    office.run()
    assert office.statuses() == ["delivered"], office.one().last_error
    message = taken(broker, "fleet")
    assert (message.payload["id"], message.payload["meta"]["sequence"]) == (event, 1)
    assert (message.headers["webhook-id"], message.headers["event-type"]) == (event, "rentAction.approved")
    assert (message.properties["message_id"], message.content_type, message.properties["delivery_mode"]) == (event, "application/json", 2)


def test_an_event_reaches_those_who_bound_a_queue_to_its_type(office: PostOffice, broker: str) -> None:
    with Connection(broker) as connection:
        exchange = Exchange("fleet-events", "topic", durable=True)
        for name, key in (("approvals", "rentAction.approved"), ("all", "rentAction.*"), ("others", "buildRequest.*")):
            Queue(name, exchange, routing_key=key, durable=True)(connection.default_channel).declare()
        office.trigger({"type": "route", "url": broker, "exchange": "fleet-events"})
        office.event("ra_6")
        office.run()
        assert office.statuses() == ["delivered"], office.one().last_error
        names = ("approvals", "all", "others")
        sizes = [connection.default_channel.queue_declare(one, passive=True).message_count for one in names]
    assert sizes == [1, 1, 0]
    assert taken(broker, "approvals").payload["subject"]["id"] == "ra_6"


def test_what_an_exchange_that_is_not_there_does_not_take_is_tried_again(office: PostOffice, broker: str) -> None:
    office.trigger({"type": "route", "url": broker, "exchange": "nowhere", "routingKey": "x"})
    office.event("ra_7")
    office.run()
    assert (office.one().status, office.one().failures) == ("pending", 1)
    assert "NotFound" in str(office.one().last_error)
    with Connection(broker) as connection:
        Exchange("nowhere", "topic", durable=True)(connection.default_channel).declare()
    office.clock.forward(minutes=1)
    office.run()
    assert office.statuses() == ["delivered"]


def test_a_wrong_password_is_told_without_being_repeated(office: PostOffice, broker: str) -> None:
    office.trigger({"type": "route", "url": broker.replace("guest:guest", "guest:sesame"), "queue": "fleet"})
    office.event("ra_8")
    office.run()
    delivery = office.one()
    assert (delivery.status, "AccessRefused" in str(delivery.last_error)) == ("pending", True)
    assert "sesame" not in f"{delivery.last_error} {delivery.plan} {delivery.endpoint}"
