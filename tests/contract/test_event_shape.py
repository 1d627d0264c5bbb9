"""The envelope as a graph: every event that is told has its shape, and nothing else has."""

from typing import Any

import orjson
import pyoxigraph as ox
import pyshacl
import pytest
import rdflib

from ld_server.domain.events import envelope
from ld_server.rdf import vocab
from ld_server.rdf.contexts import Contexts
from ld_server.rdf.published import data_directory

BASE = "http://localhost:8000"
CONTEXTS = Contexts(data_directory("contexts"), BASE)
SHAPES = data_directory("shapes")
EVENT = f"{BASE}/v1/events/evt_1"


def an_event(**changes: Any) -> dict[str, Any]:
    data = {"@context": CONTEXTS.inline, "@id": f"{BASE}/v1/catalog/item-types/itemType_1", "@type": "Product", "code": "FOG-1"}
    told = envelope(
        event_id="evt_1",
        event_type="catalog.itemType.created",
        occurred_at="2026-02-03T12:34:56Z",
        subject_type="Product",
        subject_id="itemType_1",
        data=data,
        tenant="default",
        correlation_id="c",
    )
    told["meta"]["sequence"] = 7
    return {**told, **changes}


def quads(event: dict[str, Any]) -> list[ox.Quad]:
    """The graph of an envelope as /v1/events tells it; the contexts, which are never fetched, stand in it."""
    context = [CONTEXTS.events, *CONTEXTS.event_reference[1:]]
    data = {**event["data"], "@context": CONTEXTS.inline} if isinstance(event["data"], dict) else event["data"]
    return list(ox.parse(orjson.dumps({"@context": context, **event, "data": data}), ox.RdfFormat.JSON_LD))


EVENT_SHAPES = rdflib.Graph().parse(SHAPES / "events" / "event.ttl")


def conforms(event: dict[str, Any]) -> bool:
    default = [ox.Triple(one.subject, one.predicate, one.object) for one in quads(event) if one.graph_name == ox.DefaultGraph()]
    graph = rdflib.Graph().parse(data=ox.serialize(default, format=ox.RdfFormat.TURTLE), format="turtle")
    return bool(pyshacl.validate(graph, shacl_graph=EVENT_SHAPES)[0])


def test_an_event_is_a_graph_under_its_own_address() -> None:
    found = {
        str(one.predicate.value).removeprefix(vocab.RSV): one.object for one in quads(an_event()) if one.subject == ox.NamedNode(EVENT)
    }
    assert set(found) == {"eventType", "occurredAt", "subject", "eventData", "tenant", "correlationId", "envelopeVersion", "sequence"}
    assert found["eventType"] == ox.Literal("catalog.itemType.created")
    assert found["occurredAt"] == ox.Literal("2026-02-03T12:34:56Z", datatype=ox.NamedNode(vocab.DATE_TIME))
    assert found["sequence"] == ox.Literal(7)


def test_what_the_subject_was_like_is_in_a_graph_of_its_own() -> None:
    all_of_it = quads(an_event())
    graph = next(one.object for one in all_of_it if one.predicate.value == vocab.RSV + "eventData")
    inside = {one.predicate.value for one in all_of_it if one.graph_name == graph}
    assert inside == {vocab.TYPE, vocab.SKU}
    assert not [one for one in all_of_it if one.predicate.value == vocab.SKU and one.graph_name != graph]


def test_every_event_has_the_shape() -> None:
    assert conforms(an_event())
    assert conforms(an_event(meta={"tenant": "default", "correlationId": "c", "version": 1}))


META = an_event()["meta"]


@pytest.mark.parametrize(
    "changes",
    [
        {"type": "approved"},
        {"type": ["a.b", "c.d"]},
        {"occurredAt": "yesterday"},
        {"occurredAt": []},
        {"subject": {"type": "Product"}},
        {"subject": {"id": "itemType_1"}},
        {"subject": "itemType_1"},
        {"subject": []},
        {"data": []},
        {"meta": {**META, "tenant": []}},
        {"meta": {**META, "correlationId": []}},
        {"meta": {**META, "version": 2}},
        {"meta": {**META, "version": []}},
        {"meta": {**META, "sequence": 0}},
        {"meta": {**META, "sequence": [1, 2]}},
    ],
    ids=str,
)
def test_what_is_no_event_has_not_the_shape(changes: dict[str, Any]) -> None:
    assert not conforms(an_event(**changes))


def test_every_term_of_the_context_is_described() -> None:
    described = rdflib.Graph().parse(SHAPES / "vocabulary" / "reservations.ttl")
    terms = [one if isinstance(one, str) else one["@id"] for one in CONTEXTS.events.values() if not isinstance(one, float)]
    ours = {vocab.RSV + one.removeprefix("rsv:") for one in terms if one.startswith("rsv:")} | {vocab.RSV + "subjectType"}
    assert ours <= {str(subject) for subject in described.subjects(rdflib.RDFS.comment)}
