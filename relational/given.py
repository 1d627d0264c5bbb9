"""Rows that come with a question: a statement reads them as a table, and is the same statement however many they are."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from relational.tables import EPOCH, MICROSECOND

_POSTGRES = {"text": "text", "whole": "bigint", "truth": "boolean", "instant": "timestamptz"}


@dataclass(frozen=True, slots=True)
class Given:
    """
    A table in a statement: its name, and the type of each column (`text`, `whole`, `truth` or `instant`).

    Postgres takes a list for each column, SQLite all rows as one text of JSON.
    """

    name: str
    columns: Mapping[str, str]

    def select(self, engine: str) -> str:
        """The SQL that gives the rows."""
        return {"postgresql": self._on_postgres, "sqlite": self._on_sqlite}[engine]()

    def values(self, engine: str, rows: Iterable[tuple[Any, ...]]) -> dict[str, Any]:
        """The parameters of the statement, for these rows."""
        if engine == "sqlite":
            return {self.name: json.dumps([[_plain(value) for value in row] for row in rows])}
        lists = list(zip(*rows, strict=True)) or [()] * len(self.columns)
        return {f"{self.name}_{column}": list(values) for column, values in zip(self.columns, lists, strict=True)}

    def _on_postgres(self) -> str:
        lists = ", ".join(f"CAST(:{self.name}_{column} AS {_POSTGRES[kind]}[])" for column, kind in self.columns.items())
        return f"SELECT * FROM unnest({lists}) AS {self.name}({', '.join(self.columns)})"  # noqa: S608

    def _on_sqlite(self) -> str:
        parts = ", ".join(f"json_extract(value, '$[{place}]') AS {column}" for place, column in enumerate(self.columns))
        return f"SELECT {parts} FROM json_each(:{self.name})"  # noqa: S608


def _plain(value: Any) -> Any:
    return (value - EPOCH) // MICROSECOND if isinstance(value, datetime) else value
