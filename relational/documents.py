"""
Documents: the head of every resource, every revision it ever had, and the numbers from which identifiers are made.

A revision says which transaction wrote it, by a number that rises: on Postgres the transaction's own, on SQLite, which has one writer
at a time, a count. What is written below the `horizon` of a snapshot is in it; what becomes visible later was written there or above.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, bindparam, func, select, text, tuple_

from ld_server.domain.errors import Stale
from relational import tables
from relational.given import Given
from relational.wire import Statement, Wire


@dataclass(frozen=True, slots=True)
class Head:
    """The newest state of a resource. `body` is its document, serialised; `revision` counts from 1."""

    identifier: str
    kind: str
    number: int
    revision: int
    body: str


@dataclass(frozen=True, slots=True)
class Authorship:
    """Who changed something, when, and in the course of which request."""

    principal: str
    at: datetime
    correlation_id: str


@dataclass(frozen=True, slots=True)
class Revision:
    """A state that a resource had, and who brought it there."""

    identifier: str
    revision: int
    body: str
    changed_by: str
    changed_at: datetime
    correlation_id: str


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """That a resource was changed: which revision came of it, by whom, when, and in the course of which request."""

    revision: int
    changed_by: str
    changed_at: datetime
    correlation_id: str


LARGEST_REVISION = 2**31 - 1
"""Of a column; a cursor that somebody made up may be larger."""

HEAD = tuple(tables.documents.c[name] for name in Head.__slots__)
"""The columns of a Head, in its order."""

_HEADS: Select[Any] = select(*HEAD)
_OF = _HEADS.where(tables.documents.c.identifier == bindparam("of"))
_HEAD, _LOCKED = Statement(_OF), Statement(_OF.with_for_update(key_share=True))
_WANTED = Given("wanted", {"identifier": "text"})
_SOME_HEADS = Statement(
    {
        engine: text(f"SELECT {', '.join(Head.__slots__)} FROM ({_WANTED.select(engine)}) AS wanted JOIN documents USING (identifier)")  # noqa: S608 (constants put together; values are parameters)
        for engine in ("postgresql", "sqlite")
    }
)
_REVISIONS = select(*(tables.revisions.c[name] for name in Revision.__slots__))
_HISTORY = (
    select(*(tables.revisions.c[name] for name in HistoryEntry.__slots__))
    .where(tables.revisions.c.identifier == bindparam("of"), tables.revisions.c.revision > bindparam("after"))
    .order_by(tables.revisions.c.revision)
    .limit(bindparam("limit"))
)


class Heads:
    """The gateway to the newest states of resources."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def head(self, identifier: str) -> Head | None:
        """The newest state of a resource, or None."""
        return self._first(_HEAD, identifier)

    def heads(self, identifiers: Iterable[str]) -> dict[str, Head]:
        """The newest states of those resources that exist, by identifier."""
        wanted = sorted(set(identifiers))
        if not wanted:
            return {}
        rows = self._wire.rows(_SOME_HEADS, _WANTED.values(self._wire.engine, [(one,) for one in wanted]))
        return {row[0]: Head(*row) for row in rows}

    def _first(self, statement: Statement, identifier: str) -> Head | None:
        rows = self._wire.rows(statement, {"of": identifier})
        return Head(*rows[0]) if rows else None


