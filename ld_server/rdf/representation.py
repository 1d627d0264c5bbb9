"""
Documents and graphs, both ways.

A document is the resource in compact JSON-LD under our context, with the context named by its address. It is what is stored
and what `application/ld+json` and `application/json` give, byte for byte; every other syntax is written from its graph.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from pyoxigraph import BlankNode, Literal, NamedNode, RdfFormat, Triple, parse

from ld_server.rdf import codecs, vocab
from ld_server.rdf.adoption import Adopted, Draft, Term, is_cell
from ld_server.rdf.contexts import Contexts
from ld_server.rdf.formats import Format

Document = dict[str, Any]

COMPACTED = "http://www.w3.org/ns/json-ld#compacted"
EXPANDED = "http://www.w3.org/ns/json-ld#expanded"
FLATTENED = "http://www.w3.org/ns/json-ld#flattened"


# --- graph to document ------------------------------------------------------------------------------------------------


def document_of(adopted: Adopted, keys: Sequence[str], contexts: Contexts) -> Document:
    """The document of an adopted graph; its keys in the order of `keys`, any others after them by name."""
    draft = Draft(adopted.triples, NamedNode(adopted.root))
    tree = _tree(draft.root, draft, set())
    return in_order({**contexts.compaction.compact(tree), "@context": contexts.reference}, keys)


FIRST_KEYS = ("@context", "@id", "@type", "identifier")


def in_order(document: Document, keys: Sequence[str]) -> Document:
    """The same document with its keys in the order in which people read them."""
    known = [key for key in (*FIRST_KEYS, *keys) if key in document]
    return {key: document[key] for key in (*known, *sorted(document.keys() - set(known)))}


def serialized(document: Document) -> str:
    """The document as it is stored: compact JSON in which the context comes first."""
    return orjson.dumps(document).decode()


def _tree(node: Term, draft: Draft, told: set[Term]) -> dict[str, Any]:
    """
    The expanded JSON-LD of a node with everything that hangs below it. A node is told once and only named afterwards; one
    about which there is nothing but plain values, such as a reference, may be told again.
    """
    tree: dict[str, Any] = {"@id": _name(node)} if isinstance(node, NamedNode) or draft.times_pointed_at(node) > 1 else {}
    if node in told and not _is_plain(node, draft):
        return tree
    told.add(node)
    for triple in draft.of(node):
        if triple.predicate.value == vocab.TYPE:
            tree.setdefault("@type", []).append(_name(triple.object))
        else:
            tree.setdefault(triple.predicate.value, []).append(_value(triple.object, draft, told))
    return tree


def _is_plain(node: Term, draft: Draft) -> bool:
    return all(isinstance(triple.object, Literal) or triple.predicate.value == vocab.TYPE for triple in draft.of(node))


def _value(term: Term, draft: Draft, told: set[Term]) -> dict[str, Any]:
    if isinstance(term, Literal):
        return _literal(term)
    items = _list(term, draft)
    if items is not None:
        return {"@list": [_value(item, draft, told) for item in items]}
    return _tree(term, draft, told)


def _literal(literal: Literal) -> dict[str, Any]:
    """An expanded value. Whole numbers and booleans in their one canonical spelling become JSON's own; nothing is lost by it."""
    kind, text = literal.datatype.value, literal.value
    if literal.language is not None:
        return {"@value": text, "@language": literal.language}
    if kind == vocab.STRING:
        return {"@value": text}
    if kind == vocab.JSON_LITERAL:
        return _json_literal(text)
    if kind == vocab.BOOLEAN and text in _BOOLEANS:
        return {"@value": _BOOLEANS[text]}
    if kind == vocab.INTEGER and _is_canonical_integer(text):
        return {"@value": int(text)}
    if kind == vocab.DOUBLE and _is_canonical_fraction(text):
        return {"@value": float(text)}
    return {"@value": text, "@type": kind}


_BOOLEANS = {"true": True, "false": False}


