"""`planning.shortfall_scan`: looks for shortfalls, keeps what it saw, and asks for more units when it is told to."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from ld_server.domain.duration import seconds
from ld_server.domain.window import Window, later
from ld_server.services.occasion import Occasion, new_event_id
from ld_server.services.parts import Parts
from ld_server.services.planning import Question
from ld_server.services.scanning import scan

PRINCIPAL = "planning"


def run(parts: Parts, config: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """
    One run. `config`: `createBuildRequests` (it does not unless it is said), `horizon` (an ISO 8601 duration), `includePending`,
    `itemTypeId`, `location`, and `eventId`, the event that set it going. Raises ValueError for a horizon that is no duration.
    """
    text = config.get("horizon")
    horizon = timedelta(seconds=seconds(text)) if text else timedelta(days=parts.settings.search_horizon_days)
    window = Window(now, later(now, horizon))
    question = Question(window, config.get("itemTypeId"), config.get("location"), bool(config.get("includePending", False)))
    scanned = scan(parts.ledger, question, _occasion(parts, now), bool(config.get("createBuildRequests", False)), config.get("eventId"))
    return scanned.summary


def _occasion(parts: Parts, now: datetime) -> Occasion:
    return Occasion(
        now=now,
        principal=PRINCIPAL,
        correlation_id=f"planning-{uuid4()}",
        tenant=parts.settings.tenant,
        naming=parts.naming,
        context=parts.contexts.reference,
        new_event_id=new_event_id,
    )