class Documents(Heads):
    """The gateway to documents."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(Wire.of(connection))
        self._connection = connection
        self._added: Counter[str] = Counter()

    def next_number(self, kind: str) -> int:
        """The next number of a kind (see tables.KINDS)."""
        return self.next_numbers(kind, 1)[0]

    def next_numbers(self, kind: str, count: int) -> list[int]:
        """
        `count` numbers that no one else gets, rising. On Postgres nobody waits for them, and a rolled back transaction leaves a gap.

        Raises ValueError for a kind that has no numbers.
        """
        if kind not in tables.KINDS:
            raise ValueError(f"{kind!r} has no numbers")
        if self._wire.engine == "sqlite":
            [(last,)] = self._wire.rows(_DRAW_FROM_TABLE, {"kind": kind, "count": count})
            return list(range(last - count + 1, last + 1))
        return sorted(number for (number,) in self._wire.rows(_DRAW_FROM_SEQUENCE, {"sequence": tables.sequence_of(kind), "count": count}))

    def add(self, head: Head, authorship: Authorship) -> None:
        """Write a new resource with its first revision, and put it before the projector. `tally` counts it in the end."""
        self._write(_ADD, head, authorship)
        self._added[head.kind] += 1

    def tally(self) -> None:
        """
        Count what this transaction has added. The last thing that it does, so that nobody waits for its rows longer than for a commit.

        On Postgres each connection counts in a slot that it shares with few.
        """
        values = [{"kind": kind, "count": count} for kind, count in sorted(self._added.items())]
        if values:
            self._connection.execute(_TALLY[self._connection.dialect.name], values)
        self._added.clear()

    def replace(self, head: Head, authorship: Authorship) -> None:
        """
        Write the next state of a resource: `head.revision` is the stored one plus one.

        Raises Stale, and writes nothing, when another revision has come first or there is no such resource.
        """
        if not self._write(_REPLACE, head, authorship):
            raise Stale(f"{head.identifier} has changed since it was read.", resource=head.identifier)

    def locked(self, identifier: str) -> Head | None:
        """The newest state of a resource, which nobody else changes until this transaction ends; or None."""
        return self._first(_LOCKED, identifier)

    def revisions(self, identifier: str) -> list[Revision]:
        """Every state the resource had, oldest first."""
        query = _REVISIONS.where(tables.revisions.c.identifier == identifier).order_by(tables.revisions.c.revision)
        return [Revision(*row) for row in self._connection.execute(query)]

    def history(self, identifier: str, after: int, limit: int) -> list[HistoryEntry]:
        """At most `limit` changes of a resource, oldest first, from the first that made a revision above `after`."""
        asked = {"of": identifier, "after": min(after, LARGEST_REVISION), "limit": limit}
        return [HistoryEntry(*row) for row in self._connection.execute(_HISTORY, asked)]

    def revision(self, identifier: str, number: int) -> Revision | None:
        """One state the resource had, or None."""
        query = _REVISIONS.where(tables.revisions.c.identifier == identifier, tables.revisions.c.revision == number)
        row = self._connection.execute(query).first()
        return Revision(*row) if row is not None else None

    def bodies(self, states: Sequence[tuple[str, int]]) -> Iterator[str]:
        """The documents of these resources as they were in these revisions, in this order. Raises KeyError for what there never was."""
        heads = self.heads(identifier for identifier, _ in states)
        for identifier, number in states:
            head = heads[identifier]
            yield head.body if head.revision == number else self._past_body(identifier, number)

    def _past_body(self, identifier: str, number: int) -> str:
        found = self.revision(identifier, number)
        if found is None:
            raise KeyError(f"{identifier} has no revision {number}")
        return found.body

    def horizon(self) -> int:
        """
        The number below which every transaction that writes has ended as this snapshot sees it: whoever reads all revisions that are
        written in it or above misses none, however late their transactions end.
        """
        return int(self._connection.execute(_HORIZON[self._connection.dialect.name]).scalar_one())

    def each(self, kind: str | None = None, batch: int = 500, after: tuple[str, int] = ("", 0)) -> Iterator[Head]:
        """Every resource (of a kind) behind a kind and number, in this order, read `batch` at a time, so that memory stays small."""
        while heads := self._batch(kind, after, batch):
            yield from heads
            after = (heads[-1].kind, heads[-1].number)

    def count(self, kind: str) -> int:
        """How many resources of a kind there are, in the time that it takes to add up the slots."""
        tallied = tables.tallies.c
        query = select(func.coalesce(func.sum(tallied.count), 0)).where(tallied.kind == kind)
        return int(self._connection.execute(query).scalar_one()) + self._added[kind]

    def total(self) -> int:
        """How many resources there are of all kinds, by the tallies."""
        query = select(func.coalesce(func.sum(tables.tallies.c.count), 0))
        return int(self._connection.execute(query).scalar_one()) + self._added.total()

    def _batch(self, kind: str | None, after: tuple[str, int], batch: int) -> Sequence[Head]:
        stored = tables.documents.c
        query = _HEADS.order_by(stored.kind, stored.number).limit(batch)
        query = query.where(tuple_(stored.kind, stored.number) > after)
        if kind is not None:
            query = query.where(stored.kind == kind)
        return [Head(*row) for row in self._connection.execute(query)]

    def _write(self, change: "_Change", head: Head, authorship: Authorship) -> bool:
        """Whether the head was there to be changed; if not, nothing is written."""
        steps = change.steps if self._wire.engine == "sqlite" else (change.whole,)
        values = {**_values(head), "principal": authorship.principal, "at": authorship.at, "correlation_id": authorship.correlation_id}
        return all(self._wire.run(step, values) == 1 for step in steps)


@dataclass(frozen=True)
class _Change:
    """A change of a head together with its revision and its row for the projector: step by step, or as one statement."""

    steps: tuple[Statement, ...]
    whole: Statement


WRITING = {
    "sqlite": "(SELECT coalesce(max(written_in), 0) + 1 FROM revisions)",
    "postgresql": "CAST(CAST(pg_current_xact_id() AS text) AS bigint)",
}
"""The number of the transaction that writes, on each engine."""

_HORIZON = {
    "sqlite": text(f"SELECT {WRITING['sqlite']}"),
    "postgresql": text("SELECT CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS text) AS bigint)"),
}


def _together(head: str) -> _Change:
    """The SQL that changes a head, extended by what must be true with it. Postgres takes it all at once, which saves round trips."""
    past = (
        "INSERT INTO revisions (identifier, revision, body, changed_by, changed_at, correlation_id, written_in) "
        "SELECT :identifier, :revision, :body, :principal, :at, :correlation_id, {writing}"
    )
    step, past = past.format(writing=WRITING["sqlite"]), past.format(writing=WRITING["postgresql"])
    pending = "INSERT INTO projections (identifier, enqueued_at) SELECT :identifier, :at"
    at = bindparam("at", type_=tables.Instant)
    whole = f"WITH head AS ({head} RETURNING 1), past AS ({past} FROM head) {pending} FROM head"
    steps = (text(head), text(step).bindparams(at), text(pending).bindparams(at))
    return _Change(tuple(map(Statement, steps)), Statement(text(whole).bindparams(at)))


_ADD = _together("INSERT INTO documents (identifier, kind, number, revision, body) VALUES (:identifier, :kind, :number, :revision, :body)")
_REPLACE = _together("UPDATE documents SET revision = :revision, body = :body WHERE identifier = :identifier AND revision = :revision - 1")

_DRAW_FROM_TABLE = Statement(
    text(
        "INSERT INTO numbers (kind, last) VALUES (:kind, :count) "
        "ON CONFLICT (kind) DO UPDATE SET last = last + excluded.last RETURNING last"
    )
)
_DRAW_FROM_SEQUENCE = Statement(text("SELECT nextval(CAST(:sequence AS regclass)) FROM generate_series(1, :count)"))


SLOTS = 16
"""Of tallies, on Postgres; SQLite has one writer at a time, and needs one."""

_TALLY = {
    engine: text(
        f"INSERT INTO tallies (kind, slot, count) VALUES (:kind, {slot}, :count) "  # noqa: S608 (constants put together; values are parameters)
        "ON CONFLICT (kind, slot) DO UPDATE SET count = tallies.count + excluded.count"
    )
    for engine, slot in {"sqlite": "0", "postgresql": f"pg_backend_pid() % {SLOTS}"}.items()
}


def _values(head: Head) -> dict[str, object]:
    return {name: getattr(head, name) for name in Head.__slots__}
