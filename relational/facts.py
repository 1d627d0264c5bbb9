"""Small facts about the deployment that must outlive a process, such as the base IRI its resources were minted under."""

from sqlalchemy import Connection, select

from relational import tables
from relational.upsert import INSERT, upsert


class Facts:
    """The gateway to facts."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self, name: str) -> str | None:
        """The value of a fact, or None."""
        value: str | None = self._connection.execute(select(tables.facts.c.value).where(tables.facts.c.name == name)).scalar()
        return value

    def locked(self, name: str, otherwise: str) -> str:
        """The value of a fact, from now on `otherwise` where there was none. Nobody else changes it until this transaction ends."""
        first = INSERT[self._connection.dialect.name](tables.facts).values(name=name, value=otherwise).on_conflict_do_nothing()
        self._connection.execute(first)
        query = select(tables.facts.c.value).where(tables.facts.c.name == name).with_for_update()
        value: str = self._connection.execute(query).scalar_one()
        return value

    def set(self, name: str, value: str) -> None:
        """Write a fact, in place of what it was."""
        upsert(self._connection, tables.facts, {"name": name, "value": value}, "name")
