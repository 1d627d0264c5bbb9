"""Webhooks: addresses that triggers send events to, each with a secret, its own pace, and a rest of what its owner said."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from ld_server.domain.reading import LONGEST_TEXT, Member, anything, boolean, choice, members, read, text, whole
from ld_server.domain.triggers import PERIODS, WEBHOOK_URL, read_secret

DEFAULT_CONCURRENCY = 8
LARGEST_CONCURRENCY = 64


@dataclass(frozen=True)
class Rate:
    """So many in a period: `per` is one of PERIODS."""

    limit: int
    per: str

    @property
    def seconds(self) -> int:
        """The length of the period."""
        return PERIODS[self.per]


@dataclass(frozen=True)
class Webhook:
    """Where to send, how many at once and how fast."""

    url: str
    name: str
    enabled: bool = True
    concurrency: int = DEFAULT_CONCURRENCY
    rate: Rate | None = None
    description: str | None = None
    metadata: Any = None


_RATE = members({"limit": Member(whole(1, 1_000_000), is_required=True), "per": Member(choice(*PERIODS), is_required=True)})

_MEMBERS: Mapping[str, Member] = {
    "url": Member(WEBHOOK_URL, is_required=True),
    "name": Member(text()),
    "enabled": Member(boolean, default=True),
    "concurrency": Member(whole(1, LARGEST_CONCURRENCY), default=DEFAULT_CONCURRENCY),
    "rateLimit": Member(_RATE),
    "description": Member(text(LONGEST_TEXT)),
    "metadata": Member(anything),
}


def read_webhook(body: Any) -> Webhook:
    """The webhook that its owner wrote, without a secret. Raises ShapeViolation with a JSON pointer to everything that is wrong."""
    return _webhook(read(members(_MEMBERS), body))


def read_new_webhook(body: Any) -> tuple[Webhook, str | None]:
    """The same, and the secret that came with it. Raises ShapeViolation."""
    found = read(members({**_MEMBERS, "secret": Member(read_secret)}), body)
    return _webhook({name: found[name] for name in _MEMBERS}), found["secret"]


def _webhook(found: Mapping[str, Any]) -> Webhook:
    rate = found["rateLimit"]
    return Webhook(
        url=found["url"],
        name=found["name"] or urlsplit(found["url"]).hostname or found["url"],
        enabled=found["enabled"],
        concurrency=found["concurrency"],
        rate=Rate(**rate) if rate else None,
        description=found["description"],
        metadata=found["metadata"],
    )
