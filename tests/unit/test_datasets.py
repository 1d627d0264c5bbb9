"""Many documents as one dataset: each graph is what its document says alone."""

import orjson
import pyoxigraph as ox

from ld_server.rdf.contexts import Contexts
from ld_server.rdf.datasets import Graph, graphs_of
from ld_server.rdf.published import data_directory
from ld_server.rdf.representation import triples_of

BASE = "http://localhost:8000"
CONTEXTS = Contexts(data_directory("contexts"), BASE)
ITEM_TYPES = f"{BASE}/v1/catalog/item-types"


def document(number: int, **said: object) -> Graph:
    iri = f"{ITEM_TYPES}/itemType_{number}"
    whole = {"@context": CONTEXTS.reference, "@id": iri, "@type": "Product", "identifier": f"itemType_{number}", "name": "Timer", **said}
    return Graph(iri, orjson.dumps(whole).decode())


def canonical(triples: list[ox.Triple]) -> set[str]:
    found = ox.Dataset(ox.Quad(one.subject, one.predicate, one.object) for one in triples)
    found.canonicalize(ox.CanonicalizationAlgorithm.RDFC_1_0)
    return set(map(str, found))


def test_documents_that_are_read_together_say_what_each_says_alone():
    batch = [
        document(1, metadata={"@id": "no keyword", "n": [1, None]}),
        document(2, additionalProperty=[{"@id": "_:b0", "name": "weight"}, {"name": "length"}]),
        document(3, additionalProperty=[{"@id": "_:b1", "name": "weight"}]),
        Graph(f"{ITEM_TYPES}/itemType_4", document(4).body.replace('"https://schema.org",', '"https://schema.org", ')),
    ]
    together = graphs_of(batch, CONTEXTS)
    assert list(together) == [one.iri for one in batch]
    for one in batch:
        assert canonical(together[one.iri]) == canonical(triples_of(one.body, CONTEXTS))


def test_blank_nodes_of_two_documents_stay_two():
    together = graphs_of([document(number, additionalProperty={"name": "weight"}) for number in (1, 2)], CONTEXTS)
    nodes = [{one.subject for one in triples if isinstance(one.subject, ox.BlankNode)} for triples in together.values()]
    assert [len(one) for one in nodes] == [1, 1]
    assert nodes[0] != nodes[1]


def test_no_documents_are_no_graphs():
    assert graphs_of([], CONTEXTS) == {}
