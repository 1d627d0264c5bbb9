"""Triggers: what is done when something happens, or when it is time."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import exists, select

from relational import tables
from relational.rows import Rows


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


class Triggers(Rows[TriggerRow]):
    """The gateway to triggers."""

    table = tables.triggers
    row = TriggerRow

    def listening(self) -> list[TriggerRow]:
        """Every enabled trigger that waits for events, by number."""
        return self.page(0, MOST, enabled=True, source="event")

    def has_sealed(self) -> bool:
        """Whether any trigger has something sealed in it."""
        found = select(exists().where(tables.triggers.c.body.contains('"sealed":', autoescape=True)))
        return bool(self._connection.execute(found).scalar_one())


MOST = 10_000
"""Of triggers that listen at the same time."""
