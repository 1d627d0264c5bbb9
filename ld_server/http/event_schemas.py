"""JSON Schemas (2020-12) of events, triggers and webhooks. The envelope's is also published by itself, for those who receive it."""

from typing import Any

from ld_server.domain.events import ENVELOPE_VERSION, EVENTS
from ld_server.domain.scopes import Scope
from ld_server.domain.triggers import ACTION_TYPES, JOB_TYPES, MOST_ACTIONS, PERIODS, SOURCES
from ld_server.domain.webhooks import DEFAULT_CONCURRENCY, LARGEST_CONCURRENCY

Json = dict[str, Any]

IRI: Json = {"type": "string", "format": "uri"}
INSTANT: Json = {"type": "string", "format": "date-time"}
LINE: Json = {"type": "string", "minLength": 1, "maxLength": 191}

ENVELOPE: Json = {
    "title": "Event",
    "description": "What happened, to what, and what that was like then.",
    "type": "object",
    "required": ["id", "type", "occurredAt", "subject", "data", "meta"],
    "properties": {
        "id": {"type": "string", "pattern": "^evt_[A-Za-z0-9]+$", "description": "Its name; the same however often it is told."},
        "type": {"enum": list(EVENTS), "description": "\n".join(f"* `{name}`: {meaning}" for name, meaning in EVENTS.items())},
        "occurredAt": {**INSTANT, "description": "When it happened."},
        "subject": {
            "type": "object",
            "required": ["type", "id"],
            "properties": {"type": {"type": "string"}, "id": {"type": "string"}},
            "description": "What it happened to: its class and its identifier.",
        },
        "data": {"type": "object", "description": "The subject in JSON-LD as of this event."},
        "meta": {
            "type": "object",
            "required": ["tenant", "correlationId", "version"],
            "properties": {
                "tenant": {"type": "string"},
                "correlationId": {"type": "string", "description": "That of the request in the course of which it happened."},
                "version": {"const": ENVELOPE_VERSION, "description": "Of this envelope."},
                "sequence": {"type": "integer", "minimum": 1, "description": "Its place in the feed, which rises."},
            },
        },
    },
}

VIEW: Json = {
    "type": "object",
    "required": ["@id", "@type"],
    "properties": {"@id": IRI, "@type": {"const": "PartialCollectionView"}, "first": IRI, "next": IRI, "previous": IRI},
}

FEED: Json = {
    "description": "A page of the feed, the first event first.",
    "type": "object",
    "required": ["@context", "@id", "@type", "through", "view", "member"],
    "properties": {
        "@context": {"type": "array"},
        "@id": IRI,
        "@type": {"const": "Collection"},
        "through": {"type": "integer", "minimum": 0, "description": "Up to here nothing is left out: ask for what comes `since` this."},
        "view": VIEW,
        "member": {"type": "array", "items": {"$ref": "#/components/schemas/Event"}},
    },
}

FILTER: Json = {
    "description": "Dotted path into the envelope → a value, or an object of operators (in, not, gt, gte, lt, lte, exists). All must hold.",
    "type": "object",
}
SECRET: Json = {"type": "string", "pattern": "^whsec_", "description": "Signs what is sent. Told once, in the answer that made it."}

ACTION: Json = {
    "type": "object",
    "required": ["type", "config"],
    "properties": {
        "type": {"enum": list(ACTION_TYPES), "description": "\n".join(f"* `{name}`: {one.meaning}" for name, one in ACTION_TYPES.items())},
        "config": {
            "type": "object",
            "properties": {name: {} for one in ACTION_TYPES.values() for name in one.members},
            "additionalProperties": False,
        },
    },
}
NEW_ACTION: Json = {
    "description": "The members of its configuration stand in `config`, or beside its type.",
    "type": "object",
    "required": ["type"],
    "properties": {"type": {"enum": list(ACTION_TYPES)}},
}

SCHEDULE: Json = {
    "type": "object",
    "required": ["type", "expr"],
    "properties": {
        "type": {"enum": ["cron", "rrule"]},
        "expr": {"type": "string", "description": "Five fields of cron, or a recurrence rule (RFC 5545)."},
        "timezone": {"type": "string", "default": "UTC"},
    },
}

_TRIGGER: Json = {
    "name": LINE,
    "description": {"type": "string"},
    "enabled": {"type": "boolean", "default": True},
    "source": {"enum": list(SOURCES), "default": "event"},
    "eventTypes": {"type": "array", "items": {"type": "string"}, "description": "Types of events; `*` stands for any characters."},
    "filter": FILTER,
    "schedule": SCHEDULE,
    "jobType": {"enum": list(JOB_TYPES)},
    "metadata": {},
}

_WEBHOOK: Json = {
    "url": IRI,
    "name": LINE,
    "enabled": {"type": "boolean", "default": True},
    "concurrency": {"type": "integer", "minimum": 1, "maximum": LARGEST_CONCURRENCY, "default": DEFAULT_CONCURRENCY},
    "rateLimit": {
        "type": "object",
        "required": ["limit", "per"],
        "properties": {"limit": {"type": "integer", "minimum": 1}, "per": {"enum": list(PERIODS)}},
    },
    "description": {"type": "string"},
    "metadata": {},
}


def _actions(action: Json) -> Json:
    return {"type": "array", "items": action, "maxItems": MOST_ACTIONS, "description": "What is done, in this order."}


def _shown(name: str, properties: Json, *required: str) -> Json:
    own = {"@id": IRI, "@type": {"const": name}, "identifier": {"type": "string"}, "createdAt": INSTANT, "updatedAt": INSTANT}
    return {"type": "object", "required": [*own, *required], "properties": {**own, **properties}, "additionalProperties": False}


