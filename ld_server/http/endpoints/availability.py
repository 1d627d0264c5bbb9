"""
What can be had, when: questions that are asked with GET, each answered by a description of this moment whose name is the question itself.

QUESTIONS is the one table of them. An answer is JSON-LD under our context, and is had in every syntax in which resources are.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import urlencode

import falcon
import orjson

from ld_server.domain import kits
from ld_server.domain.capacity import Capacity
from ld_server.domain.duration import seconds
from ld_server.domain.errors import InvalidParameter, NotFound
from ld_server.domain.kits import BEYOND_COUNTING, Component
from ld_server.domain.status import AssetStatus
from ld_server.domain.window import Window, later
from ld_server.http.execution import occasion_of
from ld_server.http.paging import PAGE_PARAMETERS, collection_page, cursor, page_of, value_of
from ld_server.http.showing import asked, may_be_listed, may_be_read, show_answer, show_page
from ld_server.resources.asset import ASSET
from ld_server.resources.item_type import ITEM_TYPE
from ld_server.resources.kind import Document, Filter, Kind, identifier_of, instant, written
from ld_server.resources.kit_template import KIT_TEMPLATE
from ld_server.resources.rent_action import RENT_ACTION
from ld_server.services import availability, references
from ld_server.services.availability import Circumstances, Composed, Supplied, circumstances
from ld_server.services.occasion import Occasion
from ld_server.services.parts import Parts
from ld_server.services.timeline import Step, day_by_day, timeline
from relational.allocations import AssetUnit
from relational.capacity import EVERY, Block
from relational.unit_of_work import Ledger, Reading

# --- parameters -------------------------------------------------------------------------------------------------------

MOST_WANTED = 10**9
LONGEST_DURATION = timedelta(days=3660)


def quantity(text: str) -> int:
    """A number of units. Raises ValueError."""
    if not (text.isascii() and text.isdecimal() and 1 <= int(text[:11]) <= MOST_WANTED):
        raise ValueError(f"write a whole number from 1 to {MOST_WANTED}")
    return int(text)


def length(text: str) -> timedelta:
    """An ISO 8601 duration that lasts. Raises ValueError."""
    found = timedelta(seconds=seconds(text))
    if not timedelta() < found <= LONGEST_DURATION:
        raise ValueError(f"write a duration such as PT2H or P1D, of at most {LONGEST_DURATION.days} days")
    return found


FILTERS: Mapping[str, Filter] = {
    "itemTypeId": Filter("itemTypeId", read=identifier_of(ITEM_TYPE.prefix), description="The item type that is asked about."),
    "kitTemplateId": Filter("kitTemplateId", read=identifier_of(KIT_TEMPLATE.prefix), description="The kit template that is asked about."),
    "assetId": Filter("assetId", read=identifier_of(ASSET.prefix), description="The unit that is asked about."),
    "startTime": Filter("startTime", read=instant, description="Beginning of the window, with a zone."),
    "endTime": Filter("endTime", read=instant, description="End of the window, with a zone; the window is half-open."),
    "quantity": Filter("quantity", read=quantity, description="How many are wanted; 1 unless it is said."),
    "duration": Filter("duration", read=length, description="How long they are wanted: an ISO 8601 duration without years and months."),
    "after": Filter("after", read=instant, description="Earliest beginning; now unless it is said."),
    "location": Filter("location", description="Exact location: units elsewhere do not count."),
    "resolution": Filter("resolution", description="`P1D`: a step for each day (UTC), with the least room of that day.", allowed=("P1D",)),
}
"""Every parameter of these questions."""


def _read(parameters: Mapping[str, str], required: tuple[str, ...], choice: tuple[str, ...]) -> dict[str, Any]:
    """The values of parameters. Raises InvalidParameter for those that cannot be read, or are missing, or are two where one is wanted."""
    values = {name: value_of(name, text, FILTERS[name]) for name, text in parameters.items()}
    for name in required:
        if name not in values:
            raise InvalidParameter(f"{name} is required.", parameter=name)
    given = [name for name in choice if name in values]
    if choice and len(given) != 1:
        raise InvalidParameter(f"Say one of {' and '.join(choice)}.", parameter=choice[-1] if given else choice[0])
    return values


# --- questions --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Asked:
    """What a request wants to know: the values of its parameters, and the ledger and the circumstances in which it is answered."""

    ledger: Ledger
    values: Mapping[str, Any]
    occasion: Occasion

    @property
    def window(self) -> Window:
        """Raises InvalidParameter for one that ends before it begins."""
        return Window(self.values["startTime"], self.values["endTime"])

    @property
    def quantity(self) -> int:
        found: int = self.values.get("quantity", 1)
        return found

    @property
    def given(self) -> Circumstances:
        return circumstances(self.occasion, self.values.get("location"))

    def item_type(self) -> Supplied:
        """The item type that is asked about, and what the window leaves of it. Raises NotFound."""
        identifier = self.values["itemTypeId"]
        found = availability.supplied_at_once(self.ledger, identifier, self.window, self.given)
        if found is None:
            raise _nothing(identifier, ITEM_TYPE)
        return found


@dataclass(frozen=True)
class Inquiry(Asked):
    """The same, while it is answered in one snapshot of the ledger."""

    uow: Reading

    def kit(self) -> Composed:
        """The kit template that is asked about, taken apart. Raises NotFound."""
        identifier = self.values["kitTemplateId"]
        found = availability.composed(self.uow, identifier)
        if found is None:
            raise _nothing(identifier, KIT_TEMPLATE)
        return found

    def document(self, identifier: str, kind: Kind) -> Document:
        """A resource. Raises NotFound."""
        head = self.uow.documents.head(identifier)
        if head is None:
            raise _nothing(identifier, kind)
        document: Document = orjson.loads(head.body)
        return document

    def subject(self) -> "Subject":
        """The item type or the kit template that is asked about. Raises NotFound."""
        if "itemTypeId" in self.values:
            document = self.document(self.values["itemTypeId"], ITEM_TYPE)
            return Subject(document["identifier"], {"itemType": references.echo(document, ITEM_TYPE)}, document["isActive"])
        identifier, composed = self.values["kitTemplateId"], self.kit()
        parts = availability.documents(self.uow, composed.parts)
        is_active = all(one["isActive"] for one in (*composed.kit_templates.values(), *parts.values()))
        return Subject(identifier, {"kitTemplate": references.echo(composed.kit_templates[identifier], KIT_TEMPLATE)}, is_active)


@dataclass(frozen=True)
class Subject:
    """What a question is about: its identifier, the reference to it under its key, and whether it can be newly reserved."""

    identifier: str
    reference: Document
    is_active: bool


def _nothing(identifier: str, kind: Kind) -> NotFound:
    return NotFound(f"There is no {kind.frame.name} {identifier}.")


def _window(inquiry: Asked) -> Document:
    """The window, and the place if there is one, as they stand in answers."""
    window, place = inquiry.window, inquiry.values.get("location")
    return {"startTime": written(window.start), "endTime": written(window.end), **({"location": place} if place else {})}


def _enough(inquiry: Asked, available: int, is_active: bool) -> Document:
    """How many can be had, how many are wanted, and whether they can be reserved: what is not active cannot, however many there are."""
    wanted = inquiry.quantity
    return {"availableCapacity": available, "requestedQuantity": wanted, "isAvailable": is_active and available >= wanted}


# --- item types -------------------------------------------------------------------------------------------------------


def of_item_type(inquiry: Asked) -> Document:
    """How many units of an item type a window leaves."""
    found = inquiry.item_type()
    return {
        "@type": "Availability",
        "itemType": references.echo(found.item_type, ITEM_TYPE),
        **_window(inquiry),
        "capacityRule": str(found.capacity.rule),
        "totalCapacity": found.capacity.total,
        "reservedCapacity": found.capacity.reserved,
        "peakReservedCapacity": found.capacity.peak,
        **_enough(inquiry, found.capacity.available, found.item_type["isActive"]),
    }


# --- kits -------------------------------------------------------------------------------------------------------------


def of_kit(inquiry: Inquiry) -> Document:
    """How many kits a window leaves, and which components are the scarce ones."""
    composed = inquiry.kit()
    found = availability.supplied(inquiry.uow, composed.parts, inquiry.window, inquiry.given)
    components = [Component(item, each, found[item].capacity.available) for item, each in composed.parts.items()]
    total, reserved, peak = (_kits(composed, found, counted) for counted in (_all, _after_all, _after_most))
    is_active = all(one["isActive"] for one in (*composed.kit_templates.values(), *(one.item_type for one in found.values())))
    return {
        "@type": "KitAvailability",
        "kitTemplate": references.echo(composed.kit_templates[inquiry.values["kitTemplateId"]], KIT_TEMPLATE),
        **_window(inquiry),
        "totalCapacity": total,
        "reservedCapacity": total - reserved,
        "peakReservedCapacity": total - peak,
        **_enough(inquiry, kits.kits_supported(components), is_active),
        "components": [_component(one, found[one.item_type]) for one in components],
        "limitingComponents": [references.echo(found[one.item_type].item_type, ITEM_TYPE) for one in kits.limiting(components)],
    }


def _all(one: Capacity) -> int:
    return one.total


def _after_all(one: Capacity) -> int:
    return max(0, one.total - one.reserved)


def _after_most(one: Capacity) -> int:
    return max(0, one.total - one.peak)


def _kits(composed: Composed, found: Mapping[str, Supplied], counted: Callable[[Capacity], int]) -> int:
    return kits.kits_supported(Component(item, each, counted(found[item].capacity)) for item, each in composed.parts.items())


def _component(one: Component, found: Supplied) -> Document:
    return {
        "@type": "ComponentAvailability",
        "itemType": references.echo(found.item_type, ITEM_TYPE),
        "capacityRule": str(found.capacity.rule),
        "availableUnits": one.available,
        "quantityPerKit": one.quantity_per_kit,
        "kitsSupported": min(one.kits_supported, BEYOND_COUNTING),
    }


# --- one unit ---------------------------------------------------------------------------------------------------------


def of_asset(inquiry: Inquiry) -> Document:
    """Whether one unit can be had, and what keeps it from that."""
    asset = inquiry.document(inquiry.values["assetId"], ASSET)
    item_type = inquiry.document(asset["isVariantOf"]["identifier"], ITEM_TYPE)
    blocks = availability.blocks_of(inquiry.uow, asset, inquiry.window, inquiry.given)
    is_free = asset["status"] == AssetStatus.AVAILABLE and not blocks
    return {
        "@type": "UnitAvailability",
        "asset": references.echo(asset, ASSET),
        "itemType": references.echo(item_type, ITEM_TYPE),
        **_window(inquiry),
        **({"location": asset["location"]} if "location" in asset else {}),
        "status": asset["status"],
        "isAvailable": is_free and item_type["isActive"],
        "blockedBy": [_block(one, inquiry.occasion) for one in blocks],
    }


def _block(one: Block, occasion: Occasion) -> Document:
    by = one.rent_action
    times = {"startTime": written(one.start), **({"endTime": written(one.end)} if one.end is not None else {})}
    if occasion.owner is not None:
        return {"@type": "Block", **times}
    return {
        "@type": "Block",
        **times,
        **({"rentAction": {"@id": occasion.naming.iri(by), "@type": RENT_ACTION.subject_type, "identifier": by}} if by else {}),
        **({"reason": one.reason} if one.reason else {}),
    }


# --- as time goes by --------------------------------------------------------------------------------------------------


def of_time(inquiry: Inquiry) -> Document:
    """How the room for an item type or a kit changes in a window, step by step or day by day."""
    subject = inquiry.subject()
    by_day = "resolution" in inquiry.values
    steps = (day_by_day if by_day else timeline)(inquiry.uow, subject.identifier, inquiry.window, inquiry.given)
    return {
        "@type": "AvailabilityTimeline",
        **subject.reference,
        **_window(inquiry),
        **({"resolution": inquiry.values["resolution"]} if by_day else {}),
        "totalCapacity": steps[0].room.total,
        "steps": [_step(step) for step in steps],
    }


def _step(step: Step) -> Document:
    return {
        "@type": "AvailabilityStep",
        "startTime": written(step.start),
        "endTime": written(step.end),
        "availableCapacity": step.room.available,
        "reservedCapacity": step.room.reserved,
    }


def of_next(inquiry: Inquiry) -> Document:
    """The first window of some length in which so many can be had."""
    subject, given = inquiry.subject(), inquiry.given
    after: datetime = inquiry.values.get("after", inquiry.occasion.now)
    place = inquiry.values.get("location")
    wanted = {subject.identifier: inquiry.quantity}
    found = availability.first_window(inquiry.uow, wanted, inquiry.values["duration"], after, given) if subject.is_active else None
    return {
        "@type": "NextAvailability",
        **subject.reference,
        **({"location": place} if place else {}),
        "requestedQuantity": inquiry.quantity,
        "isAvailable": found is not None,
        **({"startTime": written(found.start), "endTime": written(found.end)} if found else {}),
        "searchedFrom": written(after),
        "searchedUntil": written(later(after, given.horizon)),
    }


# --- endpoints --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Question:
    """A question: its name, what it asks, its parameters, and what answers it. `choice`: parameters of which exactly one is said."""

    name: str
    summary: str
    answers: Callable[[Asked], Document]
    schema: str
    required: tuple[str, ...]
    optional: tuple[str, ...] = ()
    choice: tuple[str, ...] = ()

    @property
    def known(self) -> tuple[str, ...]:
        return (*self.choice, *self.required, *self.optional)


def in_one_snapshot(answer: Callable[[Inquiry], Document]) -> Callable[[Asked], Document]:
    """What answers a question by more than one statement."""

    def answered(what: Asked) -> Document:
        with what.ledger.glance() as uow:
            return answer(Inquiry(what.ledger, what.values, what.occasion, uow))

    return answered


WINDOW = ("startTime", "endTime")
ITEM = ("itemTypeId", "kitTemplateId")

QUESTIONS: Mapping[str, Question] = {
    "/v1/availability": Question(
        "getAvailability",
        "How many units of an item type a window leaves",
        of_item_type,
        "Availability",
        ("itemTypeId", *WINDOW),
        ("quantity", "location"),
    ),
    "/v1/availability/kits": Question(
        "getKitAvailability",
        "How many kits a window leaves, and what limits them",
        in_one_snapshot(of_kit),
        "KitAvailability",
        ("kitTemplateId", *WINDOW),
        ("quantity", "location"),
    ),
    "/v1/availability/asset": Question(
        "getUnitAvailability",
        "Whether one unit is free in a window, and what blocks it",
        in_one_snapshot(of_asset),
        "UnitAvailability",
        ("assetId", *WINDOW),
    ),
    "/v1/availability/timeline": Question(
        "getAvailabilityTimeline",
        "How many units or kits are free while a window goes by",
        in_one_snapshot(of_time),
        "AvailabilityTimeline",
        WINDOW,
        ("location", "resolution"),
        ITEM,
    ),
    "/v1/availability/next": Question(
        "getNextAvailability",
        "The first window in which so many can be had for so long",
        in_one_snapshot(of_next),
        "NextAvailability",
        ("duration",),
        ("quantity", "after", "location"),
        ITEM,
    ),
}
"""Path → question."""


class Answers:
    """The endpoint of a question."""

    def __init__(self, parts: Parts, question: Question, path: str) -> None:
        self._parts = parts
        self._question = question
        self._iri = parts.settings.base_iri + path

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """The answer, as it is at this moment. Whatever is wrong with the question is refused before the ledger is asked."""
        may_be_read(req)
        parameters = asked(req, self._question.known)
        values = _read(parameters, self._question.required, self._question.choice)
        if "startTime" in values:
            Window(values["startTime"], values["endTime"])
        found = self._question.answers(Asked(self._parts.ledger, values, occasion_of(req, self._parts)))
        named = {"@context": self._parts.contexts.reference, "@id": f"{self._iri}?{urlencode(parameters)}"}
        show_answer(req, resp, {**named, **found}, self._parts)


FREE_UNITS = "/v1/availability/assets"
FREE_UNITS_KNOWN = ("itemTypeId", *WINDOW, "location")
_PLACE_IN_THE_LIST = "availability"


class FreeUnits:
    """`GET /v1/availability/assets`: the units that are free in a window, those first that it fits best."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._iri = parts.settings.base_iri + FREE_UNITS

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """A page of them."""
        may_be_listed(req)
        parameters = asked(req, (*FREE_UNITS_KNOWN, *PAGE_PARAMETERS))
        page = page_of(parameters, _PLACE_IN_THE_LIST)
        values = _read({name: parameters[name] for name in FREE_UNITS_KNOWN if name in parameters}, FREE_UNITS_KNOWN[:3], ())
        free = partial(self._free, values, occasion_of(req, self._parts), page.after or 0)
        count, found = free(page.limit)
        last = (page.after or 0) + page.limit
        shown = collection_page(self._iri, parameters, count, cursor(_PLACE_IN_THE_LIST, last) if count > last else None)
        show_page(req, resp, shown, found, ASSET, self._parts, lambda: free(EVERY)[1])

    def _free(self, values: Mapping[str, Any], occasion: Occasion, offset: int, limit: int) -> tuple[int, list[str]]:
        """How many units are free, and some of them."""
        Window(values["startTime"], values["endTime"])
        with self._parts.ledger.glance() as uow:
            inquiry = Inquiry(self._parts.ledger, values, occasion, uow)
            item_type = inquiry.document(values["itemTypeId"], ITEM_TYPE)
            count, units = availability.free_units(uow, item_type, inquiry.window, inquiry.given, offset, limit)
        return count, [self._unit(one) for one in units]

    def _unit(self, unit: AssetUnit) -> str:
        named = {"@id": self._parts.naming.iri(unit.identifier), "@type": ASSET.subject_type, "identifier": unit.identifier}
        return orjson.dumps({**named, "name": unit.label, **({"location": unit.location} if unit.location else {})}).decode()
