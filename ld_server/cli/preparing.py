"""What can be done with the pieces of a file before the ledger is asked: read, spelled and checked, in processes of their own."""

import gc
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from typing import Any

import orjson

from ld_server.bootstrap import build
from ld_server.domain.errors import MalformedBody, Refusal
from ld_server.rdf.codecs import Limits
from ld_server.rdf.datasets import graphs_in
from ld_server.rdf.pieces import Piece
from ld_server.resources import KINDS, POSTED
from ld_server.resources.intake import Arrivals, take_in_all
from ld_server.resources.kind import Document
from ld_server.resources.returning import taken_back
from ld_server.services.loading import OF_PREFIX
from ld_server.services.parts import Parts
from ld_server.settings import Settings

Told = dict[str, Any]
"""What is said of a resource that was refused: which one, and why, in JSON terms."""

_WHOLE = Limits(triples=5_000_000, resources=100_000)
_AHEAD = 3
"""Pieces for each process that are under way or wait to be stored."""


@dataclass
class Prepared:
    """What came of a piece: documents, each with what it is called in the file, and what was refused."""

    documents: list[tuple[str, Document]] = field(default_factory=list)
    refused: list[Told] = field(default_factory=list)


def told(resource: str, refusal: Refusal) -> Told:
    """A refusal as it stands in the report."""
    return {**refusal.members, "resource": resource, "title": refusal.title(), "detail": refusal.detail}


class Bench:
    """What a piece is prepared with. `old_base`: the base IRI that names in an export begin with, where it is not ours."""

    def __init__(self, settings: Settings, old_base: str) -> None:
        self._parts: Parts = build(settings)
        self._old, self._new = old_base or settings.base_iri, settings.base_iri

    def prepare(self, piece: Piece) -> Prepared:
        return self._graphs(piece) if not piece.kind else self._fresh(piece)

    def _graphs(self, piece: Piece) -> Prepared:
        prepared = Prepared()
        for name, triples in graphs_in(piece.content, self._old, self._new):
            identifier = name.rpartition("/")[2]
            try:
                kind = OF_PREFIX[identifier.partition("_")[0]]
                prepared.documents.append((identifier, taken_back(name, triples, kind, self._parts.contexts, self._parts.validator)))
            except Refusal as refusal:
                prepared.refused.append(told(identifier, refusal))
        return prepared

    def _fresh(self, piece: Piece) -> Prepared:
        if piece.kind not in POSTED:
            classless = MalformedBody("It has no class of which there is a kind here that can be posted; name it with --type.")
            return Prepared(refused=[told(f"{piece.count} resources", classless)])
        try:
            arrivals = self._arrivals(piece)
        except Refusal as refusal:
            return self._apart(piece, refusal)
        return _of_arrivals(arrivals)

    def _arrivals(self, piece: Piece) -> Arrivals:
        parts = self._parts
        return take_in_all(piece.content, piece.form, KINDS[piece.kind], parts.naming, parts.contexts, parts.validator, _WHOLE)

    def _apart(self, piece: Piece, refusal: Refusal) -> Prepared:
        """One that cannot be read must not keep the others out; statements cannot be told apart any better."""
        members = orjson.loads(piece.content) if piece.form.json else []
        if len(members) < 2:
            return Prepared(refused=[told(f"{piece.count} resources" if piece.count > 1 else "resource", refusal)])
        prepared = Prepared()
        for place, one in enumerate(members):
            alone = self._fresh(Piece(orjson.dumps([one]), piece.media_type, piece.kind, 1))
            prepared.documents += [(str(place), document) for _, document in alone.documents]
            prepared.refused += [{**each, "resource": str(place)} for each in alone.refused]
        return prepared


def _of_arrivals(arrivals: Arrivals) -> Prepared:
    prepared = Prepared()
    for place, one in enumerate(arrivals.resources):
        name = one.sent_as
        if isinstance(one.outcome, Refusal):
            prepared.refused.append(_in_place(told(name or str(place), arrivals.in_their_words(one.outcome, place)), place))
        else:
            prepared.documents.append((name or str(place), one.outcome))
    return prepared


def _in_place(one: Told, place: int) -> Told:
    """The same with pointers into the resource, and not into its piece."""
    start = f"/{place}"
    violations = [{**each, "pointer": str(each["pointer"]).removeprefix(start)} for each in one.get("violations", [])]
    pointer = {"pointer": str(one["pointer"]).removeprefix(start)} if "pointer" in one else {}
    return {**one, **pointer, **({"violations": violations} if violations else {})}


# --- in processes -----------------------------------------------------------------------------------------------------

_benches: list[Bench] = []
"""The bench of this process."""


def _begin(settings: Settings, old_base: str) -> None:
    """What is there now stays, and what a piece leaves is gone with it: neither is worth looking through for garbage often."""
    _benches.append(Bench(settings, old_base))
    gc.freeze()
    gc.set_threshold(_RARELY)


_RARELY = 100_000
"""Objects that are made before garbage is looked for; a piece makes some ten thousand that live until its end."""


def _prepare(piece: Piece) -> Prepared:
    return _benches[0].prepare(piece)


Numbered = tuple[int, Piece]
"""A piece and its place in the file."""


def prepared(pieces: Iterable[Numbered], settings: Settings, old_base: str, processes: int) -> Iterator[tuple[Numbered, Prepared]]:
    """Each piece with what came of it, in order. Without processes it is done here."""
    if processes == 0:
        bench = Bench(settings, old_base)
        yield from ((one, bench.prepare(one[1])) for one in pieces)
        return
    with ProcessPoolExecutor(processes, get_context("fork"), _begin, (settings, old_base)) as pool:
        ahead: deque[tuple[Numbered, Future[Prepared]]] = deque()
        for one in pieces:
            ahead.append((one, pool.submit(_prepare, one[1])))
            if len(ahead) >= _AHEAD * processes:
                first, future = ahead.popleft()
                yield first, future.result()
        yield from ((one, future.result()) for one, future in ahead)


def kind_of(classes: set[str], chosen: str) -> str:
    """The name of the kind that has these classes, the one that has most of them first; `chosen` wins, "?" is none."""
    if chosen:
        return chosen
    liking = {name: len(classes & {*kind.frame.types, *kind.frame.others}) for name, kind in POSTED.items()}
    best = max(liking, key=lambda name: (liking[name], -len(KINDS[name].frame.types)))
    return best if liking[best] else "?"
