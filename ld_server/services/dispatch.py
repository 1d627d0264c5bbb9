"""
From an event to its deliveries: which actions of a trigger bring it where, and when.

Actions run in order. What stands behind a `filter` that does not hold is not done. What stands behind a `rate_limit` waits for its turn;
nothing is lost. Each action that sends makes a delivery of its own, so that one receiver does not wait for another, and what is done
is not done again. Only what stands behind an `invoke_internal` begins when that has worked.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

import orjson

from ld_server.domain.filters import holds, read_filter
from ld_server.domain.triggers import PERIODS, RUN_EVENTS, Action, Trigger
from ld_server.services.messages import envelope_of
from ld_server.services.triggers import trigger_of
from relational.deliveries import Delivery
from relational.outbox import Numbered
from relational.triggers import TriggerRow
from relational.unit_of_work import UnitOfWork
from relational.webhooks import WebhookRow

Place = Callable[[Mapping[str, Any]], str]


def _webhook_place(config: Mapping[str, Any]) -> str:
    return str(config.get("webhookId") or config["url"])


def _broker_place(config: Mapping[str, Any]) -> str:
    """The broker and what is in it, without the name and the password that we use there."""
    parts = urlsplit(config["url"])
    names = (config[name] for name in ("exchange", "routingKey", "queue") if config.get(name))
    return "#".join([f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}", "/".join(names)])


def _internal_place(config: Mapping[str, Any]) -> str:
    return f"internal:{config['handler']}"


SENDING: Mapping[str, Place] = {
    "webhook": _webhook_place,
    "route": _broker_place,
    "invoke_internal": _internal_place,
}
"""The actions that bring an event somewhere → the name of that place, by which order and limits are counted."""

RELAYED = "relayed_up_to"
"""The fact that says up to which sequence events have been brought to their triggers."""

TEST_EVENT = "webhook.test"

OF_RUNS = frozenset(RUN_EVENTS.values())

HOLDS_UP = "invoke_internal"
"""What stands behind it begins when it has worked."""


@dataclass(frozen=True)
class Step:
    """An action that sends, what is made of the event before, and the rates it is subject to, each with the first sender behind it."""

    index: int
    action: Action
    transforms: tuple[Mapping[str, Any], ...]
    limits: tuple[tuple[int, Mapping[str, Any]], ...]

    @property
    def endpoint(self) -> str:
        return SENDING[self.action.type](self.action.config)

    @property
    def webhook(self) -> str | None:
        """The webhook that is sent to, if it is one."""
        return self.action.config.get("webhookId") if self.action.type == "webhook" else None

    @property
    def plan(self) -> str:
        """The step as it is stored with its delivery: a trigger may have changed before that is sent."""
        return orjson.dumps({"type": self.action.type, "config": self.action.config, "transforms": self.transforms}).decode()


def steps(trigger: Trigger, envelope: Mapping[str, Any], after: int = -1) -> Iterator[Step]:
    """The actions of a trigger that begin for an event, when all up to the one at the index `after` have been done."""
    for step in every_step(trigger, envelope):
        if step.index > after:
            yield step
            if step.action.type == HOLDS_UP:
                return


def every_step(trigger: Trigger, envelope: Mapping[str, Any]) -> Iterator[Step]:
    """The actions of a trigger that send, up to the first filter that does not hold for the event."""
    transforms: list[Mapping[str, Any]] = []
    limits: list[tuple[int, Mapping[str, Any]]] = []
    open_limits: list[Mapping[str, Any]] = []
    for index, action in enumerate(trigger.actions):
        if action.type == "filter" and not holds(read_filter(action.config["filter"], ""), envelope):
            return
        if action.type == "transform":
            transforms.append(action.config)
        if action.type == "rate_limit":
            open_limits.append(action.config)
        if action.type in SENDING:
            limits.extend((index, one) for one in open_limits)
            open_limits.clear()
            yield Step(index, action, tuple(transforms), tuple(limits))


@dataclass
class Dispatch:
    """Deliveries under way to the ledger. `keep` writes them; nothing is written before."""

    uow: UnitOfWork
    now: datetime
    _planned: list[Delivery] = field(default_factory=list)
    _kept: list[Delivery] = field(default_factory=list)
    _webhooks: dict[str, WebhookRow | None] = field(default_factory=dict)

    def plan(self, event: Numbered, row: TriggerRow, after: int = -1, is_new: bool = False) -> None:
        """Plan what a trigger does for an event that it is for. `is_new`: the event has had no deliveries before."""
        for step in steps(read_row(row), envelope_of(event), after):
            if self.is_open(step):
                self.add(event, row, step, is_new)

    def add(self, event: Numbered, row: TriggerRow, step: Step, is_new: bool = False) -> None:
        """Plan one step."""
        self._planned.append(self._delivery(event, row, step, is_new))

    def keep(self) -> list[Delivery]:
        """Write what was planned, and give everything that has been written so far."""
        numbers = self.uow.documents.next_numbers("delivery", len(self._planned)) if self._planned else []
        named = [_numbered(delivery, number) for delivery, number in zip(self._planned, numbers, strict=True)]
        self.uow.deliveries.add(named)
        self._kept += named
        self._planned.clear()
        return self._kept

    def is_open(self, step: Step) -> bool:
        """Whether a webhook takes anything. A place without a configuration of its own always does."""
        name = step.webhook
        if name is None:
            return True
        if name not in self._webhooks:
            self._webhooks[name] = self.uow.webhooks.find(name)
        row = self._webhooks[name]
        return row is not None and row.enabled

    def _delivery(self, event: Numbered, row: TriggerRow, step: Step, is_new: bool) -> Delivery:
        due = self._due(row.identifier, step)
        return fresh(event, step, due, self.now, self._message_id(event, step.endpoint, is_new), row.identifier)

    def _message_id(self, event: Numbered, endpoint: str, is_new: bool) -> str:
        """The event's id; with a number where a place gets the event more than once, so that nobody takes the second for a repetition."""
        before = sum(one.event_id == event.entry.id and one.endpoint == endpoint for one in self._planned)
        before += 0 if is_new else self.uow.deliveries.messages(event.entry.id, endpoint)
        return event.entry.id if before == 0 else f"{event.entry.id}_{before + 1}"

    def _due(self, trigger: str, step: Step) -> datetime:
        """When every rate that the step is subject to lets it go: a period after the one that is `limit` places before it."""
        if not step.limits:
            return self.now
        self.keep()
        return max(self.now, *(self._turn(trigger, sender, limit) for sender, limit in step.limits))

    def _turn(self, trigger: str, sender: int, limit: Mapping[str, Any]) -> datetime:
        last = self.uow.deliveries.last_due(trigger, sender, limit["limit"] - 1)
        return self.now if last is None else last + timedelta(seconds=PERIODS[limit["per"]])


