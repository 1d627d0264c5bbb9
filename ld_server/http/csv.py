"""
Collections as `text/csv` (RFC 4180): UTF-8 without a byte order mark, CRLF, a header row with the JSON keys, a row per member.

A reference is its identifier, what has more to it is compact JSON. A text that a spreadsheet could take for a formula, or that
begins with an apostrophe, gets an apostrophe in front: whoever reads the file strips one from the beginning of a text that has one,
and has the text as it was. Numbers and booleans are written as JSON writes them and never get one.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import orjson

OTHER = "other"
"""The last column: as JSON, what a member says besides the columns, as in other vocabularies."""

DANGEROUS = frozenset("=+-@\t\r\n＝＋－＠'")
"""What makes a spreadsheet calculate when a cell begins with it (OWASP, CSV injection), and the apostrophe that guards against it."""

NOT_SAID = frozenset(("@context", "@id", "@type"))
"""What has no column: the identifier stands for the name, and the collection for the type."""

_ROWS_AT_ONCE = 200


def table(documents: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> Iterator[bytes]:
    """The header and the rows of the documents, some of them at a time, so that memory stays small however many there are."""
    yield _written([[*columns, OTHER]])
    found = rows(documents, columns)
    while some := list(islice(found, _ROWS_AT_ONCE)):
        yield _written(some)


def rows(documents: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> Iterator[list[str]]:
    """The cells of each document: a column after the other, then what has none."""
    return (_row(document, columns) for document in documents)


def columns_of(documents: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """Every key that some of the documents have, the identifier first."""
    keys = dict.fromkeys(key for document in documents for key in document if key not in NOT_SAID)
    return ("identifier", *(key for key in keys if key != "identifier"))


def _row(document: Mapping[str, Any], columns: Sequence[str]) -> list[str]:
    others = {key: value for key, value in document.items() if key not in columns and key not in NOT_SAID}
    return [*(_cell(document.get(key)) for key in columns), _json(others) if others else ""]


def _cell(value: Any) -> str:
    value = _short(value)
    if value is None:
        return ""
    return _guarded(value) if isinstance(value, str) else _json(value)


def _short(value: Any) -> Any:
    """A thing with an identifier is that; one of which there is only the name or the value is this; in lists and in things too."""
    if isinstance(value, list):
        return [_short(one) for one in value]
    if not isinstance(value, dict):
        return value
    if "identifier" in value:
        return value["identifier"]
    if "@value" in value and value.keys() <= {"@value", "@type", "@language"}:
        return value["@value"]
    if value.keys() == {"@id"}:
        return value["@id"]
    return {key: _short(one) for key, one in value.items() if key not in NOT_SAID}


def _guarded(text: str) -> str:
    return f"'{text}" if text.lstrip(" ")[:1] in DANGEROUS and text.strip(" ") else text


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()


def _written(rows: Iterable[Sequence[str]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return text.getvalue().encode()
