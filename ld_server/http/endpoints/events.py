"""
The feed of events, as pages and as a stream.

A full page never changes: events get their places once, and none appears between those that have been read. So it may be kept for good,
and the next one begins behind its last event, whenever that is asked for.
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import falcon
import orjson

from ld_server.domain.errors import InvalidParameter, NotFound, RateLimited
from ld_server.domain.events import EVENTS, types_like
from ld_server.domain.reading import nearest
from ld_server.http.authentication import owner_of
from ld_server.http.endpoints.revisions import KEPT_FOR_GOOD
from ld_server.http.execution import CACHE_CONTROL
from ld_server.http.negotiation import Choice, Medium, Wanted, choose
from ld_server.http.paging import limit_of
from ld_server.http.parameters import query_parameters
from ld_server.http.preconditions import content_tag, not_modified
from ld_server.http.showing import say_how_to_keep
from ld_server.rdf.formats import JSON, JSON_LD
from ld_server.services.feed import NOWHERE, Place, number, place_of, read, told
from ld_server.services.parts import Parts
from ld_server.services.seats import Sitting
from relational.outbox import Numbered, Selection

EVENT_STREAM = Medium("stream", "text/event-stream")
EVENT_OFFERS: Mapping[str, Choice] = {form.media_type: Wanted(form) for form in (JSON_LD, JSON)}
FEED_OFFERS: Mapping[str, Choice] = {**EVENT_OFFERS, EVENT_STREAM.media_type: EVENT_STREAM}

PARAMETERS = ("since", "before", "types", "subject", "limit")
LAST_EVENT_ID = "Last-Event-ID"
PATH = "/v1/events"


def selection(parameters: Mapping[str, str], owner: str | None = None) -> Selection:
    """Which events `types` and `subject` ask for, about whose reservations alone. Raises InvalidParameter for a type that no event has."""
    patterns = [one.strip() for one in parameters.get("types", "").split(",") if one.strip()]
    for pattern in patterns:
        if not types_like(pattern):
            said = f"No event is of type {pattern!r}{nearest(pattern, EVENTS)}"
            raise InvalidParameter(said if said.endswith("?") else f"{said}.", parameter="types", known=list(EVENTS))
    types = sorted({name for pattern in patterns for name in types_like(pattern)})
    return Selection(tuple(types), parameters.get("subject"), owner=owner)


class Events:
    """`GET /v1/events`."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._iri = parts.settings.base_iri + PATH

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """A page of events, or a stream of them for who accepts `text/event-stream`."""
        choice = choose(req.env.get("HTTP_ACCEPT"), FEED_OFFERS)
        parameters = query_parameters(req.query_string, PARAMETERS)
        if choice is EVENT_STREAM:
            self._stream(req, resp, parameters)
        else:
            self._page(req, resp, parameters, choice)

    # --- pages --------------------------------------------------------------------------------------------------------

    def _page(self, req: falcon.Request, resp: falcon.Response, parameters: Mapping[str, str], choice: Choice) -> None:
        page = self._read(parameters, owner_of(req))
        content = page.content(self._iri, self._parts.contexts.event_reference)
        say_how_to_keep(resp, KEPT_FOR_GOOD if page.is_final else CACHE_CONTROL)
        for relation, address in page.links(self._iri).items():
            resp.append_link(address, LINK_RELATIONS[relation])
        if not_modified(req, resp, content_tag(content, choice)):
            return
        resp.content_type = choice.content_type
        resp.data = content

    def _read(self, parameters: Mapping[str, str], owner: str | None) -> "FeedPage":
        wanted, limit = selection(parameters, owner), limit_of(parameters)
        number(self._parts.ledger)
        with self._parts.ledger.read() as uow:
            since, before = (place_of(parameters.get(name), uow, name) for name in ("since", "before"))
            events = read(uow, since, before, limit, wanted)
            first = events[0].sequence if events else (since.sequence or 0) + 1
            has_previous = bool(read(uow, NOWHERE, Place(first), 1, wanted))
            has_next = len(events) == limit or bool(events and before != NOWHERE)
            newest = uow.outbox.newest()
        return FeedPage(parameters, events, since, first, limit, has_next, has_previous, newest)

    # --- streams ------------------------------------------------------------------------------------------------------

    def _stream(self, req: falcon.Request, resp: falcon.Response, parameters: Mapping[str, str]) -> None:
        if "before" in parameters:
            raise InvalidParameter("A stream goes on; it has no `before`.", parameter="before")
        wanted, limit = selection(parameters, owner_of(req)), limit_of(parameters) if "limit" in parameters else None
        start = self._start(req, parameters)
        say_how_to_keep(resp, "no-store")
        resp.content_type = EVENT_STREAM.content_type
        if req.method == "HEAD":
            return
        if not self._parts.seats.take(Sitting.STREAM, self._parts.settings):
            raise RateLimited("Too many event streams are open here. Read the pages of the feed, or come back later.")
        resp.stream = Stream(self._parts, start, wanted, limit)

    def _start(self, req: falcon.Request, parameters: Mapping[str, str]) -> Place:
        """Behind the last event that the client has; else where `since` says; else now."""
        resumed = req.get_header(LAST_EVENT_ID)
        number(self._parts.ledger)
        with self._parts.ledger.read() as uow:
            if resumed:
                return place_of(resumed, uow, LAST_EVENT_ID)
            return place_of(parameters["since"], uow, "since") if "since" in parameters else Place(uow.outbox.newest())


