"""
Reservations at risk: a unit that is promised to them is broken, unavailable, or still out with somebody whose time is over.

Whoever changes what promises rest on looks at it again in the same transaction; what time alone brings about, a scan finds. Each
reservation is told of once for each unit or pool that endangers it, and again only when that was over in between.
"""

from collections.abc import Collection, Iterable, Mapping, Set
from typing import Any

import orjson

from ld_server.domain.commands import Document
from ld_server.domain.risk import Danger
from ld_server.resources.asset import ASSET
from ld_server.resources.kind import Kind, is_same, written
from ld_server.resources.rent_action import RENT_ACTION
from ld_server.resources.stock_pool import STOCK_POOL
from ld_server.services import recording
from ld_server.services.occasion import Occasion
from relational.dangers import AT_RISK
from relational.told import Telling
from relational.unit_of_work import UnitOfWork

OVERDUE = "rentAction.overdue"

MOST_OVERDUE = 10_000
"""Allocations that one scan looks at, those first that are late for longest."""

_MATTERS: Mapping[str, tuple[str, ...]] = {ASSET.name: ("status", "unavailable"), STOCK_POOL.name: ("quantityTotal",)}
"""Kind → the keys on which promises rest."""


def matters(kind: str, before: Document, after: Document) -> bool:
    """Whether a change of a resource of this kind may endanger promises, or end a danger."""
    return any(not is_same(before.get(key), after.get(key)) for key in _MATTERS.get(kind, ()))


def look(uow: UnitOfWork, sources: Collection[str], occasion: Occasion) -> None:
    """
    Tell of the reservations that these units and pools endanger now and did not before; forget those that they endanger no more.

    Sure while the item types are held or kept: nobody else promises anything of them, or hands it out.
    """
    current = {(one.rent_action, one.source) for one in uow.risks.through(sources, occasion.now)} if sources else set()
    _compare(uow, current, uow.told.about(AT_RISK, sources) if sources else set(), occasion)


def look_again(uow: UnitOfWork, sources: Collection[str], occasion: Occasion) -> None:
    """The same after a change that endangers nobody: only where a danger is known there is anything to look at."""
    look(uow, {cause for _, cause in uow.told.about(AT_RISK, sources)}, occasion)


def overdue_scan(uow: UnitOfWork, occasion: Occasion) -> int:
    """
    Tell of the reservations whose time is over and whose units are still out, and of those that they endanger. Gives how many are
    overdue. However often it runs, and in however many workers at once, each is told of once; one whose end is put off may be again.
    """
    late = uow.allocations.overdue(occasion.now, MOST_OVERDUE)
    uow.allocations.hold(row.item_type for row in late)
    overdue = uow.documents.heads(row.rent_action for row in late)
    ends = [(identifier, orjson.loads(head.body)["endTime"]) for identifier, head in overdue.items()]
    _tell(uow, OVERDUE, uow.told.once(OVERDUE, ends, occasion.now), occasion)
    current = {(one.rent_action, one.source) for one in uow.risks.every(occasion.now)}
    _compare(uow, current, uow.told.about(AT_RISK), occasion)
    return len(overdue)


def _compare(uow: UnitOfWork, current: Set[Telling], known: Set[Telling], occasion: Occasion) -> None:
    uow.told.forget(AT_RISK, known - current)
    _tell(uow, AT_RISK, uow.told.once(AT_RISK, current - known, occasion.now), occasion)


def _tell(uow: UnitOfWork, event: str, tellings: Iterable[Telling], occasion: Occasion) -> None:
    """One event about each reservation, whatever the number of its causes."""
    heads = uow.documents.heads(subject for subject, _ in tellings)
    for _, head in sorted(heads.items(), key=lambda entry: entry[1].number):
        recording.tell(uow, RENT_ACTION, head, [event], occasion)


def described(danger: Danger, occasion: Occasion) -> dict[str, Any]:
    """A danger in JSON terms: which unit, why, who has it, and from when until when, where that is known."""
    holder = {"heldBy": [_reference(danger.holder, RENT_ACTION, occasion)]} if danger.holder else {}
    times = {"since": danger.since, "until": danger.until}
    kind = _SOURCES[danger.source.partition("_")[0]]
    return {
        kind.name: _reference(danger.source, kind, occasion),
        "reasonCode": str(danger.reason),
        "explanation": f"{danger.sentence[0].upper()}{danger.sentence[1:]}.",
        **holder,
        **{key: written(moment) for key, moment in times.items() if moment},
    }


_SOURCES: Mapping[str, Kind] = {kind.prefix: kind for kind in (ASSET, STOCK_POOL)}


def _reference(identifier: str, kind: Kind, occasion: Occasion) -> dict[str, Any]:
    return {"@id": occasion.naming.iri(identifier), "@type": kind.subject_type, "identifier": identifier}
