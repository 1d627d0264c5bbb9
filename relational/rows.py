"""Rows that are configuration: found by identifier, listed by number, changed by one writer at a time."""

from dataclasses import fields
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection, Select, Table, delete, func, insert, select, update

from ld_server.domain.errors import Stale

Row = TypeVar("Row")


class Rows(Generic[Row]):
    """
    The gateway to a table whose rows have an `identifier`, a `number` and a `revision` that counts from 1.

    A row is a frozen dataclass with the columns of the table as members.
    """

    table: Table
    row: type[Row]

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, row: Row) -> None:
        """Write a new row."""
        self._connection.execute(insert(self.table), self._values(row))

    def find(self, identifier: str) -> Row | None:
        """The row with this identifier, or None."""
        return self._first(self._rows().where(self.table.c.identifier == identifier))

    def locked(self, identifier: str) -> Row | None:
        """The row with this identifier, which nobody else changes until this transaction ends; or None."""
        return self._first(self._rows().where(self.table.c.identifier == identifier).with_for_update())

    def page(self, after: int, limit: int, **having: Any) -> list[Row]:
        """At most `limit` rows beyond a number, by number, with these values in these columns."""
        query = self._having(self._rows(), having).where(self.table.c.number > after).order_by(self.table.c.number)
        return [self.row(*one) for one in self._connection.execute(query.limit(limit))]

    def count(self, **having: Any) -> int:
        """How many rows have these values in these columns."""
        return int(self._connection.execute(self._having(select(func.count()).select_from(self.table), having)).scalar_one())

    def replace(self, row: Any) -> None:
        """Write the next state of a row: `row.revision` is the stored one plus one. Raises Stale when another came first."""
        stored = self.table.c
        change = update(self.table).where(stored.identifier == row.identifier, stored.revision == row.revision - 1)
        if self._connection.execute(change.values(self._values(row))).rowcount != 1:
            raise Stale(f"{row.identifier} has changed since it was read.", resource=row.identifier)

    def remove(self, identifier: str) -> bool:
        """Take a row away; whether it was there."""
        return self._connection.execute(delete(self.table).where(self.table.c.identifier == identifier)).rowcount == 1

    def _rows(self) -> Select[Any]:
        return select(*(self.table.c[name] for name in self._names()))

    def _first(self, query: Select[Any]) -> Row | None:
        found = self._connection.execute(query).first()
        return self.row(*found) if found is not None else None

    def _having(self, query: Select[Any], having: dict[str, Any]) -> Select[Any]:
        return query.where(*(self.table.c[name] == value for name, value in having.items()))

    def _names(self) -> list[str]:
        return [one.name for one in fields(self.row)]  # type: ignore[arg-type]

    def _values(self, row: Row) -> dict[str, Any]:
        return {name: getattr(row, name) for name in self._names()}
