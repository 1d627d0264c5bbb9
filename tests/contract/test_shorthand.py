"""The table that compacts our own documents says what PyLD says, to the last byte, or nothing at all."""

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyoxigraph import NamedNode

from ld_server.rdf import vocab
from ld_server.rdf.adoption import Draft
from ld_server.rdf.compaction import Compaction
from ld_server.rdf.contexts import Contexts
from ld_server.rdf.published import data_directory
from ld_server.rdf.representation import _tree
from ld_server.rdf.shorthand import Shorthand, Unusual
from tests.contract.test_shapes import ROOTS, WHOLE, graph, with_change

CONTEXTS = Contexts(data_directory("contexts"), "http://localhost:8000")
TABLE = Shorthand(CONTEXTS.compacting)
PYLD = CONTEXTS.compaction.compact_by_reference
OWN = sorted(CONTEXTS.keys)
FOREIGN = [vocab.SCHEMA + name for name in ("url", "image", "startDate", "address", "Place", "sameAs", "a-b", "schema")] + [
    "http://other.example/p",
    "http://other.example/type",
    vocab.RSV + "unheardOf",
    vocab.RSV + "retired",
    vocab.XSD + "string",
    "name:x",
    "urn:uuid:1",
    "schema:name",
    "_:b0",
]


def by_pyld(tree):
    """PyLD takes JSON that is an array apart; as a member of an object it does not."""
    return unwrapped({key: value for key, value in PYLD(wrapped(tree)).items() if key != "@context"})


def wrapped(value):
    if isinstance(value, list):
        return [wrapped(one) for one in value]
    if not isinstance(value, dict):
        return value
    if value.get("@type") == "@json" and isinstance(value["@value"], list):
        return {**value, "@value": {WRAPPING: value["@value"]}}
    return {key: wrapped(one) for key, one in value.items()}


def unwrapped(value):
    if isinstance(value, list):
        return [unwrapped(one) for one in value]
    if not isinstance(value, dict):
        return value
    return value[WRAPPING] if value.keys() == {WRAPPING} else {key: unwrapped(one) for key, one in value.items()}


WRAPPING = "in an object"


def alike(tree):
    """Whether the table knew the node; it must have said the same then, in the same order."""
    try:
        said = TABLE.compacted(tree)
    except Unusual:
        return False
    assert orjson.dumps(said) == orjson.dumps(by_pyld(tree))
    return True


def tree_of(kind, things):
    root = NamedNode(ROOTS[kind])
    return _tree(root, Draft(graph(kind, things), root), set())


@pytest.mark.parametrize("kind", ROOTS)
def test_a_resource_with_everything_that_one_can_have_is_compacted_by_the_table(kind):
    assert alike(tree_of(kind, WHOLE[kind]()))


@pytest.mark.parametrize("kind", ROOTS)
def test_what_lacks_anything_is_compacted_alike(kind):
    for subject, properties in WHOLE[kind]().items():
        for name in properties:
            alike(tree_of(kind, with_change(WHOLE[kind](), subject, name, None)))


@pytest.mark.parametrize("value", [[], [1], [[1]], [[1], [2]], [None], None, {"a": [1]}])
def test_json_is_given_back_as_it_came(value):
    said = TABLE.compacted({"@id": "http://localhost:8000/x", vocab.METADATA: [{"@value": value, "@type": "@json"}]})
    assert said["metadata"] == value


iris = st.sampled_from([*OWN, *FOREIGN, ROOTS["RentAction"], f"{ROOTS['RentAction']}#line-1"])
contents = st.one_of(st.text(max_size=3), st.integers(-5, 5), st.booleans(), st.just(0.5))
json_values = st.recursive(
    contents | st.none(), lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner, max_size=2)
)
datatypes = st.sampled_from([vocab.DATE_TIME, vocab.DURATION, vocab.INTEGER, vocab.JSON_LITERAL, "http://other.example/Type"])
literals = st.one_of(
    contents.map(lambda value: {"@value": value}),
    st.tuples(st.text(max_size=3), datatypes).map(lambda pair: {"@value": pair[0], "@type": pair[1]}),
    json_values.map(lambda value: {"@value": value, "@type": "@json"}),
    st.text(max_size=3).map(lambda text: {"@value": text, "@language": "de"}),
)
references = iris.map(lambda iri: {"@id": iri})


