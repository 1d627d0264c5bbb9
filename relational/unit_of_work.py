"""
The ledger, and its unit of work: one transaction, with a gateway for each thing that is written in it.

What must be true together is written together, in one `with ledger.write() as uow:`.
"""

import sqlite3
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from typing import Any, TypeVar

import psycopg
from sqlalchemy import Connection, Engine, func, select
from sqlalchemy.pool import QueuePool

from relational.allocations import Allocations
from relational.capacity import Capacities
from relational.counters import Counters
from relational.deliveries import Deliveries
from relational.documents import Documents, Head, Heads
from relational.drafts import AttachmentDrafts
from relational.engine import PATIENCE_SECONDS, connect, lost_commits_told, open_engine, outages_told
from relational.facts import Facts
from relational.forecasts import Forecasts
from relational.idempotency import Idempotency
from relational.index import Index
from relational.keys import Keys
from relational.leases import Leases
from relational.outbox import Outbox
from relational.projections import Projections, Unprojected
from relational.risks import Risks
from relational.runs import Runs
from relational.told import Told
from relational.triggers import Triggers
from relational.turns import Turns
from relational.webhooks import Webhooks
from relational.wire import Wire


class Reading:
    """
    A transaction that reads, seen through the gateways to what most questions are about: resources, what can be promised, and how far the
    projector is.
    """

    documents: Heads
    capacity: Capacities
    projections: Unprojected

    def __init__(self, wire: Wire) -> None:
        self.documents = Heads(wire)
        self.capacity = Capacities(wire)
        self.projections = Unprojected(wire)


class UnitOfWork(Reading):
    """One transaction, seen through its gateways."""

    documents: Documents
    projections: Projections

    def __init__(self, connection: Connection) -> None:
        super().__init__(Wire.of(connection))
        self.documents = Documents(connection)
        self.index = Index(connection)
        self.allocations = Allocations(connection)
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


Found = TypeVar("Found")

_DRIVER_ERRORS = (sqlite3.Error, psycopg.Error)

_SNAPSHOT: dict[str, dict[str, Any]] = {
    "sqlite": {"sqlite_begin": "BEGIN"},
    "postgresql": {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True},
}
"""How each engine is asked for one consistent snapshot."""

_BEGIN = {"sqlite": "BEGIN", "postgresql": "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"}
"""The same for a bare driver connection."""

_HEAD = {
    "sqlite": "SELECT identifier, kind, number, revision, body FROM documents WHERE identifier = ?",
    "postgresql": "SELECT identifier, kind, number, revision, body FROM documents WHERE identifier = %s",
}


REMEMBERED = 4096
"""Most resources whose states a process keeps in mind."""


class Ledger:
    """
    The door to the database. Threads may share it; a process that forks opens its own afterwards.

    Every method raises StoreUnavailable when the database cannot be reached, is locked for too long, or had to give up on a
    transaction because of another one.
    """

    def __init__(self, engine: Engine, patience: float = PATIENCE_SECONDS) -> None:
        self.engine = engine
        self._reading = engine.execution_options(**_SNAPSHOT[engine.dialect.name])
        self._begin, self._head = _BEGIN[engine.dialect.name], _HEAD[engine.dialect.name]
        self._turns = Turns(str(engine.url.database), patience) if engine.dialect.name == "sqlite" else None
        self._turn = self._turns.one if self._turns else nullcontext
        self._recent: dict[str, Head] = {}
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

    @contextmanager
    def glance(self) -> Iterator[Reading]:
        """The snapshot of `read` for less than half of its price, with the gateways to resources and capacity alone."""
        with outages_told():
            driver = self._begun()
            try:
                yield Reading(Wire(driver, self.engine.dialect.name))
            finally:
                self._end(driver)

    def at_once(self, ask: Callable[[Reading], Found]) -> Found:
        """What `ask` finds out by single statements, each of which sees a snapshot of its own. It may be asked again from the start."""
        return self._at_once(lambda driver: ask(Reading(Wire(driver, self.engine.dialect.name))))

    def head(self, identifier: str) -> Head | None:
        """The newest committed state of a resource, or None. One statement, with nothing around it: this is what GET costs."""
        if not (identifier.isascii() and identifier.isprintable()):
            return None
        return self._at_once(lambda driver: self._head_by(driver, identifier))

    def recent_head(self, identifier: str) -> Head | None:
        """The state of a resource that was the newest when this was first asked, or None. Until `forget` it is not asked for again."""
        known = self._recent.get(identifier)
        if known is None and (known := self.head(identifier)) is not None:
            if len(self._recent) >= REMEMBERED:
                self._recent.clear()
            self._recent[identifier] = known
        return known

    def forget(self, identifier: str) -> None:
        """What `recent_head` tells of a resource is not true any more."""
        self._recent.pop(identifier, None)

    def ping(self) -> None:
        """Raises StoreUnavailable unless the ledger answers and has been migrated."""
        with self.read() as uow:
            uow.facts.get("base_iri")

    def clock(self) -> datetime | None:
        """What time it is where Postgres runs, in UTC; None for SQLite, which has the time of whoever asks."""
        if self.engine.dialect.name == "sqlite":
            return None
        with outages_told(), self.engine.connect() as connection:
            told: datetime = connection.execute(select(func.clock_timestamp())).scalar_one()
        return told.astimezone(UTC)

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

    def _begun(self) -> Any:
        """A driver connection in a new snapshot; those that turn out to be lost are given up."""
        while True:
            driver, is_fresh = self._taken()
            try:
                driver.execute(self._begin)
            except _DRIVER_ERRORS:
                driver.close()
                if is_fresh:
                    raise
            else:
                return driver

    def _taken(self) -> tuple[Any, bool]:
        """A driver connection that no other thread uses, and whether it is fresh."""
        try:
            return self._idle.pop(), False
        except IndexError:
            return connect(self.engine), True

    def _end(self, driver: Any) -> None:
        try:
            driver.execute("COMMIT")  # psycopg forgets its prepared statements at a ROLLBACK
        except _DRIVER_ERRORS:
            driver.close()
        else:
            self._idle.append(driver)

    def _head_by(self, connection: Any, identifier: str) -> Head | None:
        row = connection.execute(self._head, (identifier,)).fetchone()
        return Head(*row) if row is not None else None

    def _at_once(self, ask: Callable[[Any], Found]) -> Found:
        """What is found out on a driver connection; on a fresh one when that turns out to be lost (the server was restarted, say)."""
        with outages_told():
            while True:
                driver, is_fresh = self._taken()
                try:
                    found = ask(driver)
                except BaseException as error:
                    driver.close()
                    if is_fresh or not isinstance(error, _DRIVER_ERRORS):
                        raise
                else:
                    self._idle.append(driver)
                    return found


def open_ledger(url: str, pool_size: int = 8, patience: float = PATIENCE_SECONDS) -> Ledger:
    """
    A ledger at `sqlite:///<file>` or `postgresql://…`, where a writer waits up to `patience` seconds for others.

    Connects to nothing yet; the schema comes from `relational.migrations`. Raises ValueError for another sort of URL.
    """
    return Ledger(open_engine(url, pool_size, patience), patience)
