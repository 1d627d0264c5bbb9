"""
What is old is forgotten, so that nothing grows without end: events with everything that was made of them, runs, and answers to requests.

An event and its deliveries are forgotten together, once all of them have ended long enough ago: nobody who asks what a webhook has missed
is told that it has missed what is only no longer known. All of it goes in small transactions, so that no writer waits; the newest sequence
that was forgotten is a fact, by which a reader who comes too late is told so.
"""

import time
from collections.abc import Callable
from datetime import datetime, timedelta

from ld_server.domain.triggers import LONGEST_LEAD_TIME
from ld_server.services.dispatch import RELAYED
from ld_server.services.parts import Parts
from ld_server.services.reminders import ENDS_SOON, STARTS_SOON
from relational.deliveries import UNFINISHED, Delivery
from relational.outbox import FORGOTTEN

BATCH = 200
"""Rows that one transaction forgets."""

SECONDS = 30.0
"""After which a sweep leaves the rest to the next one."""


def sweep(parts: Parts) -> int:
    """Forget what is older than the settings say; how many events, runs and tellings those were."""
    end = time.monotonic() + SECONDS
    return sum(in_batches(parts, piece, end) for piece in (_events, _runs, _tellings))


def sweep_answers(parts: Parts) -> int:
    """Forget answers whose Idempotency-Key has expired; how many those were."""
    return in_batches(parts, _answers, time.monotonic() + SECONDS)


def in_batches(parts: Parts, piece: Callable[[Parts], int], end: float) -> int:
    """Forget one batch after another until there is nothing left, or the time is up; how many rows those were."""
    total = 0
    while time.monotonic() < end and (done := piece(parts)):
        total += done
    return total


def _answers(parts: Parts) -> int:
    with parts.ledger.write() as uow:
        return uow.idempotency.sweep(parts.now(), BATCH)


def _runs(parts: Parts) -> int:
    before = _before(parts, parts.settings.run_days)
    if before is None:
        return 0
    with parts.ledger.write() as uow:
        return uow.runs.forget(before, BATCH)


def _tellings(parts: Parts) -> int:
    """What was told that long ago was about a time that has come: it cannot be told again."""
    with parts.ledger.write() as uow:
        return uow.told.forget_old((STARTS_SOON.event, ENDS_SOON.event), parts.now() - LONGEST_LEAD_TIME, BATCH)


def _events(parts: Parts) -> int:
    """
    The oldest events that triggers have seen and of which no delivery is open, or has ended lately.

    The newest of all stays: the next one is numbered after it.
    """
    before = _before(parts, parts.settings.event_days)
    if before is None:
        return 0
    with parts.ledger.write() as uow:
        seen = min(int(uow.facts.get(RELAYED) or 0), uow.outbox.newest() - 1)
        old = uow.outbox.old(before, seen, BATCH)
        kept = {one.event_id for one in uow.deliveries.of_events(list(old)) if _is_wanted(one, before)}
        gone = {event: sequence for event, sequence in old.items() if event not in kept}
        uow.deliveries.forget(list(gone))
        uow.outbox.forget(list(gone))
        if gone:
            uow.facts.set(FORGOTTEN, str(max(int(uow.facts.locked(FORGOTTEN, "0")), *gone.values())))
    return len(gone)


def _is_wanted(delivery: Delivery, before: datetime) -> bool:
    return delivery.status in UNFINISHED or delivery.finished_at is None or delivery.finished_at >= before


def _before(parts: Parts, days: float) -> datetime | None:
    """What is older is forgotten; None where nothing is."""
    return parts.now() - timedelta(days=days) if days else None
