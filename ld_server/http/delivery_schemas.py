"""JSON Schemas (2020-12) of deliveries, and of what is said to have something sent again."""

from typing import Any

from ld_server.http.endpoints.deliveries import STATUSES
from ld_server.http.event_schemas import INSTANT, IRI
from ld_server.services.deliveries import MOST_EVENTS

Json = dict[str, Any]


def _or_null(schema: Json) -> Json:
    return {"anyOf": [schema, {"type": "null"}]}


TEXT: Json = {"type": "string"}
COUNT: Json = {"type": "integer", "minimum": 0}

_MEMBERS: Json = {
    "@id": IRI,
    "@type": {"const": "Delivery"},
    "identifier": {"type": "string", "pattern": "^dlv_[1-9][0-9]*$"},
    "event": {**TEXT, "description": "The id of the event."},
    "eventType": TEXT,
    "sequence": _or_null({**COUNT, "description": "The place of the event in the feed."}),
    "subject": {**TEXT, "description": "The identifier of what the event is about: to one endpoint its events go in order."},
    "trigger": _or_null(TEXT),
    "actionIndex": {**COUNT, "description": "Which of the trigger's actions; the first is 0."},
    "actionType": TEXT,
    "webhook": _or_null(TEXT),
    "endpoint": {**TEXT, "description": "The place that order, limits and rest are counted by."},
    "messageId": {**TEXT, "description": "What the receiver knows it by, however often it is sent: `webhook-id`."},
    "status": {"enum": list(STATUSES)},
    "attempts": COUNT,
    "dueAt": INSTANT,
    "nextAttemptAt": _or_null(INSTANT),
    "createdAt": INSTANT,
    "finishedAt": _or_null(INSTANT),
    "lastStatus": _or_null({"type": "integer"}),
    "lastError": _or_null(TEXT),
    "replayedBy": _or_null(TEXT),
    "replayedAt": _or_null(INSTANT),
}

ATTEMPT: Json = {
    "type": "object",
    "required": ["attempt", "startedAt", "durationMilliseconds", "status", "requestHeaders", "responseHead", "error"],
    "properties": {
        "attempt": {"type": "integer", "minimum": 1},
        "startedAt": INSTANT,
        "durationMilliseconds": COUNT,
        "status": _or_null({"type": "integer", "description": "Of the answer, where there was one."}),
        "requestHeaders": {"type": "object", "additionalProperties": TEXT},
        "responseHead": _or_null({**TEXT, "description": "The first 1024 bytes of the answer."}),
        "error": _or_null(TEXT),
    },
    "additionalProperties": False,
}

REPLAY: Json = {
    "type": "object",
    "required": ["askedFor", "replayedBy", "replayedAt", "correlationId"],
    "properties": {"askedFor": TEXT, "replayedBy": TEXT, "replayedAt": INSTANT, "correlationId": TEXT},
    "additionalProperties": False,
}

_HISTORY: Json = {"attemptList": {"type": "array", "items": ATTEMPT}, "replays": {"type": "array", "items": REPLAY}}


def _object(properties: Json, *optional: str) -> Json:
    required = [name for name in properties if name not in optional]
    return {"type": "object", "required": required, "properties": properties, "additionalProperties": False}


_SINCE: Json = {
    "since": {**TEXT, "description": "The id of an event, a sequence or an instant behind which it begins."},
    "limit": {
        "type": "integer",
        "minimum": 1,
        "maximum": MOST_EVENTS,
        "default": MOST_EVENTS,
        "description": "Of events that are looked at.",
    },
}

NOTHING: Json = {"type": "object", "additionalProperties": False}
RECOVERY: Json = _object(_SINCE, "limit")
RANGE: Json = _object(
    {
        **_SINCE,
        "until": {**TEXT, "description": "The id of an event, a sequence or an instant before which it ends."},
        "types": {"type": "array", "items": TEXT, "description": "Only these types; `*` stands for any characters."},
        "subject": {**TEXT, "description": "Only what happened to this resource."},
        "trigger": {**TEXT, "description": "Only what this trigger does."},
    },
    *("limit", "until", "types", "subject", "trigger"),
)

REPLAYED: Json = _object(
    {
        "events": {**COUNT, "description": "How many were looked at."},
        "deliveries": {"type": "array", "items": TEXT, "description": "What is sent."},
        "next": {**TEXT, "description": "Where there is more: go on with it as `since`."},
    },
    "next",
)

RUN: Json = _object(
    {
        "@type": {"const": "Run"},
        "identifier": {"type": "string", "pattern": "^run_[1-9][0-9]*$"},
        "trigger": TEXT,
        "jobType": _or_null(TEXT),
        "status": {"enum": ["waiting", "running", "completed", "failed"]},
        "askedBy": _or_null({**TEXT, "description": "Who asked for it; null where it was due."}),
        "dueAt": _or_null(INSTANT),
        "createdAt": INSTANT,
        "startedAt": _or_null(INSTANT),
        "finishedAt": _or_null(INSTANT),
        "summary": _or_null({"type": "object", "description": "What the job tells."}),
        "error": _or_null(TEXT),
        "event": _or_null({**TEXT, "description": "The id of the event that tells of it."}),
    }
)

RUNS: Json = _object(
    {
        "trigger": TEXT,
        "nextRunAt": _or_null(INSTANT),
        "member": {"type": "array", "items": {"$ref": "#/components/schemas/Run"}},
    }
)

DELIVERY_SCHEMAS: Json = {
    "Run": RUN,
    "Runs": RUNS,
    "Delivery": _object(_MEMBERS),
    "DeliveryWithHistory": _object({**_MEMBERS, **_HISTORY}),
    "Replayed": REPLAYED,
    "WebhookTest": _object(
        {
            "delivery": {"$ref": "#/components/schemas/Delivery"},
            "request": _object({"method": {"const": "POST"}, "url": IRI, "headers": {"type": "object"}, "body": TEXT}),
        }
    ),
}
"""Schemas of deliveries, by name."""
