"""
A unit of work for many new resources at once: what is added is kept in memory and written in the end, table by table.

The gateways promise what those of a UnitOfWork do, to whoever adds resources and reads what they refer to: what was added is seen by
`head` and `heads` at once. Whoever asks the index more than that has everything written first.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from sqlalchemy import Connection, NestedTransaction, Table, insert, text
from sqlalchemy.exc import IntegrityError

from relational import tables
from relational.allocations import Allocations
from relational.documents import WRITING, Authorship, Documents, Head
from relational.index import TABLES, UNIQUE, Index, number_of
from relational.outbox import Outbox, OutboxEntry
from relational.unit_of_work import Ledger, UnitOfWork


class Collision(Exception):
    """Something that was added breaks a rule of the database; the transaction is rolled back."""


def insert_all(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows that have the same columns: by COPY on Postgres, by one prepared statement on SQLite."""
    if not rows:
        return
    if connection.dialect.name == "sqlite":
        connection.execute(insert(table), list(rows))
        return
    names = tuple(rows[0])
    with connection.connection.cursor() as cursor, cursor.copy(f"COPY {table.name} ({', '.join(names)}) FROM STDIN") as copy:  # type: ignore[attr-defined]
        for row in rows:
            copy.write_row([row[name] for name in names])


class BulkDocuments(Documents):
    """The gateway to documents."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._unwritten: dict[str, tuple[Head, Authorship]] = {}
        self._read: dict[str, Head] = {}
        self._drawn: dict[str, list[int]] = {}

    def draw(self, kind: str, count: int) -> None:
        """Have so many numbers ready; those that are not used leave a gap."""
        self._drawn[kind] = self.next_numbers(kind, count)[::-1]

    def next_number(self, kind: str) -> int:
        drawn = self._drawn.get(kind)
        return drawn.pop() if drawn else super().next_number(kind)

    def add(self, head: Head, authorship: Authorship) -> None:
        self._unwritten[head.identifier] = head, authorship
        self._read[head.identifier] = head
        self._added[head.kind] += 1

    def replace(self, head: Head, authorship: Authorship) -> None:
        self.flush()
        super().replace(head, authorship)
        self._read[head.identifier] = head

    def head(self, identifier: str) -> Head | None:
        return self.heads([identifier]).get(identifier)

    def heads(self, identifiers: Iterable[str]) -> dict[str, Head]:
        """What was read once is not read again: nobody else changes what new resources refer to so that it matters to them."""
        wanted = set(identifiers)
        self._read |= super().heads(wanted - self._read.keys())
        return {identifier: self._read[identifier] for identifier in wanted if identifier in self._read}

    def locked(self, identifier: str) -> Head | None:
        self.flush()
        return super().locked(identifier)

    def raise_numbers(self, highest: Mapping[str, int]) -> None:
        """From now on numbers of these kinds are higher than these."""
        for kind, number in highest.items():
            names = {"kind": kind, "number": number, "sequence": tables.sequence_of(kind)}
            self._connection.execute(_RAISE[self._connection.dialect.name], names)

    def flush(self) -> None:
        """Write what was added."""
        added, self._unwritten = list(self._unwritten.values()), {}
        if not added:
            return
        writing = self._connection.execute(_WRITING[self._connection.dialect.name]).scalar_one()
        insert_all(self._connection, tables.documents, [{name: getattr(head, name) for name in Head.__slots__} for head, _ in added])
        insert_all(self._connection, tables.revisions, [_revision(*one, writing) for one in added])
        pending = [{"identifier": head.identifier, "enqueued_at": author.at} for head, author in added]
        insert_all(self._connection, tables.projections, pending)


_WRITING = {engine: text(f"SELECT {number}") for engine, number in WRITING.items()}
_RAISE = {
    "sqlite": text(
        "INSERT INTO numbers (kind, last) VALUES (:kind, :number) ON CONFLICT (kind) DO UPDATE SET last = max(last, excluded.last)"
    ),
    "postgresql": text(
        "SELECT setval(CAST(:sequence AS regclass), :number) WHERE :number > coalesce("
        "(SELECT last_value FROM pg_sequences WHERE schemaname = current_schema() AND sequencename = CAST(:sequence AS text)), 0)"
    ),
}


def _revision(head: Head, author: Authorship, writing: int) -> dict[str, Any]:
    return {
        "identifier": head.identifier,
        "revision": head.revision,
        "body": head.body,
        "changed_by": author.principal,
        "changed_at": author.at,
        "correlation_id": author.correlation_id,
        "written_in": writing,
    }


class BulkIndex(Index):
    """The gateway to the index, for resources that are new: nothing of theirs is there to be replaced."""

    def __init__(self, connection: Connection, documents: BulkDocuments) -> None:
        super().__init__(connection)
        self._documents = documents
        self._rows: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
        self._owners: dict[tuple[str, Any], str] = {}

    def put(self, table: str, row: Mapping[str, Any]) -> None:
        """Raises Duplicate as Index.put does."""
        if table in UNIQUE:
            self._claim(table, row)
        self._rows[table].append({"number": number_of(row["identifier"]), **row})

    def put_lines(self, rent_action: str, rows: Iterable[Mapping[str, Any]]) -> None:
        self._rows[tables.rent_action_items.name] += [{**row, "rent_action": rent_action} for row in rows]

    def put_components(self, kit_template: str, rows: Iterable[Mapping[str, Any]]) -> None:
        self._rows[tables.kit_template_items.name] += [{**row, "kit_template": kit_template} for row in rows]

    def put_unavailabilities(self, source: str, rows: Iterable[Mapping[str, Any]]) -> None:
        found = list(rows)
        self.flush()
        super().put_unavailabilities(source, found)

    def kits_with(self, item: str) -> list[str]:
        self.flush()
        return super().kits_with(item)

    def components_of(self, kit_templates: Iterable[str]) -> list[tuple[str, str]]:
        self.flush()
        return super().components_of(kit_templates)

    def flush(self) -> None:
        """Write what was put, and the documents before it."""
        self._documents.flush()
        rows, self._rows = self._rows, defaultdict(list)
        for table in (*TABLES.values(), tables.rent_action_items, tables.kit_template_items):
            insert_all(self._connection, table, rows[table.name])

    def _claim(self, table: str, row: Mapping[str, Any]) -> None:
        column, field = UNIQUE[table]
        value = row.get(column)
        if value is None:
            return
        owner = self._owners.get((table, value)) or self.find(table, column, value)
        if owner is not None:
            raise self.duplicate(field, value, owner)
        self._owners[table, value] = row["identifier"]


class BulkOutbox(Outbox):
    """The gateway to the outbox."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._unwritten: list[OutboxEntry] = []

    def add(self, *entries: OutboxEntry) -> None:
        self._unwritten += entries

    def flush(self) -> None:
        """Write what was added. SQLite has one writer at a time, which numbers as it writes."""
        entries, self._unwritten = self._unwritten, []
        rows: list[dict[str, Any]] = [{name: getattr(entry, name) for name in OutboxEntry.__slots__} for entry in entries]
        if self._connection.dialect.name == "sqlite" and rows:
            newest = self.newest()
            rows = [{**row, "sequence": newest + place} for place, row in enumerate(rows, 1)]
        insert_all(self._connection, tables.outbox, rows)


