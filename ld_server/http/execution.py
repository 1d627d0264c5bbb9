"""Commands: the one place where a request opens a transaction that writes."""

import time
from collections.abc import Callable, Sequence
from datetime import timedelta

import falcon

from ld_server import services
from ld_server.domain.commands import Command, CreateMany
from ld_server.domain.errors import StoreUnavailable
from ld_server.http.authentication import owner_of
from ld_server.http.idempotency import Answer, Once, fingerprint, key_of
from ld_server.http.negotiation import RESOURCE_OFFERS, Wanted, not_acceptable, wanted
from ld_server.http.preconditions import entity_tag
from ld_server.http.preferences import APPLIED, is_rehearsal
from ld_server.rdf.representation import collection_bytes, represent
from ld_server.services import shortage
from ld_server.services.occasion import Occasion, new_event_id
from ld_server.services.parts import Parts
from relational.documents import Head
from relational.unit_of_work import UnitOfWork

CACHE_CONTROL = "private, no-cache"
"""Answers may be kept by the client, who asks again with their ETag; never by others, who have not shown a key."""


def wanted_by(req: falcon.Request) -> Wanted:
    """How the client wants a resource. Raises NotAcceptable; call it before anything is written."""
    found = wanted(req.env.get("HTTP_ACCEPT"))
    if found is None:
        raise not_acceptable(RESOURCE_OFFERS)
    return found


Act = Callable[[UnitOfWork, Occasion], Answer]
"""What a request does in its transaction, and what it answers."""


def execute(req: falcon.Request, resp: falcon.Response, parts: Parts, command: Command, body: bytes, status: int = 200) -> None:
    """Carries out a command as `perform` does, and answers with the resource as it is then. Raises refusals."""
    form = wanted_by(req)
    act: Act = lambda uow, occasion: answer_of(services.handle(uow, command, occasion), form, parts, status)  # noqa: E731
    perform(req, parts, act, body).give(resp)


def execute_many(req: falcon.Request, resp: falcon.Response, parts: Parts, command: CreateMany, body: bytes) -> None:
    """Creates many resources as `perform` does, and answers with a collection of them: 201. Raises ResourcesRefused."""
    form = wanted_by(req)
    act: Act = lambda uow, occasion: _answer_many(services.handle_many(uow, command, occasion), form, parts)  # noqa: E731
    perform(req, parts, act, body).give(resp)


def perform(req: falcon.Request, parts: Parts, act: Act, body: bytes) -> Answer:
    """
    Does something in one transaction, and gives its answer.

    Under an Idempotency-Key the answer is stored in the same transaction, or a stored one is given again. Where the request only wants
    to know what would happen, the transaction is rolled back, and the answer is that of a reading: 200, no address, no tag.

    A transaction that was lost before it was to be committed, or fell to another one, is begun anew a few times; one that may have been
    committed only under an Idempotency-Key, which tells.
    """
    for pause in PAUSES:
        try:
            return _performed(req, parts, act, body)
        except StoreUnavailable as outage:
            if not (outage.is_passing or (outage.is_unknown and key_of(req) is not None)):
                raise
            time.sleep(pause)
    return _performed(req, parts, act, body)


PAUSES = (0.05, 0.2)
"""Seconds before a lost transaction is begun anew: enough for connections that were cut, not for a database that is away."""


def _performed(req: falcon.Request, parts: Parts, act: Act, body: bytes) -> Answer:
    key, occasion = key_of(req), occasion_of(req, parts)
    if is_rehearsal(req):
        with shortage.explaining(parts.ledger), parts.ledger.rehearse() as uow:
            return _rehearsed(act(uow, occasion))
    with shortage.explaining(parts.ledger), parts.ledger.write() as uow:
        if key is None:
            return act(uow, occasion)
        keep = timedelta(hours=parts.settings.idempotency_hours)
        once = Once(req.context.principal.identifier, key, fingerprint(req, body), occasion.now, keep)
        return once.answer(uow, lambda: act(uow, occasion))


def _rehearsed(answer: Answer) -> Answer:
    kept = {name: value for name, value in answer.headers.items() if name not in _OF_WHAT_IS_THERE}
    return Answer(200, {**kept, **APPLIED}, answer.lasting)


_OF_WHAT_IS_THERE = ("Location", "Content-Location", "ETag")


def occasion_of(req: falcon.Request, parts: Parts) -> Occasion:
    """Who asks, when, and under which correlation id."""
    return Occasion(
        now=parts.now(),
        principal=req.context.principal.name,
        correlation_id=req.context.correlation_id,
        tenant=parts.settings.tenant,
        naming=parts.naming,
        context=parts.contexts.reference,
        new_event_id=new_event_id,
        capacity_rule=parts.settings.capacity_rule,
        search_horizon=timedelta(days=parts.settings.search_horizon_days),
        has_four_eyes=parts.settings.four_eyes == "on",
        owner=owner_of(req),
    )


def answer_of(head: Head, form: Wanted, parts: Parts, status: int) -> Answer:
    """The representation of a head; a new resource (201) also says where it is."""
    iri = parts.naming.iri(head.identifier)
    place = {"Location": iri} if status == 201 else {}
    headers = {**headers_of(form), "Content-Location": iri, "ETag": entity_tag(head.revision, form), **place}
    return Answer(status, headers, represent(head.body, form.form, iri, parts.contexts, form.profile))


def _answer_many(heads: Sequence[Head], form: Wanted, parts: Parts) -> Answer:
    """A collection of new resources, in their order. It has no name: there is no address under which it could be read again."""
    whole = {"@context": parts.contexts.reference, "@type": "Collection", "totalItems": len(heads)}
    content = collection_bytes(whole, [head.body for head in heads], form.form, parts.contexts, form.profile)
    return Answer(201, headers_of(form), content)


def headers_of(form: Wanted) -> dict[str, str]:
    return {"Content-Type": form.content_type, "Vary": "Accept", "Cache-Control": CACHE_CONTROL}
