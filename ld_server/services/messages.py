"""What is sent for an event: the envelope with its place in the feed, and what transforms make of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import jmespath
import orjson
from jmespath.exceptions import JMESPathError

from ld_server.domain.signing import signed
from ld_server.domain.triggers import Action
from ld_server.services import feed
from ld_server.services.sealing import Sealing
from ld_server.services.triggers import unsealed
from ld_server.services.webhooks import secrets_of
from relational.outbox import Numbered
from relational.webhooks import WebhookRow


class TransformFailed(ValueError):
    """A transform cannot be applied to this event, now or later; the message says why."""


def payload(event: Numbered, transforms: Sequence[Mapping[str, Any]] = ()) -> bytes:
    """
    The JSON that is sent. Each transform has an `expression` in JMESPath, or paths to `redact`, or both: then paths are taken out first.

    Raises TransformFailed.
    """
    if not transforms:
        return (feed.told(event) if event.sequence else event.entry.body).encode()
    content = envelope_of(event)
    for transform in transforms:
        content = transformed(content, transform)
    return orjson.dumps(content)


def envelope_of(event: Numbered) -> dict[str, Any]:
    """The envelope of an event, with its sequence where it has one."""
    envelope: dict[str, Any] = feed.envelope_of(event) if event.sequence else orjson.loads(event.entry.body)
    return envelope


def transformed(content: Any, transform: Mapping[str, Any]) -> Any:
    """What a transform makes of JSON terms, which are left as they are. Raises TransformFailed."""
    for path in transform.get("redact", ()):
        content = without(content, path.split("."))
    if "expression" not in transform:
        return content
    try:
        return jmespath.search(transform["expression"], content)
    except (JMESPathError, RecursionError, ValueError, TypeError) as error:
        raise TransformFailed(f"The transform cannot be applied: {error}") from error


def without(content: Any, path: Sequence[str]) -> Any:
    """JSON terms without what is at a path. In an array a path goes on in every element. A path that leads nowhere takes nothing away."""
    if isinstance(content, list):
        return [without(one, path) for one in content]
    if not isinstance(content, dict) or path[0] not in content:
        return content
    if len(path) == 1:
        return {name: value for name, value in content.items() if name != path[0]}
    return {**content, path[0]: without(content[path[0]], path[1:])}


# --- to webhooks --------------------------------------------------------------------------------------------------------

AGENT = "ld-reservations"


@dataclass(frozen=True)
class Post:
    """A request to a webhook, exactly as it is sent."""

    url: str
    headers: Mapping[str, str]
    body: bytes


def post(url: str, secrets: Sequence[str], message_id: str, body: bytes, at: datetime) -> Post:
    """The request that brings a message to a webhook, signed with each of the secrets. Without a secret it has no signature."""
    signature = signed(message_id, at, body, secrets)
    kept = {name: value for name, value in signature.items() if value}
    return Post(url, {"Content-Type": "application/json", "User-Agent": AGENT, **kept}, body)


def target_of(config: Mapping[str, Any], webhook: WebhookRow | None, sealing: Sealing, at: datetime) -> tuple[str, list[str]]:
    """
    The address that a webhook action leads to, and the secrets that are valid at an instant, the newest first.

    Raises StoreUnavailable when they were sealed with an unknown key.
    """
    if webhook is not None:
        return webhook.url, secrets_of(webhook, sealing, at)
    opened = unsealed(Action("webhook", config), sealing).config
    return opened["url"], [opened["secret"]] if "secret" in opened else []