class BulkAllocations(Allocations):
    """The gateway to allocations: who keeps an item type keeps it until the transaction ends, and need not ask again."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._kept: set[str] = set()

    def keep(self, item_types: Iterable[str]) -> None:
        wanted = set(item_types) - self._kept
        if wanted:
            super().keep(wanted)
            self._kept |= wanted


class BulkUnitOfWork(UnitOfWork):
    """One transaction that adds much."""

    documents: BulkDocuments
    index: BulkIndex
    outbox: BulkOutbox

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._connection = connection
        self.documents = BulkDocuments(connection)
        self.index = BulkIndex(connection, self.documents)
        self.outbox = BulkOutbox(connection)
        self.allocations = BulkAllocations(connection)

    def savepoint(self) -> NestedTransaction:
        """What is written within it and refused is taken back alone."""
        return self._connection.begin_nested()

    def flush(self) -> None:
        """Write everything that was added."""
        self.index.flush()
        self.outbox.flush()


@contextmanager
def write_much(ledger: Ledger) -> Iterator[BulkUnitOfWork]:
    """
    A transaction of a ledger that commits when the block ends, with everything that was added, and is rolled back when it raises.

    Raises Collision.
    """
    with ledger.begin() as connection:
        uow = BulkUnitOfWork(connection)
        try:
            yield uow
            uow.flush()
            uow.documents.tally()
        except (IntegrityError, psycopg.errors.IntegrityError) as error:
            raise Collision("what was added does not go together with what is there") from error
