"""
Publishes an event to a queue or an exchange of a broker: AMQP, Redis or SQS, through kombu.

A `queue` is made where it is missing, and bound to the `exchange` if there is one; an exchange must be there already on AMQP.
"""

import logging
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from kombu.connection import Connection
from kombu.entity import Exchange, Queue

from ld_server.domain.triggers import Action
from ld_server.services.addresses import AddressRefused, broker_of, connectable
from ld_server.services.triggers import unsealed
from workers.actions.job import Job, Means, Outcome

log = logging.getLogger(__name__)


async def send(job: Job, means: Means) -> Outcome:
    """Publishes the message of a job. Whatever goes wrong is told in the outcome."""
    body = job.body()
    return await means.in_thread(lambda: _published(job, body, means), means.patience)


def _published(job: Job, body: bytes, means: Means) -> Outcome:
    try:
        config = unsealed(Action("route", job.config), means.parts.sealing).config
        _judge(config["url"], means)
        publish(config, body, job.delivery.message_id, job.event.entry.type, means.patience)
    except AddressRefused as refused:
        return Outcome(error=str(refused))
    except Exception as error:
        log.info("%s cannot be published", job.delivery.identifier, exc_info=error)
        return Outcome(error=f"The broker did not take it: {type(error).__name__}.")
    return Outcome()


def _judge(url: str, means: Means) -> None:
    """Brokers are as much of our network as webhooks are not: what is not public must be allowed. Raises AddressRefused and OSError."""
    place = broker_of(url)
    if place is not None:
        connectable(place, means.allowed, means.resolve)


def publish(config: Mapping[str, Any], body: bytes, message_id: str, event_type: str, patience: float) -> None:
    """Puts a message where the configuration says; it is there when this returns. Raises whatever the broker's client does."""
    queue, exchange = config.get("queue"), config.get("exchange")
    key = config.get("routingKey") or queue or event_type
    with Connection(config["url"], connect_timeout=patience / 2, transport_options=_options(config["url"], patience)) as connection:
        place = Exchange(exchange, "topic", durable=True) if exchange else Exchange("")
        bound = [Queue(queue, place if exchange else None, routing_key=key, durable=True)] if queue else []
        producer = connection.Producer()
        producer.publish(
            body,
            exchange=place,
            routing_key=key,
            declare=bound,
            content_type="application/json",
            content_encoding="utf-8",
            message_id=message_id,
            headers={"event-type": event_type, "webhook-id": message_id},
            timeout=patience / 2,
        )


def _options(url: str, patience: float) -> Mapping[str, Any]:
    """What each client is told, so that none of them waits for ever and none believes what is not confirmed."""
    seconds = patience / 2
    scheme = urlsplit(url).scheme
    options: Mapping[str, Mapping[str, Any]] = {
        "amqp": {"confirm_publish": True, "read_timeout": seconds, "write_timeout": seconds},
        "redis": {"socket_timeout": seconds, "socket_connect_timeout": seconds, "max_retries": 1},
        "sqs": {"is_secure": not urlsplit(url).hostname},
    }
    return options[{"amqps": "amqp", "rediss": "redis"}.get(scheme, scheme)]
