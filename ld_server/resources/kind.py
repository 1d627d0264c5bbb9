"""What there is to know about a kind of resource; each module beside this one fills in one Kind."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from unicodedata import normalize

import orjson

from ld_server.domain.commands import ChangeCatalogEntry
from ld_server.rdf.adoption import Frame

Document = dict[str, Any]
"""A resource in our compact JSON-LD, with its context: what is stored and what `GET` gives."""


@dataclass(frozen=True)
class Filter:
    """
    A query parameter of a collection: which index column it compares, how (an operator of the index), and how its text is read.

    What `is_timed` depends on the time: it is compared with the value and the current instant.
    """

    column: str
    operator: str = "="
    read: Callable[[str], Any] = str
    description: str = ""
    allowed: tuple[str, ...] = ()
    is_timed: bool = False


def text(value: Any) -> str:
    """A text. Raises ValueError for any other JSON value."""
    if not isinstance(value, str) or "\x00" in value:
        raise ValueError("this is not a text")
    return value


def whole(value: Any) -> int:
    """A whole number from 0 that a database can hold. Raises ValueError for any other JSON value."""
    if type(value) is not int or not 0 <= value < 10**18:
        raise ValueError("this is not a whole number")
    return value


@dataclass(frozen=True)
class Sort:
    """A key by which a collection can be ordered: its index column, and how a value of it is read from the JSON of a cursor."""

    column: str
    read: Callable[[Any], Any] = text


@dataclass(frozen=True)
class Arranged:
    """A patched document, ready to be taken in. `parts`: names that parts get on their way in (`line-1`) → those they are to have."""

    document: Document
    parts: Mapping[str, str] = field(default_factory=dict)


def as_patched(_before: Document, after: Document) -> Arranged:
    """Nothing to arrange."""
    return Arranged(after)


@dataclass(frozen=True)
class Kind:
    """
    One kind of resource.

    `name` is its key in KINDS, in the ledger and in event types. `frame` says how a posted graph becomes this kind.
    `to_create(document)` makes the command that creates it. `index_row(document)` gives the typed columns of its index table.
    `label(document)` is the name shown where another resource refers to it. `filters` and `sorts` are what a list can be asked for.
    `columns` are the keys that people see in a list, where the first of `keys` are not the ones they look for.

    `to_change(identifier, document, expected)` makes the command that gives it another state. `fixed`: keys that a patch must not
    change, besides what the frame says to be managed, and why. `at_first`: the values that a key may have in a new resource, where the
    shape allows more. `arrange_patched(before, after)` has the last word of the kind on a patched document before it is taken in.

    `is_posted`, `is_patched`: whether a graph can be posted to the collection, and a patch be sent to a resource. `always` are
    conditions on the index that every list has. `owned`: the index column with the reservation that makes it somebody's own; empty where
    it is nobody's.
    """

    name: str
    prefix: str
    path: str
    subject_type: str
    table: str
    frame: Frame
    to_create: Callable[[Document], Any]
    index_row: Callable[[Document], dict[str, Any]]
    label: Callable[[Document], str]
    create_scope: str
    keys: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    filters: Mapping[str, Filter] = field(default_factory=dict)
    sorts: Mapping[str, Sort] = field(default_factory=dict)
    to_change: Callable[[str, Document, frozenset[int]], Any] = ChangeCatalogEntry
    fixed: Mapping[str, str] = field(default_factory=dict)
    at_first: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    arrange_patched: Callable[[Document, Document], Arranged] = as_patched
    is_posted: bool = True
    is_patched: bool = True
    always: tuple[tuple[str, str, Any], ...] = ()
    owned: str = ""


def is_same(one: Any, other: Any) -> bool:
    """Whether two JSON values are the same, in whatever order their keys stand. Python's own comparison takes true for 1."""
    return orjson.dumps(one, option=orjson.OPT_SORT_KEYS) == orjson.dumps(other, option=orjson.OPT_SORT_KEYS)


def instant(text: str) -> datetime:
    """An ISO 8601 instant with a zone, in UTC. Raises ValueError without a zone."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("the time has no zone; write for example 2026-02-03T12:00:00Z")
    return moment.astimezone(UTC)


def written(moment: datetime) -> str:
    """An instant as the service writes it: UTC, `Z`, and no more digits than it needs."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def boolean(text: str) -> bool:
    """`true` or `false`. Raises ValueError."""
    try:
        return {"true": True, "false": False}[text]
    except KeyError:
        raise ValueError("write true or false") from None


def identifier(text: str) -> str:
    """An identifier of any kind; takes the IRI of the resource too, by its last segment. Raises ValueError."""
    found = text.rsplit("/", 1)[-1]
    prefix, _, number = found.rpartition("_")
    if not (prefix.isalpha() and number.isdecimal() and found.isascii()):
        raise ValueError("write an identifier such as asset_12")
    return found


def identifier_of(prefix: str) -> Callable[[str], str]:
    """A reader of identifiers with this prefix; takes the IRI of the resource too, by its last segment."""

    def read(text: str) -> str:
        identifier = text.rsplit("/", 1)[-1]
        if not re.fullmatch(rf"{prefix}_[1-9][0-9]{{0,17}}", identifier):
            raise ValueError(f"write an identifier such as {prefix}_7")
        return identifier

    return read


def folded(text: str) -> str:
    """A text as it is searched: the same for capital and small letters, and for every way in which Unicode writes the same character."""
    return normalize("NFKC", normalize("NFKC", text).casefold())


def findable(*texts: str | None) -> str:
    """What `q` searches, one text on each line: what is asked for has no line breaks, so nothing is found across two of them."""
    return "\n".join(folded(" ".join(text.split())) for text in texts if text)


def stamps(document: Document) -> dict[str, datetime]:
    """When the resource was made and last changed, as index columns."""
    return {"created_at": instant(document["createdAt"]), "updated_at": instant(document["updatedAt"])}


def text_search(where: str) -> Filter:
    """The filter `q`: a part of one of these texts, in capital or small letters."""
    return Filter("search_text", "contains", lambda text: folded(" ".join(text.split())), f"Part of {where}; capital or small letters.")
