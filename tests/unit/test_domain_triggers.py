"""What a trigger may be like, what is wrong with the others, and which events it is for."""

from typing import Any

import pytest

from ld_server.domain.errors import ShapeViolation
from ld_server.domain.events import EVENTS, types_like
from ld_server.domain.triggers import ACTION_TYPES, ARGUMENTS, INTERNAL_HANDLERS, Action, read_trigger, written

HOOK = {"type": "webhook", "config": {"url": "https://lmt.example/hooks"}}
GOOD = {"name": "tell LMT", "eventTypes": ["rentAction.*"], "actions": [HOOK]}
NIGHTLY = {
    "name": "Nightly shortfall scan",
    "enabled": True,
    "source": "schedule",
    "schedule": {"type": "cron", "expr": "0 2 * * *", "timezone": "UTC"},
    "jobType": "planning.shortfall_scan",
    "filter": {"meta.tenant": "default"},
    "actions": [{"type": "log", "config": {}}],
}
SECRET = "whsec_" + "A" * 43 + "="


def with_action(**action: Any) -> dict[str, Any]:
    return {**GOOD, "actions": [action]}


def scanning(handler: str, **arguments: Any) -> dict[str, Any]:
    """A trigger that calls a handler with these arguments."""
    return with_action(type="invoke_internal", config={"handler": handler, "arguments": arguments})


def scheduled(**schedule: Any) -> dict[str, Any]:
    return {"name": "n", "source": "schedule", "schedule": schedule, "jobType": "maintenance.overdue_scan"}


ACTIONS: list[tuple[dict[str, Any], Action]] = [
    (HOOK, Action("webhook", {"url": "https://lmt.example/hooks"})),
    ({"type": "webhook", "url": " https://lmt.example/hooks "}, Action("webhook", {"url": "https://lmt.example/hooks"})),
    ({"type": "webhook", "url": "https://a.b/", "secret": SECRET}, Action("webhook", {"url": "https://a.b/", "secret": SECRET})),
    ({"type": "webhook", "webhookId": "hook_1"}, Action("webhook", {"webhookId": "hook_1"})),
    ({"type": "transform", "redact": "data.agent.email"}, Action("transform", {"redact": ("data.agent.email",)})),
    ({"type": "transform", "config": {"expression": "data"}}, Action("transform", {"expression": "data"})),
    (
        {"type": "route", "url": "redis://localhost/0", "queue": "events"},
        Action("route", {"url": "redis://localhost/0", "queue": "events"}),
    ),
    ({"type": "invoke_internal", "handler": "log"}, Action("invoke_internal", {"handler": "log"})),
    ({"type": "filter", "filter": {"data.x": {"gt": 1}}}, Action("filter", {"filter": {"data.x": {"gt": 1}}})),
    ({"type": "rate_limit", "config": {"limit": 5, "per": "minute"}}, Action("rate_limit", {"limit": 5, "per": "minute"})),
]

