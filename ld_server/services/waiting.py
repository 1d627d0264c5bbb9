"""What waits to be done after writes, since when, and why: one answer for readiness, `check` and the metrics."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from ld_server.domain.errors import StoreUnavailable
from ld_server.resources.kind import written
from ld_server.services.dispatch import RELAYED
from ld_server.services.parts import Parts
from relational.projections import Backlog
from relational.unit_of_work import UnitOfWork

LONGEST_LAG = timedelta(seconds=60)
"""What waits longer means that nobody is at work; the aim is 0.1 s."""


@dataclass(frozen=True)
class Sort:
    """A sort of what waits: what one is called, for whom it waits, and the lease of who does the work, where one does it for all."""

    plural: str
    waits_for: str
    lease: str | None


SORTS: Mapping[str, Sort] = {
    "projection": Sort("revisions", "the SPARQL store", "projector"),
    "relay": Sort("events", "the relay", "relay"),
    "deliveries": Sort("deliveries", "their receivers", None),
}


@dataclass(frozen=True)
class Lag:
    """
    How much of a sort waits, since when the oldest that is due does, and who leads the work now, where somebody does. `hindrance` is what
    is in the way.
    """

    sort: Sort
    backlog: Backlog
    leader: str | None
    hindrance: str | None = None

    def seconds(self, now: datetime) -> float:
        """How long the oldest waits; 0 where nothing does."""
        return 0.0 if self.backlog.oldest_at is None else max(0.0, (now - self.backlog.oldest_at).total_seconds())

    def is_long(self, now: datetime) -> bool:
        """Whether that is longer than it takes when somebody is at work."""
        return self.seconds(now) > LONGEST_LAG.total_seconds()

    @property
    def told(self) -> str:
        """How much waits, in words."""
        since = "" if self.backlog.oldest_at is None else f", the oldest since {written(self.backlog.oldest_at)}"
        return f"{self.backlog.count} {self.sort.plural} wait for {self.sort.waits_for}{since}"

    @property
    def cause(self) -> str:
        """Why it may be: what is in the way, who leads, or that nobody does."""
        if self.hindrance is not None:
            return self.hindrance
        if self.sort.lease is None:
            return "no worker is at work, or the receivers take their time"
        return "no worker is at work" if self.leader is None else f"{self.leader} is at it"


def _deliveries(uow: UnitOfWork, now: datetime) -> Backlog:
    due = uow.deliveries.waiting(now)
    return Backlog(due.unfinished, due.oldest_due)


_BACKLOGS: Mapping[str, Callable[[UnitOfWork, datetime], Backlog]] = {
    "projection": lambda uow, _now: uow.projections.backlog(),
    "relay": lambda uow, _now: uow.outbox.backlog(int(uow.facts.get(RELAYED) or 0)),
    "deliveries": _deliveries,
}
"""Part → how much waits in it: each is asked for itself."""


def lag(uow: UnitOfWork, part: str, now: datetime) -> Lag:
    """What waits in a part."""
    sort = SORTS[part]
    return Lag(sort, _BACKLOGS[part](uow, now), sort.lease and uow.leases.holder(sort.lease, now))


def lag_of(parts: Parts, part: str) -> Lag:
    """What waits in a part now. Raises StoreUnavailable."""
    now = parts.now()
    with parts.ledger.read() as uow:
        found = lag(uow, part, now)
    return replace(found, hindrance=_hindrance(parts)) if part == "projection" and found.is_long(now) else found


def _hindrance(parts: Parts) -> str | None:
    """Why nothing can be brought to the SPARQL store, if that is so."""
    try:
        parts.sparql.ping()
    except StoreUnavailable as refusal:
        return refusal.detail.rstrip(".")
    return None
