"""
Makes every graph of the SPARQL store equal to its document, while everything goes on.

All that an empty store lacks is put on the list of the projector, where what was never brought stands, too: queries wait for it as they
do for any change. Otherwise graph after graph is compared, so many at a time, and those that differ are brought: a query sees the old or
the new one. The list, and how far the comparison is, stand in the ledger, so that whoever is killed goes on there.
"""

import time
import uuid
from collections.abc import Callable
from itertools import islice

import orjson

from ld_server.domain.errors import StoreUnavailable
from ld_server.services.graphs import differing
from ld_server.services.parts import Parts
from relational.documents import Head
from workers.projector import Projector, bring, is_empty

Progress = Callable[[int, int], object]
"""Told how many are done, of how many."""

REACHED = "rebuild:graphs"
"""The fact that says how far the comparison is: kind and number of the last document, how many that were, and the second."""

GOES_ON_WITHIN = 3600.0
"""Seconds after which a comparison that was broken off begins anew: what it found equal may not be so any more."""

LONGEST_STANDSTILL = 120.0
"""Seconds in which whoever leads the projection has to bring something."""

_BETWEEN_LOOKS = 0.2


def rebuild(parts: Parts, progress: Progress = lambda done, total: None) -> int:
    """
    Brings what waits, is missing or differs, then drops the graphs under our base IRI that belong to no document; how many documents
    there are. Raises StoreUnavailable.
    """
    was_empty = is_empty(parts)
    if was_empty:
        put_all_on_the_list(parts)
    _bring_what_waits(parts, progress)
    count = _total(parts) if was_empty else _compare(parts, progress)
    _drop_strays(parts)
    return count


def _total(parts: Parts) -> int:
    with parts.ledger.read() as uow:
        return uow.documents.total()


def put_all_on_the_list(parts: Parts) -> None:
    """Has the projector bring every resource, unless as many wait already: a rebuild that was killed has put them there."""
    with parts.ledger.write() as uow:
        if uow.projections.backlog().count < uow.documents.total():
            uow.projections.enqueue_all(parts.now())


def _bring_what_waits(parts: Parts, progress: Progress) -> None:
    """Brings what stands on the list now, or looks on while another projector does."""
    with parts.ledger.read() as uow:
        newest, total = uow.projections.newest(), uow.projections.backlog().count
    projector = Projector(parts, f"rebuild:{uuid.uuid4().hex}")
    try:
        left, since = total, time.monotonic()
        while left and (projector.run_once(parts.now()) or not projector.leads):
            before, left = left, _left(parts, newest)
            since = time.monotonic() if left < before else since
            progress(max(0, total - left), total)
            _wait_for_another(projector, since)
    finally:
        projector.stop()


def _left(parts: Parts, newest: int) -> int:
    with parts.ledger.read() as uow:
        return uow.projections.backlog().count if uow.projections.waiting(newest) else 0


def _wait_for_another(projector: Projector, since: float) -> None:
    if projector.leads:
        return
    if time.monotonic() - since > LONGEST_STANDSTILL:
        raise StoreUnavailable("Another process leads the projection to the SPARQL store and brings nothing.")
    time.sleep(_BETWEEN_LOOKS)


def _compare(parts: Parts, progress: Progress) -> int:
    """Document after document, from where the last comparison was broken off."""
    with parts.ledger.read() as uow:
        kind, number, done = _reached(uow.facts.get(REACHED), parts.now().timestamp())
        total = uow.documents.total()
    while heads := _some(parts, (kind, number)):
        bring(parts, differing(heads, parts))
        kind, number, done = heads[-1].kind, heads[-1].number, done + len(heads)
        _note(parts, (kind, number, done))
        progress(done, max(done, total))
    _note(parts, _BEGINNING)
    return done


_BEGINNING = ("", 0, 0)


def _reached(noted: str | None, now: float) -> tuple[str, int, int]:
    if noted is None:
        return _BEGINNING
    kind, number, done, at = orjson.loads(noted)
    return (kind, number, done) if now - GOES_ON_WITHIN <= at <= now else _BEGINNING


def _some(parts: Parts, after: tuple[str, int]) -> list[Head]:
    size = parts.settings.projector_batch
    with parts.ledger.read() as uow:
        return list(islice(uow.documents.each(batch=size, after=after), size))


def _note(parts: Parts, reached: tuple[str, int, int]) -> None:
    with parts.ledger.write() as uow:
        uow.facts.set(REACHED, orjson.dumps([*reached, parts.now().timestamp()]).decode())


def _drop_strays(parts: Parts) -> None:
    """A graph is named after a document, or was before it was forgotten."""
    ours = [name for name in parts.sparql.graph_names() if name.startswith(parts.settings.base_iri + "/")]
    for start in range(0, len(ours), _NAMES_AT_ONCE):
        _drop_strays_among(parts, ours[start : start + _NAMES_AT_ONCE])


_NAMES_AT_ONCE = 1000


def _drop_strays_among(parts: Parts, names: list[str]) -> None:
    identifiers = {name: parts.naming.identifier(name) or "" for name in names}
    with parts.ledger.read() as uow:
        known = uow.documents.heads(identifiers.values()).keys()
    parts.sparql.replace({name: () for name, identifier in identifiers.items() if identifier not in known})
