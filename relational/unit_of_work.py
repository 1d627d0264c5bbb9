"""
The ledger, and its unit of work: one transaction, with a gateway for each thing that is written in it.

What must be true together is written together, in one `with ledger.write() as uow:`.
"""

import sqlite3
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import psycopg
from sqlalchemy import Connection, Engine
from sqlalchemy.pool import QueuePool

from relational.allocations import Allocations
from relational.capacity import Capacities
from relational.counters import Counters
from relational.deliveries import Deliveries
from relational.documents import Documents, Head
from relational.drafts import AttachmentDrafts
from relational.engine import PATIENCE_SECONDS, connect, lost_commits_told, open_engine, outages_told
from relational.facts import Facts
from relational.forecasts import Forecasts
from relational.idempotency import Idempotency
from relational.index import Index
from relational.keys import Keys
from relational.leases import Leases
from relational.outbox import Outbox
from relational.projections import Projections
from relational.risks import Risks
from relational.runs import Runs
from relational.told import Told
from relational.triggers import Triggers
from relational.turns import Turns
from relational.webhooks import Webhooks


class UnitOfWork:
    """One transaction, seen through its gateways."""

    def __init__(self, connection: Connection) -> None:
        self.documents = Documents(connection)
        self.index = Index(connection)
        self.allocations = Allocations(connection)
        self.capacity = Capacities(connection)
        self.counters = Counters(connection)
        self.outbox = Outbox(connection)
        self.told = Told(connection)
        self.risks = Risks(connection)
        self.idempotency = Idempotency(connection)
        self.keys = Keys(connection)
        self.projections = Projections(connection)
        self.leases = Leases(connection)
        self.facts = Facts(connection)
        self.forecasts = Forecasts(connection)
        self.deliveries = Deliveries(connection)
        self.triggers = Triggers(connection)
        self.runs = Runs(connection)
        self.webhooks = Webhooks(connection)
        self.attachment_drafts = AttachmentDrafts(connection)


_DRIVER_ERRORS = (sqlite3.Error, psycopg.Error)

_SNAPSHOT: dict[str, dict[str, Any]] = {
    "sqlite": {"sqlite_begin": "BEGIN"},
    "postgresql": {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True},
}
"""How each engine is asked for one consistent snapshot."""

_HEAD = {
    "sqlite": "SELECT identifier, kind, number, revision, body FROM documents WHERE identifier = ?",
    "postgresql": "SELECT identifier, kind, number, revision, body FROM documents WHERE identifier = %s",
}


class Ledger:
    """
    The door to the database. Threads may share it; a process that forks opens its own afterwards.

    Every method raises StoreUnavailable when the database cannot be reached, is locked for too long, or had to give up on a
    transaction because of another one.
    """

    def __init__(self, engine: Engine, patience: float = PATIENCE_SECONDS) -> None:
        self.engine = engine
        self._reading = engine.execution_options(**_SNAPSHOT[engine.dialect.name])
        self._head = _HEAD[engine.dialect.name]
        self._turns = Turns(str(engine.url.database), patience) if engine.dialect.name == "sqlite" else None
        self._turn = self._turns.one if self._turns else nullcontext
        self._idle: deque[Any] = deque()
        """Driver connections in autocommit that no thread is using."""

    @contextmanager
    def write(self) -> Iterator[UnitOfWork]:
        """
        A transaction that commits when the block ends, and is rolled back when it raises.

        The StoreUnavailable of a commit that Postgres did not confirm says that its outcome is unknown.
        """
        with self.begin() as connection:
            uow = UnitOfWork(connection)
            yield uow
            uow.documents.tally()

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """The same with nothing around it: for a unit of work of another sort."""
        with outages_told(), self._turn(), self.engine.connect() as connection, connection.begin() as transaction:
            yield connection
            with lost_commits_told():
                transaction.commit()

    @contextmanager
    def rehearse(self) -> Iterator[UnitOfWork]:
        """A transaction like that of `write` which is rolled back when the block ends: everything is tried, nothing stays."""
        with outages_told(), self._turn(), self.engine.connect() as connection, connection.begin() as transaction:
            yield UnitOfWork(connection)
            transaction.rollback()

    @contextmanager
    def read(self) -> Iterator[UnitOfWork]:
        """One consistent snapshot, which makes no writer wait. It is not for writing; Postgres refuses that."""
        with outages_told(), self._reading.begin() as connection:
            yield UnitOfWork(connection)

    def head(self, identifier: str) -> Head | None:
        """The newest committed state of a resource, or None. One statement, with nothing around it: this is what GET costs."""
        if not (identifier.isascii() and identifier.isprintable()):
            return None
        try:
            connection = self._idle.pop()
        except IndexError:
            return self._head_by_a_fresh_connection(identifier)
        try:
            head = self._head_by(connection, identifier)
        except _DRIVER_ERRORS:
            connection.close()
            return self._head_by_a_fresh_connection(identifier)
        self._idle.append(connection)
        return head

    def ping(self) -> None:
        """Raises StoreUnavailable unless the ledger answers and has been migrated."""
        with self.read() as uow:
            uow.facts.get("base_iri")

    def connections(self) -> dict[str, int]:
        """How many connections of the pool are in use, and how many lie idle."""
        pool = self.engine.pool
        return {"in_use": pool.checkedout(), "idle": pool.checkedin()} if isinstance(pool, QueuePool) else {}

    def close(self) -> None:
        """Give every connection back. The ledger opens new ones if it is used again."""
        while self._idle:
            self._idle.pop().close()
        self.engine.dispose()
        if self._turns:
            self._turns.close()

    def _head_by(self, connection: Any, identifier: str) -> Head | None:
        row = connection.execute(self._head, (identifier,)).fetchone()
        return Head(*row) if row is not None else None

    def _head_by_a_fresh_connection(self, identifier: str) -> Head | None:
        """The first time, and when a connection turns out to be lost (the server was restarted, say)."""
        with outages_told():
            connection = connect(self.engine)
            try:
                head = self._head_by(connection, identifier)
            except _DRIVER_ERRORS:
                connection.close()
                raise
        self._idle.append(connection)
        return head


def open_ledger(url: str, pool_size: int = 8, patience: float = PATIENCE_SECONDS) -> Ledger:
    """
    A ledger at `sqlite:///<file>` or `postgresql://…`, where a writer waits up to `patience` seconds for others.

    Connects to nothing yet; the schema comes from `relational.migrations`. Raises ValueError for another sort of URL.
    """
    return Ledger(open_engine(url, pool_size, patience), patience)
