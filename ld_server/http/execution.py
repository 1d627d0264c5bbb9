"""Commands: the one place where a request opens a transaction that writes."""

import secrets
import time
from datetime import timedelta

import falcon

from ld_server import services
from ld_server.domain.commands import Command
from ld_server.http.idempotency import Answer, Once, fingerprint, key_of
from ld_server.http.negotiation import RESOURCE_OFFERS, Wanted, not_acceptable, wanted
from ld_server.http.preconditions import entity_tag
from ld_server.rdf.representation import represent
from ld_server.services.occasion import Occasion
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


def execute(req: falcon.Request, resp: falcon.Response, parts: Parts, command: Command, body: bytes, status: int = 200) -> None:
    """
    Carries out a command in one transaction and answers with the resource as it is then.

    Under an Idempotency-Key the answer is stored in the same transaction, or a stored one is given again. Raises refusals.
    """
    form, key, occasion = wanted_by(req), key_of(req), occasion_of(req, parts)

    def act(uow: UnitOfWork) -> Answer:
        return _answer(services.handle(uow, command, occasion), form, parts, status)

    with parts.ledger.write() as uow:
        if key is None:
            answer = act(uow)
        else:
            keep = timedelta(hours=parts.settings.idempotency_hours)
            once = Once(req.context.principal.identifier, key, fingerprint(req, body), occasion.now, keep)
            answer = once.answer(uow, lambda: act(uow))
    answer.give(resp)


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
    )


def new_event_id() -> str:
    """A name for an event: milliseconds since 1970, so that names sort by time, and 80 random bits."""
    return f"evt_{time.time_ns() // 1_000_000:012x}{secrets.token_hex(10)}"


def _answer(head: Head, form: Wanted, parts: Parts, status: int) -> Answer:
    """The representation of a head; a new resource (201) also says where it is."""
    iri = parts.naming.iri(head.identifier)
    headers = {
        "Content-Type": form.content_type,
        "Content-Location": iri,
        "ETag": entity_tag(head.revision, form),
        "Vary": "Accept",
        "Cache-Control": CACHE_CONTROL,
    }
    place = {"Location": iri} if status == 201 else {}
    return Answer(status, {**headers, **place}, represent(head.body, form.form, iri, parts.contexts, form.profile))
