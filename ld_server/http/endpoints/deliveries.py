"""Deliveries: what was sent where and with what success; and sending it again, one by one, by event, by range, by webhook."""

from collections.abc import Callable, Mapping
from typing import Any

import falcon
import orjson

from ld_server.domain.errors import NotFound
from ld_server.domain.events import types_like
from ld_server.domain.reading import Member, members, read, several, text, whole
from ld_server.domain.triggers import read_event_type
from ld_server.http.endpoints.configuration import AS_JSON, NEVER_KEPT, SENT, give_json, may_be_json, read_json
from ld_server.http.execution import perform
from ld_server.http.idempotency import Answer
from ld_server.http.paging import PAGE_PARAMETERS, CollectionPage, collection_page, conditions, cut, page_of
from ld_server.http.parameters import query_parameters
from ld_server.http.preferences import VALIDATE
from ld_server.resources.kind import Filter, written
from ld_server.services import deliveries, schedules
from ld_server.services.deliveries import MOST_EVENTS, Replayed
from ld_server.services.feed import Place, number, place_of
from ld_server.services.messages import Post
from ld_server.services.occasion import Occasion
from ld_server.services.parts import Parts
from relational.outbox import Selection
from relational.unit_of_work import UnitOfWork

PATH = "/v1/deliveries"
STATUSES = ("pending", "sending", "delivered", "dead", "cancelled")

FILTERS: Mapping[str, Filter] = {
    "status": Filter("status", description="How it stands.", allowed=STATUSES),
    "event": Filter("event_id", description="The id of the event that is delivered."),
    "webhook": Filter("webhook", description="The webhook that it goes to."),
    "trigger": Filter("trigger", description="The trigger that made it."),
}


class Deliveries:
    """`GET /v1/deliveries`: the newest first."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """A page of them."""
        may_be_json(req)
        parameters = query_parameters(req.query_string, (*FILTERS, *PAGE_PARAMETERS))
        page, shown = self._page(parameters)
        document = {name: value for name, value in page.document(None).items() if name != "@context"}
        give_json(req, resp, {**document, "member": shown}, page=page)

    def _page(self, parameters: Mapping[str, str]) -> tuple[CollectionPage, list[dict[str, Any]]]:
        base, page = self._parts.settings.base_iri, page_of(parameters, "delivery")
        having = {column: value for column, _, value in conditions(parameters, FILTERS, self._parts.now())}
        with self._parts.ledger.read() as uow:
            found = uow.deliveries.page(page.after, page.limit + 1, having)
            total = uow.deliveries.count(having)
        count, following = cut([one.number for one in found], page, "delivery")
        return collection_page(base + PATH, parameters, total, following), [deliveries.document(one, base) for one in found[:count]]


class Delivery:
    """`GET /v1/deliveries/{identifier}`: one, with every attempt and everybody who had it sent again."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def on_get(self, req: falcon.Request, resp: falcon.Response, identifier: str) -> None:
        """As it stands now."""
        may_be_json(req)
        query_parameters(req.query_string)
        with self._parts.ledger.read() as uow:
            found = uow.deliveries.find(identifier) if identifier.isprintable() else None
            if found is None:
                raise NotFound(f"There is no delivery {identifier!r}.")
            shown = {**deliveries.document(found, self._parts.settings.base_iri), **deliveries.history(uow, found)}
        give_json(req, resp, shown)


# --- once more ------------------------------------------------------------------------------------------------------------

_SINCE = {"since": Member(text(), is_required=True), "limit": Member(whole(1, MOST_EVENTS), default=MOST_EVENTS)}

NOTHING: Mapping[str, Member] = {}
RANGE: Mapping[str, Member] = {
    **_SINCE,
    "until": Member(text()),
    "types": Member(several(read_event_type, 100), default=()),
    "subject": Member(text()),
    "trigger": Member(text()),
}
RECOVERY: Mapping[str, Member] = _SINCE

Again = Callable[[UnitOfWork, Mapping[str, Any], Occasion, Parts, str], dict[str, Any]]
"""What is done in the transaction: with what was said, for whom, and about what (the identifier in the path); what is answered."""


def redelivery(uow: UnitOfWork, _said: Mapping[str, Any], occasion: Occasion, parts: Parts, identifier: str) -> dict[str, Any]:
    """A delivery is sent again."""
    return deliveries.document(deliveries.redeliver(uow, identifier, occasion), parts.settings.base_iri)


