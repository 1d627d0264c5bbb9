"""Webhooks: addresses that events may be sent to, with the secrets that they are signed with."""

from dataclasses import dataclass
from datetime import datetime

from relational import tables
from relational.rows import Rows


@dataclass(frozen=True, slots=True)
class WebhookRow:
    """
    A webhook as it is stored. The secrets are sealed; the previous one also signs until `previous_until`.

    At most `concurrency` deliveries are under way at once, and at most `rate_limit` begin in `rate_seconds`, where there is a limit.
    `body` is the JSON of what its owner said beyond the columns.
    """

    identifier: str
    number: int
    name: str
    url: str
    secret_current: str
    secret_previous: str | None
    previous_until: datetime | None
    enabled: bool
    disabled_reason: str | None
    concurrency: int
    rate_limit: int | None
    rate_seconds: int | None
    body: str
    revision: int
    created_at: datetime
    updated_at: datetime


class Webhooks(Rows[WebhookRow]):
    """The gateway to webhooks."""

    table = tables.webhooks
    row = WebhookRow
