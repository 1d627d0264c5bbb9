"""Deliveries are sent again, webhooks are tested and disabled. Who asked for it is written down with each delivery."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import orjson

from ld_server.domain.errors import NotDeliverable, NotFound
from ld_server.domain.events import envelope
from ld_server.domain.triggers import Action
from ld_server.resources.kind import written
from ld_server.services.dispatch import HOLDS_UP, TEST_EVENT, Dispatch, Step, every_step, fresh, listeners, read_row, runner
from ld_server.services.messages import Post, envelope_of, payload, post
from ld_server.services.occasion import Occasion, new_event_id
from ld_server.services.parts import Parts
from ld_server.services.sealing import Sealing
from ld_server.services.webhooks import secrets_of
from relational.deliveries import Delivery, Replay
from relational.outbox import Numbered, OutboxEntry, Selection
from relational.triggers import TriggerRow
from relational.unit_of_work import UnitOfWork
from relational.webhooks import WebhookRow

MOST_EVENTS = 1000
"""Of a range that are replayed by one request."""

DISABLED_EVENT = "webhook.disabled"

FAILED = ("dead", "cancelled")

WORKER = "worker"
"""Who does what nobody has asked for."""


@dataclass(frozen=True)
class Replayed:
    """What was sent again: how many events were looked at, which deliveries go out, and the sequence to go on behind, if there is more."""

    events: int
    deliveries: list[str]
    following: int | None


Wanted = Callable[[Numbered, TriggerRow, Step, Delivery | None], bool]
"""Whether a step is to be taken again. The delivery is what there is of it already."""


def redeliver(uow: UnitOfWork, identifier: str, occasion: Occasion) -> Delivery:
    """
    Send a delivery again, as it was planned; the row as it is then. One that is being sent just now is left alone.

    Raises NotFound, and NotDeliverable where its webhook is disabled or gone.
    """
    found = uow.deliveries.locked([identifier])
    if not found:
        raise NotFound(f"There is no delivery {identifier!r}.")
    if found[0].webhook is not None:
        open_webhook(uow, found[0].webhook)
    _rearm(uow, found, f"delivery {identifier}", occasion)
    return uow.deliveries.locked([identifier])[0]


def replay_event(uow: UnitOfWork, identifier: str, occasion: Occasion) -> Replayed:
    """Do everything once more that enabled triggers do for an event now, whether it has been done or not. Raises NotFound."""
    event = uow.outbox.by_id(identifier)
    if event is None:
        raise NotFound(f"There is no event {identifier!r}.")
    return _replay(uow, [event], f"event {identifier}", occasion, _everything, None)


def replay_range(uow: UnitOfWork, after: int, wanted: Selection, trigger: str | None, limit: int, occasion: Occasion) -> Replayed:
    """The same for the first `limit` events beyond a sequence that are wanted, by one trigger or by all."""
    events = uow.outbox.since(after, limit + 1, wanted)
    following = events[limit - 1].sequence if len(events) > limit else None
    chosen: Wanted = lambda _event, row, _step, _delivery: trigger in (None, row.identifier)  # noqa: E731
    return _replay(uow, events[:limit], "a range of events", occasion, chosen, following)


def recover(uow: UnitOfWork, webhook: str, after: int, since: datetime | None, limit: int, occasion: Occasion) -> Replayed:
    """
    Send to a webhook what it has not got of the first `limit` events beyond a sequence: what has failed for good, what was cancelled,
    and what was not even planned because it was disabled. What waits or has arrived is left alone.

    Raises NotFound and NotDeliverable.
    """
    open_webhook(uow, webhook)
    events = uow.outbox.since(after, limit + 1, Selection(since=since))
    following = events[limit - 1].sequence if len(events) > limit else None

    def is_missing(event: Numbered, row: TriggerRow, step: Step, delivery: Delivery | None) -> bool:
        if step.webhook != webhook:
            return False
        return event.sequence > row.sees_after if delivery is None else delivery.status in FAILED

    return _replay(uow, events[:limit], f"recovery of {webhook}", occasion, is_missing, following)


def _everything(_event: Numbered, _row: TriggerRow, _step: Step, _delivery: Delivery | None) -> bool:
    return True


def _replay(
    uow: UnitOfWork, events: Sequence[Numbered], asked_for: str, occasion: Occasion, wanted: Wanted, following: int | None
) -> Replayed:
    before = {(one.event_id, one.trigger, one.action_index): one for one in uow.deliveries.of_events([one.entry.id for one in events])}
    rows, dispatch, again = uow.triggers.listening(), Dispatch(uow, occasion.now), list[Delivery]()
    for event in events:
        for row in (*(one for one in runner(uow, event) if one.enabled), *listeners(rows, event)):
            again += _replay_one(dispatch, event, row, before, wanted)
    _rearm(uow, again, asked_for, occasion)
    places = {one.identifier: one.endpoint for one in before.values()}
    uow.deliveries.let_all_follow({places[one.identifier] for one in again if places[one.identifier] != one.endpoint}, occasion.now)
    new = dispatch.keep()
    _note(uow, new, asked_for, occasion)
    return Replayed(len(events), [one.identifier for one in (*again, *new)], following)


def _replay_one(
    dispatch: Dispatch, event: Numbered, row: TriggerRow, before: Mapping[tuple[str, str | None, int], Delivery], wanted: Wanted
) -> list[Delivery]:
    """Plan the steps that have not been taken yet; those that have been, by the plan they have now. What is held up comes by itself."""
    again: list[Delivery] = []
    for step in every_step(read_row(row), envelope_of(event)):
        known = before.get((event.entry.id, row.identifier, step.index))
        if dispatch.is_open(step) and wanted(event, row, step, known):
            if known is None:
                dispatch.add(event, row, step)
            else:
                again.append(replace(known, plan=step.plan, webhook=step.webhook, endpoint=step.endpoint))
        if step.action.type == HOLDS_UP and known is None:
            break
    return again


def _rearm(uow: UnitOfWork, deliveries: Sequence[Delivery], asked_for: str, occasion: Occasion) -> None:
    for one in deliveries:
        uow.deliveries.rearm(replace(one, replayed_by=occasion.principal, replayed_at=occasion.now))
    _note(uow, deliveries, asked_for, occasion)


def _note(uow: UnitOfWork, deliveries: Sequence[Delivery], asked_for: str, occasion: Occasion) -> None:
    counts = uow.deliveries.replayed([one.identifier for one in deliveries]) if deliveries else {}
    uow.deliveries.note_replays(
        [
            Replay(one.identifier, counts.get(one.identifier, 0) + 1, asked_for, occasion.principal, occasion.now, occasion.correlation_id)
            for one in deliveries
        ]
    )


def open_webhook(uow: UnitOfWork, identifier: str) -> WebhookRow:
    """A webhook that something can be sent to. Raises NotFound and NotDeliverable."""
    row = uow.webhooks.find(identifier)
    if row is None:
        raise NotFound(f"There is no webhook {identifier!r}.")
    if not row.enabled:
        raise NotDeliverable(f"{identifier} is disabled. {row.disabled_reason or 'Enable it first.'}", webhook=identifier)
    return row


def test_webhook(uow: UnitOfWork, identifier: str, occasion: Occasion, sealing: Sealing) -> tuple[Delivery, Post]:
    """
    Send a test to a webhook: the delivery, and the request exactly as it would be sent at this instant.

    Raises NotFound and NotDeliverable.
    """
    row = open_webhook(uow, identifier)
    event = told(uow, TEST_EVENT, row, "This is a test.", occasion)
    step = Step(0, Action("webhook", {"webhookId": identifier}), (), ())
    number = uow.documents.next_number("delivery")
    planned = fresh(event, step, occasion.now, occasion.now, event.entry.id, None)
    delivery = replace(planned, identifier=f"dlv_{number}", number=number)
    uow.deliveries.add([delivery])
    return delivery, post(row.url, secrets_of(row, sealing, occasion.now), event.entry.id, payload(event), occasion.now)


def disable_webhook(uow: UnitOfWork, identifier: str, reason: str, now: datetime, parts: Parts) -> None:
    """Send nothing to a webhook any more, and tell of it. What waited for it is cancelled; `recover` brings it back."""
    row = uow.webhooks.locked(identifier)
    if row is None or not row.enabled:
        return
    disabled = replace(row, enabled=False, disabled_reason=reason, revision=row.revision + 1, updated_at=now)
    uow.webhooks.replace(disabled)
    uow.deliveries.cancel(now, f"The webhook was disabled. {reason}", webhook=identifier)
    told(uow, DISABLED_EVENT, disabled, reason, occasion_of_worker(parts, now))


def disable_trigger(uow: UnitOfWork, identifier: str, endpoint: str, reason: str, now: datetime, parts: Parts) -> None:
    """The same for an address that stands in a trigger, and has no webhook that could be disabled: the trigger is."""
    row = uow.triggers.locked(identifier)
    if row is None or not row.enabled:
        return
    body = orjson.dumps({**orjson.loads(row.body), "enabled": False}).decode()
    disabled = replace(row, enabled=False, body=body, revision=row.revision + 1, updated_at=now)
    uow.triggers.replace(disabled)
    uow.deliveries.cancel(now, f"The trigger was disabled. {reason}", trigger=identifier, endpoint=endpoint)
    told(uow, DISABLED_EVENT, disabled, f"{endpoint}: {reason}", occasion_of_worker(parts, now))


def occasion_of_worker(parts: Parts, now: datetime) -> Occasion:
    """The circumstances of what the service does by itself."""
    return Occasion(
        now=now,
        principal=WORKER,
        correlation_id=new_event_id().removeprefix("evt_"),
        tenant=parts.settings.tenant,
        naming=parts.naming,
        context=parts.contexts.reference,
        new_event_id=new_event_id,
    )


def told(uow: UnitOfWork, event_type: str, row: WebhookRow | TriggerRow, description: str, occasion: Occasion) -> Numbered:
    """An event about a webhook or a trigger, written to the outbox. It has no sequence before it is committed."""
    event_id = occasion.new_event_id()
    subject, address = ("Webhook", {"url": row.url}) if isinstance(row, WebhookRow) else ("Trigger", {})
    about = {"identifier": row.identifier, "name": row.name, **address, "description": description}
    data = {"@context": occasion.context, **about}
    content: Mapping[str, Any] = envelope(
        event_id=event_id,
        event_type=event_type,
        occurred_at=occasion.moment,
        subject_type=subject,
        subject_id=row.identifier,
        data=data,
        tenant=occasion.tenant,
        correlation_id=occasion.correlation_id,
    )
    body = orjson.dumps(content).decode()
    entry = OutboxEntry(event_id, event_type, subject, row.identifier, occasion.now, occasion.correlation_id, body)
    uow.outbox.add(entry)
    return Numbered(0, entry)


def document(delivery: Delivery, iri: str) -> dict[str, Any]:
    """A delivery as it is shown: nothing in it is secret."""
    return {
        "@id": f"{iri}/v1/deliveries/{delivery.identifier}",
        "@type": "Delivery",
        "identifier": delivery.identifier,
        "event": delivery.event_id,
        "eventType": delivery.event_type,
        "sequence": delivery.sequence or None,
        "subject": delivery.subject_id,
        "trigger": delivery.trigger,
        "actionIndex": delivery.action_index,
        "actionType": orjson.loads(delivery.plan)["type"],
        "webhook": delivery.webhook,
        "endpoint": delivery.endpoint,
        "messageId": delivery.message_id,
        "status": delivery.status,
        "attempts": delivery.attempts,
        "dueAt": written(delivery.due_at),
        "nextAttemptAt": _written(delivery.next_attempt_at if delivery.status == "pending" else None),
        "createdAt": written(delivery.created_at),
        "finishedAt": _written(delivery.finished_at),
        "lastStatus": delivery.last_status,
        "lastError": delivery.last_error,
        "replayedBy": delivery.replayed_by,
        "replayedAt": _written(delivery.replayed_at),
    }


def history(uow: UnitOfWork, delivery: Delivery) -> dict[str, Any]:
    """Every attempt at a delivery, and everybody who had it sent again."""
    return {
        "attemptList": [
            {
                "attempt": one.attempt,
                "startedAt": written(one.started_at),
                "durationMilliseconds": one.duration_ms,
                "status": one.status,
                "requestHeaders": orjson.loads(one.request_headers),
                "responseHead": one.response_head,
                "error": one.error,
            }
            for one in uow.deliveries.attempts(delivery.identifier)
        ],
        "replays": [
            {
                "askedFor": one.asked_for,
                "replayedBy": one.replayed_by,
                "replayedAt": written(one.replayed_at),
                "correlationId": one.correlation_id,
            }
            for one in uow.deliveries.replays(delivery.identifier)
        ],
    }


def _written(at: datetime | None) -> str | None:
    return None if at is None else written(at)
