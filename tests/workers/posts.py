"""A deployment that sends: short ways to make webhooks, triggers and events, and to look at deliveries."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import orjson

from ld_server.bootstrap import build
from ld_server.domain.triggers import read_trigger
from ld_server.domain.webhooks import read_new_webhook
from ld_server.services import deliveries, triggers, webhooks
from ld_server.services.addresses import Resolve, system_resolver
from ld_server.services.feed import number
from ld_server.services.occasion import Occasion
from ld_server.services.parts import Parts
from ld_server.settings import Settings
from relational.deliveries import Attempt, Delivery, Endpoint
from relational.outbox import OutboxEntry
from workers.deliver import Deliverer
from workers.relay import Relay

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@dataclass
class Clock:
    """The time that the deployment believes in. It starts as that of the machine, and goes on only when it is told to."""

    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **by: float) -> datetime:
        self.now += timedelta(**by)
        return self.now


@dataclass
class PostOffice:
    """Parts over a clock that stands still, with a relay and a deliverer that tests call."""

    parts: Parts
    clock: Clock
    resolve: Resolve = system_resolver
    _numbers: Any = field(default_factory=lambda: count(1))

    def occasion(self) -> Occasion:
        return replace(deliveries.occasion_of_worker(self.parts, self.clock()), principal="ann", correlation_id="by-hand")

    def webhook(self, url: str, **more: Any) -> str:
        """A webhook that goes there; its identifier."""
        with self.parts.ledger.write() as uow:
            webhook, secret = read_new_webhook({"url": url, "secret": SECRET, **more})
            return webhooks.create(uow, webhook, secret, self.occasion(), self.parts.sealing)[0].identifier

    def trigger(self, *actions: Any, types: Sequence[str] = ("rentAction.*",), **more: Any) -> str:
        """A trigger with these actions; a webhook may be given by its name. Its identifier. It sees what happens from now on."""
        number(self.parts.ledger)
        named = [{"type": "webhook", "webhookId": one} if isinstance(one, str) else one for one in actions]
        body = {"name": "Tell somebody", "eventTypes": list(types), "actions": named, **more}
        with self.parts.ledger.write() as uow:
            return triggers.create(uow, read_trigger(body), self.occasion(), self.parts.sealing).identifier

    def event(self, subject: str = "ra_1", event_type: str = "rentAction.approved", **data: Any) -> str:
        """Something that happened; the event's id."""
        event_id = f"evt_{next(self._numbers):032x}"
        body = {
            "id": event_id,
            "type": event_type,
            "occurredAt": self.clock().isoformat(),
            "subject": {"type": "RentAction", "id": subject},
            "data": {"@type": "RentAction", "identifier": subject, **data},
            "meta": {"tenant": "default", "correlationId": "c", "version": 1},
        }
        entry = OutboxEntry(event_id, event_type, "RentAction", subject, self.clock(), "c", orjson.dumps(body).decode())
        with self.parts.ledger.write() as uow:
            uow.outbox.add(entry)
        return event_id

    def relay(self, owner: str = "first") -> int:
        """Everything new is brought to its triggers; how many events that were."""
        relay, total = Relay(self.parts, owner), 0
        while done := relay.run_once(self.clock()):
            total += done
        relay.stop()
        return total

    def deliverer(self, owner: str = "first") -> Deliverer:
        return Deliverer(self.parts, owner, self.resolve)

    def deliver(self, owner: str = "first") -> int:
        """Sends until nothing more is due; how many attempts that were."""
        deliverer, total = self.deliverer(owner), 0
        while done := deliverer.run_once():
            total += done
        return total

    def run(self) -> int:
        """Relays and delivers; how many attempts were made."""
        self.relay()
        return self.deliver()

    def all(self, **having: Any) -> list[Delivery]:
        """Deliveries, the oldest first."""
        with self.parts.ledger.read() as uow:
            return uow.deliveries.page(None, 100_000, having)[::-1]

    def one(self, **having: Any) -> Delivery:
        (found,) = self.all(**having)
        return found

    def statuses(self) -> list[str]:
        return [one.status for one in self.all()]

    def attempts(self, delivery: str) -> list[Attempt]:
        with self.parts.ledger.read() as uow:
            return uow.deliveries.attempts(delivery)

    def endpoint(self, name: str) -> Endpoint:
        with self.parts.ledger.write() as uow:
            return uow.deliveries.endpoint(name)

    def events(self, event_type: str) -> list[dict[str, Any]]:
        with self.parts.ledger.read() as uow:
            return [orjson.loads(one.entry.body) for one in uow.outbox.after(0, 100_000) if one.entry.type == event_type]


def open_office(database_url: str, directory: Path, resolve: Resolve = system_resolver, **settings: Any) -> PostOffice:
    """A deployment over a ledger, which may send to this machine unless it is told otherwise."""
    clock = Clock()
    told = {"webhook_allow": "127.0.0.1", "webhook_timeout": 5.0, "sparql_url": "memory:", **settings}
    parts = build(Settings(data_dir=directory, database_url=database_url, **told))
    return PostOffice(replace(parts, now=clock), clock, resolve)
