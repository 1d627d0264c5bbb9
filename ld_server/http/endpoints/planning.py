"""What planning has beyond other kinds: demand is told in bulk, also as a table, again and again, and is called off rather than deleted."""

import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

import falcon
import orjson

from ld_server.domain.commands import CancelDemandSignal, CreateMany, Creation
from ld_server.domain.errors import Duplicate, InvalidParameter, MalformedBody, NotFound, Refusal
from ld_server.domain.window import Window, later
from ld_server.http import links
from ld_server.http.body import READABLE, media_type_of, read_body
from ld_server.http.creation import creations_of, limits_of
from ld_server.http.endpoints.resources import Collection, Item
from ld_server.http.execution import answer_of, headers_of, occasion_of, perform, wanted_by
from ld_server.http.finding import check_identifier
from ld_server.http.idempotency import Answer
from ld_server.http.negotiation import CSV, Wanted
from ld_server.http.paging import PAGE_PARAMETERS, collection_page, cut, page_of, value_of
from ld_server.http.parameters import query_parameters
from ld_server.http.preconditions import expected_revisions
from ld_server.http.preferences import VALIDATE
from ld_server.http.showing import asked, may_be_listed, show_page
from ld_server.rdf.formats import BY_MEDIA_TYPE, JSON, Format
from ld_server.rdf.representation import collection_bytes
from ld_server.resources.intake import take_in_all
from ld_server.resources.item_type import ITEM_TYPE
from ld_server.resources.kind import Document, Filter, boolean, identifier_of, instant
from ld_server.services import demand, handle, many
from ld_server.services.demand import Arrival, Told
from ld_server.services.occasion import Occasion
from ld_server.services.parts import Parts
from ld_server.services.planning import SHORTFALLS, Question, judged, shortfalls
from relational.documents import Head
from relational.unit_of_work import UnitOfWork

TABLE = CSV.media_type


