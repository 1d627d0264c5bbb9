"""
A file of any size in pieces that can be looked at one by one: the graphs of an export, or resources that are new.

A statement in a graph that is named after a resource belongs to an export; all others tell of new resources. A piece is a text of its
own, so that it can be given to another process. The statements about one resource, with those about its parts and blank nodes, must
stand together, as they do wherever resources are written one after the other.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import IO, Any

import orjson
from pyoxigraph import NamedNode, Quad, RdfFormat, Triple, parse, serialize

from ld_server.domain.errors import MalformedBody
from ld_server.rdf import adoption, codecs, vocab
from ld_server.rdf.adoption import RDF_TYPE, Node
from ld_server.rdf.contexts import Contexts
from ld_server.rdf.formats import BY_MEDIA_TYPE, N_QUADS, N_TRIPLES, Format

GRAPHS_AT_ONCE = 250
RESOURCES_AT_ONCE = 250
"""In a piece."""

_OPEN_END = 200
"""Statements at the end of what was read so far whose resources may go on."""


@dataclass(frozen=True, slots=True)
class Piece:
    """
    Some of a file. `kind` is the name of the kind of new resources, empty for graphs of an export; `count` says how many there are.
    """

    content: bytes
    media_type: str
    kind: str
    count: int

    @property
    def form(self) -> Format:
        return BY_MEDIA_TYPE[self.media_type]


@dataclass(frozen=True, slots=True)
class Sorting:
    """How a file is sorted: whether a graph is named after a resource, the kind of what has these classes, the contexts."""

    is_resource: Callable[[str], bool]
    kind_of: Callable[[set[str]], str]
    contexts: Contexts


def pieces(stream: IO[bytes], form: Format, sorting: Sorting) -> Iterator[Piece]:
    """The pieces of a file, in its order. Raises MalformedBody where it cannot be read on, and for new resources of no known kind."""
    if form.json:
        return _of_json(stream, form, sorting)
    return _of_quads(_told(parse(stream, form.rdf, base_iri=_BASE, rename_blank_nodes=True)), sorting)


_BASE = "urn:x-new:"
"""Against which relative IRIs are resolved: `<>` is nobody's name."""


def _told(quads: Iterator[Quad]) -> Iterator[Quad]:
    """What the parser says of a fault, as a refusal."""
    try:
        yield from quads
    except (SyntaxError, ValueError, OSError) as error:
        raise MalformedBody(f"The file cannot be read on: {error}") from None


# --- statements -------------------------------------------------------------------------------------------------------


def _of_quads(quads: Iterable[Quad], sorting: Sorting) -> Iterator[Piece]:
    """Graphs of an export and new resources, each together as they follow one another."""
    graphs: dict[str, list[Quad]] = {}
    fresh: list[Triple] = []
    current = ""
    for one in quads:
        name = getattr(one.graph_name, "value", "")
        if not (name and sorting.is_resource(name)):
            fresh.append(codecs.plain(one))
            if len(fresh) >= _STATEMENTS_AT_ONCE:
                made, fresh = _cut(fresh, sorting, _OPEN_END)
                yield from made
            continue
        if name != current and len(graphs) >= GRAPHS_AT_ONCE:
            yield _of_graphs(graphs)
            graphs = {}
        graphs.setdefault(name, []).append(one)
        current = name
    if graphs:
        yield _of_graphs(graphs)
    if fresh:
        yield from _cut(fresh, sorting, 0)[0]


_STATEMENTS_AT_ONCE = 10_000


def _of_graphs(graphs: Mapping[str, Sequence[Quad]]) -> Piece:
    content = serialize(chain.from_iterable(graphs.values()), format=RdfFormat.N_QUADS) or b""
    return Piece(content, N_QUADS.media_type, "", len(graphs))


def _cut(triples: Sequence[Triple], sorting: Sorting, open_end: int) -> tuple[list[Piece], list[Triple]]:
    """Pieces of these statements, and those of resources that may go on behind them."""
    groups = _together(triples, sorting)
    ending = {groups[one.subject] for one in triples[len(triples) - open_end :]} if open_end else set()
    whole: dict[Node, list[Triple]] = {}
    rest: list[Triple] = []
    for one in triples:
        top = groups[one.subject]
        if top in ending:
            rest.append(one)
        else:
            whole.setdefault(top, []).append(one)
    return list(_by_kind(whole, sorting)), rest


def _together(triples: Sequence[Triple], sorting: Sorting) -> dict[Node, Node]:
    """Subject → the first subject among those that hang together with it. What belongs to another resource of ours ties nothing."""
    above: dict[Any, Node] = {}

    def top(node: Any) -> Any:
        while above[node] != node:
            above[node] = node = above[above[node]]
        return node

    for one in triples:
        above.setdefault(one.subject, one.subject)
    for one in triples:
        if one.object in above and not (isinstance(one.object, NamedNode) and sorting.is_resource(one.object.value)):
            above[top(one.object)] = top(one.subject)
    return {node: top(node) for node in above}


