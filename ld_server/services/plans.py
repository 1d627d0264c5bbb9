"""
What the lines of a reservation ask for, and the plan by which they get it.

A line of kits asks for units of what its kits are made of. What that is, is written down in the line when units are first promised
to it: the kit template may change, the promise does not.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from ld_server.domain.allocation import Demand, LinePlan
from ld_server.domain.commands import Document
from ld_server.domain.status import AllocationStatus
from ld_server.domain.window import Window
from ld_server.resources.item_type import ITEM_TYPE
from ld_server.resources.kind import instant
from ld_server.resources.kit_template import KIT_TEMPLATE
from ld_server.services import availability, references
from ld_server.services.availability import Circumstances
from ld_server.services.occasion import Occasion
from relational.allocations import AllocationRow
from relational.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class Planned:
    """
    The reservation as it was planned, with a window; what each line gets; and when each item type is blocked for it. `apart`: the
    promises that it gave back for the plan, which stand again where that is not carried out.
    """

    document: Document
    lines: tuple[LinePlan, ...]
    blocked: Mapping[str, Window]
    apart: tuple[AllocationRow, ...] = ()

    @property
    def short(self) -> list[LinePlan]:
        """The lines that miss something."""
        return [line for line in self.lines if line.missing]


def has_window(document: Mapping[str, Any]) -> bool:
    """Whether it is said when the reservation is to be; otherwise it is to begin as soon as possible, and lasts for its `duration`."""
    return "endTime" in document


def window_of(document: Mapping[str, Any]) -> Window:
    return Window(instant(document["startTime"]), instant(document["endTime"]))


def given(document: Mapping[str, Any], occasion: Occasion) -> Circumstances:
    """On what it depends what the reservation can have."""
    return availability.circumstances(occasion, document.get("location"))


def is_kit(reference: Mapping[str, Any]) -> bool:
    """Whether the object of a line is a kit template."""
    return str(reference["identifier"]).startswith(f"{KIT_TEMPLATE.prefix}_")


def demands_of(document: Document, rows: Iterable[AllocationRow] = ()) -> list[Demand]:
    """
    What the lines ask for, where those of kits say what they are made of. `rows`: allocations of the reservation; what is out or was
    returned is had for good.
    """
    had: dict[str, Counter[str]] = {}
    for row in rows:
        if row.status in _FOR_GOOD:
            had.setdefault(line_of(document, row), Counter())[row.item_type] += row.quantity
    return [
        Demand(line["@id"], line["object"]["identifier"], line["requestedQuantity"], parts_of(line), had.get(line["@id"], {}))
        for line in document["lineItems"]
    ]


_FOR_GOOD = frozenset({AllocationStatus.IN_USE, AllocationStatus.RETURNED})


def parts_of(line: Mapping[str, Any]) -> dict[str, int]:
    """Item type → units of it in one of what the line asks for; of kits as the line says what they are made of."""
    if "madeOf" in line:
        return {one["itemType"]["identifier"]: one["quantityPerKit"] for one in line["madeOf"]}
    return {line["object"]["identifier"]: 1}


def line_of(document: Document, row: AllocationRow) -> str:
    """The IRI of the line that an allocation is for."""
    return f"{document['@id']}#{row.line}"


def source_of(row: AllocationRow) -> str:
    """The asset, or the stock pool, that an allocation takes units from."""
    return row.asset or row.stock_pool or ""


def with_components(uow: UnitOfWork, document: Document) -> Document:
    """The reservation whose lines of kits say what one kit is made of; those that say it already keep to that."""
    kits = {line["object"]["identifier"] for line in document["lineItems"] if is_kit(line["object"]) and "madeOf" not in line}
    if not kits:
        return document
    parts = availability.expanded(uow, kits)
    heads = uow.documents.heads(item for each in parts.values() for item in each)
    echoes = {identifier: references.echo(orjson.loads(head.body), ITEM_TYPE) for identifier, head in heads.items()}
    return {**document, "lineItems": [_with_components(line, parts, echoes) for line in document["lineItems"]]}


def _with_components(line: dict[str, Any], parts: Mapping[str, Mapping[str, int]], echoes: Mapping[str, Any]) -> dict[str, Any]:
    if "madeOf" in line or not is_kit(line["object"]):
        return line
    components = [
        {"@id": f"{line['@id']}-component-{number}", "@type": "KitComponent", "itemType": echoes[item_type], "quantityPerKit": quantity}
        for number, (item_type, quantity) in enumerate(parts[line["object"]["identifier"]].items(), start=1)
    ]
    return {**line, "madeOf": components}


def with_components_kept(before: Document, changed: Document) -> Document:
    """The changed reservation, in which a line that asks for the same kit as before still says what it was made of."""
    said = {_asked(line): line["madeOf"] for line in before["lineItems"] if "madeOf" in line}
    lines = [{**line, "madeOf": said[_asked(line)]} if _asked(line) in said else line for line in changed["lineItems"]]
    return {**changed, "lineItems": lines}


def _asked(line: Mapping[str, Any]) -> tuple[str, str]:
    return line["@id"], line["object"]["identifier"]
