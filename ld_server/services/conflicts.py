"""Conflicts of a reservation: what endangers the units that it has, or which ones an approval would miss now."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from ld_server.domain.commands import Document
from ld_server.domain.risk import Danger, Reason
from ld_server.domain.status import Status
from ld_server.resources.rent_action import RENT_ACTION
from ld_server.services import obstacles, promises, risk, shortage
from ld_server.services.obstacles import LOOKED_AT_IN_THE_WAY
from ld_server.services.occasion import Occasion
from relational.index import number_of
from relational.unit_of_work import UnitOfWork

AHEAD = (Status.DRAFT, Status.PENDING)
"""The states from which a reservation may come to be approved."""


def of(uow: UnitOfWork, document: Document, occasion: Occasion) -> list[Document]:
    """Every conflict as it is now, by line; one that has ended has none."""
    found = _missing(uow, document, occasion) if document["status"] in AHEAD else _endangered(uow, document, occasion)
    names = (f"{document['@id']}/conflicts#conflict-{number}" for number, _ in enumerate(found, start=1))
    return [{"@id": name, "@type": "Conflict", **one} for name, one in zip(names, found, strict=True)]


def _endangered(uow: UnitOfWork, document: Document, occasion: Occasion) -> list[dict[str, Any]]:
    shown = {number_of(one["identifier"]): one for one in document["allocations"]}
    dangers = uow.risks.of(document["identifier"], occasion.now)
    return [_danger(uow, shown[one.number], one, occasion) for one in dangers if one.number in shown]


def _danger(uow: UnitOfWork, allocation: Mapping[str, Any], danger: Danger, occasion: Occasion) -> dict[str, Any]:
    source = {key: allocation[key] for key in ("asset", "stockPool") if key in allocation}
    place = {"forLine": allocation["forLine"], "ofAllocation": {"@id": allocation["@id"]}, "quantity": allocation["quantity"]}
    return {**place, **risk.described(_without_others(danger, occasion), occasion), **source, **_in_the_way(uow, danger, occasion)}


def _without_others(danger: Danger, occasion: Occasion) -> Danger:
    """The same without the name of who has the unit, where that is not for whoever asks."""
    return danger if occasion.owner is None else replace(danger, holder=None)


def _in_the_way(uow: UnitOfWork, danger: Danger, occasion: Occasion) -> dict[str, Any]:
    """Who has the units of a pool when it is promised beyond what it has."""
    if danger.reason is not Reason.OVER_PROMISED or occasion.owner is not None:
        return {}
    at = max(danger.since or occasion.now, occasion.now)
    blocking = uow.allocations.blocking_pool(danger.source, occasion.now, at, LOOKED_AT_IN_THE_WAY)
    return {"heldBy": _others(obstacles.named(blocking, occasion), danger.rent_action)}


def _others(named: Iterable[Mapping[str, Any]], own: str) -> list[dict[str, Any]]:
    kind = RENT_ACTION.subject_type
    return [{"@id": one["@id"], "@type": kind, "identifier": one["identifier"]} for one in named if one["identifier"] != own]


def _missing(uow: UnitOfWork, document: Document, occasion: Occasion) -> list[dict[str, Any]]:
    return [_missed(document, line) for line in _short_lines(uow, document, occasion)]


def _short_lines(uow: UnitOfWork, document: Document, occasion: Occasion) -> list[dict[str, Any]]:
    try:
        plan = promises.outlined(uow, document, occasion)
    except shortage.Unexplained as nothing_fits:
        lines: list[dict[str, Any]] = nothing_fits.explain(uow).members["lines"]
        return lines
    return shortage.explained(uow, plan, plan.short, occasion) if plan.short else []


def _missed(document: Document, short: Mapping[str, Any]) -> dict[str, Any]:
    """A line of the refusal that an approval would get now."""
    line = document["lineItems"][int(short["pointer"].rpartition("/")[2])]
    explanation = f"{short['requested']} of {short['item']['name']} are asked for, and {short['available']} are available."
    return {
        "forLine": {"@id": line["@id"]},
        "object": short["item"],
        "reasonCode": str(Reason.MISSING),
        "explanation": explanation,
        "heldBy": _others(short.get("reservationsInTheWay", ()), document["identifier"]),
        "shortage": dict(short),
    }
