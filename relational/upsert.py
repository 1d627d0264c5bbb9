"""One statement that both engines understand but SQLAlchemy spells per engine: insert, or change what is there."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table
from sqlalchemy.dialects import postgresql, sqlite

_INSERT: Mapping[str, Any] = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}


def upsert(
    connection: Connection, table: Table, row: Mapping[str, Any], by: Sequence[str], where: ColumnElement[bool] | None = None
) -> bool:
    """
    Write a row. Where one with the same values in the columns `by` exists, the other columns of `row` are changed in it,
    provided that it meets `where`. Whether a row was written.
    """
    write = _INSERT[connection.dialect.name](table).values(**row)
    changed = {name: write.excluded[name] for name in row if name not in by}
    write = write.on_conflict_do_update(index_elements=by, set_=changed, where=where).returning(table.c[by[0]])
    return connection.execute(write).first() is not None