def _by_kind(groups: Mapping[Node, Sequence[Triple]], sorting: Sorting) -> Iterator[Piece]:
    """New resources of one kind together. What is said of another resource, beside a reference to it, has no class and is in the way."""
    by_kind: dict[str, list[Sequence[Triple]]] = {}
    for top, told in groups.items():
        if not (isinstance(top, NamedNode) and sorting.is_resource(top.value)):
            kind = sorting.kind_of(
                {_spelled(one.object.value, sorting) for one in told if one.predicate == RDF_TYPE and isinstance(one.object, NamedNode)}
            )
            by_kind.setdefault(kind, []).append(told)
    for kind, each in by_kind.items():
        for start in range(0, len(each), RESOURCES_AT_ONCE):
            some = each[start : start + RESOURCES_AT_ONCE]
            yield Piece(serialize(chain.from_iterable(some), format=RdfFormat.N_TRIPLES) or b"", N_TRIPLES.media_type, kind, len(some))


def _spelled(iri: str, sorting: Sorting) -> str:
    return adoption.spelled_iri(iri, sorting.contexts)


# --- JSON -------------------------------------------------------------------------------------------------------------

_EXPORT_HEAD = re.compile(rb'\{"@context":.*,"@graph":\[\s*\Z')


def _of_json(stream: IO[bytes], form: Format, sorting: Sorting) -> Iterator[Piece]:
    first = stream.readline()
    if _EXPORT_HEAD.match(first):
        return _of_quads(_told(_exported(stream, sorting)), sorting)
    lines = [first, *islice(stream, 1)]
    if len(lines) == 2 and all(_is_object(line) for line in lines):
        return _of_members(map(_loaded, filter(bytes.strip, chain(lines, stream))), form, sorting)
    whole = b"".join([*lines, stream.read()])
    document = codecs.read_json(whole, _DEEPEST)
    if _has_graphs(document):
        resolved, _ = codecs.self_contained(whole, sorting.contexts, _DEEPEST)
        return _of_quads(_told(iter(parse(orjson.dumps(resolved), RdfFormat.JSON_LD, base_iri=_BASE))), sorting)
    return _of_members(_members(document), form, sorting)


_DEEPEST = 64


def _exported(stream: IO[bytes], sorting: Sorting) -> Iterator[Quad]:
    """An export has a graph on each line; whatever its context is called, it is ours."""
    lines = (line.strip().rstrip(b",") for line in stream)
    graphs = (line for line in lines if line.startswith(b"{"))
    while some := list(islice(graphs, GRAPHS_AT_ONCE)):
        source = sorting.contexts.inline_head.encode() + b'"@graph":[' + b",".join(some) + b"]}"
        yield from parse(source, RdfFormat.JSON_LD, rename_blank_nodes=True)


def _is_object(line: bytes) -> bool:
    """Whether the line is a JSON object of its own."""
    try:
        return isinstance(orjson.loads(line), dict)
    except orjson.JSONDecodeError:
        return False


def _loaded(line: bytes) -> Any:
    return codecs.read_json(line, _DEEPEST)


def _has_graphs(document: Any) -> bool:
    """Whether some part of `@graph` is a graph of its own."""
    members = document.get("@graph", []) if isinstance(document, dict) else []
    return any(isinstance(one, dict) and "@graph" in one for one in members if isinstance(members, list))


def _members(document: Any) -> Iterable[Any]:
    """The resources in a JSON document, each with the context of the whole."""
    if isinstance(document, dict) and isinstance(document.get("@graph"), list):
        context = {"@context": document["@context"]} if "@context" in document else {}
        return [{**context, **one} if isinstance(one, dict) else one for one in document["@graph"]]
    return document if isinstance(document, list) else [document]


def _of_members(members: Iterable[Any], form: Format, sorting: Sorting) -> Iterator[Piece]:
    """As they follow one another, those of one kind together."""
    some: list[Any] = []
    kind = ""
    for one in members:
        own = sorting.kind_of(_classes(one, sorting))
        if some and (own != kind or len(some) >= RESOURCES_AT_ONCE):
            yield Piece(orjson.dumps(some), form.media_type, kind, len(some))
            some = []
        kind = own
        some.append(one)
    if some:
        yield Piece(orjson.dumps(some), form.media_type, kind, len(some))


def _classes(member: Any, sorting: Sorting) -> set[str]:
    """The classes that a resource in JSON says it has, as far as they can be told without its context."""
    said = member.get("@type", member.get("type", [])) if isinstance(member, dict) else []
    names = [one for one in (said if isinstance(said, list) else [said]) if isinstance(one, str)]
    return {_spelled(sorting.contexts.iri(name) or (name if ":" in name else vocab.SCHEMA + name), sorting) for name in names}
