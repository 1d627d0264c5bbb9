"""Small facts about the deployment that must outlive a process, such as the base IRI its resources were minted under."""

from sqlalchemy import Connection, select

from relational import tables
from relational.upsert import upsert


class Facts:
    """The gateway to facts."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self, name: str) -> str | None:
        """The value of a fact, or None."""
        value: str | None = self._connection.execute(select(tables.facts.c.value).where(tables.facts.c.name == name)).scalar()
        return value

    def set(self, name: str, value: str) -> None:
        """Write a fact, in place of what it was."""
        upsert(self._connection, tables.facts, {"name": name, "value": value}, "name")
