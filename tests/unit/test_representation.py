"""Documents and graphs, both ways, in every syntax."""

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyoxigraph import BlankNode, Literal, NamedNode, Triple, parse

from ld_server.domain.errors import MalformedBody, NotAcceptable, TooLarge
from ld_server.rdf import codecs, representation, vocab
from ld_server.rdf.adoption import Adopted
from ld_server.rdf.codecs import Limits
from ld_server.rdf.formats import FORMATS, JSON, JSON_LD, RDF_XML, TURTLE
from tests.factories import reservation
from tests.unit.conftest import BASE, canonical

ROOT = NamedNode("http://root.example/")
NOTHING = Literal("")


def stored(reader, **changes):
    return representation.serialized(reader.document(reservation(**changes)))


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.key)
def test_every_syntax_holds_the_same_graph(reader, form):
    body = stored(reader, metadata={"a": [1, None]}, description="Ünïcødé “quoted”")
    written = representation.represent(body, form, "http://graph.example/", reader.contexts)
    source = representation._inlined(written.decode(), reader.contexts).encode() if form.json else written
    read_back = [codecs.plain(quad) for quad in parse(source, form.rdf)]
    assert canonical(read_back) == canonical(representation.triples_of(body, reader.contexts))


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.key)
def test_the_same_document_gives_the_same_bytes(reader, form):
    """A strong ETag promises it, also where blank nodes have no names of their own."""
    context = {"@context": [*reader.contexts.reference, {"ex": "http://ex.example/"}], "ex:crew": {"@list": ["Ann", "Bob"]}}
    body = representation.serialized(reader.document({**reservation(), **context}))
    first, second = (representation.represent(body, form, BASE, reader.contexts) for _ in range(2))
    assert first == second


def test_json_and_json_ld_are_the_stored_text(reader):
    body = stored(reader)
    assert representation.represent(body, JSON, BASE, reader.contexts) == body.encode()
    assert representation.represent(body, JSON_LD, BASE, reader.contexts) == body.encode()


@pytest.mark.parametrize("profile", [representation.EXPANDED, representation.FLATTENED])
def test_the_profiles_of_json_ld_hold_the_same_graph(reader, profile):
    body = stored(reader, metadata={"a": [1, None]})
    written = representation.represent(body, JSON_LD, BASE, reader.contexts, profile)
    assert isinstance(orjson.loads(written), list)
    assert canonical(map(codecs.plain, parse(written, JSON_LD.rdf))) == canonical(representation.triples_of(body, reader.contexts))


def test_documents_start_with_what_people_look_for(reader):
    assert list(reader.document(reservation()))[:5] == ["@context", "@id", "@type", "startTime", "endTime"]


def test_a_property_that_rdf_xml_cannot_name_is_refused_rather_than_written_wrongly():
    with pytest.raises(NotAcceptable, match=r"cannot name the property http://x\.example/1"):
        codecs.write([Triple(ROOT, NamedNode("http://x.example/1"), NOTHING)], RDF_XML)


def test_a_page_does_not_repeat_the_context(reader):
    page = {"@context": reader.contexts.reference, "@id": BASE + "/v1/rent-actions", "@type": "Collection", "totalItems": 2}
    document = orjson.loads(representation.collection_bytes(page, [stored(reader), stored(reader)], JSON_LD, reader.contexts))
    assert [len(document["member"]), "@context" in document["member"][0]] == [2, False]


BROKEN = {
    "truncated JSON": (b'{"a": ', JSON, "not valid JSON"),
    "a comma too many": (b'{"a": 1,}', JSON, "line 1"),
    "NaN": (b'{"a": NaN}', JSON, "not valid JSON"),
    "not UTF-8": (b'{"a": "\xff"}', JSON, "not valid JSON"),
    "half of Turtle": (b"<a> <b> .", TURTLE, "not valid text/turtle"),
    "Turtle that is not UTF-8": (b"<a> <b> '\xff' .", TURTLE, "not valid text/turtle"),
    "a space in an IRI": (b"<http://x.example/a b> <b> 1 .", TURTLE, "not valid text/turtle"),
    "RDF/XML without namespaces": (b"<rdf/>", RDF_XML, "not valid application/rdf"),
    "a keyword with the wrong value": (b'{"@id": 5}', JSON_LD, "not valid application/ld"),
    "an empty body": (b"", JSON, "not valid JSON"),
    "deep nesting": (b'{"metadata":' + b"[" * 100 + b"]" * 100 + b"}", JSON, "deeper than 64"),
    "very deep nesting": (b"[" * 100_000, JSON, "not valid JSON"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_body_is_refused_with_the_place(reader, name):
    body, form, reason = BROKEN[name]
    with pytest.raises(MalformedBody, match=reason):
        codecs.read(body, form, BASE + "/", reader.contexts, Limits())


def test_too_many_statements_are_refused(reader):
    many = b"".join(b"<a> <b> %d .\n" % number for number in range(11))
    with pytest.raises(TooLarge, match="more than 10 statements"):
        codecs.read(many, TURTLE, BASE + "/", reader.contexts, Limits(triples=10))


# --- any graph that hangs together survives the way through a document ------------------------------------------------

OTHER = "http://vocabulary.example/"
words = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=12)
literals = st.one_of(
    words.map(Literal),
    words.map(lambda text: Literal(text, language="de")),
    st.integers(-(10**18), 10**18).map(lambda number: Literal(str(number), datatype=NamedNode(vocab.INTEGER))),
    st.booleans().map(lambda value: Literal(str(value).lower(), datatype=NamedNode(vocab.BOOLEAN))),
    st.sampled_from(["5.5E0", "1.0E-1", "1.0E0", "5.50", "INF", "NaN", "1e5", "-0.0E0"]).map(
        lambda text: Literal(text, datatype=NamedNode(vocab.DOUBLE))
    ),
    st.sampled_from(["007", "+5", "12", "abc"]).map(lambda text: Literal(text, datatype=NamedNode(vocab.INTEGER))),
    words.map(lambda text: Literal(text, datatype=NamedNode(OTHER + "Type"))),
)
nodes = st.one_of(
    st.integers(0, 3).map(lambda number: NamedNode(f"{OTHER}node-{number}")), st.integers(0, 3).map(lambda number: BlankNode(f"b{number}"))
)
statements = st.lists(st.tuples(nodes, st.integers(0, 2), st.one_of(literals, nodes)), max_size=12)


@settings(max_examples=200, deadline=None)
@given(statements)
def test_nothing_is_lost_on_the_way_through_a_document(reader, drawn):
    triples = [Triple(ROOT, NamedNode(OTHER + "leads"), subject) for subject, _, _ in drawn]
    triples += [Triple(subject, NamedNode(f"{OTHER}p-{number}"), value) for subject, number, value in drawn]
    triples += [Triple(ROOT, NamedNode(vocab.NAME), Literal("root"))]
    document = representation.document_of(Adopted(ROOT.value, tuple(triples), {}), (), reader.contexts)
    read_back = representation.triples_of(representation.serialized(document), reader.contexts)
    assert canonical(read_back) == canonical(triples)
