"""When something that failed is tried again: the table of pauses, the receiver's own wish, and when nothing more is tried."""

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

PAUSES = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
"""After the first failure, the second, and so on. After the one that follows the last pause, the delivery is dead."""

JITTER = 0.2
"""A pause becomes longer by up to this part of it, so that what failed together does not come back together. It never becomes shorter."""

LONGEST_WISH = timedelta(hours=24)
"""A receiver may ask for no longer pause than the longest of ours."""


def next_attempt(failures: int, now: datetime, chance: float, wish: datetime | None = None) -> datetime | None:
    """
    When to try again after `failures` failed attempts, the last of which ended `now`; None: never.

    `chance` is a random number from 0 to 1, `wish` what the receiver asked for in Retry-After. It can postpone an attempt, not hasten it.
    """
    if failures > len(PAUSES):
        return None
    planned = now + PAUSES[failures - 1] * (1 + JITTER * chance)
    return planned if wish is None else max(planned, min(wish, now + LONGEST_WISH))


def wished(retry_after: str | None, now: datetime) -> datetime | None:
    """The instant that a Retry-After header names, in either of its forms (RFC 9110, section 10.2.3); None where it names none."""
    text = (retry_after or "").strip()
    if text.isascii() and text.isdigit():
        return now + min(timedelta(seconds=int(text[:9])), LONGEST_WISH)
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)
