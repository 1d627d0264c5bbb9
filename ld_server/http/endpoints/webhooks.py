"""Webhooks, and the exchange of their secrets."""

from datetime import timedelta
from typing import Any

import falcon

from ld_server.domain import duration
from ld_server.domain.commands import Expected
from ld_server.domain.reading import Member, members, name_of, read, wrong
from ld_server.domain.triggers import read_secret
from ld_server.domain.webhooks import read_new_webhook, read_webhook
from ld_server.http.endpoints.configuration import SENT, Change, Outcome, Sort, answering, may_be_json, read_json
from ld_server.http.execution import perform
from ld_server.http.parameters import query_parameters
from ld_server.http.preconditions import expected_revisions
from ld_server.http.preferences import VALIDATE
from ld_server.resources.kind import written
from ld_server.services import webhooks
from ld_server.services.addresses import allowed_by
from ld_server.services.occasion import Occasion
from ld_server.services.parts import Parts
from relational.unit_of_work import UnitOfWork
from relational.webhooks import WebhookRow


def _shown(row: WebhookRow) -> dict[str, Any]:
    webhook = webhooks.webhook_of(row)
    rate = {"limit": webhook.rate.limit, "per": webhook.rate.per} if webhook.rate else None
    said = {
        "name": webhook.name,
        "url": webhook.url,
        "enabled": webhook.enabled,
        "disabledReason": row.disabled_reason,
        "concurrency": webhook.concurrency,
        "rateLimit": rate,
        "description": webhook.description,
        "metadata": webhook.metadata,
        "previousSecretUntil": written(row.previous_until) if row.previous_until else None,
    }
    return {name: value for name, value in said.items() if value is not None}


def _to_create(body: Any, parts: Parts) -> Change:
    webhook, secret = read_new_webhook(body)
    webhooks.refuse_address(webhook, allowed_by(parts.settings))

    def change(uow: UnitOfWork, occasion: Occasion) -> Outcome:
        row, told = webhooks.create(uow, webhook, secret, occasion, parts.sealing)
        return Outcome(row, {"secret": told})

    return change


def _to_change(body: Any, row: WebhookRow, expected: Expected, parts: Parts) -> Change:
    webhook = read_webhook(body)
    if webhook.url != row.url:
        webhooks.refuse_address(webhook, allowed_by(parts.settings))
    return lambda uow, occasion: Outcome(webhooks.change(uow, row.identifier, webhook, expected, occasion))


WEBHOOK = Sort(
    name="webhook",
    prefix=webhooks.PREFIX,
    path="/v1/webhooks",
    rows=lambda uow: uow.webhooks,
    shown=_shown,
    to_create=_to_create,
    to_change=_to_change,
    remove=webhooks.remove,
    unsaid=("disabledReason", "previousSecretUntil"),
)

DEFAULT_OVERLAP = timedelta(days=1)
LONGEST_OVERLAP = timedelta(days=30)


def _overlap(value: Any, pointer: str) -> timedelta:
    try:
        length = timedelta(seconds=duration.seconds(value if isinstance(value, str) else ""))
    except (ValueError, OverflowError):
        length = None
    if length is None or length > LONGEST_OVERLAP:
        raise wrong(pointer, value, f"{name_of(pointer)} must be a duration of at most P{LONGEST_OVERLAP.days}D, such as PT1H or P1D")
    return length


_ROTATION = members({"secret": Member(read_secret), "overlap": Member(_overlap, default=DEFAULT_OVERLAP)})


class SecretRotation:
    """`POST /v1/webhooks/{identifier}/rotate-secret`: another secret, told this once; the one before signs too for a while."""

    accept_post = SENT

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def on_post(self, req: falcon.Request, resp: falcon.Response, identifier: str) -> None:
        """The body may be empty."""
        may_be_json(req)
        query_parameters(req.query_string, (VALIDATE,))
        expected = expected_revisions(req.env.get("HTTP_IF_MATCH"))
        body, said = read_json(req, self._parts, SENT, may_be_empty=True)
        wanted = read(_ROTATION, said)

        def change(uow: UnitOfWork, occasion: Occasion) -> Outcome:
            sealing = self._parts.sealing
            row, told = webhooks.rotate(uow, identifier, wanted["secret"], wanted["overlap"], expected, occasion, sealing)
            return Outcome(row, {"secret": told})

        perform(req, self._parts, answering(change, WEBHOOK, self._parts, 200), body).give(resp)
