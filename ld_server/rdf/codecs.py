"""
Bytes to triples and triples to bytes, in every syntax of the table of formats.

Reading never opens a connection: contexts that are named are replaced by ours before the parser sees them, and no other
syntax has anything to load.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import orjson
from pyoxigraph import Literal, NamedNode, Quad, RdfFormat, Triple, parse, serialize

from ld_server.domain.errors import MalformedBody, NotAcceptable, TooLarge
from ld_server.rdf import effort, vocab
from ld_server.rdf.contexts import Contexts
from ld_server.rdf.formats import Format


@dataclass(frozen=True)
class Limits:
    """
    `depth`: deepest nesting of JSON and XML; `triples`: most statements in one body; `resources`: most resources in one body;
    `characters`: most characters of the statements, written out: what is short under a prefix can be long without it; `lines`: most
    lines of one reservation.
    """

    depth: int = 64
    triples: int = 50_000
    resources: int = 1000
    characters: int = 32 * 1024 * 1024
    lines: int = 500


def read(body: bytes, form: Format, base_iri: str, contexts: Contexts, limits: Limits) -> list[Triple]:
    """
    The statements of a body, in the order in which they stand there; names of graphs are dropped.

    Relative IRIs are resolved against `base_iri`. Raises MalformedBody, UnknownContext or TooLarge.
    """
    source = _affordable(body, form, contexts, limits)
    try:
        triples = list(_bounded(parse(source, form.rdf, base_iri=base_iri, rename_blank_nodes=True), limits))
    except (SyntaxError, ValueError, OSError) as error:
        raise MalformedBody(f"The body is not valid {form.media_type}: {_sentence(error)}", **_place(error)) from None
    if not triples:
        raise MalformedBody(_NOTHING_SAID if form.json else "The body holds no statement.")
    return triples


_NOTHING_SAID = "The body holds no statement: no key in it stands for a property in its context, or its @id is no IRI."


def _affordable(body: bytes, form: Format, contexts: Contexts, limits: Limits) -> bytes:
    """What the parser is given. Raises MalformedBody and TooLarge for what would keep it busy for long."""
    if form.json:
        document = read_json(body, limits.depth)
        effort.refuse_costly_statements(document, limits.triples, limits.characters)
        return orjson.dumps(_self_contained(document, contexts)[0])
    if form.rdf == RdfFormat.RDF_XML:
        effort.refuse_costly_xml(body, limits.depth)
    elif form.rdf in (RdfFormat.TURTLE, RdfFormat.TRIG):
        effort.refuse_costly_turtle(body)
    return body


def _bounded(quads: Iterable[Quad], limits: Limits) -> Iterator[Triple]:
    """The statements without their graphs, as they come. Raises TooLarge as soon as they are too many, or too long."""
    characters = 0
    for number, quad in enumerate(quads, start=1):
        triple = plain(quad)
        characters += sum(len(one.value) for one in triple if not isinstance(one, Triple))
        if number > limits.triples:
            raise TooLarge(f"The body has more than {limits.triples} statements.", limit=limits.triples)
        if characters > limits.characters:
            raise TooLarge(f"The statements of the body have more than {limits.characters} characters.", limit=limits.characters)
        yield triple


def write(triples: Iterable[Triple], form: Format, graph: str | None = None) -> bytes:
    """
    Triples in a syntax. The quad syntaxes put them into `graph`.

    Raises NotAcceptable where the syntax cannot say it: RDF/XML has no way to write some names of properties.
    """
    grouped = by_subject(triples)
    if form.rdf == RdfFormat.RDF_XML:
        _refuse_nameless(grouped)
    statements = _in_graph(grouped, graph) if form.quads and graph is not None else grouped
    try:
        written = serialize(statements, format=form.rdf, prefixes=_prefixes(form, grouped))
    except (ValueError, OSError) as error:
        raise NotAcceptable(f"These statements cannot be written as {form.media_type}: {_sentence(error)}") from None
    return written or b""


def _in_graph(triples: Iterable[Triple], graph: str) -> list[Quad]:
    name = NamedNode(graph)
    return [Quad(one.subject, one.predicate, one.object, name) for one in triples]


_LOCAL_NAME = re.compile(r"[A-Za-z_\u00c0-\uffff][\w.\-\u00b7]*\Z")


def _refuse_nameless(triples: Iterable[Triple]) -> None:
    """RDF/XML writes a property as the name of an element, which an IRI that ends in `/` or in a digit alone does not give."""
    for name in {triple.predicate.value for triple in triples}:
        if not has_local_name(name):
            raise NotAcceptable(f"RDF/XML cannot name the property {name}; ask for another syntax.", property=name)


def has_local_name(name: str) -> bool:
    """Whether RDF/XML can write a property with this IRI."""
    return _LOCAL_NAME.search(name) is not None


def by_subject(triples: Iterable[Triple]) -> list[Triple]:
    """The triples, those of one subject beside one another, subjects in the order of their first appearance; none twice."""
    groups: dict[Any, dict[Triple, None]] = {}
    for triple in triples:
        groups.setdefault(triple.subject, {})[triple] = None
    return [triple for group in groups.values() for triple in group]


def read_json(body: bytes, depth: int) -> Any:
    """JSON text in UTF-8, nested no deeper than `depth`. Raises MalformedBody."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        place = {"line": error.lineno, "column": error.colno}
        raise MalformedBody(f"The body is not valid JSON: {error.msg} (line {error.lineno}, column {error.colno}).", **place) from None
    _refuse_depth(value, depth)
    return value


