"""
Named queries: files with a text, what it is good for, and parameters with types, in `queries/`.

A file begins with comments: the title, a paragraph that explains, and a line for each parameter, `$name type = default: What it is.` or
`$name required type: What it is.` In the text a parameter stands as `$name`, and nothing else begins with `$`. What is put in its place is
always one whole term, as SPARQL writes it, so nothing that anybody says can become another part of the query. A parameter that has no
default and is not required stands in a VALUES block, where UNDEF means anything.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pyoxigraph import Literal, NamedNode

from ld_server.rdf import vocab

Value = datetime | int | str
"""What a parameter can be: an instant, a whole number, or a resource by its IRI."""

_DATE_TIME = NamedNode(vocab.XSD + "dateTime")
_PLACE = re.compile(r"\$(\w+)")
_DECLARED = re.compile(r"\$(?P<name>\w+) (?P<required>required )?(?P<type>\w+)(?: = (?P<default>\S+))?: (?P<description>.+)")


@dataclass(frozen=True)
class Parameter:
    """
    What can be said to a query. `type` is `dateTime`, `integer` or the name of a kind; `default` is a text that is read as the client's
    is, `now`, or `now` plus or minus a duration. `is_required`: without it the query means nothing.
    """

    name: str
    type: str
    default: str | None
    description: str
    is_required: bool = False


@dataclass(frozen=True)
class NamedQuery:
    """A query with what it is called, what it is good for, and what can be said to it."""

    name: str
    title: str
    description: str
    parameters: Sequence[Parameter]
    text: str

    def bound(self, values: Mapping[str, Value]) -> str:
        """The query with these values in their places; a parameter of which nothing is said may be anything."""
        return _PLACE.sub(lambda match: _written(values[match[1]]) if match[1] in values else "UNDEF", self.text)


def read_queries(place: Path) -> Mapping[str, NamedQuery]:
    """Name → query, for every file in the directory. Raises ValueError for one whose parameters are not those of its text."""
    return {file.stem: read_query(file.stem, file.read_text(encoding="utf-8")) for file in sorted(place.glob("*.rq"))}


def read_query(name: str, source: str) -> NamedQuery:
    """A query as a file has it. Raises ValueError when a parameter is declared and not used, or used and not declared."""
    lines = source.splitlines()
    length = next(number for number, line in enumerate(lines) if not line.startswith("#"))
    title, *told = [line.removeprefix("#").strip() for line in lines[:length]]
    text = "\n".join(lines[length:]).strip() + "\n"
    parameters = [_parameter(line) for line in told if line.startswith("$")]
    if {one.name for one in parameters} != set(_PLACE.findall(text)):
        raise ValueError(f"the parameters of {name} are not those of its text")
    return NamedQuery(name, title, " ".join(line for line in told if line and not line.startswith("$")), parameters, text)


def _parameter(line: str) -> Parameter:
    match = _DECLARED.fullmatch(line)
    if match is None:
        raise ValueError(f"{line!r} is no parameter")
    return Parameter(match["name"], match["type"], match["default"], match["description"], match["required"] is not None)


def _written(value: Value) -> str:
    """A term as SPARQL writes it."""
    if isinstance(value, datetime):
        return str(Literal(value.astimezone(UTC).isoformat().replace("+00:00", "Z"), datatype=_DATE_TIME))
    return str(NamedNode(value) if isinstance(value, str) else value)
