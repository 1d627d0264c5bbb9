"""The index: typed columns, derived from documents, that answer list filters and keep codes and tags unique."""

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, bindparam, delete, func, insert, select, text
from sqlalchemy.exc import IntegrityError

from ld_server.domain.errors import Duplicate
from relational import tables
from relational.documents import HEAD, Head
from relational.upsert import upsert

TABLES = {table.name: table for table in (tables.item_types, tables.assets, tables.rent_actions)}
"""The index tables that have one row per resource."""

OPERATORS: Mapping[str, Callable[[Any, Any], Any]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "in": lambda column, values: column.in_(values),
}
"""How a condition compares a column with its value."""

UNIQUE = {"item_types": ("code", "code"), "assets": ("asset_tag", "assetTag")}
"""The column of a table that may hold a value only once, and the key of the document in which people know it."""

LARGEST_NUMBER = 2**63 - 1
"""Of a column; a cursor that somebody made up may be larger."""

Condition = tuple[str, str, Any]
"""Column, operator, value."""

_DELETE_LINES = delete(tables.rent_action_items).where(tables.rent_action_items.c.rent_action == bindparam("of"))
_INSERT_LINES = insert(tables.rent_action_items)


class Index:
    """The gateway to the index. Tables and columns are named as in relational.tables; an unknown one raises KeyError."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def put(self, table: str, row: Mapping[str, Any]) -> None:
        """
        Write the row of one resource, or replace it. `number` is taken from `identifier` unless it is given.

        Raises Duplicate(field, resource) when another resource has the code or the asset tag; the transaction stays usable.
        """
        if table not in UNIQUE:
            self._put(TABLES[table], row)
            return
        try:
            with self._connection.begin_nested():
                self._put(TABLES[table], row)
        except IntegrityError as error:
            raise self._duplicate(table, row) or error from error

    def put_lines(self, rent_action: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """Replace the lines of a reservation; the rows need no `rent_action`."""
        self._connection.execute(_DELETE_LINES, {"of": rent_action})
        values = [{**row, "rent_action": rent_action} for row in rows]
        if values:
            self._connection.execute(_INSERT_LINES, values)

    def page(self, table: str, conditions: Sequence[Condition], after: int | None, limit: int) -> list[Head]:
        """The resources that meet every condition, by number, from the first above `after`; at most `limit`."""
        index = TABLES[table]
        query = select(*HEAD).join_from(index, tables.documents, tables.documents.c.identifier == index.c.identifier)
        query = query.where(*_compared(index, conditions)).order_by(index.c.number).limit(limit)
        if after is not None:
            query = query.where(index.c.number > min(after, LARGEST_NUMBER))
        return [Head(*row) for row in self._connection.execute(query)]

    def count(self, table: str, conditions: Sequence[Condition] = ()) -> int:
        """How many resources meet every condition."""
        index = TABLES[table]
        query = select(func.count()).select_from(index).where(*_compared(index, conditions))
        return int(self._connection.execute(query).scalar_one())

    def find(self, table: str, column: str, value: Any) -> str | None:
        """The identifier of the first resource, by number, that has this value; or None."""
        index = TABLES[table]
        query = select(index.c.identifier).where(index.c[column] == value).order_by(index.c.number).limit(1)
        found: str | None = self._connection.execute(query).scalar()
        return found

    def clear(self) -> None:
        """Empty the index, to be filled again in this transaction: others read the old rows, and wait before they write or hold."""
        emptied = (tables.rent_action_items, tables.rent_actions, tables.assets, tables.item_types)
        if self._connection.dialect.name == "postgresql":
            self._connection.execute(text(f"LOCK TABLE {', '.join(table.name for table in emptied)} IN EXCLUSIVE MODE"))
        for table in emptied:
            self._connection.execute(delete(table))

    def _put(self, table: Table, row: Mapping[str, Any]) -> None:
        values = {"number": number_of(row["identifier"]), **row}
        upsert(self._connection, table, values, "identifier")

    def _duplicate(self, table: str, row: Mapping[str, Any]) -> Duplicate | None:
        column, field = UNIQUE[table]
        value = row.get(column)
        resource = self.find(table, column, value) if value is not None else None
        if resource is None or resource == row["identifier"]:
            return None
        return Duplicate(f"{field} {value!r} belongs to {resource} already.", field=field, resource=resource)


def number_of(identifier: str) -> int:
    """The number in an identifier: 7 in `itemType_7`. Raises ValueError when there is none."""
    return int(identifier.rpartition("_")[2])


def _compared(table: Table, conditions: Sequence[Condition]) -> list[ColumnElement[bool]]:
    return [OPERATORS[compare](table.c[column], value) for column, compare, value in conditions]
