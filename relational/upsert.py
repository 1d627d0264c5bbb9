"""One statement that both engines understand but SQLAlchemy spells per engine: insert, or change what is there."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Executable, Table
from sqlalchemy.dialects import postgresql, sqlite

from relational.wire import Statement, Wire

INSERT: Mapping[str, Any] = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}
"""By engine, an insert that knows ON CONFLICT."""


def upsert(connection: Connection, table: Table, row: Mapping[str, Any], *by: str) -> None:
    """Write a row; where one with the same values in the columns `by` exists, change its other columns to those of `row`."""
    Wire.of(connection).run(_statement(table, by, tuple(row)), row)


@lru_cache(maxsize=64)
def _statement(table: Table, by: tuple[str, ...], names: tuple[str, ...]) -> Statement:
    """Kept, because putting it together costs more than running it. Raises KeyError for a column that the table does not have."""
    return Statement({engine: _spelled(write(table), by, names) for engine, write in INSERT.items()}, names)


def _spelled(write: Any, by: tuple[str, ...], names: tuple[str, ...]) -> Executable:
    changed = {name: write.excluded[name] for name in names if name not in by}
    statement: Executable = write.on_conflict_do_update(index_elements=by, set_=changed)
    return statement
