"""
The outbox: events, written in the transaction of what they tell about.

`position` is drawn before a transaction commits, so it is not the order in which events become visible. `sequence` is: it is given to
events that can be seen, by one transaction at a time, so that whoever has read up to a number never finds a new event below it.
SQLite has one writer at a time, and numbers as it writes; on Postgres `number` does it afterwards.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, bindparam, delete, exists, func, insert, or_, select, text

from relational import tables
from relational.given import Given
from relational.locks import Lock, taking
from relational.owners import owned_by
from relational.projections import Backlog
from relational.wire import Statement, Wire

_O = tables.outbox.c
_D = tables.deliveries.c


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


@dataclass(frozen=True, slots=True)
class Numbered:
    """An event and its place in the order in which events became visible."""

    sequence: int
    entry: OutboxEntry


@dataclass(frozen=True, slots=True)
class Selection:
    """
    Which events are wanted. An event must be of one of the `types`, unless there are none; be about the `subject`; and have
    occurred `since` an instant and before `until`, and have a sequence `below` another, where these are given. With an `owner` it is
    about a reservation of theirs.
    """

    types: tuple[str, ...] = ()
    subject: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    below: int | None = None
    owner: str | None = None


ANYTHING = Selection()

_NAMES = tuple(one.name for one in fields(OutboxEntry))
_COLUMNS = tuple(_O[name] for name in _NAMES)
_ENTRIES = select(_O.position, *_COLUMNS).order_by(_O.position)
_NUMBERED: Select[Any] = select(_O.sequence, *_COLUMNS).where(_O.sequence.is_not(None))
_NEWEST = select(func.coalesce(func.max(_O.sequence), 0))
_LATE = select(exists().where(_O.sequence.is_(None)))

_ADD = Statement(
    {
        "postgresql": insert(tables.outbox).inline(),
        "sqlite": insert(tables.outbox).inline().values(sequence=text("(SELECT coalesce(max(sequence), 0) + 1 FROM outbox)")),
    },
    _NAMES,
)

_NUMBER = text(
    "WITH fresh AS (SELECT position, row_number() OVER (ORDER BY position) AS place FROM "
    "(SELECT position FROM outbox WHERE sequence IS NULL ORDER BY position LIMIT :limit) AS unnumbered), "
    "newest AS (SELECT coalesce(max(sequence), 0) AS sequence FROM outbox) "
    "UPDATE outbox SET sequence = newest.sequence + fresh.place FROM fresh, newest WHERE outbox.position = fresh.position"
)
FORGOTTEN = "events_forgotten_up_to"
"""The fact that says up to which sequence events may have been forgotten."""

LARGEST_SEQUENCE = 2**63 - 1
"""Of a column; a number that somebody made up may be larger."""


class Outbox:
    """The gateway to the outbox."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, *entries: OutboxEntry) -> None:
        """Write events, in this order."""
        Wire.of(self._connection).run_each(_ADD, [{name: getattr(entry, name) for name in _NAMES} for entry in entries])

    def after(self, position: int, limit: int) -> list[Positioned]:
        """
        The first `limit` events beyond a position, in the order in which they were written.

        On Postgres that is not the order of commits: an event may appear below a position that was read already, when its
        transaction ends late. Whoever must miss none follows the sequence.
        """
        return [Positioned(row[0], OutboxEntry(*row[1:])) for row in self._read(_ENTRIES.where(_O.position > position).limit(limit))]

    def of_subject(self, identifier: str) -> list[Positioned]:
        """Every event about a resource, oldest first."""
        return [Positioned(row[0], OutboxEntry(*row[1:])) for row in self._read(_ENTRIES.where(_O.subject_id == identifier))]

    def number(self, limit: int = 1000) -> int:
        """
        Give the first `limit` committed events that have none their sequence; how many those were.

        Others who number wait until this transaction ends, so do nothing else in it.
        """
        if self._connection.dialect.name == "sqlite":
            return 0
        self._connection.execute(taking(Lock.NUMBERING))
        return self._connection.execute(_NUMBER, {"limit": limit}).rowcount

    def has_unnumbered(self) -> bool:
        """Whether there are committed events without a sequence."""
        return bool(self._connection.execute(_LATE).scalar_one())

    def backlog(self, sequence: int) -> Backlog:
        """How many events there are beyond a sequence, those without one included, and when the oldest of them occurred."""
        beyond = select(_O.occurred_at).where(or_(_O.sequence > sequence, _O.sequence.is_(None))).subquery()
        return Backlog(*self._connection.execute(select(func.count(), func.min(beyond.c.occurred_at))).one())

    def newest(self) -> int:
        """The highest sequence, or 0."""
        return int(self._connection.execute(_NEWEST).scalar_one())

    def since(self, sequence: int, limit: int, wanted: Selection = ANYTHING) -> list[Numbered]:
        """The first `limit` events beyond a sequence, the first one first. None of them ever appears below one that was read."""
        query = _selected(wanted).where(_O.sequence > min(sequence, LARGEST_SEQUENCE)).order_by(_O.sequence)
        return _numbered(self._read(query.limit(limit)))

    def before(self, sequence: int, limit: int, wanted: Selection = ANYTHING) -> list[Numbered]:
        """The last `limit` events below a sequence, the first one first."""
        query = _selected(wanted).where(_O.sequence <= min(sequence - 1, LARGEST_SEQUENCE)).order_by(_O.sequence.desc())
        return _numbered(self._read(query.limit(limit)))[::-1]

    def by_id(self, identifier: str) -> Numbered | None:
        """The event with this id, or None when there is none that has a sequence."""
        found = _numbered(self._connection.execute(_BY_ID, {"of": identifier}).all())
        return found[0] if found else None

    def by_ids(self, identifiers: Collection[str]) -> dict[str, Numbered]:
        """Those of these events that exist, by id. One that has no sequence yet has 0."""
        wire = Wire.of(self._connection)
        rows = wire.rows(_BY_IDS, _THESE.values(wire.engine, [(one,) for one in identifiers]))
        return {one.entry.id: one for one in _numbered(rows)}

    def old(self, before: datetime, up_to: int, limit: int) -> dict[str, int]:
        """
        The oldest events of before an instant and up to a sequence, by id, without those of which a delivery is open or has ended since
        that instant.
        """
        is_wanted = or_(_D.finished_at.is_(None), _D.finished_at >= before)
        wanted = exists().where(_D.event_id == _O.id, is_wanted)
        query = select(_O.id, _O.sequence).where(_O.occurred_at < before, _O.sequence <= up_to, ~wanted)
        return {row[0]: row[1] for row in self._read(query.order_by(_O.occurred_at, _O.sequence).limit(limit))}

    def forget(self, identifiers: Collection[str]) -> None:
        """Take events out of the feed, for good."""
        self._connection.execute(delete(tables.outbox).where(_O.id.in_(identifiers)))

    def _read(self, query: Select[Any]) -> Sequence[Any]:
        return self._connection.execute(query).all()


