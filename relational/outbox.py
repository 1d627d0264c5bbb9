"""The outbox: events, written in the transaction of what they tell about."""

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, insert, select

from relational import tables


@dataclass(frozen=True, slots=True)
class OutboxEntry:
    """An event. `body` is its whole envelope, serialised; the other members are what it is looked up by."""

    id: str
    type: str
    subject_type: str
    subject_id: str
    occurred_at: datetime
    correlation_id: str
    body: str


@dataclass(frozen=True, slots=True)
class Positioned:
    """An event and its place in the outbox."""

    position: int
    entry: OutboxEntry


_NAMES = tuple(one.name for one in fields(OutboxEntry))
_ENTRIES = select(tables.outbox.c.position, *(tables.outbox.c[name] for name in _NAMES)).order_by(tables.outbox.c.position)
_ADD = insert(tables.outbox)


class Outbox:
    """The gateway to the outbox."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, *entries: OutboxEntry) -> None:
        """Write events, in this order."""
        if entries:
            self._connection.execute(_ADD, [{name: getattr(entry, name) for name in _NAMES} for entry in entries])

    def after(self, position: int, limit: int) -> list[Positioned]:
        """
        The first `limit` events beyond a position, in the order in which they were written.

        On Postgres that is not the order of commits: an event may appear below a position that was read already, when its
        transaction ends late. Whoever must miss none keeps track of events, not of the highest position.
        """
        return self._read(_ENTRIES.where(tables.outbox.c.position > position).limit(limit))

    def of_subject(self, identifier: str) -> list[Positioned]:
        """Every event about a resource, oldest first."""
        return self._read(_ENTRIES.where(tables.outbox.c.subject_id == identifier))

    def _read(self, query: Select[Any]) -> list[Positioned]:
        return [Positioned(row[0], OutboxEntry(*row[1:])) for row in self._connection.execute(query)]
