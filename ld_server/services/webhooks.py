"""Webhooks are configured; their secrets are made, sealed, and exchanged for new ones without a moment in which none is right."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import orjson

from ld_server.domain.commands import Expected
from ld_server.domain.errors import InUse, ShapeViolation, Violation
from ld_server.domain.signing import new_secret
from ld_server.domain.webhooks import Rate, Webhook
from ld_server.services.addresses import AddressRefused, Allowed, check
from ld_server.services.occasion import Occasion
from ld_server.services.sealing import Sealing
from ld_server.services.triggers import opened, trigger_of
from relational.unit_of_work import UnitOfWork
from relational.webhooks import WebhookRow

PREFIX = "hook"

PERIOD_OF = {1: "second", 60: "minute", 3600: "hour", 86400: "day"}
"""Seconds → what a rate is counted by."""


def webhook_of(row: WebhookRow) -> Webhook:
    """The webhook in a row."""
    said: dict[str, Any] = orjson.loads(row.body)
    rate = Rate(row.rate_limit, PERIOD_OF[row.rate_seconds]) if row.rate_limit and row.rate_seconds else None
    return Webhook(row.url, row.name, row.enabled, row.concurrency, rate, said.get("description"), said.get("metadata"))


def secrets_of(row: WebhookRow, sealing: Sealing, now: datetime) -> list[str]:
    """The secrets that are valid now, the newest first. Raises StoreUnavailable when they were sealed with an unknown key."""
    is_overlapping = row.secret_previous is not None and row.previous_until is not None and now < row.previous_until
    return [sealing.opened(one) for one in (row.secret_current, row.secret_previous if is_overlapping else None) if one]


def refuse_address(webhook: Webhook, allowed: Allowed) -> None:
    """Raises ShapeViolation where nothing may be sent. The name is looked up: call it before the transaction."""
    try:
        check(webhook.url, allowed)
    except AddressRefused as error:
        raise ShapeViolation(str(error), [Violation("/url", "", webhook.url, str(error).removesuffix("."))]) from None


def create(uow: UnitOfWork, webhook: Webhook, secret: str | None, occasion: Occasion, sealing: Sealing) -> tuple[WebhookRow, str]:
    """Write a new webhook, with a new secret where none is given; the row, and the secret, which is told this once."""
    sealing.settle(uow)
    number, text = uow.documents.next_number("webhook"), secret or new_secret()
    row = WebhookRow(
        identifier=f"{PREFIX}_{number}",
        number=number,
        secret_current=sealing.seal(text),
        secret_previous=None,
        previous_until=None,
        disabled_reason=None,
        revision=1,
        created_at=occasion.now,
        updated_at=occasion.now,
        **_columns(webhook),
    )
    uow.webhooks.add(row)
    return row, text


def change(uow: UnitOfWork, identifier: str, webhook: Webhook, expected: Expected, occasion: Occasion) -> WebhookRow:
    """
    Give a webhook another state. One that is enabled again is no longer disabled for a reason, and begins anew, as does one that goes
    elsewhere. Raises NotFound and Stale.
    """
    before: WebhookRow = opened(uow.webhooks, identifier, expected, "webhook")
    reason = None if webhook.enabled else before.disabled_reason
    row = replace(before, **_columns(webhook), disabled_reason=reason)
    if row == before:
        return before
    row = replace(row, revision=before.revision + 1, updated_at=occasion.now)
    uow.webhooks.replace(row)
    if row.url != before.url or row.enabled > before.enabled:
        uow.deliveries.begin_anew(identifier, occasion.now)
    return row


def rotate(
    uow: UnitOfWork, identifier: str, secret: str | None, overlap: timedelta, expected: Expected, occasion: Occasion, sealing: Sealing
) -> tuple[WebhookRow, str]:
    """
    Give a webhook another secret, a new one where none is given; what it had signs too until the overlap is over.

    The row, and the secret, which is told this once. Raises NotFound and Stale.
    """
    before: WebhookRow = opened(uow.webhooks, identifier, expected, "webhook")
    sealing.settle(uow)
    text = secret or new_secret()
    row = replace(
        before,
        secret_current=sealing.seal(text),
        secret_previous=before.secret_current,
        previous_until=occasion.now + overlap,
        revision=before.revision + 1,
        updated_at=occasion.now,
    )
    uow.webhooks.replace(row)
    return row, text


def remove(uow: UnitOfWork, identifier: str, expected: Expected, now: datetime) -> None:
    """Take a webhook away, and cancel what has not been delivered. Raises NotFound, Stale, and InUse while a trigger sends to it."""
    opened(uow.webhooks, identifier, expected, "webhook")
    users = [row.identifier for row in uow.triggers.page(0, 10_000) if _sends_to(trigger_of(row), identifier)]
    if users:
        raise InUse(f"Triggers send to {identifier}: {', '.join(users)}.", triggers=users)
    uow.deliveries.cancel(now, "The webhook was taken away.", webhook=identifier)
    uow.webhooks.remove(identifier)


def _sends_to(trigger: Any, identifier: str) -> bool:
    return any(action.config.get("webhookId") == identifier for action in trigger.actions)


def _columns(webhook: Webhook) -> dict[str, Any]:
    rest = {"description": webhook.description, "metadata": webhook.metadata}
    return {
        "name": webhook.name,
        "url": webhook.url,
        "enabled": webhook.enabled,
        "concurrency": webhook.concurrency,
        "rate_limit": webhook.rate.limit if webhook.rate else None,
        "rate_seconds": webhook.rate.seconds if webhook.rate else None,
        "body": orjson.dumps({name: value for name, value in rest.items() if value is not None}).decode(),
    }