def fresh(event: Numbered, step: Step, due: datetime, now: datetime, message_id: str, trigger: str | None) -> Delivery:
    """A delivery that has no number yet."""
    return Delivery(
        identifier="",
        number=0,
        event_id=event.entry.id,
        event_type=event.entry.type,
        sequence=event.sequence,
        trigger=trigger,
        action_index=step.index,
        webhook=step.webhook,
        endpoint=step.endpoint,
        subject_id=event.entry.subject_id,
        message_id=message_id,
        plan=step.plan,
        status="pending",
        attempts=0,
        failures=0,
        due_at=due,
        next_attempt_at=due,
        lease_owner=None,
        replayed_by=None,
        replayed_at=None,
        created_at=now,
        finished_at=None,
        last_status=None,
        last_error=None,
    )


def _numbered(delivery: Delivery, number: int) -> Delivery:
    named: Delivery = replace(delivery, identifier=f"dlv_{number}", number=number)
    return named


def listeners(rows: Iterable[TriggerRow], event: Numbered) -> list[TriggerRow]:
    """Those of the triggers that are for an event, be they enabled or not. A test is for the webhook alone that is tested."""
    rows = () if event.entry.type == TEST_EVENT else tuple(rows)
    envelope = envelope_of(event) if rows else {}
    return [row for row in rows if read_row(row).matches(envelope)]


def runner(uow: UnitOfWork, event: Numbered) -> list[TriggerRow]:
    """The scheduled trigger of whose run an event tells, be it enabled or not, if it is still there and its filter holds."""
    row = uow.triggers.find(event.entry.subject_id) if event.entry.type in OF_RUNS else None
    return [row] if row is not None and row.source == "schedule" and holds(read_row(row).filter, envelope_of(event)) else []


@lru_cache(maxsize=1024)
def read_row(row: TriggerRow) -> Trigger:
    """The trigger in a row. Rows are values, so that the same one is read once."""
    return trigger_of(row)


def relayed(uow: UnitOfWork, events: Sequence[Numbered], rows: Sequence[TriggerRow], now: datetime) -> int:
    """Write the deliveries of events that have none yet, by the triggers that see them, or that ran; how many those are."""
    dispatch = Dispatch(uow, now)
    for event in events:
        for row in (*runner(uow, event), *listeners([row for row in rows if event.sequence > row.sees_after], event)):
            dispatch.plan(event, row, is_new=True)
    return len(dispatch.keep())
