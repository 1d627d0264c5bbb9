"""What a context makes of short words is told before they are read: the parser never makes more of them than that."""

from typing import Any

import orjson
import pytest
from pyoxigraph import Literal, NamedNode, RdfFormat, parse

from ld_server.domain.errors import TooLarge
from ld_server.rdf import effort

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


def characters(body: bytes) -> int:
    """Of all that stands in the statements of a body."""
    statements = list(parse(body, RdfFormat.JSON_LD, base_iri="http://base.example/"))
    assert len(statements) >= USES, "it is used so often"
    return sum(_length(term) for one in statements for term in (one.subject, one.predicate, one.object))


def _length(term: Any) -> int:
    if isinstance(term, Literal):
        return len(term.value) + len(term.datatype.value) + len(term.language or "")
    return len(term.value) if isinstance(term, NamedNode) else 0


@pytest.mark.parametrize("case", CONTEXTS)
def test_what_the_parser_makes_of_a_body_is_told_before(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    context, content = CONTEXTS[case]
    document = {"@id": "urn:it", **content, "@context": context}
    made = characters(orjson.dumps(document))
    assert made > USES * 500, "it is longer than it looks"
    monkeypatch.setattr(effort, "MOST_WRITTEN_OUT", made - USES * 100)
    with pytest.raises(TooLarge):
        effort.refuse_costly_contexts(document, {}, ())


@pytest.mark.parametrize("case", CONTEXTS)
def test_a_context_that_is_used_so_often_is_taken(case: str) -> None:
    context, content = CONTEXTS[case]
    effort.refuse_costly_contexts({**content, "@context": context}, {}, ())


def test_the_largest_honest_body_with_terms_of_its_own_is_taken() -> None:
    terms = {f"property{n}": {"@id": f"ex:property{n}", "@type": "xsd:string"} for n in range(200)}
    context = {"ex": "http://equipment.example.com/vocabulary/2026/", "xsd": "http://www.w3.org/2001/XMLSchema#", **terms}
    members = [{f"property{n}": "a value" for n in range(50)} for _ in range(1000)]
    effort.refuse_costly_contexts({"@context": context, "@graph": members}, {}, ())
