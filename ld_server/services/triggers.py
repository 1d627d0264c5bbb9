"""
Triggers are configured: read, checked against what is there, sealed, written.

In the ledger an action that has something secret carries it in the member `sealed` of its configuration: the secret of a webhook that has
no row of its own, the address of a broker with a password in it. `unsealed` puts it back; nothing else does.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import jmespath
import orjson
from jmespath.exceptions import JMESPathError

from ld_server.domain.commands import Expected
from ld_server.domain.errors import NotFound, ShapeViolation, Stale, UnknownReference, Violation
from ld_server.domain.filters import Filter, read_filter
from ld_server.domain.schedule import Schedule
from ld_server.domain.signing import new_secret
from ld_server.domain.triggers import Action, Trigger, written
from ld_server.services.addresses import AddressRefused, Allowed, check, check_broker
from ld_server.services.occasion import Occasion
from ld_server.services.sealing import Sealing
from ld_server.services.timing import next_due
from relational.rows import Rows
from relational.triggers import TriggerRow
from relational.unit_of_work import UnitOfWork

PREFIX = "trig"

# --- secrets ------------------------------------------------------------------------------------------------------------


def _webhook_secret(config: Mapping[str, Any]) -> tuple[dict[str, Any], str | None]:
    """A webhook with a row of its own has its secret there; one that has none and was given none gets a new one."""
    rest = {name: value for name, value in config.items() if name != "secret"}
    return rest, None if "webhookId" in config else config.get("secret") or new_secret()


def _broker_password(config: Mapping[str, Any]) -> tuple[dict[str, Any], str | None]:
    parts = urlsplit(config["url"])
    user, _, host = parts.netloc.rpartition("@")
    if ":" not in user:
        return dict(config), None
    masked = f"{user.partition(':')[0]}:***@{host}"
    return {**config, "url": urlunsplit(parts._replace(netloc=masked))}, config["url"]


SECRETIVE: Mapping[str, tuple[str, Callable[[Mapping[str, Any]], tuple[dict[str, Any], str | None]]]] = {
    "webhook": ("secret", _webhook_secret),
    "route": ("url", _broker_password),
}
"""Type of an action → the member that is secret, and what takes it out: the configuration that may be seen, and what is to be sealed."""

SEALED = "sealed"


def unsealed(action: Action, sealing: Sealing) -> Action:
    """The action with its secret, as it was configured. Raises StoreUnavailable when it was sealed with an unknown key."""
    if SEALED not in action.config:
        return action
    rest = {name: value for name, value in action.config.items() if name != SEALED}
    return Action(action.type, {**rest, SECRETIVE[action.type][0]: sealing.opened(action.config[SEALED])})


def visible(action: Action) -> Action:
    """The action without its secret, as it may be seen."""
    return Action(action.type, {name: value for name, value in action.config.items() if name != SEALED})


def sealed_actions(actions: tuple[Action, ...], before: tuple[Action, ...], sealing: Sealing) -> tuple[Action, ...]:
    """
    The actions as they are stored. One that may be seen as one of those `before` may be, and brings no secret, keeps the secret of that.
    """
    kept = [one for one in before if SEALED in one.config]
    return tuple(_sealed(action, kept, sealing) for action in actions)


def _sealed(action: Action, kept: list[Action], sealing: Sealing) -> Action:
    if action.type not in SECRETIVE:
        return action
    same = next((one for one in kept if visible(one) == action), None)
    if same is not None:
        kept.remove(same)
        return same
    rest, secret = SECRETIVE[action.type][1](action.config)
    return Action(action.type, {**rest, SEALED: sealing.seal(secret)} if secret is not None else rest)


def told(after: Trigger, before: Trigger | None, sealing: Sealing) -> dict[int, str]:
    """The secrets of webhooks that have come with a change, by the index of their action."""
    known = {one.config.get(SEALED) for one in before.actions} if before else set()
    new = (
        (index, one) for index, one in enumerate(after.actions) if one.type == "webhook" and one.config.get(SEALED) not in {None, *known}
    )
    return {index: sealing.opened(one.config[SEALED]) for index, one in new}


# --- rows ---------------------------------------------------------------------------------------------------------------


def trigger_of(row: TriggerRow) -> Trigger:
    """The trigger in a row, as it was checked when it was written. Its secrets stay sealed."""
    said = orjson.loads(row.body)
    schedule = said.get("schedule")
    return Trigger(
        name=said["name"],
        enabled=row.enabled,
        source=said["source"],
        event_types=tuple(said.get("eventTypes", ())),
        filter=_filter(said),
        schedule=Schedule(**schedule) if schedule else None,
        job_type=said.get("jobType"),
        actions=tuple(Action(one["type"], one["config"]) for one in said["actions"]),
        description=said.get("description"),
        metadata=said.get("metadata"),
    )


def _filter(said: Mapping[str, Any]) -> Filter:
    conditions: Filter = read_filter(said.get("filter", {}), "")
    return conditions


def _body(trigger: Trigger) -> str:
    return orjson.dumps(written(trigger)).decode()


# --- what must be so, besides what the trigger itself says ------------------------------------------------------------


def refuse_unusable(trigger: Trigger, body: Any, allowed: Allowed) -> None:
    """
    Raises ShapeViolation for addresses that nothing may be sent to and expressions that are none. `body` is what the client sent.

    Names are looked up here: call it before the transaction.
    """
    violations = [one for index, action in enumerate(trigger.actions) for one in _complaints(action, _place(body, index), allowed)]
    if violations:
        raise ShapeViolation("; ".join(one.message for one in violations) + ".", violations)


def _complaints(action: Action, place: str, allowed: Allowed) -> Iterator[Violation]:
    if action.type in _ADDRESSED and "url" in action.config:
        try:
            _ADDRESSED[action.type](action.config["url"], allowed)
        except AddressRefused as error:
            yield Violation(f"{place}/url", "", _without_password(action.config["url"]), str(error).removesuffix("."))
    if action.type == "transform" and "expression" in action.config:
        try:
            jmespath.compile(action.config["expression"])
        except JMESPathError:
            yield Violation(f"{place}/expression", "", action.config["expression"], "expression is not JMESPath")


_ADDRESSED: Mapping[str, Callable[[str, Allowed], object]] = {"webhook": check, "route": check_broker}
"""Type of an action that sends to an address → what refuses an address that nothing may be sent to."""


def _without_password(url: str) -> str:
    """A refusal says again what was sent, but no secret."""
    return re.sub(r"(//[^/@:]*:)[^@]*@", r"\1***@", url)


def _place(body: Any, index: int) -> str:
    """The pointer to the configuration of an action, in the spelling in which the client wrote it."""
    actions = body.get("actions") if isinstance(body, dict) else None
    given, place = (actions[index], f"/actions/{index}") if isinstance(actions, list) else (actions, "/actions")
    return f"{place}/config" if isinstance(given, dict) and "config" in given else place


def refuse_unknown_webhooks(uow: UnitOfWork, trigger: Trigger) -> None:
    """Raises UnknownReference for a webhook that is not there."""
    for index, action in enumerate(trigger.actions):
        wanted = action.config.get("webhookId")
        if action.type == "webhook" and wanted and uow.webhooks.find(wanted) is None:
            raise UnknownReference(f"There is no webhook {wanted}.", pointer=f"/actions/{index}/config/webhookId", reference=wanted)


# --- changes ------------------------------------------------------------------------------------------------------------


def create(uow: UnitOfWork, trigger: Trigger, occasion: Occasion, sealing: Sealing) -> TriggerRow:
    """Write a new trigger. It sees what happens from now on. Raises UnknownReference."""
    refuse_unknown_webhooks(uow, trigger)
    sealing.settle(uow)
    number = uow.documents.next_number("trigger")
    stored = replace(trigger, actions=sealed_actions(trigger.actions, (), sealing))
    row = TriggerRow(
        identifier=f"{PREFIX}_{number}",
        number=number,
        name=trigger.name,
        enabled=trigger.enabled,
        source=trigger.source,
        sees_after=uow.outbox.newest(),
        body=_body(stored),
        revision=1,
        created_at=occasion.now,
        updated_at=occasion.now,
        next_run_at=next_run(trigger, occasion.now, occasion.now),
    )
    uow.triggers.add(row)
    return row


def change(uow: UnitOfWork, identifier: str, trigger: Trigger, expected: Expected, occasion: Occasion, sealing: Sealing) -> TriggerRow:
    """
    Give a trigger another state. One that is enabled again sees what happens from now on, and the addresses that stand in it begin anew;
    one that says what it said stays as it is.

    Raises NotFound, Stale and UnknownReference.
    """
    before: TriggerRow = opened(uow.triggers, identifier, expected, "trigger")
    refuse_unknown_webhooks(uow, trigger)
    sealing.settle(uow)
    body = _body(replace(trigger, actions=sealed_actions(trigger.actions, trigger_of(before).actions, sealing)))
    if body == before.body:
        return before
    row = replace(
        before,
        name=trigger.name,
        enabled=trigger.enabled,
        source=trigger.source,
        sees_after=before.sees_after if before.enabled else uow.outbox.newest(),
        body=body,
        revision=before.revision + 1,
        updated_at=occasion.now,
        next_run_at=_next_run_after(before, trigger, occasion.now),
    )
    uow.triggers.replace(row)
    for address in _addresses(trigger) if row.enabled > before.enabled else ():
        uow.deliveries.begin_anew(address, occasion.now)
    return row


def _addresses(trigger: Trigger) -> list[str]:
    """Where it sends to that has no webhook of its own."""
    return sorted({one.config["url"] for one in trigger.actions if one.type == "webhook" and "url" in one.config})


def next_run(trigger: Trigger, anchor: datetime, after: datetime) -> datetime | None:
    """When a trigger runs next; None for one that is disabled, waits for events, or is never due again."""
    if trigger.schedule is None or not trigger.enabled:
        return None
    return next_due(trigger.schedule, anchor, after)


def _next_run_after(before: TriggerRow, trigger: Trigger, now: datetime) -> datetime | None:
    """A run that was due and has not been planned yet is not lost by a change of something else."""
    is_same_time = before.enabled and trigger.enabled and trigger_of(before).schedule == trigger.schedule
    return before.next_run_at if is_same_time else next_run(trigger, before.created_at, now)


def opened(rows: Rows[Any], identifier: str, expected: Expected, what: str) -> Any:
    """A row, locked, in one of the expected revisions. Raises NotFound and Stale."""
    row = rows.locked(identifier)
    if row is None:
        raise NotFound(f"There is no {what} {identifier!r}.")
    if expected is not None and row.revision not in expected:
        raise Stale(f"{identifier} has changed since it was read: it is at revision {row.revision} now.", resource=identifier)
    return row


def remove(uow: UnitOfWork, identifier: str, expected: Expected, now: datetime) -> None:
    """Take a trigger away, and cancel what has not been delivered. What it has done stays in the books. Raises NotFound and Stale."""
    opened(uow.triggers, identifier, expected, "trigger")
    uow.deliveries.cancel(now, "The trigger was taken away.", trigger=identifier)
    uow.triggers.remove(identifier)
