"""
Many documents as one dataset, in every syntax, written piece by piece so that memory stays small however many they are.

The syntaxes that have graphs (N-Quads, TriG, JSON-LD) put the statements of each resource into the graph that its IRI names. The
others give the union of these graphs; blank nodes have names that no two resources share. JSON-LD is written with a resource on
each line, so that it can be read in pieces, too.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from pyoxigraph import NamedNode, Quad, RdfFormat, Triple, parse, serialize

from ld_server.rdf import codecs, vocab
from ld_server.rdf.adoption import Adopted
from ld_server.rdf.contexts import Contexts
from ld_server.rdf.formats import Format
from ld_server.rdf.representation import document_of, serialized

Screen = Callable[[Quad], bool]
"""Whether a statement may be shown."""


@dataclass(frozen=True, slots=True)
class Graph:
    """A document, serialised, and the name of its graph."""

    iri: str
    body: str


def written(batches: Iterable[Sequence[Graph]], form: Format, contexts: Contexts, screen: Screen | None = None) -> Iterator[bytes]:
    """The bytes of the dataset, a piece for each batch. Statements that the screen keeps back are left out."""
    if form.json:
        return _json(batches, contexts, screen)
    return _PIECES[form.rdf](_screened(quads(batch, contexts), screen) for batch in batches)


def quads(batch: Sequence[Graph], contexts: Contexts) -> Iterator[Quad]:
    """The statements of these documents, each in its graph. All are parsed at once: contexts cost more than documents."""
    graphs = ",".join(f'{{"@id":{_text(one.iri)},"@graph":{_bare(one.body, contexts)}}}' for one in batch)
    source = f'{contexts.inline_head}"@graph":[{graphs}]}}'
    return iter(parse(source, RdfFormat.JSON_LD, rename_blank_nodes=True))


def graphs_in(content: bytes, old: str, new: str) -> Iterator[tuple[str, list[Triple]]]:
    """The graphs of a text in N-Quads, one after the other; what is named under the base IRI `old` is named under `new`."""
    statements = parse(content, RdfFormat.N_QUADS)
    return by_graph(statements if old == new else (_moved(one, old, new) for one in statements))


def _moved(one: Quad, old: str, new: str) -> Quad:
    subject, predicate, value, graph = (_renamed(term, old, new) for term in (one.subject, one.predicate, one.object, one.graph_name))
    return Quad(subject, predicate, value, graph)


def _renamed(term: Any, old: str, new: str) -> Any:
    is_old = isinstance(term, NamedNode) and f"{term.value}/".startswith((f"{old}/", f"{old}#"))
    return NamedNode(new + term.value.removeprefix(old)) if is_old else term


def graphs_of(batch: Sequence[Graph], contexts: Contexts) -> dict[str, list[Triple]]:
    """The statements of each of these documents, by the name of its graph."""
    return dict(by_graph(quads(batch, contexts)))


def by_graph(statements: Iterable[Quad]) -> Iterator[tuple[str, list[Triple]]]:
    """The statements of graph after graph, as they follow one another; without a graph under an empty name."""
    name: str | None = None
    found: list[Triple] = []
    for one in statements:
        graph = getattr(one.graph_name, "value", "")
        if graph != name and found:
            yield str(name), found
            found = []
        name = graph
        found.append(codecs.plain(one))
    if found:
        yield str(name), found


def _bare(body: str, contexts: Contexts) -> str:
    """The document without its context, which is the same for all."""
    if body.startswith(contexts.head):
        return "{" + body.removeprefix(contexts.head)
    return orjson.dumps({key: value for key, value in orjson.loads(body).items() if key != "@context"}).decode()


def _screened(statements: Iterator[Quad], screen: Screen | None) -> Iterator[Quad]:
    return statements if screen is None else filter(screen, statements)


# --- JSON-LD ----------------------------------------------------------------------------------------------------------


def _json(batches: Iterable[Sequence[Graph]], contexts: Contexts, screen: Screen | None) -> Iterator[bytes]:
    """What is screened is written anew from what is left of its graph."""
    yield f'{contexts.head}"@graph":['.encode()
    separator = "\n"
    for batch in batches:
        graphs = batch if screen is None else _rewritten(batch, contexts, screen)
        yield "".join(f"{separator if place == 0 else _NEXT}{_line(one, contexts)}" for place, one in enumerate(graphs)).encode()
        separator = _NEXT
    yield b"\n]}\n"


_NEXT = ",\n"


def _line(one: Graph, contexts: Contexts) -> str:
    return f'{{"@id":{_text(one.iri)},"@graph":{_bare(one.body, contexts)}}}'


def _rewritten(batch: Sequence[Graph], contexts: Contexts, screen: Screen) -> list[Graph]:
    left = by_graph(filter(screen, quads(batch, contexts)))
    return [Graph(iri, serialized(document_of(Adopted(iri, tuple(triples), {}), (), contexts))) for iri, triples in left]


def _text(text: str) -> str:
    return orjson.dumps(text).decode()


# --- the other syntaxes -----------------------------------------------------------------------------------------------

Batches = Iterable[Iterator[Quad]]


def _n_quads(batches: Batches) -> Iterator[bytes]:
    for statements in batches:
        yield serialize(statements, format=RdfFormat.N_QUADS) or b""


def _n_triples(batches: Batches) -> Iterator[bytes]:
    for statements in batches:
        yield serialize(map(codecs.plain, statements), format=RdfFormat.N_TRIPLES) or b""


def _trig(batches: Batches) -> Iterator[bytes]:
    return _prefixed(map(_by_graph_and_subject, batches), RdfFormat.TRIG)


def _turtle(batches: Batches) -> Iterator[bytes]:
    return _prefixed((codecs.by_subject(map(codecs.plain, statements)) for statements in batches), RdfFormat.TURTLE)


def _by_graph_and_subject(statements: Iterator[Quad]) -> list[Quad]:
    grouped: dict[object, list[Quad]] = {}
    for one in statements:
        grouped.setdefault((one.graph_name, one.subject), []).append(one)
    return [one for group in grouped.values() for one in group]


def _prefixed(batches: Iterable[Sequence[Triple] | Sequence[Quad]], form: RdfFormat) -> Iterator[bytes]:
    """The prefixes stand at the beginning, once."""
    yield "".join(f"@prefix {prefix}: <{iri}> .\n" for prefix, iri in vocab.PREFIXES.items()).encode()
    for statements in batches:
        yield _PREFIX_LINES.sub(b"", serialize(statements, format=form, prefixes=vocab.PREFIXES) or b"")


_PREFIX_LINES = re.compile(rb"\A(@prefix [^\n]*\n)*")


def _rdf_xml(batches: Batches) -> Iterator[bytes]:
    """What RDF/XML cannot say, because the property has no name that an element could have, is left out, and a comment says so."""
    head, end = _around(serialize([], format=RdfFormat.RDF_XML, prefixes=vocab.PREFIXES) or b"")
    yield head
    for statements in batches:
        triples = codecs.by_subject(map(codecs.plain, statements))
        said = [one for one in triples if codecs.has_local_name(one.predicate.value)]
        whole = serialize(said, format=RdfFormat.RDF_XML, prefixes=vocab.PREFIXES) or b""
        yield whole[len(_around(whole)[0]) : -len(end)]
        yield b"".join(_left_out(one) for one in triples if not codecs.has_local_name(one.predicate.value))
    yield end


def _around(whole: bytes) -> tuple[bytes, bytes]:
    """What stands before and after the statements in a document."""
    start = whole.index(b">", whole.index(b"<rdf:RDF")) + 1
    return whole[:start], b"\n</rdf:RDF>"


def _left_out(one: Triple) -> bytes:
    told = f"{one.subject} {one.predicate}".replace("--", "-%2D").replace("<", "").replace(">", "")
    return f"\n\t<!-- left out, because RDF/XML cannot name the property: {told} -->".encode()


_PIECES: Mapping[RdfFormat, Callable[[Batches], Iterator[bytes]]] = {
    RdfFormat.N_QUADS: _n_quads,
    RdfFormat.N_TRIPLES: _n_triples,
    RdfFormat.TRIG: _trig,
    RdfFormat.TURTLE: _turtle,
    RdfFormat.RDF_XML: _rdf_xml,
}
