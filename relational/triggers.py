"""Triggers: what is done when something happens, or when it is time."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import exists, select, update

from relational import tables
from relational.rows import Rows

_T = tables.triggers.c


@dataclass(frozen=True, slots=True)
class TriggerRow:
    """
    A trigger as it is stored. `body` is the JSON of `domain.triggers.Trigger`, its secrets sealed.

    It sees the events whose sequence is above `sees_after`: those that happened since it was enabled.
    """

    identifier: str
    number: int
    name: str
    enabled: bool
    source: str
    sees_after: int
    body: str
    revision: int
    created_at: datetime
    updated_at: datetime
    next_run_at: datetime | None = None


class Triggers(Rows[TriggerRow]):
    """The gateway to triggers."""

    table = tables.triggers
    row = TriggerRow

    def listening(self) -> list[TriggerRow]:
        """Every enabled trigger that waits for events, by number."""
        return self.page(0, MOST, enabled=True, source="event")

    def due(self, now: datetime, limit: int) -> list[str]:
        """The enabled triggers whose time has come, by identifier."""
        query = select(_T.identifier).where(_T.enabled, _T.next_run_at <= now).order_by(_T.next_run_at).limit(limit)
        return list(self._connection.execute(query).scalars())

    def set_next_run(self, identifier: str, at: datetime | None) -> None:
        """When a trigger runs next. It is no change of what its owner said: the revision stays."""
        self._connection.execute(update(tables.triggers).where(_T.identifier == identifier).values(next_run_at=at))

    def has_sealed(self) -> bool:
        """Whether any trigger has something sealed in it."""
        found = select(exists().where(tables.triggers.c.body.contains('"sealed":', autoescape=True)))
        return bool(self._connection.execute(found).scalar_one())


MOST = 10_000
"""Of triggers that listen at the same time."""