def nodes(values):
    properties = st.dictionaries(iris.filter(lambda iri: not iri.startswith("_:")), st.lists(values, min_size=1, max_size=2), max_size=3)
    names = st.one_of(st.just({}), iris.map(lambda iri: {"@id": iri}))
    classes = st.one_of(st.just({}), st.lists(iris, min_size=1, max_size=2).map(lambda some: {"@type": some}))
    return st.tuples(names, classes, properties).map(lambda parts: {**parts[0], **parts[1], **parts[2]})


lists = st.lists(literals, max_size=2).map(lambda items: {"@list": items})
trees = nodes(st.recursive(literals | references | lists, lambda inner: nodes(inner), max_leaves=4))


@settings(max_examples=1500, deadline=None)
@given(trees)
def test_whatever_the_table_compacts_pyld_compacts_alike(tree):
    try:
        by_pyld(tree)
    except Exception:
        with pytest.raises(Unusual):
            TABLE.compacted(tree)
        return
    alike(tree)


WELL_TYPED = [(iri, CONTEXTS.coercions.get(iri, "")) for iri in OWN]


@pytest.mark.parametrize(("iri", "datatype"), WELL_TYPED, ids=lambda one: one.rpartition("/")[2])
def test_every_term_is_compacted_alike_with_values_of_every_sort(iri, datatype):
    typed = {"@type": datatype} if datatype not in ("", "@vocab") else {}
    values = [
        {"@value": "x", **typed},
        {"@value": {"a": [1]}, "@type": "@json"},
        {"@id": "http://localhost:8000/x"},
        {"@id": vocab.RSV + "approved"},
        {"@id": vocab.SCHEMA + "ActiveActionStatus"},
        {"@id": "http://localhost:8000/x", "@type": [vocab.SCHEMA + "Product"], vocab.IDENTIFIER: [{"@value": "x"}]},
        {"@id": "http://localhost:8000/x", vocab.NAME: [{"@value": "x"}]},
        {"@id": "http://localhost:8000/x", vocab.SCHEMA + "object": [{"@id": "http://localhost:8000/y", vocab.NAME: [{"@value": "x"}]}]},
    ]
    told = [alike({"@id": "http://localhost:8000/root", iri: some}) for some in ([one] for one in values)]
    assert any(told)
    alike({"@id": "http://localhost:8000/root", iri: values[:2]})


CONTEXTS_BEYOND = {
    "two terms for one property": {"a": {"@id": "http://x.example/p"}, "b": {"@id": "http://x.example/p"}},
    "a language": {"@language": "de", "a": {"@id": "http://x.example/p"}},
    "a list": {"a": {"@id": "http://x.example/p", "@container": "@list"}},
    "a language map": {"a": {"@id": "http://x.example/p", "@container": "@language"}},
    "a reverse property": {"a": {"@reverse": "http://x.example/p"}},
    "a context of its own": {"a": {"@id": "http://x.example/p", "@context": {"c": "http://x.example/c"}}},
    "a value without a type": {"a": {"@id": "http://x.example/p", "@type": "@none"}},
    "a prefix": {"x": "http://x.example/", "a": {"@id": "x:p"}},
    "nothing": {"a": None},
}


@pytest.mark.parametrize("name", CONTEXTS_BEYOND)
def test_a_context_with_more_in_it_is_compacted_alike(name):
    definitions = [CONTEXTS_BEYOND[name]]
    table, pyld = Shorthand(definitions), Compaction(f"urn:x-test:{name.replace(' ', '-')}", definitions)
    for value in ({"@value": "x"}, {"@id": "http://x.example/y"}, {"@id": "http://y.example/y"}, {"@value": "x", "@language": "de"}):
        tree = {"@id": "http://y.example/root", "http://x.example/p": [value]}
        try:
            said = table.compacted(tree)
        except Unusual:
            continue
        told = pyld.compact_by_reference(tree)
        assert said == {key: value for key, value in told.items() if key != "@context"}
