"""What a SPARQL query gave, as a table for people."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from ld_server.http.pages import words
from ld_server.http.pages.filters import Control
from ld_server.http.pages.values import Field, Gallery, Table
from ld_server.rdf import vocab

MOST_ROWS = 1000
"""Rows that a page shows; the other syntaxes have them all."""


@dataclass(frozen=True)
class Shown:
    """What stands around the table: its title, the address that was asked, the query, and with a named one what else can be said to it."""

    title: str
    iri: str
    query: str
    description: str = ""
    controls: Sequence[Control] = ()
    said: Mapping[str, str] = field(default_factory=dict)
    syntaxes: Sequence[str] = ()


@dataclass(frozen=True)
class Rows:
    """The table, and how many rows there are, of which it may have the first alone."""

    table: Table
    count: int


def rows_of(content: bytes, gallery: Gallery) -> Rows:
    """The answer to SELECT or ASK, from SPARQL's JSON."""
    found = orjson.loads(content)
    if "boolean" in found:
        return Rows(Table((_column("answer"),), ((_cell("answer", _truth(found), gallery),),)), 1)
    columns, bindings = found["head"]["vars"], found["results"]["bindings"]
    rows = tuple(tuple(_cell(name, one.get(name), gallery) for name in columns) for one in bindings[:MOST_ROWS])
    return Rows(Table(tuple(_column(name) for name in columns), rows), len(bindings))


def _truth(found: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "literal", "value": "true" if found["boolean"] else "false"}


def _column(name: str) -> Field:
    return Field(name, words.label(name), None, None)


def _cell(name: str, term: Mapping[str, Any] | None, gallery: Gallery) -> Field:
    value = None if term is None else gallery.value(*_as_json(term))
    return Field(name, words.label(name), None, value)


def _as_json(term: Mapping[str, Any]) -> tuple[Any, str]:
    """A term of SPARQL's JSON in JSON-LD, with the key that has it shown for what it is."""
    kind, text = term["type"], term["value"] if isinstance(term["value"], str) else orjson.dumps(term["value"]).decode()
    if kind == "uri":
        return text, "@id"
    if term.get("datatype") in _NUMBERS:
        return _short(text), ""
    described = {"@type": term["datatype"]} if "datatype" in term else {}
    return {"@value": text, **described, **({"@language": term["xml:lang"]} if "xml:lang" in term else {})}, ""


_NUMBERS = frozenset(vocab.XSD + name for name in ("integer", "decimal", "double", "float"))
DIGITS = 4
"""Behind the point; the other syntaxes have them all."""


def _short(text: str) -> float | int:
    value = round(float(text), DIGITS)
    return int(value) if value.is_integer() else value