class DemandSignals(Collection):
    """`/v1/planning/demand-signals`."""

    accept_post = (*READABLE, TABLE)

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Takes in what a source tells of its demand: 201 where something is new, 200 where everything was known."""
        wanted_by(req)
        query_parameters(req.query_string, (VALIDATE,))
        media_type = media_type_of(req, self.accept_post)
        body = read_body(req, self._parts.settings.max_body_bytes)
        content, form = (self._as_json(body), JSON) if media_type == TABLE else (body, BY_MEDIA_TYPE[media_type])
        self._take(req, resp, body, content, form, is_single=media_type != TABLE)
        resp.set_header("Link", links.of_resource(self.kind, self._parts.settings.base_iri))

    def _as_json(self, table: bytes) -> bytes:
        """As many rows as a request may create, and one more where there are more: that is refused as it is in every syntax."""
        return orjson.dumps(list(islice(rows(table), self._parts.settings.max_resources + 1)))

    def _take(self, req: falcon.Request, resp: falcon.Response, body: bytes, content: bytes, form: Format, is_single: bool) -> None:
        parts = self._parts
        arrivals = take_in_all(content, form, self.kind, parts.naming, parts.contexts, parts.validator, limits_of(parts))
        try:
            if len(arrivals.resources) == 1 and is_single:
                act = self._one(self.kind.to_create(arrivals.only()), wanted_by(req))
            else:
                act = self._many(creations_of(arrivals, self.kind), wanted_by(req))
            perform(req, parts, act, body).give(resp)
        except Refusal as refusal:
            raise arrivals.in_their_words(refusal) from None

    def _one(self, command: Any, wanted: Wanted) -> Callable[[UnitOfWork, Occasion], Answer]:
        def act(uow: UnitOfWork, occasion: Occasion) -> Answer:
            told = demand.told(uow, command, occasion)
            return answer_of(told.head, wanted, self._parts, 200 if told.arrival is Arrival.UNCHANGED else 201)

        return act

    def _many(self, command: CreateMany, wanted: Wanted) -> Callable[[UnitOfWork, Occasion], Answer]:
        def act(uow: UnitOfWork, occasion: Occasion) -> Answer:
            every: list[Told] = []
            many.create(command.creations, lambda creation: _kept(every, _telling(uow, creation, occasion, every)))
            return self._report(every, wanted)

        return act

    def _report(self, every: Sequence[Told], wanted: Wanted) -> Answer:
        parts = self._parts
        whole = {"@context": parts.contexts.reference, "@type": "Collection", "totalItems": len(every), "report": list(_arrivals(every))}
        content = collection_bytes(whole, [one.head.body for one in every], wanted.form, parts.contexts, wanted.profile)
        is_news = any(one.arrival is not Arrival.UNCHANGED for one in every)
        return Answer(201 if is_news else 200, headers_of(wanted), content)


def _kept(every: list[Told], told: Told) -> Head:
    every.append(told)
    return told.head


def _telling(uow: UnitOfWork, creation: Creation, occasion: Occasion, before: Sequence[Told]) -> Told:
    """One of many. Raises Duplicate where the same request has told of it already: it cannot mean both."""
    told = demand.told(uow, creation, occasion)  # type: ignore[arg-type]
    for other in before:
        if other.head.identifier in (told.head.identifier, told.superseded):
            detail = f"source and sourceRef are those of {other.head.identifier} for the same item."
            raise Duplicate(detail, field="sourceRef", resource=other.head.identifier)
    return told


def _arrivals(every: Sequence[Told]) -> Iterator[dict[str, Any]]:
    for index, one in enumerate(every):
        supersedes = {"supersedes": one.superseded} if one.superseded else {}
        yield {"index": index, "outcome": str(one.arrival), "identifier": one.head.identifier, **supersedes}


class DemandSignal(Item):
    """`/v1/planning/demand-signals/{identifier}`."""

    def on_delete(self, req: falcon.Request, resp: falcon.Response, identifier: str) -> None:
        """Marks it cancelled: 204, also when it is so already."""
        query_parameters(req.query_string)
        check_identifier(self._parts, self.kind, identifier)
        command = CancelDemandSignal(identifier, expected_revisions(req.env.get("HTTP_IF_MATCH")))

        def act(uow: UnitOfWork, occasion: Occasion) -> Answer:
            handle(uow, command, occasion)
            return Answer(204, {}, b"")

        perform(req, self._parts, act, b"").give(resp)


# --- shortfalls -------------------------------------------------------------------------------------------------------

FILTERS: Mapping[str, Filter] = {
    "startFrom": Filter("", read=instant, description="From when on is looked; from now on unless it is said."),
    "endUntil": Filter("", read=instant, description="Until when is looked; as far as free windows are searched unless it is said."),
    "itemTypeId": Filter("", read=identifier_of(ITEM_TYPE.prefix), description="One item type; all of them unless it is said."),
    "location": Filter("", description="One location, exactly; all together and each to which demand is bound unless it is said."),
    "includePending": Filter(
        "", read=boolean, description="Whether reservations that are not approved yet count; they do not unless it is said."
    ),
}
"""What can be said of shortfalls."""


class Shortfalls:
    """`GET /v1/planning/shortfalls`: where there will be fewer units than are wanted, computed at this moment."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """A page of them, by item type and time. They have no numbers that last: a page begins behind so many of them."""
        may_be_listed(req)
        parameters = asked(req, (*FILTERS, *PAGE_PARAMETERS))
        occasion = occasion_of(req, self._parts)
        values = {name: value_of(name, text, FILTERS[name]) for name, text in parameters.items() if name in FILTERS}
        bodies = [orjson.dumps(one).decode() for one in self._every(_question(values, occasion), occasion)]
        page = page_of(parameters, "shortfalls")
        after = page.after or 0
        count, following = cut(list(range(after + 1, len(bodies) + 1)), page, "shortfalls")
        shown = collection_page(f"{self._parts.settings.base_iri}{SHORTFALLS}", parameters, len(bodies), following)
        rest = bodies[after:]
        show_page(req, resp, shown, rest[:count], ITEM_TYPE, self._parts, lambda: rest)

    def _every(self, question: Question, occasion: Occasion) -> list[Document]:
        with self._parts.ledger.read() as uow:
            if question.item_type is not None and uow.documents.head(question.item_type) is None:
                raise NotFound(f"There is no {ITEM_TYPE.frame.name} {question.item_type}.")
            return [told for one in judged(uow, question, occasion.now) for told in shortfalls(one, occasion)]


def _question(values: Mapping[str, Any], occasion: Occasion) -> Question:
    """Raises InvalidParameter for a window that ends before it begins, or is longer than ten years."""
    start: datetime = values.get("startFrom", occasion.now)
    end: datetime = values.get("endUntil", later(start, occasion.search_horizon))
    if not start < end <= later(start, LONGEST):
        raise InvalidParameter(f"endUntil must be later than startFrom, by at most {LONGEST.days} days.", parameter="endUntil")
    return Question(Window(start, end), values.get("itemTypeId"), values.get("location"), values.get("includePending", False))


LONGEST = timedelta(days=3660)


# --- tables -----------------------------------------------------------------------------------------------------------

NUMBERS = ("quantityRequired",)
VALUES = ("metadata", "other")
"""Columns whose cells are JSON; `other` is what a table of ours says beside its columns."""

MOST_COLUMNS = 100

_NUMBER = re.compile("[0-9]{1,18}")
"""What is longer is no quantity, and JSON could not carry it."""


def rows(body: bytes) -> Iterator[dict[str, Any]]:
    """The rows of a table with a header, as plain JSON; empty cells say nothing. Raises MalformedBody, which names the row."""
    reader = csv.reader(io.StringIO(body.decode(), newline=""), strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        _refuse_header(header)
        for number, row in enumerate(reader, start=1):
            if row:
                yield _row(header, row, number)
    except csv.Error as error:
        raise MalformedBody(f"Line {reader.line_num} is no CSV: {error}.", line=reader.line_num) from None


def _refuse_header(header: Sequence[str]) -> None:
    if not any(header) or len(set(header)) < len(header) or len(header) > MOST_COLUMNS:
        raise MalformedBody("The first line must name the columns, each once: source, sourceRef, itemTypeId, startTime, and so on.", line=1)


def _row(header: Sequence[str], row: Sequence[str], number: int) -> dict[str, Any]:
    if len(row) > len(header):
        raise MalformedBody(f"Row {number} has {len(row)} cells, and there are {len(header)} columns.", row=number)
    said = {name: _value(name, cell, number) for name, cell in zip(header, row, strict=False) if cell.strip()}
    other = said.pop("other", {})
    return {**other, **said} if isinstance(other, Mapping) else said


def _value(name: str, cell: str, number: int) -> Any:
    if name in NUMBERS:
        return int(cell) if _NUMBER.fullmatch(cell.strip()) else cell
    if name not in VALUES:
        return cell.removeprefix("'")
    try:
        return orjson.loads(cell)
    except orjson.JSONDecodeError:
        raise MalformedBody(f"{name} in row {number} is no JSON.", row=number, column=name) from None
