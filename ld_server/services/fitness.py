"""Whether units can be handed out now: in service, in the house, and not promised to somebody who comes first."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate
from typing import Any

import orjson

from ld_server.domain.errors import TransitionRefused
from ld_server.domain.risk import Danger, Reason
from ld_server.domain.status import TRANSITIONS, Status, Step
from ld_server.domain.window import Window
from ld_server.services import risk
from ld_server.services.occasion import Occasion
from relational.allocations import AllocationRow
from relational.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class Wanted:
    """So many units of an allocation are to be handed out."""

    row: AllocationRow
    quantity: int

    def hindered(self, reason: Reason, **circumstances: Any) -> Danger:
        row = self.row
        return Danger(row.rent_action, row.number, row.line, row.asset or row.stock_pool or "", reason, **circumstances)


def refuse_unfit(uow: UnitOfWork, document: Mapping[str, Any], wanted: Sequence[Wanted], occasion: Occasion) -> None:
    """
    Raises TransitionRefused, which names each allocation that cannot be handed out, why, and what could be done.

    Only sure while the item types are held.
    """
    found = sorted(_hindrances(uow, document["identifier"], wanted, occasion.now), key=lambda one: one.number)
    if not found:
        return
    detail = f"Not everything can be handed out: {'; '.join(dict.fromkeys(one.sentence for one in found))}.{_advice(found)}"
    others = [str(step) for step in TRANSITIONS[Status(document["status"])] if step is not Step.CHECK_OUT]
    told = [_told(one, occasion) for one in found]
    raise TransitionRefused(detail, status=document["status"], allowedSteps=others, allocations=told)


def _hindrances(uow: UnitOfWork, identifier: str, wanted: Sequence[Wanted], now: datetime) -> Iterator[Danger]:
    numbers = {one.row.number for one in wanted}
    yield from (one.hindered(Reason.WINDOW_OVER, since=one.row.allocated_to) for one in wanted if one.row.allocated_to <= now)
    yield from (one for one in uow.risks.of(identifier, now) if one.number in numbers and _keeps_it_in(one, now))
    yield from (hindrance for one in wanted if one.row.asset for hindrance in _promised_before(uow, one, now))
    yield from _missing_from_pools(uow, [one for one in wanted if one.row.stock_pool], now)


def _keeps_it_in(danger: Danger, now: datetime) -> bool:
    """Whether the unit cannot go out now. One that is to be unavailable later goes, and whoever looks for risks is told of it."""
    return danger.reason in (Reason.OUT_OF_SERVICE, Reason.OVERDUE) or (
        danger.reason is Reason.UNAVAILABLE and danger.since is not None and danger.since <= now
    )


def _promised_before(uow: UnitOfWork, wanted: Wanted, now: datetime) -> Iterator[Danger]:
    """Who has the unit, or is to have it, from now until it would be ours."""
    row = wanted.row
    if now >= row.blocked_from:
        return
    for block in uow.capacity.blocks(row.item_type, Window(now, row.blocked_from), now, asset=row.asset):
        times = {"since": block.start, "until": block.end}
        if block.rent_action is None:
            yield wanted.hindered(Reason.UNAVAILABLE, said=block.reason, **times)
        elif block.end is not None:
            yield wanted.hindered(Reason.PROMISED, holder=block.rent_action, **times)


def _missing_from_pools(uow: UnitOfWork, wanted: Sequence[Wanted], now: datetime) -> Iterator[Danger]:
    """Units that are not in the house, and units that somebody else is to have before they would be ours."""
    asked: Counter[str] = Counter()
    for one in wanted:
        pool = one.row.stock_pool or ""
        asked[pool] += one.quantity
        total = _total(uow, pool)
        if uow.risks.out_of(pool) + asked[pool] > total:
            yield one.hindered(Reason.OVER_PROMISED)
        elif _most_before(uow, one.row, now) + asked[pool] > total:
            yield one.hindered(Reason.PROMISED, since=now, until=one.row.blocked_from)


def _total(uow: UnitOfWork, pool: str) -> int:
    head = uow.documents.head(pool)
    return int(orjson.loads(head.body)["quantityTotal"]) if head else 0


def _most_before(uow: UnitOfWork, row: AllocationRow, now: datetime) -> int:
    """The most units of the pool that others have at one instant from now until these would be ours."""
    if now >= row.blocked_from:
        return 0
    level, changes = uow.capacity.pool_changes(row.stock_pool or "", Window(now, row.blocked_from), now)
    return max(accumulate((change.change for change in changes), initial=level))


def _advice(found: Iterable[Danger]) -> str:
    reasons = {one.reason for one in found}
    if Reason.WINDOW_OVER in reasons:
        return " Put off the end of the reservation first."
    return " Swap the units for others." if reasons - {Reason.OVER_PROMISED} else ""


def _told(danger: Danger, occasion: Occasion) -> dict[str, Any]:
    identifier = f"alloc_{danger.number}"
    iri = occasion.naming.iri(danger.rent_action)
    swap = {"step": "swap", "href": f"{iri}/allocations/{identifier}/swap"}
    can_be_swapped = danger.source.startswith("asset_") and danger.reason is not Reason.WINDOW_OVER
    return {"identifier": identifier, **risk.described(danger, occasion), **({"proposal": swap} if can_be_swapped else {})}