REFUSED: list[tuple[Any, str, str]] = [
    ([], "", "the body must be a JSON object"),
    ({**GOOD, "name": ""}, "/name", "1 to 191 characters"),
    ({**GOOD, "name": None}, "/name", "name is required"),
    ({**GOOD, "enabled": "yes"}, "/enabled", "true or false"),
    ({**GOOD, "source": "cron"}, "/source", "event, schedule"),
    ({**GOOD, "eventType": ["x"]}, "/eventType", "did you mean eventTypes?"),
    ({**GOOD, "eventTypes": []}, "/eventTypes", "required where the source is event"),
    ({**GOOD, "eventTypes": ["rentAction.aproved"]}, "/eventTypes/0", "did you mean rentAction.approved?"),
    ({**GOOD, "eventTypes": ["rentaction.*"]}, "/eventTypes/0", "no event is of type"),
    ({**GOOD, "actions": []}, "/actions", "required"),
    ({**GOOD, "actions": ["webhook"]}, "/actions/0", "actions[0] must be a JSON object"),
    ({**GOOD, "actions": [HOOK] * 21}, "/actions", "at most 20"),
    ({**GOOD, "schedule": {"type": "cron", "expr": "* * * * *"}}, "/schedule", "does not go with the source event"),
    ({**GOOD, "filter": {"data.x": {"gtt": 1}}}, "/filter/data.x/gtt", "did you mean"),
    (with_action(type="webhok", url="https://a.b"), "/actions/0/type", "must be one of webhook"),
    (with_action(type="webhook"), "/actions/0", "needs either url or webhookId"),
    (with_action(type="webhook", url="https://a.b", webhookId="hook_1"), "/actions/0", "needs either url or webhookId"),
    (with_action(type="webhook", webhookId="hook_1", secret=SECRET), "/actions/0", "takes a secret with a url only"),
    (with_action(type="webhook", url="ftp://a.b"), "/actions/0/url", "starts with https://"),
    (with_action(type="webhook", config={"url": "https://a.b", "secret": "hunter2"}), "/actions/0/config/secret", "whsec_"),
    (with_action(type="webhook", config={"uri": "https://a.b"}), "/actions/0/config/uri", "did you mean url?"),
    (with_action(type="webhook", config={}, url="https://a.b"), "/actions/0/url", "belongs into config"),
    (with_action(type="transform"), "/actions/0", "needs expression or redact"),
    (with_action(type="transform", redact=["data.a", "dta.b"]), "/actions/0/redact/1", "an envelope has no 'dta'"),
    (with_action(type="route", url="http://a.b", queue="q"), "/actions/0/url", "amqp://"),
    (with_action(type="route", url="redis://a.b"), "/actions/0", "needs queue"),
    (with_action(type="invoke_internal", handler="lgo"), "/actions/0/handler", "did you mean log?"),
    (with_action(type="invoke_internal", handler="log", arguments={"x": 1}), "/actions/0/arguments/x", "is not known"),
    (scanning("planning.shortfall_scan", horizn="P9D"), "/actions/0/config/arguments/horizn", "did you mean horizon?"),
    (scanning("planning.shortfall_scan", horizon="a while"), "/actions/0/config/arguments/horizon", "a duration such as"),
    (scanning("planning.shortfall_scan", createBuildRequests="yes"), "/actions/0/config/arguments/createBuildRequests", "true or false"),
    (scanning("notifications.starts_soon_scan", within="soon"), "/actions/0/config/arguments/within", "a duration such as PT2H"),
    (scanning("notifications.starts_soon_scan", within=["P1D", 2]), "/actions/0/config/arguments/within/1", "a duration such as"),
    (scanning("notifications.ends_soon_scan", within="PT0S"), "/actions/0/config/arguments/within", "a duration such as"),
    (scanning("notifications.ends_soon_scan", within="P367D"), "/actions/0/config/arguments/within", "at most 366 days"),
    (scanning("notifications.ends_soon_scan", within=["P1D"] * 11), "/actions/0/config/arguments/within", "at most 10 entries"),
    (scanning("maintenance.overdue_scan", within="P1D"), "/actions/0/config/arguments/within", "is not known"),
    (with_action(type="filter", filter={"x": 1}), "/actions/0/filter/x", "an envelope has no"),
    (with_action(type="rate_limit", limit=0, per="minute"), "/actions/0/limit", "whole number from 1"),
    (with_action(type="rate_limit", limit=True, per="minute"), "/actions/0/limit", "whole number from 1"),
    (with_action(type="rate_limit", limit=1, per="fortnight"), "/actions/0/per", "second, minute, hour, day"),
    ({"name": "n", "source": "schedule", "jobType": "maintenance.overdue_scan"}, "/schedule", "required"),
    ({**scheduled(type="cron", expr="0 2 * * *"), "jobType": None}, "/actions", "needs a jobType or actions"),
    ({**scheduled(type="cron", expr="0 2 * * *"), "eventTypes": ["*"]}, "/eventTypes", "does not go with"),
    ({**scheduled(type="cron", expr="0 2 * * *"), "jobType": "scan"}, "/jobType", "must be one of"),
    (scheduled(type="hourly", expr="0 2 * * *"), "/schedule/type", "cron, rrule"),
    (scheduled(type="cron", expr="0 2 * *"), "/schedule/expr", "five fields"),
    (scheduled(type="cron", expr="60 2 * * *"), "/schedule/expr", "'60' is no minute"),
    (scheduled(type="cron", expr="*/0 2 * * *"), "/schedule/expr", "is no minute"),
    (scheduled(type="cron", expr="0 2 * foo *"), "/schedule/expr", "'foo' is no month"),
    (scheduled(type="cron", expr="0 5-2 * * *"), "/schedule/expr", "is no hour"),
    (scheduled(type="rrule", expr="INTERVAL=2"), "/schedule/expr", "FREQ"),
    (scheduled(type="rrule", expr="FREQ=SECONDLY"), "/schedule/expr", "FREQ=SECONDLY"),
    (scheduled(type="rrule", expr="FREQ=DAILY;BYHOUR=x"), "/schedule/expr", "BYHOUR=X"),
    (scheduled(type="cron", expr="0 2 * * *", timezone="Mars/Phobos"), "/schedule/timezone", "Europe/Brussels"),
    (scheduled(type="cron", expr="0 2 * * *", timezone="../etc/passwd"), "/schedule/timezone", "Europe/Brussels"),
]


@pytest.mark.parametrize(("body", "pointer", "message"), REFUSED, ids=[f"{row[1]} {row[2]}" for row in REFUSED])
def test_a_mistake_is_told_with_its_place(body: Any, pointer: str, message: str) -> None:
    with pytest.raises(ShapeViolation) as refused:
        read_trigger(body)
    assert [one.pointer for one in refused.value.violations] == [pointer]
    assert message in refused.value.violations[0].message
    assert refused.value.detail.endswith(".")


