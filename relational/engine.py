"""
Connections to the ledger: how they are opened on each engine, and what their failures mean.

SQLite: WAL (readers never wait for the writer), foreign keys on, a writer waits up to 10 s for its turn, every commit
is on the disk before it is reported. Postgres: psycopg 3, UTC, a statement waits up to 10 s for a lock.
"""

import select
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from time import monotonic, sleep
from typing import Any

import psycopg
from sqlalchemy import URL, Connection, Dialect, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, DisconnectionError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import ConnectionPoolEntry

from ld_server.domain.errors import InvalidParameter, StoreUnavailable
from ld_server.settings import InvalidSetting
from relational.wire import planned_once

PATIENCE_SECONDS = 10.0
"""How long a statement waits for others before the ledger counts as unavailable."""

CONNECT_SECONDS = 5
POOL_SECONDS = 10
RESTED_SECONDS = 1.0
"""How long a connection may lie unused and still be trusted to work."""

_WAL = "PRAGMA journal_mode = WAL"
_PRAGMAS = (
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
)

_SQLITE_OUTAGES = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_NOTADB,
}
"""Primary result codes that say the file cannot be used now, whatever was asked of it."""


def open_engine(url: str, pool_size: int = 8, patience: float = PATIENCE_SECONDS) -> Engine:
    """
    An engine for `sqlite:///<file>` or `postgresql://…`, where a statement waits up to `patience` seconds for others.

    Connects to nothing yet. SQLite in memory is refused with InvalidSetting: its connections would not see one another's rows.
    """
    address = normalised(url)
    engine = create_engine(
        address,
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_timeout=POOL_SECONDS,
        connect_args=connect_arguments(address, patience),
    )
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    else:
        event.listen(engine, "checkin", _note_the_time)
        event.listen(engine, "checkout", partial(_see_whether_it_lives, engine.dialect))
    return engine


def normalised(url: str) -> URL:
    """The URL with the driver that this project uses. Raises InvalidSetting for another database."""
    try:
        address = make_url(url)
    except (ArgumentError, ValueError):
        raise InvalidSetting("LD_DATABASE_URL is not a database URL; write sqlite:///<path> or postgresql+psycopg://…") from None
    backend = address.get_backend_name()
    if backend not in _DRIVERS:
        raise InvalidSetting(f"LD_DATABASE_URL: the ledger lives in SQLite or Postgres, not in {backend}")
    if backend == "sqlite" and (address.database or ":memory:").startswith((":memory:", "file:")):
        raise InvalidSetting("LD_DATABASE_URL: the ledger needs a file: sqlite:///<path>")
    return address.set(drivername=_DRIVERS[backend])


_DRIVERS = {"sqlite": "sqlite+pysqlite", "postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg"}


def connect_arguments(address: URL, patience: float = PATIENCE_SECONDS) -> dict[str, Any]:
    """What the driver is told besides the URL; what the URL says itself wins."""
    if address.get_backend_name() == "sqlite":
        return {"timeout": patience, "check_same_thread": False}
    wanted = {"connect_timeout": CONNECT_SECONDS, "options": f"-c timezone=UTC -c lock_timeout={int(patience * 1000)}"}
    return {name: value for name, value in wanted.items() if name not in address.query}


def connect(engine: Engine) -> Any:
    """A bare driver connection in autocommit, outside the pool: for the few statements that must cost next to nothing."""
    positional, from_url = engine.dialect.create_connect_args(engine.url)
    named: dict[str, Any] = {**from_url, **connect_arguments(engine.url)}
    if engine.dialect.name == "postgresql":
        driver = psycopg.connect(*positional, **named, autocommit=True, prepare_threshold=0)
        driver.execute(f"SELECT {planned_once('false')}", prepare=False)
        return driver
    connection = sqlite3.connect(positional[0], **named)
    _prepare_sqlite(connection)
    return connection


def _prepare_sqlite(connection: Any, _record: object = None) -> None:
    """Autocommit as far as the driver is concerned: `_begin_sqlite` says where transactions begin, and of which sort."""
    connection.isolation_level = None
    _write_ahead(connection)
    for pragma in _PRAGMAS:
        connection.execute(pragma).close()


def _write_ahead(connection: Any) -> None:
    """Where two open a new file at once they get in each other's way here, and SQLite lets nobody wait."""
    deadline = monotonic() + CONNECT_SECONDS
    while True:
        try:
            connection.execute(_WAL).close()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or monotonic() > deadline:
                raise
            sleep(_LOOK_AGAIN_SECONDS)
        else:
            return


_LOOK_AGAIN_SECONDS = 0.005


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("sqlite_begin", "BEGIN IMMEDIATE"))


