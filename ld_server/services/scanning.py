"""
A planning run: every item type and place is judged, what was seen is kept, and what is missing is asked for if it is to be.

It may run as often as anybody likes: what has been asked for is no longer missing. The item types of which more is asked for are judged
again while they are held, one transaction for each, so that two runs at once do not ask for the same.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson

from ld_server.domain.commands import CreateBuildRequest, Document
from ld_server.resources.demand_signal import DEMAND_SIGNAL
from ld_server.resources.item_type import ITEM_TYPE
from ld_server.resources.kind import is_same, written
from ld_server.resources.supply_snapshot import SUPPLY_SNAPSHOT
from ld_server.services import builds, recording, references
from ld_server.services.occasion import Occasion
from ld_server.services.planning import Judged, Question, judged, shortfalls
from relational.documents import Head
from relational.unit_of_work import Ledger, UnitOfWork

AT_ONCE = 100
"""Snapshots that are written in one transaction."""


@dataclass(frozen=True, slots=True)
class Scanned:
    """What came of a run: identifiers of the snapshots and of new build requests, how many shortfalls there are, what is proposed."""

    snapshots: tuple[str, ...] = ()
    build_requests: tuple[str, ...] = ()
    shortfalls: int = 0
    proposals: tuple[Document, ...] = ()

    def __add__(self, other: "Scanned") -> "Scanned":
        return Scanned(
            self.snapshots + other.snapshots,
            self.build_requests + other.build_requests,
            self.shortfalls + other.shortfalls,
            self.proposals + other.proposals,
        )

    @property
    def summary(self) -> Document:
        """The same as JSON."""
        return {
            "snapshots": list(self.snapshots),
            "shortfalls": self.shortfalls,
            "buildRequests": list(self.build_requests),
            "proposals": list(self.proposals),
        }


def scan(ledger: Ledger, question: Question, occasion: Occasion, creates: bool, event: str | None = None) -> Scanned:
    """Judges what is in question. With `creates` it asks for what is missing; `event` is what set it going, if it was an event."""
    with ledger.read() as uow:
        found = judged(uow, question, occasion.now)
    lacking = sorted({one.item_type["identifier"] for one in found if creates and _is_lacking(one)})
    scanned = Scanned()
    for item in lacking:
        with ledger.write() as uow:
            uow.allocations.hold([item])
            again = judged(uow, replace(question, item_type=item), occasion.now)
            scanned += _recorded(uow, again, question, occasion, True, event)
    rest = [one for one in found if one.item_type["identifier"] not in lacking]
    for start in range(0, len(rest), AT_ONCE):
        with ledger.write() as uow:
            scanned += _recorded(uow, rest[start : start + AT_ONCE], question, occasion, False, event)
    return scanned


def _is_lacking(one: Judged) -> bool:
    return any(each.quantity for each in one.shortfalls)


def _recorded(
    uow: UnitOfWork, found: Iterable[Judged], question: Question, occasion: Occasion, creates: bool, event: str | None
) -> Scanned:
    scanned = Scanned()
    for one in found:
        told = list(shortfalls(one, occasion))
        snapshot = _snapshot(uow, one, told, question, occasion)
        made = [_asked(uow, *each, snapshot, event, occasion) for each in zip(one.shortfalls, told, strict=True)] if creates else []
        requests = tuple(head.identifier for head in made if head is not None)
        scanned += Scanned((snapshot["identifier"],), requests, len(told), tuple(_proposals(one)))
    return scanned


def _snapshot(uow: UnitOfWork, one: Judged, told: Sequence[Document], question: Question, occasion: Occasion) -> Document:
    """Keeps what was seen, and tells of shortfalls unless the last run saw the same."""
    before = uow.forecasts.last_snapshot(one.item_type["identifier"], one.location)
    number = uow.documents.next_number(SUPPLY_SNAPSHOT.name)
    document = recording.named(_seen(one, told, question, occasion), SUPPLY_SNAPSHOT, number, occasion)
    is_news = told and (before is None or not is_same(_essence(orjson.loads(before)["shortfalls"]), _essence(document["shortfalls"])))
    events = ["availability.shortfall.detected"] if is_news else []
    recording.add(uow, SUPPLY_SNAPSHOT, number, document, events, occasion)
    return document


def _seen(one: Judged, told: Sequence[Document], question: Question, occasion: Occasion) -> Document:
    iri = f"{occasion.naming.collection(SUPPLY_SNAPSHOT.prefix)}/new-1"
    parts = [{**each, "@id": f"{iri}#shortfall-{number}", "causes": _part_causes(each, iri, number)} for number, each in enumerate(told, 1)]
    return {
        "@id": iri,
        "@type": "SupplySnapshot",
        "asOfTime": occasion.moment,
        "startTime": written(question.window.start),
        "endTime": written(question.window.end),
        "itemType": references.echo(one.item_type, ITEM_TYPE),
        **({"location": one.location} if one.location is not None else {}),
        "totalCapacity": one.existing,
        "reservedCapacity": one.course.peak,
        "availableCapacity": one.course.least,
        "shortfallQuantity": max((each["shortfallQuantity"] for each in told), default=0),
        "openBuildQuantity": one.requested,
        "shortfalls": parts,
        **({"proposals": list(_proposals(one))} if one.surpluses else {}),
        "createdBy": occasion.principal,
    }


def _part_causes(shortfall: Document, iri: str, number: int) -> list[Document]:
    return [{"@id": f"{iri}#cause-{number}-{position}", **cause} for position, cause in enumerate(shortfall["causes"], 1)]


_ESSENTIAL = ("startTime", "endTime", "demand", "supply", "shortfallQuantity")


def _essence(several: Iterable[Mapping[str, Any]]) -> list[list[Any]]:
    """What makes shortfalls the same as those of another run. One that lasts already begins anew with each run."""
    return [[one[key] for key in _ESSENTIAL[1:]] for one in several]


def _asked(uow: UnitOfWork, each: Any, told: Document, snapshot: Document, event: str | None, occasion: Occasion) -> Head | None:
    """Asks for the units that are recommended for a shortfall, if there are any."""
    if not each.quantity:
        return None
    signal = next((cause["demandSignal"] for cause in told["causes"] if DEMAND_SIGNAL.name in cause), None)
    document = {
        "@id": f"{occasion.naming.collection('build')}/new-1",
        "@type": ["OrderAction", "BuildRequest"],
        "itemType": told["itemType"],
        "quantity": each.quantity,
        "neededBy": told["neededBy"],
        "reason": "shortfall" if each.gap.missing else "buffer",
        **({"location": told["location"]} if "location" in told else {}),
        **({"demandSignal": signal} if signal else {}),
        **({"triggerEventId": event} if event else {}),
        "snapshot": references.echo(snapshot, SUPPLY_SNAPSHOT),
    }
    return builds.create(uow, CreateBuildRequest(document), occasion)


def _proposals(one: Judged) -> Iterator[Document]:
    """What nobody has been asked for yet and is not needed any more."""
    for each in one.surpluses:
        proposal = "cancel" if each.quantity == each.of else "reduce"
        yield {"buildRequest": each.request, "proposal": proposal, "quantity": each.quantity, "of": each.of}