_BY_ID = _NUMBERED.where(_O.id == bindparam("of"))
_THESE = Given("these", {"id": "text"})
_NAMED = f"SELECT coalesce(sequence, 0) AS sequence, {', '.join(one.name for one in _COLUMNS)} FROM outbox WHERE id IN"  # noqa: S608 (constants put together; values are parameters)
_BY_IDS = Statement(
    {engine: text(f"{_NAMED} ({_THESE.select(engine)})").columns(_O.sequence, *_COLUMNS) for engine in ("postgresql", "sqlite")}
)


def _numbered(rows: Sequence[Any]) -> list[Numbered]:
    return [Numbered(row[0], OutboxEntry(*row[1:])) for row in rows]


def _selected(wanted: Selection) -> Select[Any]:
    query = _NUMBERED
    for condition in (
        _O.type.in_(wanted.types) if wanted.types else None,
        None if wanted.subject is None else _O.subject_id == wanted.subject,
        None if wanted.since is None else _O.occurred_at >= wanted.since,
        None if wanted.until is None else _O.occurred_at < wanted.until,
        None if wanted.below is None else _O.sequence < min(wanted.below, LARGEST_SEQUENCE),
        None if wanted.owner is None else _O.subject_id.in_(owned_by(wanted.owner)),
    ):
        query = query if condition is None else query.where(condition)
    return query
