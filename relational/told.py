"""What has been told once and is not told again while it lasts: an event about a subject, for one cause."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import Connection, and_, delete, or_, select, tuple_

from relational import tables
from relational.upsert import INSERT

_T = tables.told.c

Telling = tuple[str, str]
"""The subject that is told about, and the cause."""

_AT_ONCE = 200


class Told:
    """The gateway to what has been told."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def once(self, event: str, tellings: Iterable[Telling], now: datetime) -> list[Telling]:
        """Remember that these are told, and give those that were not told before: whoever comes second, even at once, gets none."""
        every = sorted(set(tellings))
        return [one for start in range(0, len(every), _AT_ONCE) for one in self._remember(event, every[start : start + _AT_ONCE], now)]

    def about(self, event: str, causes: Iterable[str] | None = None) -> set[Telling]:
        """What has been told for these causes, or for any."""
        query = select(_T.subject, _T.cause).where(_T.event == event)
        rows = self._connection.execute(query if causes is None else query.where(_T.cause.in_(sorted(set(causes)))))
        return {(row.subject, row.cause) for row in rows}

    def forget(self, event: str, tellings: Iterable[Telling]) -> None:
        """These are over: should they come again, they are told again."""
        every = sorted(set(tellings))
        for start in range(0, len(every), _AT_ONCE):
            these = (and_(_T.subject == subject, _T.cause == cause) for subject, cause in every[start : start + _AT_ONCE])
            self._connection.execute(delete(tables.told).where(_T.event == event, or_(*these)))

    def forget_old(self, events: Iterable[str], before: datetime, limit: int) -> int:
        """Forget at most `limit` tellings of these events from before an instant; how many those were."""
        old = select(_T.event, _T.subject, _T.cause).where(_T.event.in_(list(events)), _T.told_at < before).limit(limit)
        return self._connection.execute(delete(tables.told).where(tuple_(_T.event, _T.subject, _T.cause).in_(old))).rowcount

    def _remember(self, event: str, tellings: Sequence[Telling], now: datetime) -> list[Telling]:
        rows = [{"event": event, "subject": subject, "cause": cause, "told_at": now} for subject, cause in tellings]
        write = INSERT[self._connection.dialect.name](tables.told).values(rows).on_conflict_do_nothing()
        return sorted((row.subject, row.cause) for row in self._connection.execute(write.returning(_T.subject, _T.cause)))
