"""What only one transaction does at a time on Postgres, with nothing to lock but a number. SQLite has one writer at a time anyway."""

from enum import IntEnum, unique

from sqlalchemy import TextClause, text


@unique
class Lock(IntEnum):
    """Each has a number of its own, so that nobody waits for who does something else. Numbers stay: an older version runs beside us."""

    MIGRATION = 7237120511
    """Whoever migrates second waits, and finds nothing to do."""
    NUMBERING = 7237120512
    """Events are given their sequence by one at a time."""
    SIGNALS = 7237120513
    COMPOSITIONS = 7237120514


def taking(lock: Lock) -> TextClause:
    """The statement that waits for a lock, and has it until the transaction ends."""
    return text(f"SELECT pg_advisory_xact_lock({lock.value})")