def _changes(properties: Json) -> Json:
    return {"type": "object", "properties": {name: {"anyOf": [one, {"type": "null"}]} for name, one in properties.items()}}


def configured_page(member: Json) -> Json:
    """A page of what is configured."""
    return {
        "type": "object",
        "required": ["@id", "@type", "totalItems", "view", "member"],
        "properties": {
            "@id": IRI,
            "@type": {"const": "Collection"},
            "totalItems": {"type": "integer", "minimum": 0},
            "view": VIEW,
            "member": {"type": "array", "items": member},
        },
    }


MATCHES: Json = {
    "type": "object",
    "required": ["trigger", "isComplete", "through", "matches"],
    "properties": {
        "trigger": {"type": "string"},
        "isComplete": {"type": "boolean", "description": "Whether every event up to now has been looked at."},
        "through": {"type": "integer", "description": "The sequence up to which that is so; go on with it as `since`."},
        "matches": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["event", "actions"],
                "properties": {
                    "event": {"type": "object", "required": ["id", "type", "occurredAt", "subject", "meta"]},
                    "actions": {"type": "array", "items": {**ACTION, "required": ["type", "config", "isDone"]}},
                },
            },
        },
    },
}

MATCH: Json = {
    "type": "object",
    "properties": {
        "since": {"type": ["string", "null"], "description": "The id of an event, a sequence or an instant behind which it begins."},
        "types": {"type": ["array", "null"], "items": {"type": "string"}, "description": "Narrows the types of the trigger."},
        "limit": {"type": ["integer", "null"], "minimum": 1, "maximum": 1000, "default": 100},
    },
    "additionalProperties": False,
}

ROTATION: Json = {
    "type": "object",
    "properties": {
        "secret": SECRET,
        "overlap": {"type": "string", "format": "duration", "default": "P1D", "description": "How long the secret before is valid too."},
    },
    "additionalProperties": False,
}

_SCOPES: Json = {"type": "array", "items": {"enum": [str(scope) for scope in Scope]}, "description": "Without any it may read."}

KEY: Json = {
    "type": "object",
    "required": ["@id", "@type", "identifier", "name", "scopes", "status", "createdAt"],
    "properties": {
        "@id": IRI,
        "@type": {"const": "Key"},
        "identifier": {"type": "string"},
        "name": LINE,
        "scopes": _SCOPES,
        "status": {"enum": ["valid", "expired", "revoked"]},
        "createdAt": INSTANT,
        "expiresAt": INSTANT,
        "revokedAt": INSTANT,
        "lastUsedAt": {**INSTANT, "description": "To the hour."},
        "key": {"type": "string", "description": "The key itself: in the answer that made it, and nowhere else."},
    },
    "additionalProperties": False,
}

NEW_KEY: Json = {
    "type": "object",
    "required": ["name"],
    "properties": {"name": LINE, "scopes": _SCOPES, "expiresAt": INSTANT},
    "additionalProperties": False,
}

CONFIGURATION_SCHEMAS: Json = {
    "Key": KEY,
    "NewKey": NEW_KEY,
    "Event": ENVELOPE,
    "Events": FEED,
    "Action": ACTION,
    "NewAction": NEW_ACTION,
    "Trigger": _shown("Trigger", {**_TRIGGER, "actions": _actions({"$ref": "#/components/schemas/Action"})}, "name", "enabled", "source"),
    "NewTrigger": {
        "type": "object",
        "required": ["name"],
        "properties": {**_TRIGGER, "actions": _actions({"$ref": "#/components/schemas/NewAction"})},
        "additionalProperties": False,
    },
    "TriggerChanges": _changes({**_TRIGGER, "actions": _actions({"$ref": "#/components/schemas/NewAction"})}),
    "Webhook": _shown(
        "Webhook",
        {
            **_WEBHOOK,
            "secret": SECRET,
            "disabledReason": {"type": "string", "description": "Why it was disabled, where nobody did that."},
            "previousSecretUntil": {**INSTANT, "description": "Until then the secret before signs too."},
        },
        "url",
        "name",
        "enabled",
        "concurrency",
    ),
    "NewWebhook": {"type": "object", "required": ["url"], "properties": {**_WEBHOOK, "secret": SECRET}, "additionalProperties": False},
    "WebhookChanges": _changes(_WEBHOOK),
    "Matches": MATCHES,
}
"""Schemas of what is configured and told, by name."""

TRIGGER_EXAMPLES: Json = {
    "event": {
        "name": "Tell LMT of approvals",
        "eventTypes": ["rentAction.approved"],
        "filter": {"data.externalSource": "sgl"},
        "actions": [{"type": "invoke_internal", "config": {"handler": "log"}}],
    },
    "schedule": {
        "name": "Nightly shortfall scan",
        "source": "schedule",
        "schedule": {"type": "cron", "expr": "0 2 * * *", "timezone": "Europe/Brussels"},
        "jobType": "planning.shortfall_scan",
    },
}
WEBHOOK_EXAMPLES: Json = {
    "required": {"url": "https://example.org/hooks/reservations"},
    "everything": {
        "url": "https://example.org/hooks/reservations",
        "name": "LMT",
        "concurrency": 4,
        "rateLimit": {"limit": 10, "per": "second"},
    },
}
EXAMPLES: Json = {"trigger": TRIGGER_EXAMPLES, "webhook": WEBHOOK_EXAMPLES}
"""Name of a sort of configuration → things to post."""


def published_envelope(address: str) -> Json:
    """The schema of the envelope as a document of its own."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": address, **ENVELOPE}
