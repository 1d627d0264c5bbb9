"""What there is to know about a kind of resource; each module beside this one fills in one Kind."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ld_server.rdf.adoption import Frame

Document = dict[str, Any]
"""A resource in our compact JSON-LD, with its context: what is stored and what `GET` gives."""


@dataclass(frozen=True)
class Filter:
    """A query parameter of a collection: which index column it compares, how (`=`, `>=`, `<=`, `<`, `>`), and how its text is read."""

    column: str
    operator: str = "="
    read: Callable[[str], Any] = str
    description: str = ""
    allowed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Kind:
    """
    One kind of resource.

    `name` is its key in KINDS, in the ledger and in event types. `frame` says how a posted graph becomes this kind.
    `to_create(document)` makes the command that creates it. `index_row(document)` gives the typed columns of its index table.
    `label(document)` is the name shown where another resource refers to it.
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
    filters: Mapping[str, Filter] = field(default_factory=dict)


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


def identifier_of(prefix: str) -> Callable[[str], str]:
    """A reader of identifiers with this prefix; takes the IRI of the resource too, by its last segment."""

    def read(text: str) -> str:
        identifier = text.rsplit("/", 1)[-1]
        if not identifier.removeprefix(f"{prefix}_").isdecimal():
            raise ValueError(f"write an identifier such as {prefix}_7")
        return identifier

    return read
