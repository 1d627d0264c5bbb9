"""
What an export is made of: the resources that are wanted, as they are at one point, read without holding anything up.

One short transaction lists which revisions these are, into a file that nobody else sees. Revisions stay as they are, so others
read them afterwards, some at a time, while the client takes its time. The same transaction says from where the next export goes on:
the horizon, below which nothing becomes visible any more (see relational.documents). What stands above it already is in both.
"""

import base64
import re
from array import array
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from tempfile import TemporaryFile
from typing import IO

from ld_server.domain.errors import InvalidParameter
from ld_server.rdf.naming import Naming
from ld_server.resources import KINDS
from ld_server.resources.kind import Kind, instant
from relational.index import LARGEST_NUMBER, TABLES, Condition
from relational.unit_of_work import Ledger, UnitOfWork

GENERATION_FACT = "generation"
"""The fact that is another one after a backup was restored: what was numbered before says nothing about what is there now."""

BATCH = 500
"""Resources that are in memory at a time."""

_TOKEN = re.compile(r"export:([0-9a-f]*):([0-9]{1,18})\Z")


@dataclass(frozen=True, slots=True)
class Place:
    """A place in the course of all changes: an instant, or the point at which an export was taken."""

    moment: datetime | None = None
    generation: str = ""
    horizon: int = 0


@dataclass(frozen=True, slots=True)
class Wanted:
    """
    Which resources are wanted: those of these kinds, at this location, whose last change is not before `since` and before `until`.
    Kinds that have no location have nothing at one.
    """

    kinds: tuple[Kind, ...] = tuple(KINDS.values())
    since: Place | None = None
    until: Place | None = None
    location: str | None = None


EVERYTHING = Wanted()


@dataclass(frozen=True, slots=True)
class Named:
    """A resource in a state: the IRI that names its graph, and its document, serialised."""

    kind: Kind
    iri: str
    body: str


def kinds_of(text: str, parameter: str = "type") -> tuple[Kind, ...]:
    """
    The kinds that a list of names means: those of kinds (`rentAction`), or those of classes, by their last part or as IRIs.

    Raises InvalidParameter for a name of neither.
    """
    names = [one.strip() for one in text.split(",")]
    for name in names:
        if not any(name in _names(kind) for kind in KINDS.values()):
            known = list(KINDS)
            raise InvalidParameter(
                f"There is no type {name!r} here. Known are {', '.join(known)}, and classes.", parameter=parameter, known=known
            )
    return tuple(kind for kind in KINDS.values() if not _names(kind).isdisjoint(names))


def _names(kind: Kind) -> set[str]:
    classes = (*kind.frame.types, *kind.frame.others)
    return {kind.name, *classes, *(re.split("[/#]", one)[-1] for one in classes)}


def token(generation: str, horizon: int) -> str:
    """What `since` takes to go on from this point."""
    return base64.urlsafe_b64encode(f"export:{generation}:{horizon}".encode()).rstrip(b"=").decode()


def place_of(text: str, parameter: str) -> Place:
    """The place that an instant or a token names. Raises InvalidParameter."""
    match = _TOKEN.match(_decoded(text))
    if match:
        return Place(generation=match[1], horizon=int(match[2]))
    try:
        return Place(moment=instant(text))
    except (ValueError, OverflowError):
        message = f"{parameter} must be an instant with a zone such as 2026-02-03T12:00:00Z, or what an earlier export gave out."
        raise InvalidParameter(message, parameter=parameter) from None


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True).decode("ascii")
    except ValueError:
        return ""


class Export:
    """The resources that were wanted, as they are at the point when this is made. `following` is the token from which the next goes on."""

    def __init__(self, ledger: Ledger, wanted: Wanted, naming: Naming, is_listed: bool = True) -> None:
        """Raises InvalidParameter for a token of another generation. Without a list there is nothing to read, only to follow."""
        self._ledger, self._naming, self._kinds = ledger, naming, wanted.kinds
        self._spool: IO[bytes] = TemporaryFile()  # noqa: SIM115  (closed after the last batch)
        self._counts: list[int] = []
        with ledger.read() as uow:
            generation = uow.facts.get(GENERATION_FACT) or ""
            _refuse_others(generation, wanted)
            self.following = token(generation, uow.documents.horizon())
            for kind in wanted.kinds if is_listed else ():
                self._counts.append(self._list(uow, kind, wanted))
        self._spool.seek(0)

    @property
    def count(self) -> int:
        """How many resources there are in it."""
        return sum(self._counts)

    def batches(self) -> Iterator[list[Named]]:
        """The resources, BATCH or fewer at a time: kind by kind, by number. Each transaction is as short as its batch."""
        with closing(self):
            for kind, count in zip(self._kinds, self._counts, strict=True):
                for start in range(0, count, BATCH):
                    yield self._batch(kind, min(BATCH, count - start))

    def close(self) -> None:
        self._spool.close()

    def _list(self, uow: UnitOfWork, kind: Kind, wanted: Wanted) -> int:
        """Lists a kind; how many resources that are. A kind that has no location is not asked for one."""
        if wanted.location is not None and "location" not in TABLES[kind.table].c:
            return 0
        pieces = uow.index.pieces(kind.table, conditions_of(wanted))
        return sum(self._spool.write(piece.tobytes()) for piece in pieces) // _BYTES_EACH

    def _batch(self, kind: Kind, count: int) -> list[Named]:
        states = array("q", self._spool.read(count * _BYTES_EACH))
        named = [(f"{kind.prefix}_{number}", revision) for number, revision in zip(states[::2], states[1::2], strict=True)]
        with self._ledger.read() as uow:
            bodies = list(uow.documents.bodies(named))
        return [Named(kind, self._naming.iri(identifier), body) for (identifier, _), body in zip(named, bodies, strict=True)]


_BYTES_EACH = 2 * array("q").itemsize


def _refuse_others(generation: str, wanted: Wanted) -> None:
    """A token of data that was replaced since says nothing about what has changed."""
    for name, place in {"since": wanted.since, "until": wanted.until}.items():
        if place is not None and place.moment is None and place.generation != generation:
            raise InvalidParameter(f"The data was restored after the export that {name} names; take everything anew.", parameter=name)


def conditions_of(wanted: Wanted) -> list[Condition]:
    """What the index is asked."""
    conditions = [] if wanted.location is None else [("location", "=", wanted.location)]
    since = [] if wanted.since is None else [_bound(wanted.since, ">=", "written since")]
    until = [] if wanted.until is None else [_bound(wanted.until, "<", "not written since")]
    return [*conditions, *since, *until]


def _bound(place: Place, compare: str, written: str) -> Condition:
    if place.moment is not None:
        return ("updated_at", compare, place.moment)
    return ("identifier", written, min(place.horizon, LARGEST_NUMBER))


def flattened(batches: Iterable[Sequence[Named]]) -> Iterator[Named]:
    """One after the other."""
    return chain.from_iterable(batches)
