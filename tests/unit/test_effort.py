"""What JSON-LD comes to is told before it is read: the parser never makes more of it than that."""

from typing import Any

import orjson
import pytest
from pyoxigraph import Literal, NamedNode, RdfFormat, parse

from ld_server.domain.errors import TooLarge
from ld_server.rdf import codecs, effort, vocab
from ld_server.rdf.codecs import Limits
from ld_server.rdf.formats import JSON_LD
from tests.unit.conftest import Reader

FAR = f"http://e.example/{'x' * 500}/"
USES = 200

WORDS = [f"a{n}" for n in range(USES)]
PREFIXED = [{"@id": f"p:{word}"} for word in WORDS]

CONTEXTS: dict[str, tuple[Any, dict[str, Any]]] = {
    "a prefix": ({"p": FAR}, {"urn:x": PREFIXED}),
    "a prefix of a prefix": ({"q": FAR, "r": f"q:{'y' * 500}/", "p": f"r:{'z' * 500}/"}, {"urn:x": PREFIXED}),
    "a prefix in keys": ({"p": FAR}, {f"p:{word}": 1 for word in WORDS}),
    "a prefix in classes": ({"p": FAR}, {"@type": [f"p:{word}" for word in WORDS]}),
    "a prefix of graphs": ({"p": FAR}, {"@graph": [{"@id": f"p:{word}", "urn:x": 1} for word in WORDS]}),
    "a term": ({"t": FAR}, {"t": list(range(USES))}),
    "a term that is another": ({"u": FAR, "t": "u"}, {"t": list(range(USES))}),
    "a term that begins with a prefix": ({"p": FAR, "t": "p:t"}, {"t": list(range(USES))}),
    "a term that is an IRI by itself": ({"p": FAR, "p:t": {"@type": "@id"}}, {"p:t": [f"urn:{word}" for word in WORDS]}),
    "a datatype": ({"t": {"@id": "urn:t", "@type": FAR}}, {"t": WORDS}),
    "a datatype with a prefix": ({"p": FAR, "t": {"@id": "urn:t", "@type": "p:t"}}, {"t": WORDS}),
    "values that are words": ({"@vocab": FAR, "t": {"@id": "urn:t", "@type": "@vocab"}}, {"t": WORDS}),
    "a vocabulary": ({"@vocab": FAR}, dict.fromkeys(WORDS, 1)),
    "a vocabulary with a prefix": ([{"p": FAR}, {"@vocab": "p:v"}], dict.fromkeys(WORDS, 1)),
    "a vocabulary after another": ([{"@vocab": FAR}, {"@vocab": "y" * 500}], dict.fromkeys(WORDS, 1)),
    "a base": ({"@base": FAR}, {"urn:x": [{"@id": word} for word in WORDS]}),
    "a base after another": ([{"@base": FAR}, {"@base": f"{'y' * 500}/"}], {"urn:x": [{"@id": word} for word in WORDS]}),
    "a term that grows with each context": ([{"p": FAR}, {"q": f"p:{'y' * 500}/"}, {"p": f"q:{'z' * 500}/"}], {"urn:x": PREFIXED}),
    "a context of a term": ({"t": {"@id": "urn:t", "@context": {"p": FAR}}}, {"t": {"urn:x": PREFIXED}}),
    "a reverse": ({"p": FAR, "t": {"@reverse": "p:t"}}, {"t": [{"@id": f"urn:{word}"} for word in WORDS]}),
    "a language": ({"@language": f"de-{'-'.join(['abcdefgh'] * 60)}"}, {"urn:x": WORDS}),
}


