"""Triggers, and what they would have done."""

from collections.abc import Iterator, Mapping
from typing import Any

import falcon

from ld_server.domain import triggers as domain
from ld_server.domain.commands import Expected
from ld_server.domain.events import types_like
from ld_server.domain.filters import holds, read_filter
from ld_server.domain.reading import Member, members, read, several, text, whole
from ld_server.domain.triggers import SOURCES, Action, Trigger, read_event_type, read_trigger
from ld_server.http.endpoints.configuration import ENABLED, SENT, Change, Outcome, Sort, answer_json, may_be_json, read_json
from ld_server.http.parameters import query_parameters
from ld_server.resources.kind import Filter
from ld_server.services import triggers
from ld_server.services.addresses import allowed_by
from ld_server.services.feed import NOWHERE, envelope_of, number, place_of
from ld_server.services.feed import read as read_feed
from ld_server.services.occasion import Occasion
from ld_server.services.parts import Parts
from ld_server.services.triggers import trigger_of, visible
from relational.outbox import Numbered, Selection
from relational.triggers import TriggerRow
from relational.unit_of_work import UnitOfWork


def _shown(row: TriggerRow) -> dict[str, Any]:
    return domain.written(_visible(trigger_of(row)))


def _visible(trigger: Trigger) -> Trigger:
    return domain.with_actions(trigger, tuple(map(visible, trigger.actions)))


def _to_create(body: Any, parts: Parts) -> Change:
    trigger = read_trigger(body)
    triggers.refuse_unusable(trigger, body, allowed_by(parts.settings))
    number(parts.ledger)  # what has happened by now has its place before the trigger begins to see

    def change(uow: UnitOfWork, occasion: Occasion) -> Outcome:
        row = triggers.create(uow, trigger, occasion, parts.sealing)
        return Outcome(row, _told(row, None, parts))

    return change


def _to_change(body: Any, row: TriggerRow, expected: Expected, parts: Parts) -> Change:
    trigger = read_trigger(body)
    triggers.refuse_unusable(trigger, body, allowed_by(parts.settings))
    number(parts.ledger)  # what has happened by now has its place before the trigger begins to see

    def change(uow: UnitOfWork, occasion: Occasion) -> Outcome:
        after = triggers.change(uow, row.identifier, trigger, expected, occasion, parts.sealing)
        return Outcome(after, _told(after, trigger_of(row), parts))

    return change


def _told(row: TriggerRow, before: Trigger | None, parts: Parts) -> Mapping[str, Any]:
    """The actions with the secrets that have come with a change; nothing where there are none."""
    trigger = trigger_of(row)
    secrets = triggers.told(trigger, before, parts.sealing)
    actions = domain.written(_visible(trigger))["actions"]
    for index, secret in secrets.items():
        actions[index]["config"]["secret"] = secret
    return {"actions": actions} if secrets else {}


TRIGGER = Sort(
    name="trigger",
    prefix=triggers.PREFIX,
    path="/v1/triggers",
    rows=lambda uow: uow.triggers,
    shown=_shown,
    to_create=_to_create,
    to_change=_to_change,
    remove=triggers.remove,
    filters={"enabled": ENABLED, "source": Filter("source", description="What it waits for.", allowed=SOURCES)},
)

# --- dry runs -----------------------------------------------------------------------------------------------------------

MOST_MATCHES = 1000
MOST_SCANNED = 10_000
"""Events that one dry run looks at."""

_MATCH = members(
    {
        "since": Member(text()),
        "types": Member(several(read_event_type, 100), default=()),
        "limit": Member(whole(1, MOST_MATCHES), default=100),
    }
)


class Match:
    """`POST /v1/triggers/{identifier}/match`: for which past events the trigger is, and what it would have done; nothing is sent."""

    accept_post = SENT

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def on_post(self, req: falcon.Request, resp: falcon.Response, identifier: str) -> None:
        """The body may be empty: then it begins with the first event."""
        may_be_json(req)
        query_parameters(req.query_string)
        _, said = read_json(req, self._parts, SENT, may_be_empty=True)
        wanted = read(_MATCH, said)
        trigger = trigger_of(TRIGGER.found(self._parts, identifier))
        events, is_whole = self._events(trigger, wanted)
        found = [_match(trigger, one) for one in events if trigger.matches(envelope_of(one))]
        shown = found[: wanted["limit"]]
        through = _through(events, found, wanted["limit"])
        answer_json(
            resp, {"trigger": identifier, "isComplete": is_whole and len(shown) == len(found), "through": through, "matches": shown}
        )

    def _events(self, trigger: Trigger, wanted: Mapping[str, Any]) -> tuple[list[Numbered], bool]:
        """The events that come into question, and whether these are all of them."""
        types = _types(trigger.event_types, wanted["types"])
        if not types:
            return [], True
        number(self._parts.ledger)
        with self._parts.ledger.read() as uow:
            since = place_of(wanted["since"], uow, "since")
            found = read_feed(uow, since, NOWHERE, MOST_SCANNED + 1, Selection(types))
        return found[:MOST_SCANNED], len(found) <= MOST_SCANNED


def _types(own: tuple[str, ...], asked: tuple[str, ...]) -> tuple[str, ...]:
    mine = {name for pattern in own for name in types_like(pattern)}
    also = {name for pattern in asked for name in types_like(pattern)}
    return tuple(sorted(mine & also if asked else mine))


def _through(events: list[Numbered], found: list[dict[str, Any]], limit: int) -> int:
    """The sequence up to which everything has been told: where the next dry run may begin."""
    if len(found) > limit:
        return int(found[limit - 1]["event"]["meta"]["sequence"])
    return events[-1].sequence if events else 0


def _match(trigger: Trigger, event: Numbered) -> dict[str, Any]:
    envelope = envelope_of(event)
    about = {name: envelope[name] for name in ("id", "type", "occurredAt", "subject", "meta")}
    return {"event": about, "actions": list(_done(trigger.actions, envelope))}


def _done(actions: tuple[Action, ...], envelope: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The actions, each with whether it would be done: nothing is behind a filter that does not hold."""
    is_done = True
    for action in map(visible, actions):
        yield {"type": action.type, "config": dict(action.config), "isDone": is_done}
        if action.type == "filter":
            is_done = is_done and holds(read_filter(action.config["filter"], ""), envelope)