LINK_RELATIONS = {"first": "first", "next": "next", "previous": "prev"}
"""Hydra's words for other pages → those of RFC 8288."""


@dataclass(frozen=True)
class FeedPage:
    """Some events of the feed. `first` is the sequence that the page begins with, or would begin with if it had an event."""

    parameters: Mapping[str, str]
    events: list[Numbered]
    since: Place
    first: int
    limit: int
    has_next: bool
    has_previous: bool
    newest: int

    @property
    def is_final(self) -> bool:
        """Whether the page is the same whenever it is asked for: where the feed begins changes with what has been forgotten."""
        return len(self.events) == self.limit and bool(self.since.sequence) and "before" not in self.parameters

    @property
    def through(self) -> int:
        """The sequence up to which nothing has been left out: where the next page begins."""
        if len(self.events) == self.limit or "before" in self.parameters:
            return self.events[-1].sequence if self.events else self.first - 1
        return max(self.newest, self.since.sequence or 0)

    def links(self, iri: str) -> dict[str, str]:
        """The other pages, in Hydra's words."""
        kept = {name: self.parameters[name] for name in ("types", "subject", "limit") if name in self.parameters}
        found = {"first": _with_query(iri, kept)}
        if self.has_previous:
            found["previous"] = _with_query(iri, {**kept, "before": str(self.first)})
        if self.has_next:
            found["next"] = _with_query(iri, {**kept, "since": str(self.through)})
        return found

    def content(self, iri: str, context: Any) -> bytes:
        """The page in JSON-LD."""
        document = {
            "@context": context,
            "@id": iri,
            "@type": "Collection",
            "through": self.through,
            "view": {"@id": _with_query(iri, self.parameters), "@type": "PartialCollectionView", **self.links(iri)},
            "member": [orjson.Fragment(told(one)) for one in self.events],
        }
        return orjson.dumps(document)


def _with_query(iri: str, parameters: Mapping[str, str]) -> str:
    return f"{iri}?{urlencode(parameters)}" if parameters else iri


class Event:
    """`GET /v1/events/{identifier}`: one event, as it was told."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def on_get(self, req: falcon.Request, resp: falcon.Response, identifier: str) -> None:
        """The envelope; as JSON-LD it has a context."""
        choice = choose(req.env.get("HTTP_ACCEPT"), EVENT_OFFERS)
        query_parameters(req.query_string)
        content = told(self._found(identifier))
        if choice.media_type == JSON_LD.media_type:
            content = orjson.dumps({"@context": self._parts.contexts.event_reference}).decode()[:-1] + "," + content[1:]
        say_how_to_keep(resp, KEPT_FOR_GOOD)
        if not_modified(req, resp, content_tag(content.encode(), choice)):
            return
        resp.content_type = choice.content_type
        resp.data = content.encode()

    def _found(self, identifier: str) -> Numbered:
        found = None
        if identifier.isascii() and identifier.isprintable():
            number(self._parts.ledger)
            with self._parts.ledger.read() as uow:
                found = uow.outbox.by_id(identifier)
        if found is None:
            raise NotFound(f"There is no event {identifier!r}.")
        return found


# --- streams --------------------------------------------------------------------------------------------------------------

HEARTBEAT_SECONDS = 10.0
"""A comment is sent that often, so that whoever listens no more is noticed, and nobody between us closes what seems idle."""

LOOK_SECONDS = 0.25
"""Between two looks of a stream at the ledger."""

BATCH = 100
RETRY = b"retry: 1000\n\n"
"""Milliseconds after which a reader whose stream has ended comes back."""


class Stream:
    """
    Server-sent events, until time is up, the reader is gone or has what it asked for, or the server ends.

    Its seat is given back when the stream is closed.
    """

    def __init__(self, parts: Parts, start: Place, wanted: Selection, limit: int | None) -> None:
        self._parts = parts
        self._wanted = wanted
        self._left = limit
        self._has_seat = True
        self._chunks = self._run(start)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return next(self._chunks)

    def close(self) -> None:
        """Called by the web server, whether the stream has ended or has never begun."""
        had_seat, self._has_seat = self._has_seat, False
        if had_seat:
            self._parts.seats.give_back(Sitting.STREAM)

    def _run(self, place: Place) -> Iterator[bytes]:
        end = time.monotonic() + self._parts.settings.stream_seconds
        beat = time.monotonic() + HEARTBEAT_SECONDS
        yield RETRY
        while self._left != 0 and time.monotonic() < end and not self._parts.ending.is_set():
            events = self._read(place)
            if events:
                place = Place(events[-1].sequence)
                yield b"".join(map(_as_message, events))
            elif time.monotonic() > beat:
                yield b": still here\n\n"
            else:
                self._parts.ending.wait(LOOK_SECONDS)
                continue
            beat = time.monotonic() + HEARTBEAT_SECONDS

    def _read(self, place: Place) -> list[Numbered]:
        number(self._parts.ledger)
        with self._parts.ledger.read() as uow:
            found = read(uow, place, NOWHERE, min(BATCH, self._left or BATCH), self._wanted)
        if self._left is not None:
            self._left -= len(found)
        return found


def _as_message(event: Numbered) -> bytes:
    """An event of a stream; its id is its place, by which the stream is resumed."""
    return f"id: {event.sequence}\nevent: {event.entry.type}\ndata: {told(event)}\n\n".encode()