def event_replay(uow: UnitOfWork, _said: Mapping[str, Any], occasion: Occasion, _parts: Parts, identifier: str) -> dict[str, Any]:
    """Everything is done again that triggers do for an event."""
    return _replayed(deliveries.replay_event(uow, identifier, occasion))


def range_replay(uow: UnitOfWork, said: Mapping[str, Any], occasion: Occasion, _parts: Parts, _identifier: str) -> dict[str, Any]:
    """The same for a range of events."""
    since, until = place_of(said["since"], uow, "since"), place_of(said["until"], uow, "until")
    wanted = Selection(_types(said["types"]), said["subject"], since.moment, until.moment, below=until.sequence)
    return _replayed(deliveries.replay_range(uow, since.sequence or 0, wanted, said["trigger"], said["limit"], occasion))


def recovery(uow: UnitOfWork, said: Mapping[str, Any], occasion: Occasion, _parts: Parts, identifier: str) -> dict[str, Any]:
    """A webhook gets what it has missed."""
    since: Place = place_of(said["since"], uow, "since")
    return _replayed(deliveries.recover(uow, identifier, since.sequence or 0, since.moment, said["limit"], occasion))


def webhook_test(uow: UnitOfWork, _said: Mapping[str, Any], occasion: Occasion, parts: Parts, identifier: str) -> dict[str, Any]:
    """A webhook is tested."""
    delivery, request = deliveries.test_webhook(uow, identifier, occasion, parts.sealing)
    return {"delivery": deliveries.document(delivery, parts.settings.base_iri), "request": _request(request)}


def run_now(uow: UnitOfWork, _said: Mapping[str, Any], occasion: Occasion, _parts: Parts, identifier: str) -> dict[str, Any]:
    """A scheduled trigger runs now."""
    return schedules.document(schedules.ask(uow, identifier, occasion))


class Runs:
    """`GET /v1/triggers/{identifier}/runs`: when a scheduled trigger runs next, and its last runs, the newest first."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def on_get(self, req: falcon.Request, resp: falcon.Response, identifier: str) -> None:
        """As it stands now."""
        may_be_json(req)
        query_parameters(req.query_string)
        with self._parts.ledger.read() as uow:
            row = uow.triggers.find(identifier) if identifier.isprintable() else None
            if row is None:
                raise NotFound(f"There is no trigger {identifier!r}.")
            found = uow.runs.newest(identifier, MOST_RUNS)
        following = None if row.next_run_at is None else written(row.next_run_at)
        give_json(req, resp, {"trigger": identifier, "nextRunAt": following, "member": [schedules.document(one) for one in found]})


MOST_RUNS = 100
"""Of a trigger that are shown."""


def _types(patterns: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted({name for pattern in patterns for name in types_like(pattern)}))


def _replayed(done: Replayed) -> dict[str, Any]:
    following = {} if done.following is None else {"next": str(done.following)}
    return {"events": done.events, "deliveries": done.deliveries, **following}


def _request(request: Post) -> dict[str, Any]:
    return {"method": "POST", "url": request.url, "headers": dict(request.headers), "body": request.body.decode()}


class Sending:
    """Something is sent, soon, by a worker: 202 with what that will be."""

    accept_post = SENT

    def __init__(self, parts: Parts, again: Again, takes: Mapping[str, Member] = NOTHING) -> None:
        self.again = again
        self._parts = parts
        self._takes = takes
        self._needs_body = any(one.is_required for one in takes.values())

    def on_post(self, req: falcon.Request, resp: falcon.Response, identifier: str = "") -> None:
        """The body may be empty where nothing must be said."""
        may_be_json(req)
        query_parameters(req.query_string, (VALIDATE,))
        body, sent = read_json(req, self._parts, SENT, may_be_empty=not self._needs_body)
        said = read(members(self._takes), sent)
        number(self._parts.ledger)

        def act(uow: UnitOfWork, occasion: Occasion) -> Answer:
            return _accepted(self.again(uow, said, occasion, self._parts, identifier))

        perform(req, self._parts, act, body).give(resp)


def _accepted(document: Mapping[str, Any]) -> Answer:
    headers = {"Content-Type": AS_JSON.content_type, "Vary": "Accept", "Cache-Control": NEVER_KEPT}
    return Answer(202, headers, orjson.dumps(document))