def _refuse_depth(value: Any, depth: int) -> None:
    level = [value]
    for _ in range(depth + 1):
        level = [child for node in level if isinstance(node, dict | list) for child in (node.values() if isinstance(node, dict) else node)]
        if not level:
            return
    raise MalformedBody(f"The JSON is nested deeper than {depth} levels.", limit=depth)


def self_contained(body: bytes, contexts: Contexts, depth: int) -> tuple[Any, str]:
    """
    JSON-LD in which no context is named by its address; our own is assumed where there is none.

    Beside it the JSON pointer of what was sent in what it has become: an array is put into a graph, so that what is the same for
    all its members is there once. Raises MalformedBody, UnknownContext and TooLarge.
    """
    return _self_contained(read_json(body, depth), contexts)


def _self_contained(document: Any, contexts: Contexts) -> tuple[Any, str]:
    effort.refuse_costly_contexts(document, contexts.sizes, contexts.scoped)
    if isinstance(document, list):
        return _with_one_context(document, contexts)
    if not isinstance(document, dict):
        raise MalformedBody("The body is neither a JSON object nor an array.")
    return _with_context(_resolve(document, contexts), contexts), ""


def _with_context(resolved: Any, contexts: Contexts) -> Any:
    return {"@context": contexts.inline, **resolved} if isinstance(resolved, dict) and "@context" not in resolved else resolved


def _with_one_context(members: list[Any], contexts: Contexts) -> tuple[Any, str]:
    """The members under the context that all of them have, or each under its own where they differ."""
    own = [one.get("@context", _NONE) for one in members if isinstance(one, dict)]
    if len(own) < len(members) or any(one != own[0] for one in own):
        return [_with_context(_resolve(one, contexts), contexts) for one in members], ""
    bare = [{key: value for key, value in one.items() if key != "@context"} for one in members]
    context = contexts.inline if not own or own[0] is _NONE else _resolve_context(own[0], contexts)
    return {"@context": context, "@graph": _resolve(bare, contexts)}, "/@graph"


_NONE = object()
"""In place of a context that a member does not have; `null` is a context."""


_OPAQUE_KEYS = frozenset({"metadata"})
"""Keys whose value is JSON for its own sake (`@json` in our context): nothing inside is a keyword."""


def _resolve(node: Any, contexts: Contexts) -> Any:
    if isinstance(node, list):
        return [_resolve(one, contexts) for one in node]
    if not isinstance(node, dict) or node.get("@type") == "@json":
        return node
    return {key: _resolver(key)(value, contexts) for key, value in node.items()}


def _resolver(key: str) -> Callable[[Any, Contexts], Any]:
    if key == "@context":
        return _resolve_context
    return _as_it_is if key in _OPAQUE_KEYS else _resolve


def _as_it_is(value: Any, _: Contexts) -> Any:
    return value


def _resolve_context(value: Any, contexts: Contexts) -> Any:
    if isinstance(value, str):
        return contexts.named(value)
    if isinstance(value, list):
        return [_resolve_context(one, contexts) for one in value]
    if isinstance(value, dict):
        return _resolve_definitions(value, contexts)
    return value


def _resolve_definitions(definitions: dict[str, Any], contexts: Contexts) -> dict[str, Any]:
    imported = definitions.get("@import")
    start = contexts.named(imported) if isinstance(imported, str) else {}
    own = {key: _resolve_scoped(value, contexts) for key, value in definitions.items() if key != "@import"}
    return {**start, **own}


def _resolve_scoped(definition: Any, contexts: Contexts) -> Any:
    if isinstance(definition, dict) and "@context" in definition:
        return {**definition, "@context": _resolve_context(definition["@context"], contexts)}
    return definition


def plain(quad: Triple | Quad) -> Triple:
    """The statement without its graph. Raises MalformedBody for what RDF 1.1 cannot say."""
    value = quad.object
    if isinstance(value, Triple):
        raise MalformedBody("Statements about statements (RDF 1.2 triple terms) are not kept here.")
    if isinstance(value, Literal) and value.direction is not None:
        raise MalformedBody("Literals with a base direction are not kept here; leave out @direction.")
    return quad.triple if isinstance(quad, Quad) else quad


def _prefixes(form: Format, triples: Iterable[Triple]) -> dict[str, str] | None:
    """The prefixes that these triples use, for the syntaxes that have prefixes."""
    if form.rdf not in (RdfFormat.TURTLE, RdfFormat.TRIG, RdfFormat.RDF_XML):
        return None
    names = {name for triple in triples for name in _names(triple)}
    return {prefix: start for prefix, start in vocab.PREFIXES.items() if any(name.startswith(start) for name in names)}


def _names(triple: Triple) -> Iterable[str]:
    yield triple.predicate.value
    if isinstance(triple.object, NamedNode):
        yield triple.object.value
    elif isinstance(triple.object, Literal):
        yield triple.object.datatype.value


def _sentence(error: Exception) -> str:
    text = str(error.args[0] if error.args else error).strip()
    return text if text.endswith(".") else text + "."


def _place(error: Exception) -> dict[str, int | None]:
    line = getattr(error, "lineno", None)
    return {"line": line, "column": error.offset} if isinstance(error, SyntaxError) and line else {}
