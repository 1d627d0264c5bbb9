"""Rows that come with a question: a statement reads them as a table, and is the same statement however many they are."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from relational.tables import EPOCH, MICROSECOND

_POSTGRES = {"text": "text", "whole": "bigint", "truth": "boolean", "instant": "timestamptz"}


@dataclass(frozen=True, slots=True)
class Given:
    """
    A table in a statement: its name, and the type of each column (`text`, `whole`, `truth` or `instant`).

    Postgres takes the text of a list for each column, SQLite all rows as one text of JSON. `has_one_row`: never more and never fewer. That
    is said to Postgres, which plans once for however many rows there may be, and otherwise reckons with several.
    """

    name: str
    columns: Mapping[str, str]
    has_one_row: bool = False

    def select(self, engine: str) -> str:
        """The SQL that gives the rows."""
        return {"postgresql": self._on_postgres, "sqlite": self._on_sqlite}[engine]()

    def values(self, engine: str, rows: Iterable[tuple[Any, ...]]) -> dict[str, Any]:
        """The parameters of the statement, for these rows."""
        if engine == "sqlite":
            return {self.name: json.dumps([[_plain(value) for value in row] for row in rows])}
        if self.has_one_row:
            [row] = rows
            return {f"{self.name}_{column}": value for column, value in zip(self.columns, row, strict=True)}
        lists = list(zip(*rows, strict=True)) or [()] * len(self.columns)
        return {f"{self.name}_{column}": _list(kind, values) for (column, kind), values in zip(self.columns.items(), lists, strict=True)}

    def _on_postgres(self) -> str:
        if self.has_one_row:
            values = (f"CAST(:{self.name}_{column} AS {_POSTGRES[kind]}) AS {column}" for column, kind in self.columns.items())
            return f"SELECT {', '.join(values)}"
        lists = ", ".join(f"CAST(:{self.name}_{column} AS {_POSTGRES[kind]}[])" for column, kind in self.columns.items())
        return f"SELECT * FROM unnest({lists}) AS {self.name}({', '.join(self.columns)})"  # noqa: S608 (constants put together; values are parameters)

    def _on_sqlite(self) -> str:
        parts = ", ".join(f"json_extract(value, '$[{place}]') AS {column}" for place, column in enumerate(self.columns))
        return f"SELECT {parts} FROM json_each(:{self.name})"  # noqa: S608 (constants put together; values are parameters)


def _list(kind: str, values: Iterable[Any]) -> str:
    """A list as Postgres writes it, which costs the driver much less than one of Python's."""
    return f"{{{','.join(map(_WRITTEN[kind], values))}}}"


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


_WRITTEN: Mapping[str, Callable[[Any], str]] = {"text": _quoted, "whole": str, "truth": str, "instant": datetime.isoformat}
"""Type of a column → a value of it in such a list."""


def _plain(value: Any) -> Any:
    return (value - EPOCH) // MICROSECOND if isinstance(value, datetime) else value
