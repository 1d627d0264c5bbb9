"""
Brings committed documents into the SPARQL store: one named graph for each resource, equal to its newest document.

A row of the ledger says that a resource has changed; it is taken off the list only after the store has the graph. Killed
anywhere, the next projector does the same again, and replacing a graph twice changes nothing. A lease keeps two from working
side by side. One that slept longer than its lease could still bring an old state after its successor brought a newer one, so
every graph is compared with its document once more after it was brought.
"""

import logging
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from ld_server.domain.errors import StoreUnavailable
from ld_server.services.graphs import graphs_of_heads
from ld_server.services.meters import REVISIONS_PROJECTED
from ld_server.services.parts import Parts
from ld_server.sparql import results
from relational.documents import Head
from workers.leading import Leader, Pace

log = logging.getLogger(__name__)

SET_ASIDE = timedelta(seconds=60)
"""How long a resource that cannot be brought is left alone. Its rows stay on the list: queries must know that it is missing."""

LOOKS = timedelta(seconds=10)
"""Between two looks whether the store has been emptied."""

MANY = 50
"""So many graphs at once are looked up first: most of them may be new, and then it is worth it."""

ANYTHING = "ASK { GRAPH ?g { ?s ?p ?o } }"


class Projector(Leader):
    """
    One projector of a deployment. `owner` is a name for leases that no other process has.
    """

    name = "projector"
    doing = "projection"

    def __init__(self, parts: Parts, owner: str) -> None:
        settings = parts.settings
        super().__init__(parts, owner, Pace(settings.projector_lease, settings.projector_interval, settings.projector_batch))
        self._aside: dict[str, datetime] = {}
        self._rows_aside = 0
        self._looked_at: datetime | None = None

    def run_once(self, now: datetime) -> int:
        """
        Brings what waits, at most one batch; how many rows that took off the list. Nothing while another projector leads.

        Raises StoreUnavailable when ledger or store cannot be reached; everything stays on the list then.
        """
        if not self._leads(now):
            return 0
        waiting = self._waiting(now)
        if not waiting:
            self._fill_again_what_was_emptied(now)
            return 0
        brought = self._bring(sorted({identifier for _, identifier in waiting}), now)
        done = [position for position, identifier in waiting if identifier in brought]
        with self._parts.ledger.write() as uow:
            uow.projections.done(done)
        self._parts.meters.count(REVISIONS_PROJECTED, amount=len(done))
        return len(done)

    def _fill_again_what_was_emptied(self, now: datetime) -> None:
        """Puts every resource on the list when nothing waits and yet the store has nothing at all: somebody has lost or emptied it."""
        if self._looked_at is not None and self._looked_at <= now < self._looked_at + LOOKS:
            return
        self._looked_at = now
        if self._rows_aside or not is_empty(self._parts):
            return
        with self._parts.ledger.write() as uow:
            if uow.projections.backlog().count == 0 and (count := uow.projections.enqueue_all(now)):
                log.warning("the SPARQL store is empty: %s resources are brought to it again", count)

    def _waiting(self, now: datetime) -> list[tuple[int, str]]:
        """A batch of rows, without those of resources that were set aside."""
        self._aside = {identifier: until for identifier, until in self._aside.items() if until > now}
        with self._parts.ledger.read() as uow:
            rows = uow.projections.pending(self._parts.settings.projector_batch + self._rows_aside)
        waiting = [row for row in rows if row[1] not in self._aside]
        self._rows_aside = len(rows) - len(waiting)
        return waiting

    def _bring(self, identifiers: Sequence[str], now: datetime) -> set[str]:
        """Those of the resources that are in the store now. One that cannot be brought does not hold up the others."""
        try:
            bring(self._parts, identifiers)
        except StoreUnavailable:
            raise
        except Exception as error:
            return self._bring_apart(identifiers, now, error)
        return set(identifiers)

    def _bring_apart(self, identifiers: Sequence[str], now: datetime, error: Exception) -> set[str]:
        if len(identifiers) == 1:
            log.error("%s cannot be brought to the SPARQL store", identifiers[0], exc_info=error)
            self._aside[identifiers[0]] = now + SET_ASIDE
            return set()
        middle = len(identifiers) // 2
        return self._bring(identifiers[:middle], now) | self._bring(identifiers[middle:], now)


def bring(parts: Parts, identifiers: Collection[str]) -> None:
    """
    Makes the graph of each resource equal to the document it has now, or had at some instant since the call; drops the graph
    of a resource that does not exist.

    Documents are compared again afterwards: a later change that we see is brought too, a later one that we do not see
    will put a row on the list.
    """
    heads = _heads(parts, identifiers)
    while identifiers:
        gone = [parts.naming.iri(one) for one in identifiers if one not in heads]
        graphs = {**dict.fromkeys(gone, ()), **graphs_of_heads([heads[one] for one in identifiers if one in heads], parts)}
        (parts.sparql.fill if len(graphs) >= MANY else parts.sparql.replace)(graphs)
        brought, heads = heads, _heads(parts, identifiers)
        identifiers = [one for one in identifiers if _revision(brought, one) != _revision(heads, one)]


def is_empty(parts: Parts) -> bool:
    """Whether the SPARQL store has nothing at all. Raises StoreUnavailable."""
    return not results.truth(parts.sparql.query(ANYTHING, results.JSON, timeout=parts.settings.sparql_timeout).body)


def _heads(parts: Parts, identifiers: Collection[str]) -> dict[str, Head]:
    with parts.ledger.read() as uow:
        return uow.documents.heads(identifiers)


def _revision(heads: dict[str, Head], identifier: str) -> int:
    return heads[identifier].revision if identifier in heads else 0