def _is_canonical_integer(text: str) -> bool:
    """JSON readers keep whole numbers exactly up to 2^53."""
    digits = text.removeprefix("-")
    return digits.isascii() and digits.isdigit() and len(digits) <= 15 and str(int(text)) == text


def _is_canonical_fraction(text: str) -> bool:
    """
    Whether JSON's number, read again as JSON-LD, is this very text (JSON-LD 1.1 API, section 8.2.2).

    Whole numbers would come back as integers.
    """
    try:
        number = float(text)
    except ValueError:
        return False
    if not math.isfinite(number) or number.is_integer():
        return False
    mantissa, exponent = f"{number:.15E}".split("E")
    canonical = mantissa.rstrip("0")
    return text == f"{canonical}{'0' if canonical.endswith('.') else ''}E{int(exponent)}"


def _json_literal(text: str) -> dict[str, Any]:
    try:
        return {"@value": orjson.loads(text), "@type": "@json"}
    except orjson.JSONDecodeError:
        return {"@value": text, "@type": vocab.JSON_LITERAL}


def _list(term: Term, draft: Draft) -> list[Term] | None:
    """The items of a well-formed RDF list of which nobody else holds a part, or None."""
    items: list[Term] = []
    while is_cell(term, draft):
        items += draft.values(term, vocab.FIRST)
        term = draft.values(term, vocab.REST)[0]
    return items if isinstance(term, NamedNode) and term.value == vocab.NIL else None


def _name(node: Term) -> str:
    return node.value if isinstance(node, NamedNode) else str(node)


# --- document to graph ------------------------------------------------------------------------------------------------


def triples_of(body: str, contexts: Contexts) -> list[Triple]:
    """The graph of a stored document."""
    return [codecs.plain(quad) for quad in parse(_inlined(body, contexts), RdfFormat.JSON_LD, rename_blank_nodes=True)]


def _inlined(body: str, contexts: Contexts) -> str:
    """The stored text with the definitions in place of the addresses of its contexts."""
    if not body.startswith(contexts.head):
        return orjson.dumps({**orjson.loads(body), "@context": contexts.inline}).decode()
    return contexts.inline_head + body.removeprefix(contexts.head)


# --- out --------------------------------------------------------------------------------------------------------------


def represent(body: str, form: Format, iri: str | None, contexts: Contexts, profile: str = COMPACTED) -> bytes:
    """A stored document in a syntax; `iri`, if any, names its graph in the quad syntaxes. `profile` is for the JSON ones."""
    if form.json:
        return body.encode() if profile == COMPACTED else _profiled(body, profile, contexts)
    return codecs.write(labelled(triples_of(body, contexts)), form, iri)


def labelled(triples: Sequence[Triple]) -> list[Triple]:
    """The same graph with blank nodes named in the order of their appearance: the same document gives the same bytes."""
    nodes = dict.fromkeys(node for triple in triples for node in (triple.subject, triple.object) if isinstance(node, BlankNode))
    if not nodes:
        return list(triples)
    names: dict[Any, Any] = {node: BlankNode(f"b{number}") for number, node in enumerate(nodes)}
    return [Triple(names.get(s, s), p, names.get(o, o)) for s, p, o in triples]


def _profiled(body: str, profile: str, contexts: Contexts) -> bytes:
    document = {**orjson.loads(body), "@context": contexts.inline}
    way = contexts.compaction.expand if profile == EXPANDED else contexts.compaction.flatten
    return orjson.dumps(way(document))


def collection_bytes(
    document: Mapping[str, Any], bodies: Sequence[str], form: Format, contexts: Contexts, profile: str = COMPACTED
) -> bytes:
    """
    A page of a collection: `document` (with context, without members) and the stored documents of its members.

    In JSON the members do not repeat the context; the quad syntaxes put the whole page into the graph of its own address, if it has one.
    """
    members = ",".join("{" + body.removeprefix(contexts.head) if body.startswith(contexts.head) else body for body in bodies)
    page = orjson.dumps(document).decode()[:-1] + f',"member":[{members}]}}'
    return represent(page, form, document.get("@id"), contexts, profile)