def _note_the_time(_connection: Any, record: ConnectionPoolEntry) -> None:
    record.info["used"] = monotonic()


def _see_whether_it_lives(dialect: Dialect, connection: Any, record: ConnectionPoolEntry, _proxy: object) -> None:
    """
    Ask a connection whether it still works that has rested, or on which something came that nobody asked for, such as its end; the pool
    replaces one that does not.

    What SQLAlchemy's `pool_pre_ping` does, without the round trip where the connection has just been used.
    """
    if monotonic() - record.info.get("used", monotonic()) < RESTED_SECONDS and not _has_something_to_say(connection):
        return
    try:
        dialect.do_ping(connection)
    except psycopg.Error as error:
        raise DisconnectionError from error


def _has_something_to_say(connection: Any) -> bool:
    """Whether something is to be read from the server, or it has hung up."""
    if connection.closed:
        return True
    socket = select.poll()
    socket.register(connection.fileno(), select.POLLIN)
    return bool(socket.poll(0))


@contextmanager
def outages_told() -> Iterator[None]:
    """Turn what the database says into the refusal it means (see `refusal_of`); everything else passes as it is."""
    try:
        yield
    except PoolTimeout as error:
        raise StoreUnavailable("The ledger is busy: no connection became free.", retry_after=1) from error
    except (DBAPIError, sqlite3.Error, psycopg.Error) as error:
        raise refusal_of(error) from error


@contextmanager
def lost_commits_told() -> Iterator[None]:
    """Around a commit: when the connection is lost before Postgres has confirmed it, nobody knows whether it was done."""
    try:
        yield
    except (DBAPIError, psycopg.Error) as error:
        if not _is_lost(_cause(error)):
            raise
        raise StoreUnavailable(
            "The ledger was lost while the change was being written, which may be there or not: look before you send it again, or send it "
            "under an Idempotency-Key.",
            is_unknown=True,
        ) from error


def refusal_of(error: DBAPIError | sqlite3.Error | psycopg.Error) -> Exception:
    """
    StoreUnavailable for an outage, a full disk, a lock that was not given, a deadlock, a lost race, a missing schema; InvalidParameter for
    a value that Postgres cannot hold (the character U+0000, a number too large); otherwise the error itself.
    """
    cause = _cause(error)
    if isinstance(cause, _GOT_IN_THE_WAY):
        waited = isinstance(cause, psycopg.errors.LockNotAvailable)
        return StoreUnavailable("Another change got in the way. Please try again.", retry_after=1, is_passing=not waited)
    if isinstance(cause, psycopg.errors.UndefinedTable) or str(cause).startswith("no such table"):
        return StoreUnavailable("The ledger has not been migrated to this version yet.")
    if isinstance(cause, psycopg.DataError):
        return InvalidParameter("A value has a character or a size that cannot be stored or compared.")
    if _is_lost(cause):
        return StoreUnavailable("The ledger cannot be reached now.", retry_after=1, is_passing=True)
    if isinstance(cause, psycopg.errors.DiskFull) or _sqlite_code(cause) == sqlite3.SQLITE_FULL:
        return StoreUnavailable("There is no room left for changes. What is there can be read.", retry_after=30)
    if isinstance(cause, psycopg.OperationalError):
        return StoreUnavailable("The ledger cannot be used now.")
    if _sqlite_code(cause) in _SQLITE_OUTAGES:
        return StoreUnavailable("The ledger is locked or cannot be used now.", retry_after=1)
    return error


_GOT_IN_THE_WAY = (psycopg.errors.SerializationFailure, psycopg.errors.DeadlockDetected, psycopg.errors.LockNotAvailable)
"""What one transaction does to another; it is rolled back then."""

_SPARED = (*_GOT_IN_THE_WAY, psycopg.errors.DiskFull, psycopg.errors.OutOfMemory, psycopg.errors.TooManyConnections)
"""Operational errors after which the connection is there as before, or was never refused for being down."""


def _cause(error: DBAPIError | sqlite3.Error | psycopg.Error) -> BaseException | None:
    """What the driver said."""
    return error.orig if isinstance(error, DBAPIError) else error


def _sqlite_code(cause: BaseException | None) -> int:
    """The primary result code of SQLite; 0 where something else went wrong."""
    return getattr(cause, "sqlite_errorcode", 0) & 0xFF


def _is_lost(cause: BaseException | None) -> bool:
    """Whether Postgres has hung up, or does not answer."""
    return isinstance(cause, psycopg.OperationalError | psycopg.InterfaceError) and not isinstance(cause, _SPARED)
