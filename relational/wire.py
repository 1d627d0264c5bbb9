"""
Statements that go straight to the driver.

What SQLAlchemy does around a statement costs more than many of ours do: those that answers wait for are compiled once for each engine,
and asked without it. Nothing but instants has to be translated.
"""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from sqlalchemy import Connection, Dialect, Executable
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.exc import IntegrityError

_DIALECTS: Mapping[str, Callable[[], Dialect]] = {
    "postgresql": PGDialect_psycopg,
    "sqlite": lambda: SQLiteDialect_pysqlite(paramstyle="named"),
}

VIOLATIONS = (sqlite3.IntegrityError, psycopg.IntegrityError, IntegrityError)
"""What is raised when a constraint does not hold: by the drivers, and by SQLAlchemy over them."""


def planned_once(is_local: str) -> str:
    """
    The columns by which a SELECT makes Postgres plan each statement once for all its parameters, and by way of indexes: until the
    transaction ends (`true`), or the connection (`false`).

    For statements of many parts that read little, of which planning costs several times what running does. Not for lists, where the
    plan depends on what is asked for. A planner that does not know the parameters would read a whole pool to merge it with what is asked
    where one pool has half of all allocations; a step in an index for each question is right however large a pool is.
    """
    off = dict.fromkeys(("enable_seqscan", "enable_mergejoin", "enable_hashjoin", "jit"), "off")
    wanted = {"plan_cache_mode": "force_generic_plan", **off}
    return ", ".join(f"set_config('{name}', '{value}', {is_local})" for name, value in wanted.items())


Row = tuple[Any, ...]
Translations = Mapping[str, Callable[[Any], Any]]


@dataclass(frozen=True, slots=True)
class _Spelled:
    """A statement as a driver takes it, and what is done to some of its parameters and columns, by name."""

    text: str
    given: Translations
    found: Translations


class Statement:
    """
    A statement with named parameters: the same for every engine, or one for each. `keys`: the columns that an INSERT writes.

    Not for parameters that SQLAlchemy writes out one by one, as those of `IN`: see `relational.given`.
    """

    def __init__(self, statement: Executable | Mapping[str, Executable], keys: Sequence[str] | None = None) -> None:
        self._by_engine = statement if isinstance(statement, Mapping) else dict.fromkeys(_DIALECTS, statement)
        self._keys = keys
        self._spelled: dict[str, _Spelled] = {}

    def spelled(self, engine: str) -> _Spelled:
        """The statement for an engine, compiled when it is first asked for."""
        found = self._spelled.get(engine)
        if found is None:
            found = self._spelled[engine] = _spell(self._by_engine[engine], _DIALECTS[engine](), self._keys)
        return found


def _spell(statement: Any, dialect: Dialect, keys: Sequence[str] | None) -> _Spelled:
    compiled = statement.compile(dialect=dialect, column_keys=keys)
    given = {one.key: one.type.dialect_impl(dialect).bind_processor(dialect) for one in compiled.bind_names}
    columns = getattr(statement, "selected_columns", ())
    found = {one.name: one.type.dialect_impl(dialect).result_processor(dialect, None) for one in columns}
    return _Spelled(str(compiled), _translated(given), _translated(found))


def _translated(processors: Mapping[str, Callable[[Any], Any] | None]) -> Translations:
    return {name: process for name, process in processors.items() if process is not None}


class Wire:
    """
    A connection of psycopg or sqlite3, and which engine it leads to.

    What goes wrong is told in the errors of the driver; `relational.engine.outages_told` understands them.
    """

    def __init__(self, driver: Any, engine: str) -> None:
        self.driver = driver
        self.engine = engine

    @classmethod
    def of(cls, connection: Connection) -> "Wire":
        """The wire under a connection: what is asked on it belongs to the same transaction."""
        return cls(connection.connection.driver_connection, connection.dialect.name)

    def rows(self, statement: Statement, values: Mapping[str, Any]) -> list[Row]:
        """What a statement gives."""
        spelled = statement.spelled(self.engine)
        cursor = self.execute(spelled.text, _given(spelled, values))
        rows: list[Row] = cursor.fetchall()
        if not (spelled.found and rows):
            return rows
        translations = [spelled.found.get(column[0]) for column in cursor.description]
        return [_found(row, translations) for row in rows]

    def run(self, statement: Statement, values: Mapping[str, Any]) -> int:
        """Carries a statement out that gives nothing. How many rows it changed."""
        spelled = statement.spelled(self.engine)
        count: int = self.execute(spelled.text, _given(spelled, values)).rowcount
        return count

    def run_each(self, statement: Statement, rows: Sequence[Mapping[str, Any]]) -> None:
        """Carries a statement out for each of these rows of parameters, if there are any."""
        if len(rows) == 1:
            self.run(statement, rows[0])
        elif rows:
            spelled = statement.spelled(self.engine)
            self.driver.cursor().executemany(spelled.text, [_given(spelled, row) for row in rows])

    def execute(self, text: str, values: Mapping[str, Any]) -> Any:
        """The cursor of a statement as the driver takes it."""
        return self.driver.execute(text, values)


def _given(spelled: _Spelled, values: Mapping[str, Any]) -> Mapping[str, Any]:
    if not spelled.given:
        return values
    return {**values, **{name: translate(values[name]) for name, translate in spelled.given.items()}}


def _found(row: Row, translations: Sequence[Callable[[Any], Any] | None]) -> Row:
    return tuple(value if translate is None else translate(value) for value, translate in zip(row, translations, strict=True))
