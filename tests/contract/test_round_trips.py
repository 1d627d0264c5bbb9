"""Whatever is valid is the same graph in every syntax, and what was given back can be posted again and is that graph once more."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyoxigraph import CanonicalizationAlgorithm, Dataset, NamedNode, Quad, Triple, parse

from ld_server.domain.errors import UnknownTerm
from ld_server.rdf import codecs, representation, vocab
from ld_server.rdf.codecs import Limits
from ld_server.rdf.contexts import Contexts
from ld_server.rdf.formats import FORMATS, JSON_LD, Format
from ld_server.rdf.naming import Naming
from ld_server.rdf.published import data_directory
from ld_server.rdf.validation import Validator
from ld_server.resources import KINDS, PATHS, POSTED
from ld_server.resources.intake import take_in, take_in_all
from ld_server.services import recording
from ld_server.services.occasion import Occasion

BASE = "http://localhost:8000"
CONTEXTS, NAMING = Contexts(data_directory("contexts"), BASE), Naming(BASE, PATHS)
VALIDATOR = Validator([data_directory("shapes")])
OCCASION = Occasion(datetime(2027, 2, 1, tzinfo=UTC), "dana", "order-77", "default", NAMING, CONTEXTS.reference, lambda: "evt_1")
EX = "http://ex.example/"

# --- resources of every kind ------------------------------------------------------------------------------------------

characters = st.characters(exclude_categories=("Cs", "Cc", "Cn", "Co"), exclude_characters="\ufffe\uffff\u00a0")
lines = st.text(characters, min_size=1, max_size=20).map(str.strip).filter(lambda text: text.strip() and text[0] > " ")
texts = st.text(st.one_of(characters, st.sampled_from("\n\r\t<>&\"'\\")), max_size=40)
codes = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True)
numbers = st.integers(1, 9_999)
times = st.datetimes(datetime(2000, 1, 1), datetime(2900, 1, 1), timezones=st.just(UTC))
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False, width=32)
    | st.text(characters, max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(characters, max_size=6) | st.just("@id") | st.just("@context"), inner, max_size=3)
    ),
    max_leaves=6,
)
languages = st.sampled_from(["de", "en-GB", "sv"])
literals = st.one_of(
    texts.map(lambda text: {"@value": text}),
    st.tuples(texts, languages).map(lambda one: {"@value": one[0], "@language": one[1]}),
    st.tuples(lines, st.sampled_from([EX + "Unit", vocab.XSD + "anyURI", vocab.XSD + "token"])).map(
        lambda one: {"@value": one[0], "@type": one[1]}
    ),
    st.sampled_from(["1.50", "007", "1.5E3", "-0.0E0", "INF"]).map(lambda text: {"@value": text, "@type": vocab.XSD + "decimal"}),
    st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False),
    st.builds(lambda value: {"@value": value, "@type": "@json"}, json_values),
)
nodes = st.recursive(
    st.integers(1, 3).map(lambda number: {"@id": f"{EX}thing-{number}"}),
    lambda inner: (
        st.dictionaries(
            st.sampled_from(["ex:a", "ex:b", "ex:été"]), st.lists(literals | inner, min_size=1, max_size=2), min_size=1, max_size=2
        )
        | st.builds(lambda items: {"@list": items}, st.lists(literals, max_size=3))
    ),
    max_leaves=4,
)
extras = st.dictionaries(
    st.sampled_from(["ex:crew", "ex:note", "ex:part", "additionalProperty", "image"]), st.lists(literals | nodes, max_size=3), max_size=3
)


def optional(**strategies: Any) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=strategies)


def whole(required: dict[str, Any], **maybe: Any) -> st.SearchStrategy[dict[str, Any]]:
    """A resource with everything of the first, and any of the rest."""
    several = st.tuples(
        st.fixed_dictionaries(required), optional(metadata=json_values.filter(lambda one: one is not None), **maybe), extras
    )
    return several.map(lambda parts: {"@context": [*CONTEXTS.reference, {"ex": EX}], **parts[2], **parts[1], **parts[0]})


def window(pair: tuple[datetime, datetime]) -> dict[str, str]:
    start, end = sorted(pair)
    return {"startTime": start.isoformat(), "endTime": end.isoformat()}


line_items = st.lists(
    st.fixed_dictionaries(
        {"object": numbers.map("itemType_{}".format), "requestedQuantity": st.integers(1, 1_000_000)}, optional={"notes": lines}
    ),
    min_size=1,
    max_size=3,
)
agents = st.one_of(
    lines,
    st.fixed_dictionaries({"@type": st.sampled_from(["Person", "Organization"]), "identifier": lines}, optional={"name": lines}),
    st.fixed_dictionaries({"@id": st.just("https://people.example/alice"), "@type": st.just("Person")}, optional={"name": lines}),
)
RESOURCES = {
    "itemType": whole(
        {"code": codes, "name": lines, "kind": st.sampled_from(["serialized", "fungible", "kit"])},
        description=texts,
        isActive=st.booleans(),
        capacityRule=st.sampled_from(["overlap", "peak"]),
        turnaroundBefore=st.sampled_from(["PT4H", "P1DT30M"]),
    ),
    "asset": whole(
        {"itemTypeId": numbers.map("itemType_{}".format)},
        assetTag=lines,
        serialNumber=lines,
        location=lines,
        status=st.just("hold"),
        description=texts,
    ),
    "stockPool": whole(
        {"itemTypeId": numbers.map("itemType_{}".format), "quantityTotal": st.integers(0, 1000)}, location=lines, isActive=st.booleans()
    ),
    "kitTemplate": whole(
        {
            "code": codes,
            "name": lines,
            "kitComponents": st.lists(numbers, min_size=1, max_size=3, unique=True).map(
                lambda several: [{"itemType": f"itemType_{number}", "quantityPerKit": number} for number in several]
            ),
        },
        isActive=st.booleans(),
    ),
    "demandSignal": st.tuples(
        whole(
            {"source": lines.map(lambda text: text[:64].strip() or "sgl"), "quantityRequired": st.integers(1, 1000)},
            sourceRef=lines,
            location=lines,
            name=lines,
            description=texts,
            priority=st.sampled_from(["low", "urgent"]),
        ),
        st.tuples(times, times).filter(lambda pair: pair[0] != pair[1]).map(window),
        st.fixed_dictionaries({"itemType": numbers.map("itemType_{}".format) | numbers.map("kit_{}".format)}),
    ).map(lambda parts: {**parts[0], **parts[1], **parts[2]}),
    "buildRequest": whole(
        {
            "itemTypeId": numbers.map("itemType_{}".format),
            "quantity": st.integers(1, 1000),
            "reason": st.sampled_from(["shortfall", "buffer", "replacement", "other"]),
        },
        neededBy=times.map(lambda moment: moment.isoformat()),
        location=lines,
        externalRef=lines,
        demandSignal=numbers.map("demand_{}".format),
        description=texts,
    ),
    "rentAction": st.tuples(
        whole(
            {"agent": agents, "lineItems": line_items},
            description=texts,
            purpose=texts,
            priority=st.sampled_from(["low", "urgent"]),
            isAsap=st.booleans(),
            externalRef=lines,
            status=st.just("draft"),
        ),
        st.tuples(times, times).filter(lambda pair: pair[0] != pair[1]).map(window),
    ).map(lambda parts: {**parts[0], **parts[1]}),
}


def test_every_kind_is_here() -> None:
    assert RESOURCES.keys() == POSTED.keys()


@st.composite
def resources(draw: Any) -> tuple[str, dict[str, Any]]:
    kind = draw(st.sampled_from(sorted(RESOURCES)))
    return kind, draw(RESOURCES[kind])


# --- graphs, up to names ----------------------------------------------------------------------------------------------


def shape_of(triples: Iterable[Triple], root: str) -> list[str]:
    """The canonical form of a graph (RDFC-1.0) in which the root and its parts have a name that is the same for all."""

    def renamed(term: Any) -> Any:
        return (
            NamedNode("http://root.example/" + term.value.removeprefix(root))
            if isinstance(term, NamedNode) and term.value.startswith(root)
            else term
        )

    dataset = Dataset([Quad(renamed(s), p, renamed(o)) for s, p, o in triples])
    dataset.canonicalize(CanonicalizationAlgorithm.RDFC_1_0)
    return sorted(map(str, dataset))


def taken(body: bytes, form: Format, kind: str) -> dict[str, Any]:
    return take_in(body, form, KINDS[kind], NAMING, CONTEXTS, VALIDATOR, Limits())


def stored(kind: str, document: dict[str, Any]) -> tuple[str, str]:
    """The document as the service keeps it, and its IRI."""
    named = recording.named(document, KINDS[kind], 7, OCCASION)
    return representation.serialized(representation.in_order(named, KINDS[kind].keys)), named["@id"]


def read_again(content: bytes, form: Format) -> list[Triple]:
    """As somebody else would read it, who has loaded our contexts."""
    source = orjson.dumps(codecs.self_contained(content, CONTEXTS, 64)[0]) if form.json else content
    return [codecs.plain(quad) for quad in parse(source, form.rdf)]


def unmanaged(triples: Iterable[Triple], kind: str, iri: str) -> list[Triple]:
    """Without what the server alone says of the resource."""
    managed = KINDS[kind].frame.managed
    return [one for one in triples if not (one.subject == NamedNode(iri) and one.predicate.value in managed)]


PROFILES = {form.key: (form, representation.COMPACTED) for form in FORMATS} | {
    "expanded": (JSON_LD, representation.EXPANDED),
    "flattened": (JSON_LD, representation.FLATTENED),
}


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(resources())
def test_every_syntax_is_the_same_graph_and_can_be_posted_again(drawn: tuple[str, dict[str, Any]]) -> None:
    kind, posted = drawn
    body, iri = stored(kind, taken(orjson.dumps(posted), JSON_LD, kind))
    graph = representation.triples_of(body, CONTEXTS)
    for form, profile in PROFILES.values():
        written = representation.represent(body, form, iri, CONTEXTS, profile)
        assert shape_of(read_again(written, form), iri) == shape_of(graph, iri), form.key
        again = taken(written, form, kind)
        back = representation.triples_of(representation.serialized(again), CONTEXTS)
        assert shape_of(back, again["@id"]) == shape_of(unmanaged(graph, kind, iri), iri), form.key


def _apart(resource: dict[str, Any], number: int) -> dict[str, Any]:
    """The resource, with people of its own: what one says of somebody would be said for all."""
    apart: dict[str, Any] = orjson.loads(orjson.dumps(resource).replace(b"people.example/alice", b"people.example/%d" % number))
    return apart


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(sorted(RESOURCES)).flatmap(lambda kind: st.tuples(st.just(kind), st.lists(RESOURCES[kind], min_size=2, max_size=4))))
def test_many_at_once_are_what_each_would_be_alone(drawn: tuple[str, list[dict[str, Any]]]) -> None:
    kind, posted = drawn[0], [_apart(one, number) for number, one in enumerate(drawn[1])]
    documents = [taken(orjson.dumps(one), JSON_LD, kind) for one in posted]
    arrivals = take_in_all(orjson.dumps(posted), JSON_LD, KINDS[kind], NAMING, CONTEXTS, VALIDATOR, Limits())
    assert len(arrivals.resources) == len(posted)
    for arrived, alone in zip(arrivals.resources, documents, strict=True):
        together = arrived.outcome
        assert isinstance(together, dict)
        graphs = [shape_of(representation.triples_of(representation.serialized(one), CONTEXTS), one["@id"]) for one in (together, alone)]
        assert graphs[0] == graphs[1]


# --- by name ----------------------------------------------------------------------------------------------------------

KEPT = {
    "a text in a language": {"@value": "Hallo", "@language": "de"},
    "a datatype of others": {"@value": "5 kg", "@type": EX + "Weight"},
    "a number in a spelling of its own": {"@value": "007", "@type": "xsd:integer"},
    "JSON": {"@value": {"a": [1, None, {"@id": "no node"}]}, "@type": "@json"},
    "a list": {"@list": [1, {"@value": "zwei", "@language": "de"}, {"@id": EX + "three"}]},
    "an IRI": {"@id": EX + "thing"},
    "a node within": {EX + "size": 5, EX + "within": {EX + "deep": True}},
}


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.key)
@pytest.mark.parametrize("name", KEPT)
def test_what_is_said_in_other_words_survives_every_syntax(name: str, form: Format) -> None:
    posted = {"@context": [*CONTEXTS.reference, {"ex": EX}], "code": "A", "name": "A", "kind": "serialized", "ex:said": KEPT[name]}
    first = taken(orjson.dumps(posted), JSON_LD, "itemType")
    written = representation.represent(representation.serialized(first), form, first["@id"], CONTEXTS)
    assert taken(written, form, "itemType")[EX + "said"] == first[EX + "said"] == KEPT[name]


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.key)
def test_metadata_survives_every_syntax(form: Format) -> None:
    metadata = {"@id": 5, "@context": "https://evil.example/", "list": [1.5, None, {"deep": []}], "ü": "\u2028"}
    first = taken(orjson.dumps({"code": "A", "name": "A", "kind": "serialized", "metadata": metadata}), JSON_LD, "itemType")
    written = representation.represent(representation.serialized(first), form, first["@id"], CONTEXTS)
    assert taken(written, form, "itemType")["metadata"] == metadata


@pytest.mark.parametrize("kind", RESOURCES)
@pytest.mark.parametrize(("wrong", "right"), [("descripton", "description"), ("metadta", "metadata"), ("naem", "name")])
def test_a_misspelt_term_of_schema_org_is_refused_with_what_was_meant(kind: str, wrong: str, right: str) -> None:
    with pytest.raises(UnknownTerm) as caught:
        taken(
            orjson.dumps({"@context": "https://schema.org", wrong: "x", "object": "itemType_1"} if kind == "rentAction" else {wrong: "x"}),
            JSON_LD,
            kind,
        )
    assert caught.value.members["suggestion"] == right
    assert caught.value.members["pointer"] == f"/{wrong}"
