"""
The whole ledger as files, as it is at one point, and back again into a database that has nothing in it.

SQLite gives a copy of its file (the online backup: one reading, beside which others write on). Postgres gives a file for each table,
by COPY in one snapshot, so that nothing but the driver is needed. Sequences are read last: what they gave out since leaves a gap.
"""

import gzip
import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, func, inspect, select, text

from relational import tables
from relational.engine import outages_told
from relational.migrations import current, migrate

FILE = "ledger.db"
TOLD = "ledger.json"
"""The file that says which columns each table has, and how far each sequence has counted."""

_NOT_KEPT = {"revisions": ("written_in",)}
"""Columns that mean nothing in another database: numbers of its transactions."""


def dump(engine: Engine, directory: Path) -> str:
    """Write the ledger into a directory, and give the version of its schema. Raises StoreUnavailable."""
    with outages_told():
        return _DUMPS[engine.dialect.name](engine, directory)


def load(engine: Engine, directory: Path, version: str) -> None:
    """Fill an empty database from such a directory, and bring it to the newest schema. Raises StoreUnavailable."""
    with outages_told():
        _LOADS[engine.dialect.name](engine, directory, version)
    migrate(engine)


def is_empty(engine: Engine) -> bool:
    """Whether the database has nothing that could be lost. Raises StoreUnavailable when it cannot be reached."""
    if engine.dialect.name == "sqlite":
        return not Path(str(engine.url.database)).exists()
    with outages_told(), engine.connect() as connection:
        there = set(inspect(connection).get_table_names())
        known = [table for table in tables.schema.sorted_tables if table.name in there]
        return not any(connection.execute(select(func.count()).select_from(table)).scalar_one() for table in known)


def _dump_sqlite(engine: Engine, directory: Path) -> str:
    with closing(sqlite3.connect(str(engine.url.database))) as source, closing(sqlite3.connect(directory / FILE)) as target:
        source.backup(target)
        target.execute("PRAGMA journal_mode = DELETE").close()
        return str(target.execute("SELECT version_num FROM alembic_version").fetchone()[0])


def _load_sqlite(engine: Engine, directory: Path, _version: str) -> None:
    target = Path(str(engine.url.database))
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with closing(sqlite3.connect(directory / FILE)) as source, closing(sqlite3.connect(target)) as copy:
        source.backup(copy)


def _dump_postgres(engine: Engine, directory: Path) -> str:
    snapshot = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    with snapshot.begin() as connection:
        version = current(connection)
        for table in _KEPT:
            _copy_out(connection, table, directory)
        names = select(text("sequencename, last_value")).select_from(text("pg_sequences")).where(text("schemaname = current_schema()"))
        last = {name: value for name, value in connection.execute(names) if value is not None}
    (directory / TOLD).write_text(json.dumps({"tables": _KEPT, "sequences": last}, indent=1))
    return version


def _copy_out(connection: Connection, table: str, directory: Path) -> None:
    names = ", ".join(_KEPT[table])
    copying = f"COPY (SELECT {names} FROM {table}) TO STDOUT"  # noqa: S608 (constants put together; values are parameters)
    with (
        gzip.open(directory / f"{table}.copy.gz", "wb", compresslevel=1) as file,
        _cursor(connection) as cursor,
        cursor.copy(copying) as copy,
    ):
        for piece in copy:
            file.write(piece)


def _load_postgres(engine: Engine, directory: Path, version: str) -> None:
    """The schema that the data was made with comes first; all the data in one transaction."""
    with engine.connect() as connection:
        is_bare = not inspect(connection).has_table("documents")
    if is_bare:
        migrate(engine, version)
    told = json.loads((directory / TOLD).read_text())
    with engine.begin() as connection:
        for table, columns in told["tables"].items():
            _copy_in(connection, table, columns, directory / f"{table}.copy.gz")
        for name, value in told["sequences"].items():
            connection.execute(text("SELECT setval(CAST(:name AS regclass), :value)"), {"name": name, "value": value})


def _copy_in(connection: Connection, table: str, columns: Sequence[str], file: Path) -> None:
    copying = f"COPY {table} ({', '.join(columns)}) FROM STDIN"
    with gzip.open(file, "rb") as source, _cursor(connection) as cursor, cursor.copy(copying) as copy:
        while piece := source.read(_PIECE):
            copy.write(piece)


_PIECE = 1024 * 1024


_KEPT = {
    table.name: [column.name for column in table.columns if column.name not in _NOT_KEPT.get(table.name, ())]
    for table in tables.schema.sorted_tables
}
"""Table → the columns of it that are kept, each table behind those that it refers to."""


def _cursor(connection: Connection) -> Any:
    return connection.connection.cursor()


_DUMPS = {"sqlite": _dump_sqlite, "postgresql": _dump_postgres}
_LOADS = {"sqlite": _load_sqlite, "postgresql": _load_postgres}
