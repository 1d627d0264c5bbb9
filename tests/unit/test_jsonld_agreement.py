"""Our JSON-LD parser is pyoxigraph's. PyLD, the reference in Python, must read the same graph wherever we accept the document."""

import json

import pytest
from pyld import jsonld
from pyoxigraph import CanonicalizationAlgorithm, Dataset, RdfFormat, parse

BASE = "http://example.org/v1/"
RSV = "https://w3id.org/ld-reservations#"
CONTEXT = {
    "@vocab": "http://schema.org/",
    "id": "@id",
    "type": "@type",
    "rsv": RSV,
    "xsd": "http://www.w3.org/2001/XMLSchema#",
    "startTime": {"@id": "http://schema.org/startTime", "@type": "xsd:dateTime"},
    "status": {"@id": "rsv:status", "@type": "@vocab", "@context": {"@vocab": RSV}},
    "object": {"@id": "http://schema.org/object", "@type": "@id", "@context": {"name": None}},
    "metadata": {"@id": "rsv:metadata", "@type": "@json"},
    "lineItems": {"@id": "rsv:lineItem", "@container": "@set"},
}


def with_(*contexts, **members):
    return {"@context": [CONTEXT, *contexts], "@id": "x", **members}


DOCUMENTS = {
    "our own manner": with_(
        type="RentAction",
        startTime="2026-01-01T00:00:00Z",
        status="approved",
        object={"@id": "p", "@type": "Product", "name": "dropped", "identifier": "a"},
        metadata={"b": [1, 2, {"x": None}]},
        lineItems=[{"object": "p1", "requestedQuantity": 2}, {"requestedQuantity": 3.5}],
    ),
    "null": with_(startTime=None, name="n"),
    "default language": with_({"@language": "de"}, name="hallo", description={"@value": "hi", "@language": "en"}),
    "language map": with_({"label": {"@id": "name", "@container": "@language"}}, label={"de": "hallo", "en": "hi"}),
    "index map": with_({"post": {"@id": "post", "@container": "@index"}}, post={"a": {"@id": "p1"}, "b": {"@id": "p2"}}),
    "id map": with_({"post": {"@id": "post", "@container": "@id"}}, post={"p1": {"name": "x"}}),
    "type map": with_({"post": {"@id": "post", "@container": "@type"}}, post={"Product": {"name": "x"}}),
    "graph container": with_({"post": {"@id": "post", "@container": "@graph"}}, post={"name": "x"}),
    "nested lists": with_(knows={"@list": [1, "b", {"@list": ["c"]}]}),
    "reverse": with_(**{"@reverse": {"object": {"@id": "y"}}}),
    "reverse term": with_({"rented": {"@reverse": "object"}}, rented={"@id": "y"}),
    "nest": with_({"labels": "@nest"}, labels={"name": "x"}),
    "included": with_(name="x", **{"@included": [{"@id": "y", "name": "y"}]}),
    "graph": {"@context": CONTEXT, "@graph": [{"@id": "x", "name": "x"}, {"@id": "y", "name": "y"}]},
    "type-scoped": with_({"Foo": {"@id": "Foo", "@context": {"bar": "rsv:bar"}}}, type="Foo", bar="x", child={"bar": "y"}),
    "not propagated": with_(
        {"foo": {"@id": "foo", "@context": {"@propagate": False, "bar": "rsv:bar"}}}, foo={"bar": "x", "child": {"bar": "y"}}
    ),
    "protected": with_({"@protected": True, "zip": "rsv:zip"}, zip="1"),
    "numbers": with_(a=1e30, b=5.0, c=True, e=0.1),
    "coerced numbers": with_({"n": {"@id": "n", "@type": "xsd:integer"}}, n=[1, "2"]),
    "base": with_({"@base": "http://other.example/"}, object="a"),
    "JSON literal": with_(n={"@type": "@json", "@value": {"b": 1, "a": [1.0, 1e21]}}),
    "expanded": [{"@id": "http://example.org/x", "@type": ["http://schema.org/RentAction"], "http://schema.org/name": [{"@value": "x"}]}],
    "prefixes": {"@context": {"s": "https://schema.org/"}, "@id": "x", "@type": "s:RentAction", "s:name": "foo"},
    "keyword aliases": with_({"val": "@value", "l": "@language"}, n={"val": "a", "l": "en"}),
    "set": with_({"n": {"@id": "n", "@container": "@set"}}, n={"@set": ["a"]}),
}


def canonical(quads):
    dataset = Dataset(quads)
    dataset.canonicalize(CanonicalizationAlgorithm.RDFC_1_0)
    return sorted(str(quad) for quad in dataset)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_both_parsers_read_the_same_graph(name):
    text = json.dumps(DOCUMENTS[name])
    ours = parse(text, RdfFormat.JSON_LD, base_iri=BASE)
    theirs = jsonld.to_rdf(json.loads(text), {"base": BASE, "format": "application/n-quads"})
    assert canonical(ours) == canonical(parse(theirs, RdfFormat.N_QUADS))
