"""A change is written all at once: the document's new state, its index rows, and the events that tell of it."""

from collections.abc import Iterable

import orjson

from ld_server.domain.commands import Document
from ld_server.domain.events import envelope
from ld_server.rdf.representation import in_order, serialized
from ld_server.resources.kind import Kind
from ld_server.services import index
from ld_server.services.occasion import Occasion
from relational.documents import Head
from relational.outbox import OutboxEntry
from relational.unit_of_work import UnitOfWork


def named(document: Document, kind: Kind, number: int, occasion: Occasion) -> Document:
    """The document of a new resource under its own name: every IRI that starts with the placeholder starts with the resource's IRI now."""
    identifier = f"{kind.prefix}_{number}"
    body = serialized(document).replace(document["@id"], occasion.naming.iri(identifier))
    own = {"@context": occasion.context, "identifier": identifier, "createdAt": occasion.moment, "updatedAt": occasion.moment}
    renamed: Document = {**orjson.loads(body), **own}
    return renamed


def add(uow: UnitOfWork, kind: Kind, number: int, document: Document, events: Iterable[str], occasion: Occasion) -> Head:
    """Write a new resource and the events of these types about it. Raises Duplicate."""
    head = Head(document["identifier"], kind.name, number, 1, serialized(in_order(document, kind.keys)))
    uow.documents.add(head, occasion.authorship)
    index.put(uow, kind, document)
    tell(uow, kind, head, events, occasion)
    return head


def replace(uow: UnitOfWork, kind: Kind, head: Head, before: Document, after: Document, events: Iterable[str], occasion: Occasion) -> Head:
    """Write the next state of the resource whose state is `head`, and the events of these types about it. Raises Duplicate and Stale."""
    changed = {**after, "updatedAt": occasion.moment}
    head = Head(head.identifier, head.kind, head.number, head.revision + 1, serialized(in_order(changed, kind.keys)))
    uow.documents.replace(head, occasion.authorship)
    index.put(uow, kind, changed, before)
    tell(uow, kind, head, events, occasion)
    return head


def tell(uow: UnitOfWork, kind: Kind, head: Head, events: Iterable[str], occasion: Occasion) -> None:
    """Write events of these types about a resource as it is."""
    uow.outbox.add(*(_entry(event, kind, head, occasion) for event in events))


def _entry(event_type: str, kind: Kind, head: Head, occasion: Occasion) -> OutboxEntry:
    event_id = occasion.new_event_id()
    told = envelope(
        event_id=event_id,
        event_type=event_type,
        occurred_at=occasion.moment,
        subject_type=kind.subject_type,
        subject_id=head.identifier,
        data=orjson.Fragment(head.body),
        tenant=occasion.tenant,
        correlation_id=occasion.correlation_id,
    )
    body = orjson.dumps(told).decode()
    return OutboxEntry(event_id, event_type, kind.subject_type, head.identifier, occasion.now, occasion.correlation_id, body)