def test_every_mistake_is_told_at_once() -> None:
    with pytest.raises(ShapeViolation) as refused:
        read_trigger({"nme": "x", "eventTypes": ["nothing"], "actions": [{"type": "webhook"}, {"type": "rate_limit", "limit": 1}]})
    assert {one.pointer for one in refused.value.violations} == {"/name", "/nme", "/eventTypes/0", "/actions/0", "/actions/1/per"}


@pytest.mark.parametrize(("given", "understood"), ACTIONS, ids=lambda one: str(one)[:50])
def test_actions_are_understood_in_both_spellings_and_given_back_in_one(given: dict[str, Any], understood: Action) -> None:
    trigger = read_trigger({**GOOD, "actions": [given]})
    assert trigger.actions == (understood,)
    assert written(trigger)["actions"] == [{"type": understood.type, "config": dict(understood.config)}]


def test_every_type_of_action_is_tried_here() -> None:
    assert {given["type"] for given, _ in ACTIONS} == set(ACTION_TYPES)


def test_every_handler_says_what_it_takes() -> None:
    assert set(ARGUMENTS) == set(INTERNAL_HANDLERS)


@pytest.mark.parametrize(("within", "understood"), [("P1D", ("P1D",)), (["P1D", "PT2H"], ("P1D", "PT2H"))])
def test_lead_times_are_one_or_several(within: Any, understood: tuple[str, ...]) -> None:
    trigger = read_trigger(scanning("notifications.starts_soon_scan", within=within))
    assert trigger.actions[0].config["arguments"] == {"within": understood}


@pytest.mark.parametrize("body", [GOOD, {**GOOD, "filter": {"data.x": {"gt": 1, "lt": 9}}, "description": "d", "metadata": {"a": [1]}}])
def test_what_is_written_is_what_was_read(body: dict[str, Any]) -> None:
    trigger = read_trigger(body)
    assert read_trigger(written(trigger)) == trigger
    assert written(trigger).items() >= body.items()


def test_the_example_of_the_specification_is_understood() -> None:
    actions = [
        {"type": "invoke_internal", "config": {"handler": "log"}},
        {"type": "webhook", "config": {"url": "https://lmt.internal/webhooks/planning"}},
    ]
    trigger = read_trigger({**NIGHTLY, "actions": actions})
    assert trigger.schedule is not None and trigger.schedule.expr == "0 2 * * *"
    assert trigger.job_type == "planning.shortfall_scan"
    assert [one.type for one in trigger.actions] == ["invoke_internal", "webhook"]


@pytest.mark.parametrize("expr", ["*/15 8-18 * * mon-fri", "0 0 1,15 jan,JUL *", "5 4 * * 7", "0 2 * * sun", "0-30/10 * * * *"])
def test_cron_expressions(expr: str) -> None:
    assert read_trigger(scheduled(type="cron", expr=expr, timezone="Europe/Brussels")).schedule is not None


@pytest.mark.parametrize("expr", ["FREQ=DAILY;BYHOUR=2;BYMINUTE=0", "RRULE:FREQ=MONTHLY;BYDAY=-1FR", "freq=weekly;byday=mo,we;count=10"])
def test_recurrence_rules(expr: str) -> None:
    assert read_trigger(scheduled(type="rrule", expr=expr)).schedule is not None


@pytest.mark.parametrize(
    ("pattern", "count"),
    [
        ("*", len(EVENTS)),
        ("rentAction.approved", 1),
        ("rentAction.status.*", 1),
        ("rentAction", 0),
        ("", 0),
        ("rentAction.?pproved", 0),
        ("[r]*", 0),
    ],
)
def test_an_asterisk_stands_for_any_characters(pattern: str, count: int) -> None:
    assert len(types_like(pattern)) == count


def test_a_pattern_of_many_asterisks_takes_no_time() -> None:
    assert types_like("*a" * 80) == ()


def envelope(type: str, **data: Any) -> dict[str, Any]:
    return {"id": "evt_1", "type": type, "occurredAt": "", "subject": {}, "data": data, "meta": {"tenant": "default"}}


def test_a_trigger_is_for_events_of_its_types_for_which_its_filter_holds() -> None:
    trigger = read_trigger({**GOOD, "eventTypes": ["rentAction.*", "attachment.created"], "filter": {"data.priority": "high"}})
    assert trigger.matches(envelope("rentAction.status.changed", priority="high"))
    assert trigger.matches(envelope("attachment.created", priority="high"))
    assert not trigger.matches(envelope("rentAction.approved", priority="low"))
    assert not trigger.matches(envelope("catalog.asset.created", priority="high"))


def test_a_scheduled_trigger_is_for_no_event() -> None:
    assert not read_trigger(scheduled(type="cron", expr="0 2 * * *")).matches(envelope("rentAction.approved"))
