"""
Triggers: what is done when something happens, or when it is time (seed 6.3 to 6.6, CONTRACT 6).

A trigger is read from the JSON that its owner wrote, and everything that is wrong with it is told at once. Whether it is for an event is
decided here and nowhere else: by the type of the event and the filter.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from ld_server.domain import filters, signing
from ld_server.domain.duration import seconds
from ld_server.domain.events import EVENTS, types_like
from ld_server.domain.filters import Filter, holds, read_filter, read_path
from ld_server.domain.reading import (
    LONGEST_TEXT,
    Member,
    Read,
    Wrong,
    an_object,
    anything,
    boolean,
    choice,
    escaped,
    members,
    name_of,
    nearest,
    read,
    several,
    text,
    whole,
    wrong,
)
from ld_server.domain.schedule import Schedule, read_schedule

SOURCES = ("event", "schedule")

JOB_TYPES: Mapping[str, str] = {
    "planning.shortfall_scan": "Looks for windows in which more units are asked for than there will be.",
    "planning.build_request_submit": "Hands build requests to the system that builds.",
    "notifications.starts_soon_scan": "Tells of reservations that are about to start.",
    "notifications.ends_soon_scan": "Tells of reservations that are about to end.",
    "maintenance.overdue_scan": "Tells of planned work whose time is over, and of reservations that ended and whose units are not back.",
}
"""What a schedule can set going, and what it does (seed 6.5)."""

RUN_EVENTS: Mapping[str | None, str] = {**{name: f"{name}.completed" for name in JOB_TYPES}, None: "schedule.due"}
"""Type of job, or None for a schedule without one → the type of the event that tells of a run."""

INTERNAL_HANDLERS: Mapping[str, str] = {
    "log": "Writes the event into the log of the worker.",
    **JOB_TYPES,
}
"""What `invoke_internal` can call, and what it does: the jobs can be set going by events, too."""

LONGEST_HORIZON = timedelta(days=3660)
LONGEST_LEAD_TIME = timedelta(days=366)
"""Longer before it starts or ends nobody is told of a reservation."""

MOST_LEAD_TIMES = 10

PERIODS: Mapping[str, int] = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}
"""What a rate is counted by → seconds."""

MOST_ACTIONS = 20


@dataclass(frozen=True)
class Action:
    """One thing that is done. `config` has the members of its type, without those that were not said."""

    type: str
    config: Mapping[str, Any]


@dataclass(frozen=True)
class Trigger:
    """What is done, in which order, for which events or at which times."""

    name: str
    enabled: bool = True
    source: str = "event"
    event_types: tuple[str, ...] = ()
    filter: Filter = ()
    schedule: Schedule | None = None
    job_type: str | None = None
    actions: tuple[Action, ...] = ()
    description: str | None = None
    metadata: Any = None

    def matches(self, envelope: Mapping[str, Any]) -> bool:
        """Whether an event is of one of the types and the filter holds, be the trigger enabled or not."""
        return is_of(self.event_types, str(envelope["type"])) and holds(self.filter, envelope)


def is_of(patterns: tuple[str, ...], event_type: str) -> bool:
    """Whether a type of event is one of these, where `*` stands for any characters."""
    return any(event_type in types_like(pattern) for pattern in patterns)


# --- actions ----------------------------------------------------------------------------------------------------------

WEBHOOK_URL = text(LONGEST_TEXT, r"https?://[^\s/?#]+[^\s#]*", "an address that starts with https://")
BROKER_URL = text(
    LONGEST_TEXT, r"(?:amqps?|rediss?|sqs)://\S*", "the address of a broker: amqp://, amqps://, redis://, rediss:// or sqs://"
)
WEBHOOK_ID = text(191, r"hook_[1-9][0-9]{0,17}", "the identifier of a webhook, such as hook_1")


def read_secret(value: Any, pointer: str) -> str:
    """The secret of a webhook. What was sent is not said again when it is refused."""
    try:
        signing.key_of(value if isinstance(value, str) else "")
    except ValueError as error:
        raise wrong(pointer, None, f"{name_of(pointer)}: {str(error).removesuffix('.')}") from None
    return str(value)


def _paths(value: Any, pointer: str) -> tuple[str, ...]:
    return tuple(".".join(read_path(one, f"{pointer}/{place}")) for place, one in enumerate(several(text(), 100)(value, pointer)))


def _handler(value: Any, pointer: str) -> str:
    if value not in INTERNAL_HANDLERS:
        raise wrong(pointer, value, f"{name_of(pointer)}: there is no handler {value!r}{nearest(str(value), tuple(INTERNAL_HANDLERS))}")
    return str(value)


def _duration(longest: timedelta) -> Read:
    """An ISO 8601 duration, as it was written; longer than none."""

    def reader(value: Any, pointer: str) -> str:
        try:
            length = seconds(value if isinstance(value, str) else "")
        except ValueError:
            length = 0
        if not 0 < length <= longest.total_seconds():
            raise wrong(pointer, value, f"{name_of(pointer)} must be a duration such as PT2H or P1D, of at most {longest.days} days")
        return str(value)

    return reader


_OF_SOON_SCAN = {"within": Member(several(_duration(LONGEST_LEAD_TIME), MOST_LEAD_TIMES))}

ARGUMENTS: Mapping[str, Mapping[str, Member]] = {
    "log": {},
    "planning.shortfall_scan": {
        "createBuildRequests": Member(boolean),
        "horizon": Member(_duration(LONGEST_HORIZON)),
        "includePending": Member(boolean),
        "itemTypeId": Member(text()),
        "location": Member(text()),
    },
    "planning.build_request_submit": {},
    "notifications.starts_soon_scan": _OF_SOON_SCAN,
    "notifications.ends_soon_scan": _OF_SOON_SCAN,
    "maintenance.overdue_scan": {},
}
"""Handler → the members of its `arguments`."""


def _with_arguments(config: Mapping[str, Any], pointer: str) -> Mapping[str, Any]:
    """The configuration of `invoke_internal`, with arguments that its handler takes."""
    if config["arguments"] is None:
        return config
    found = members(ARGUMENTS[config["handler"]])(config["arguments"], f"{pointer}/arguments")
    return {**config, "arguments": {name: value for name, value in found.items() if value is not None}}


def _filter_as_written(value: Any, pointer: str) -> dict[str, Any]:
    return filters.written(read_filter(value, pointer))


def _either(*names: str) -> Callable[[Mapping[str, Any]], str | None]:
    """Exactly one of these members is there."""
    return lambda config: None if sum(config[name] is not None for name in names) == 1 else f"needs either {' or '.join(names)}"


def _some(*names: str) -> Callable[[Mapping[str, Any]], str | None]:
    """At least one of these members is there."""
    return lambda config: None if any(config[name] is not None for name in names) else f"needs {' or '.join(names)}"


def _webhook_complaint(config: Mapping[str, Any]) -> str | None:
    if config["webhookId"] is not None and config["secret"] is not None:
        return "takes a secret with a url only; a webhook has its own"
    return _either("url", "webhookId")(config)


def _nothing(_config: Mapping[str, Any]) -> None:
    return None


def _as_it_is(config: Mapping[str, Any], _pointer: str) -> Mapping[str, Any]:
    return config


@dataclass(frozen=True)
class ActionType:
    """
    The members of its configuration, what it does in one sentence, what may be wrong with its members together, and how those are
    read whose meaning depends on others.
    """

    members: Mapping[str, Member]
    meaning: str
    complaint: Callable[[Mapping[str, Any]], str | None] = _nothing
    refined: Callable[[Mapping[str, Any], str], Mapping[str, Any]] = _as_it_is


ACTION_TYPES: Mapping[str, ActionType] = {
    "webhook": ActionType(
        {"url": Member(WEBHOOK_URL), "secret": Member(read_secret), "webhookId": Member(WEBHOOK_ID)},
        "Posts the event to an address, signed.",
        _webhook_complaint,
    ),
    "transform": ActionType(
        {"expression": Member(text(LONGEST_TEXT)), "redact": Member(_paths)},
        "Changes what the actions behind it get: takes paths out of the event, then makes something else of it with JMESPath.",
        _some("expression", "redact"),
    ),
    "route": ActionType(
        {"url": Member(BROKER_URL, is_required=True), "exchange": Member(text()), "routingKey": Member(text()), "queue": Member(text())},
        "Publishes the event to a queue or an exchange of a broker.",
        _some("queue", "exchange", "routingKey"),
    ),
    "invoke_internal": ActionType(
        {"handler": Member(_handler, is_required=True), "arguments": Member(an_object)},
        "Calls a part of this service.",
        refined=_with_arguments,
    ),
    "filter": ActionType(
        {"filter": Member(_filter_as_written, is_required=True)}, "Lets an event pass on to the actions behind it, or not."
    ),
    "rate_limit": ActionType(
        {"limit": Member(whole(1, 1_000_000), is_required=True), "per": Member(choice(*PERIODS), is_required=True)},
        "Lets so many events pass in a period; the others wait.",
    ),
}
"""What can be done, and what it takes."""


def _read_action(value: Any, pointer: str) -> Action:
    """An action in either of its spellings: the members beside its type, or in `config`."""
    given = an_object(value, pointer)
    name = choice(*ACTION_TYPES)(given.get("type"), f"{pointer}/type")
    beside = {key: one for key, one in given.items() if key not in ("type", "config")}
    if "config" in given and beside:
        key = next(iter(beside))
        raise wrong(f"{pointer}/{escaped(key)}", beside[key], f"{name_of(pointer)}: {key} belongs into config")
    place = f"{pointer}/config" if "config" in given else pointer
    config = members(ACTION_TYPES[name].members)(given.get("config", beside), place)
    complaint = ACTION_TYPES[name].complaint(config)
    if complaint:
        raise wrong(place, None, f"{name_of(pointer)}: {name} {complaint}")
    refined = ACTION_TYPES[name].refined(config, place)
    return Action(name, {key: one for key, one in refined.items() if one is not None})


# --- reading ----------------------------------------------------------------------------------------------------------


def read_event_type(value: Any, pointer: str) -> str:
    """A type of event, or a pattern of types. Raises Wrong where there is none like it."""
    pattern: str = text()(value, pointer)
    if not types_like(pattern):
        raise wrong(pointer, value, f"{name_of(pointer)}: no event is of type {pattern!r}{nearest(pattern, tuple(EVENTS))}")
    return pattern


_MEMBERS: Mapping[str, Member] = {
    "name": Member(text(), is_required=True),
    "description": Member(text(LONGEST_TEXT)),
    "enabled": Member(boolean, default=True),
    "source": Member(choice(*SOURCES), default="event"),
    "eventTypes": Member(several(read_event_type, 100), default=()),
    "filter": Member(read_filter, default=()),
    "schedule": Member(read_schedule),
    "jobType": Member(choice(*JOB_TYPES)),
    "actions": Member(several(_read_action, MOST_ACTIONS), default=()),
    "metadata": Member(anything),
}

_NEEDS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "event": (("eventTypes", "actions"), ("schedule", "jobType")),
    "schedule": (("schedule",), ("eventTypes",)),
}
"""Source → the members that it needs, and those that it cannot have."""


def read_trigger(body: Any) -> Trigger:
    """The trigger that its owner wrote. Raises ShapeViolation with a JSON pointer to everything that is wrong."""
    trigger: Trigger = read(_read_trigger, body)
    return trigger


def _read_trigger(body: Any, pointer: str) -> Trigger:
    found = members(_MEMBERS)(body, pointer)
    _refuse_mismatch(found)
    names = {"eventTypes": "event_types", "jobType": "job_type"}
    return Trigger(**{names.get(name, name): value for name, value in found.items()})


def _refuse_mismatch(found: Mapping[str, Any]) -> None:
    """What does not go with the source, and what the source needs."""
    source = found["source"]
    needed, unwanted = _NEEDS[source]
    missing = [(name, f"{name} is required where the source is {source}") for name in needed if not found[name]]
    strange = [(name, f"{name} does not go with the source {source}") for name in unwanted if found[name]]
    idle = (
        [("actions", "a schedule needs a jobType or actions")]
        if source == "schedule" and not (found["jobType"] or found["actions"])
        else []
    )
    violations = [wrong(f"/{name}", None, message).violations[0] for name, message in (*missing, *strange, *idle)]
    if violations:
        raise Wrong(violations)


# --- writing ----------------------------------------------------------------------------------------------------------


def written(trigger: Trigger) -> dict[str, Any]:
    """The trigger as it is stored and given back: JSON terms that `read_trigger` reads, every action in one spelling."""
    schedule = trigger.schedule
    said = {
        "name": trigger.name,
        "description": trigger.description,
        "enabled": trigger.enabled,
        "source": trigger.source,
        "eventTypes": list(trigger.event_types) or None,
        "filter": filters.written(trigger.filter) or None,
        "schedule": {"type": schedule.type, "expr": schedule.expr, "timezone": schedule.timezone} if schedule else None,
        "jobType": trigger.job_type,
        "actions": [{"type": one.type, "config": dict(one.config)} for one in trigger.actions],
        "metadata": trigger.metadata,
    }
    return {name: value for name, value in said.items() if value is not None}


def with_actions(trigger: Trigger, actions: tuple[Action, ...]) -> Trigger:
    """The trigger with other actions."""
    return replace(trigger, actions=actions)
