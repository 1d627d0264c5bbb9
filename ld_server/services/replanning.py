"""
A reservation that has units, and asks for something else or misses something, is planned anew: it keeps what it can keep, gets others
for the rest, and lets go of what it needs no more. Units that are out stay out, whatever it asks for.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ld_server.domain.allocation import Demand, LinePlan, Supply, replan, wanted
from ld_server.domain.commands import Document
from ld_server.domain.status import AllocationStatus, Status
from ld_server.domain.window import Window
from ld_server.resources.kind import written
from ld_server.services import availability, plans, promises, references, shortage
from ld_server.services.occasion import Occasion
from ld_server.services.plans import Planned, line_of, source_of, window_of
from ld_server.services.steps import refusal
from relational.allocations import AllocationRow
from relational.index import number_of
from relational.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class Wish:
    """A unit that a line is to have, rather than any other."""

    line: str
    item_type: str
    asset: str


def needs_planning(before: Document, changed: Document) -> bool:
    """Whether units are promised for what the reservation does not ask for any more."""
    return before["status"] == Status.APPROVED and _asked(before) != _asked(changed)


def _asked(document: Document) -> tuple[Any, ...]:
    lines = sorted((line["@id"], line["object"]["identifier"], line["requestedQuantity"]) for line in document["lineItems"])
    return window_of(document), document.get("location"), lines


def missing(uow: UnitOfWork, document: Document) -> dict[str, int]:
    """Line → how many it has not been promised of what it asks for, kits whole; for the lines that miss something."""
    composed, rows = plans.with_components(uow, document), uow.allocations.of(document["identifier"])
    promised: dict[str, Counter[str]] = {}
    for row in _in_state(rows, AllocationStatus.ALLOCATED):
        promised.setdefault(line_of(document, row), Counter())[row.item_type] += row.quantity
    lacking = {one.line: one.quantity - one.whole(promised.get(one.line, {})) for one in plans.demands_of(composed, rows)}
    return {line: count for line, count in lacking.items() if count > 0}


def planned_anew(
    uow: UnitOfWork, changed: Document, occasion: Occasion, tolerated: Mapping[str, int] | None, wishes: Sequence[Wish] = ()
) -> Planned:
    """
    The reservation with the units of a new plan. `tolerated`: line → how much it may miss, None for anything.

    First everything that is not out is given back, because a unit must not be in its own way: neither in ours nor in the database's,
    which refuses two overlapping promises even where one is about to end. What the new plan has in common with the old one is then
    taken back. Raises InsufficientAvailability, and TransitionRefused where it asks for less than is out.
    """
    composed = plans.with_components(uow, changed)
    rows = uow.allocations.of(composed["identifier"])
    held, out = _in_state(rows, AllocationStatus.ALLOCATED), _in_state(rows, AllocationStatus.IN_USE)
    demands = plans.demands_of(composed, rows)
    _refuse_less_than_is_out(composed, out)
    concerned = {*wanted(demands), *(row.item_type for row in (*held, *out))}
    uow.allocations.hold(concerned)
    blocked = availability.blocked(uow, concerned, window_of(composed))
    uow.allocations.set_status([row.number for row in held], AllocationStatus.CANCELLED)
    staying = _staying(uow, composed, out, blocked, occasion)
    free = _free(uow, composed, demands, blocked, (*(row.asset for row in held if row.asset), *(wish.asset for wish in wishes)), occasion)
    planned = Planned(composed, replan(demands, _held(composed, wishes, held), free), blocked, tuple(held))
    _refuse_too_short(planned, tolerated, occasion)
    return replace(planned, document=_promised(uow, planned, held, staying, occasion))


def _in_state(rows: Iterable[AllocationRow], status: AllocationStatus) -> list[AllocationRow]:
    return [row for row in rows if row.status == status]


def _held(document: Document, wishes: Iterable[Wish], rows: Iterable[AllocationRow]) -> dict[str, list[Supply]]:
    """Line → what it is to have if it can, its wishes first."""
    found: dict[str, dict[str, Supply]] = {}
    for wish in wishes:
        found.setdefault(wish.line, {})[wish.asset] = Supply(wish.asset, "")
    for row in rows:
        held = found.setdefault(line_of(document, row), {})
        quantity = row.quantity + (held[source_of(row)].quantity if row.stock_pool and source_of(row) in held else 0)
        held[source_of(row)] = Supply(source_of(row), "", quantity)
    return {line: list(supplies.values()) for line, supplies in found.items()}


def _free(
    uow: UnitOfWork, document: Document, demands: Sequence[Demand], blocked: Mapping[str, Window], own: Sequence[str], occasion: Occasion
) -> dict[str, list[Supply]]:
    """What can be had, beginning with those of our own units that are free now and at the place that is asked for."""
    needed, place = wanted(demands), document.get("location")
    found = availability.free(uow, needed, {item: blocked[item] for item in needed}, plans.given(document, occasion))
    for item_type in needed:
        units = uow.capacity.free_among(own, item_type, blocked[item_type], occasion.now)
        ours = [Supply(unit.identifier, unit.label, 1, unit.location) for unit in units if place in (None, unit.location)]
        found[item_type] = [*ours, *(one for one in found.get(item_type, ()) if one.source not in own)]
    return found


def _refuse_too_short(planned: Planned, tolerated: Mapping[str, int] | None, occasion: Occasion) -> None:
    if tolerated is None:
        return
    short = [line for line in planned.short if line.missing > tolerated.get(line.demand.line, 0)]
    if short:
        raise shortage.Unexplained(lambda reading: shortage.refusal(reading, planned, short, occasion))


# --- what the new plan makes of the old one ----------------------------------------------------------------------------


def _promised(
    uow: UnitOfWork, planned: Planned, held: Sequence[AllocationRow], staying: Mapping[int, Mapping[str, Any]], occasion: Occasion
) -> Document:
    document = planned.document
    kept = {row.number: row for row in held if _is_planned(document, row, planned)}
    uow.allocations.set_status(kept, AllocationStatus.ALLOCATED)
    fresh = promises.promise(uow, document, _without(planned.lines, document, kept.values()), planned.blocked, occasion)
    old = promises.cancelled(document, {row.number for row in held} - kept.keys())
    return promises.with_allocations(document, [*({**one, **staying.get(number_of(one["identifier"]), {})} for one in old), *fresh])


def _is_planned(document: Document, row: AllocationRow, planned: Planned) -> bool:
    """Whether the new plan has this very promise: the same units for the same line in the same time."""
    window, around = window_of(document), planned.blocked[row.item_type]
    same_time = (row.allocated_from, row.allocated_to) == (window.start, window.end)
    same_around = (row.blocked_from, row.blocked_to) == (around.start, around.end)
    return same_time and same_around and (line_of(document, row), source_of(row), row.quantity) in _claims(planned.lines)


def _claims(lines: Iterable[LinePlan]) -> set[tuple[str, str, int]]:
    return {(line.demand.line, claim.source, claim.quantity) for line in lines for claim in line.claims}


def _without(lines: Iterable[LinePlan], document: Document, rows: Iterable[AllocationRow]) -> list[LinePlan]:
    """The plans without what these allocations hold already."""
    there = {(line_of(document, row), source_of(row)) for row in rows}
    return [replace(line, claims=tuple(one for one in line.claims if (line.demand.line, one.source) not in there)) for line in lines]


# --- what is out --------------------------------------------------------------------------------------------------------


def _refuse_less_than_is_out(document: Document, out: Sequence[AllocationRow]) -> None:
    """Units that are out cannot be taken off a reservation before they are back."""
    most = {(one.line, part): one.quantity * each for one in plans.demands_of(document) for part, each in one.parts.items()}
    there: Counter[tuple[str, str]] = Counter()
    for row in out:
        there[line_of(document, row), row.item_type] += row.quantity
    wrong = {references.fragment(line) for (line, part), count in there.items() if count > most.get((line, part), 0)}
    if wrong:
        named = [f"alloc_{row.number}" for row in out if row.line in wrong]
        detail = f"Units are out for {', '.join(sorted(wrong))} ({', '.join(named)}); it cannot ask for less before they are back."
        raise refusal(document, detail, named)


def _staying(
    uow: UnitOfWork, document: Document, out: Sequence[AllocationRow], blocked: Mapping[str, Window], occasion: Occasion
) -> dict[int, dict[str, str]]:
    """Number → what is new about the allocations that are out: they last to the end of the reservation, whenever they began."""
    end = window_of(document).end
    moved = [replace(row, allocated_to=end, blocked_to=blocked[row.item_type].end) for row in out]
    changed = [new for old, new in zip(out, moved, strict=True) if new != old]
    _refuse_end_before_start(document, changed)
    longer = [new for old, new in zip(out, moved, strict=True) if new.blocked_to > old.blocked_to]
    if longer:
        _refuse_in_the_way(uow, document, longer, occasion)
        _refuse_more_than_there_is(uow, document, longer, blocked, occasion)
    uow.allocations.change(changed)
    return {row.number: {"allocatedTo": written(end)} for row in changed}


def _refuse_end_before_start(document: Document, rows: Iterable[AllocationRow]) -> None:
    wrong = [f"alloc_{row.number}" for row in rows if row.allocated_to <= row.allocated_from]
    if wrong:
        detail = f"Units went out later than the reservation is to end: {', '.join(wrong)}."
        raise refusal(document, detail, wrong)


def _refuse_in_the_way(uow: UnitOfWork, document: Document, rows: Iterable[AllocationRow], occasion: Occasion) -> None:
    """An asset that is out cannot be kept while it is promised to another, or not to be had."""
    for row in rows:
        if row.asset:
            window = Window(row.blocked_from, row.blocked_to)
            blocks = uow.capacity.blocks(row.item_type, window, occasion.now, asset=row.asset)
            others = [one for one in blocks if one.rent_action != document["identifier"]]
            if others:
                raise shortage.cannot_be_kept(row, others, occasion)


def _refuse_more_than_there_is(
    uow: UnitOfWork, document: Document, rows: Sequence[AllocationRow], blocked: Mapping[str, Window], occasion: Occasion
) -> None:
    """Units of a pool that are out cannot be kept while the pool has promised too many to others. They do not count themselves."""
    pooled = [row for row in rows if row.stock_pool]
    uow.allocations.set_status([row.number for row in pooled], AllocationStatus.CANCELLED)
    needed: Counter[str] = Counter()
    for row in pooled:
        needed[row.item_type] += row.quantity
    free = availability.free(uow, needed, {item: blocked[item] for item in needed}, availability.circumstances(occasion)) if needed else {}
    left = Counter({supply.source: supply.quantity for supplies in free.values() for supply in supplies})
    for row in pooled:
        left[source_of(row)] -= row.quantity
        if left[source_of(row)] < 0:
            raise shortage.cannot_be_kept(row, (), occasion)