NAMED = [{"@id": f"urn:{word}"} for word in WORDS]
NUMBERS = list(range(USES))
REPEATED: dict[str, dict[str, Any]] = {
    "a name and its values": {"@id": FAR, "urn:x": NUMBERS},
    "a name and its keys": {"@id": FAR, **{f"urn:{word}": 1 for word in WORDS}},
    "a name within": {"@id": "urn:it", "urn:y": {"@id": FAR, "urn:x": NUMBERS}},
    "a name in another word": {"@context": {"called": "@id"}, "called": FAR, "urn:x": NUMBERS},
    "a name that is included": {"@id": "urn:it", "@included": [{"@id": FAR, "urn:x": NUMBERS}]},
    "a name that others have": {"@id": FAR, "@reverse": {"urn:x": NAMED}},
    "a name of what is nested": {"@id": FAR, "@nest": {"urn:x": NUMBERS}},
    "a name of a map": {"@context": {"t": {"@id": "urn:x", "@container": "@index"}}, "@id": FAR, "t": {"a": NUMBERS}},
    "a name in a map": {"@context": {"t": {"@id": "urn:y", "@container": "@id"}}, "t": {FAR: {"urn:x": NUMBERS}}},
    "a graph": {"@id": FAR, "@graph": [{**one, "urn:x": 1} for one in NAMED]},
    "a name in a graph": {"@id": FAR, "@graph": {"@id": f"{FAR}x", "urn:x": NUMBERS}},
    "a name that is the base": {"@context": {"@base": FAR}, "@id": "", "urn:x": NUMBERS},
    "a graph in a map": {"@context": {"t": {"@id": "urn:y", "@container": ["@graph", "@id"]}}, "t": {FAR: {"urn:x": NUMBERS}}},
    "a property": {"@id": "urn:it", FAR: NUMBERS},
}
DOCUMENTS = {case: {"@id": "urn:it", **content, "@context": context} for case, (context, content) in CONTEXTS.items()} | REPEATED


def made_of(document: Any) -> tuple[int, int]:
    """How many statements the parser makes of a document, and how many characters."""
    statements = list(parse(orjson.dumps(document), RdfFormat.JSON_LD, base_iri="http://base.example/"))
    terms = (term for one in statements for term in (one.subject, one.predicate, one.object, one.graph_name))
    return len(statements), sum(map(_length, terms))


def _length(term: Any) -> int:
    if isinstance(term, Literal):
        own_type = "" if term.datatype.value.startswith((vocab.XSD, vocab.RDF)) else term.datatype.value
        return len(term.value) + len(own_type) + len(term.language or "")
    return len(term.value) if isinstance(term, NamedNode) else 0


@pytest.mark.parametrize("case", DOCUMENTS)
def test_what_the_parser_makes_of_a_body_is_told_before(case: str) -> None:
    count, made = made_of(DOCUMENTS[case])
    assert made > USES * 500, "it is longer than it looks"
    with pytest.raises(TooLarge, match="characters"):
        effort.refuse_costly_statements(DOCUMENTS[case], count, (made - USES * 50) // effort.ROOM)


NAMESPACE = "http://equipment.example.com/vocabulary/2026/"
TERMS = {f"property{n}": {"@id": f"ex:property{n}", "@type": "xsd:string"} for n in range(200)}
HONEST: dict[str, Any] = {
    "none": {},
    "a vocabulary": {"@vocab": NAMESPACE},
    "a vocabulary and a base": {"@vocab": NAMESPACE, "@base": "https://fleet.equipment.example.com/v1/catalog/assets/"},
    "a language": {"@vocab": NAMESPACE, "@language": "de-CH"},
    "terms": {"ex": NAMESPACE, "xsd": vocab.XSD, **TERMS},
}


@pytest.mark.parametrize("case", HONEST)
def test_the_largest_honest_body_is_taken(case: str) -> None:
    values = {f"property{n}": "a value, and some words about it" for n in range(48)}
    members = [{"@id": f"{NAMESPACE}unit-{number}", "@type": "ex:Unit", **values} for number in range(1000)]
    effort.refuse_costly_statements({"@context": HONEST[case], "@graph": members}, 49_000, Limits().characters)


MANY = 400_000
COSTLY: dict[str, Any] = {
    "numbers": {"urn:x": [1] * MANY},
    "numbers in a list": {"urn:x": {"@list": [1] * MANY}},
    "nodes": {"urn:x": [{}] * MANY},
    "keys": {f"urn:{n}": 1 for n in range(MANY)},
    "bodies": [{"urn:x": 1}] * MANY,
    "a name of 100 KB": {"@id": f"urn:{'x' * 100_000}", "urn:x": list(range(9000))},
    "a prefix of 100 KB": {"@context": {"p": f"http://e.example/{'x' * 100_000}/"}, "urn:x": [{"@id": f"p:{n}"} for n in range(9000)]},
}


@pytest.mark.parametrize("case", COSTLY)
def test_the_parser_never_sees_what_would_cost_it_much(case: str, reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codecs, "parse", lambda *_args, **_kwargs: pytest.fail("it is parsed"))
    with pytest.raises(TooLarge):
        codecs.read(orjson.dumps(COSTLY[case]), JSON_LD, "http://base.example/", reader.contexts, Limits())
