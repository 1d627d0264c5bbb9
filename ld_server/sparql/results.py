"""
Results of queries: their media types, their limits, and turning one into another.

Stores are asked for JSON (tables and booleans) or N-Triples (graphs) only. An Oxigraph server that gives up in the middle has
long said 200 by then, and writes its excuse where the next row would have been: of all its syntaxes these two show it for sure.
"""

import re
from collections.abc import Iterable, Sequence
from typing import IO, Any

import orjson
from pyoxigraph import (
    Quad,
    QueryBoolean,
    QueryResultsFormat,
    QuerySolutions,
    QueryTriples,
    RdfFormat,
    Triple,
    parse,
    parse_query_results,
    serialize,
)

from ld_server.domain.errors import QueryLimitExceeded
from ld_server.sparql.port import Answer, Limits

JSON = "application/sparql-results+json"
XML = "application/sparql-results+xml"
CSV = "text/csv"
TSV = "text/tab-separated-values"
N_TRIPLES = "application/n-triples"

TABLES = {JSON: QueryResultsFormat.JSON, XML: QueryResultsFormat.XML, CSV: QueryResultsFormat.CSV, TSV: QueryResultsFormat.TSV}
"""Media types of the answers to SELECT and ASK, in the order of preference."""

GRAPHS = {
    N_TRIPLES: RdfFormat.N_TRIPLES,
    "text/turtle": RdfFormat.TURTLE,
    "application/n-quads": RdfFormat.N_QUADS,
    "application/trig": RdfFormat.TRIG,
    "application/rdf+xml": RdfFormat.RDF_XML,
    "application/ld+json": RdfFormat.JSON_LD,
}
"""Media types of the answers to CONSTRUCT and DESCRIBE."""


class Unfinished(ValueError):
    """The answer breaks off. `excuse` is what stands where the rest should be."""

    def __init__(self, excuse: str) -> None:
        super().__init__(f"the answer breaks off: {excuse}")
        self.excuse = excuse


def finished(body: bytes, media_type: str, accept: str, limits: Limits) -> Answer:
    """
    A store's answer in the media type that was asked for.

    Raises QueryLimitExceeded when it has more rows than allowed, Unfinished when it is not whole.
    """
    if media_type in GRAPHS:
        return Answer(accept, _graph(body, media_type, accept, limits))
    return Answer(accept, _table(body, media_type, accept, limits))


def statements(body: bytes, media_type: str = N_TRIPLES) -> list[Triple]:
    """The triples of a graph. Raises Unfinished when it is not whole."""
    if media_type == N_TRIPLES:
        _refuse_broken(body)
    try:
        return [Triple(one.subject, one.predicate, one.object) for one in parse(body, GRAPHS[media_type])]
    except SyntaxError as error:
        raise Unfinished(str(error)) from error


def graphs_in_table(body: bytes) -> dict[str, list[Triple]]:
    """The triples of each graph in the answer to SELECT ?g ?s ?p ?o, in JSON."""
    found: dict[str, list[Triple]] = {}
    for graph, *triple in parse_query_results(body, QueryResultsFormat.JSON):  # type: ignore[union-attr]
        found.setdefault(graph.value, []).append(Triple(*triple))
    return found


def n_quads(quads: Iterable[Quad]) -> bytes:
    """Statements in graphs as N-Quads, one a line."""
    return _bytes(serialize(quads, format=RdfFormat.N_QUADS))


def n_triples(triples: Sequence[Triple]) -> bytes:
    """A graph as N-Triples, one triple a line."""
    return _bytes(serialize(triples, format=RdfFormat.N_TRIPLES))


def rows(body: bytes) -> list[dict[str, Any]]:
    """The bindings of a table in JSON. Raises Unfinished when it is not whole."""
    bindings: list[dict[str, Any]] = _read_json(body)["results"]["bindings"]
    return bindings


def truth(body: bytes) -> bool:
    """The answer to ASK in JSON. Raises Unfinished when it is not whole."""
    return bool(_read_json(body)["boolean"])


def write(result: QuerySolutions | QueryBoolean | QueryTriples, output: IO[bytes]) -> str:
    """Writes what pyoxigraph found, as JSON or N-Triples; gives the media type."""
    if isinstance(result, QueryTriples):
        result.serialize(output, format=RdfFormat.N_TRIPLES)
        return N_TRIPLES
    result.serialize(output, format=QueryResultsFormat.JSON)
    return JSON


def took_too_long() -> QueryLimitExceeded:
    """What to raise when the time is over."""
    return QueryLimitExceeded("The query takes longer than this server allows; ask for less, or make the pattern narrower.")


def refuse_rows(count: int, limits: Limits) -> None:
    """Raises QueryLimitExceeded when there are more rows or triples than allowed."""
    if count > limits.rows:
        raise QueryLimitExceeded(f"The answer has more than {limits.rows} rows; add a LIMIT or ask for less.", limit=limits.rows)


def refuse_bytes(count: int, limits: Limits) -> None:
    """Raises QueryLimitExceeded when there are more bytes than allowed."""
    if count > limits.octets:
        raise QueryLimitExceeded(f"The answer has more than {limits.octets} bytes; add a LIMIT or ask for less.", limit=limits.octets)


def _table(body: bytes, media_type: str, accept: str, limits: Limits) -> bytes:
    source = body if media_type == JSON else _parsed(body, media_type).serialize(format=QueryResultsFormat.JSON)
    _refuse_many(source, limits)
    refuse_rows(len(_read_json(source).get("results", {}).get("bindings", ())), limits)
    return source if accept == JSON else _within(_parsed(source, JSON).serialize(format=TABLES[accept]), limits)


_NEXT_ROW = b"},{"
_STRING_OR_NEXT_ROW = re.compile(rb'"(?:[^"\\]|\\.)*+"|(\},\{)', re.DOTALL)


def _refuse_many(table: bytes, limits: Limits) -> None:
    """
    Refuses what has too many rows before they are read, where it is written without blanks, as Oxigraph does: read, they take ten times
    the memory.
    """
    if table.count(_NEXT_ROW) >= limits.rows:
        refuse_rows(1 + sum(found.lastindex is not None for found in _STRING_OR_NEXT_ROW.finditer(table)), limits)


def _graph(body: bytes, media_type: str, accept: str, limits: Limits) -> bytes:
    if media_type == accept == N_TRIPLES:
        _refuse_broken(body)
        refuse_rows(body.count(b"\n"), limits)
        return body
    triples = statements(body, media_type)
    refuse_rows(len(triples), limits)
    return _within(_bytes(serialize(triples, format=GRAPHS[accept])), limits)


def _bytes(serialized: bytes | None) -> bytes:
    """pyoxigraph gives None only where it was told to write into a file."""
    return serialized or b""


def _refuse_broken(body: bytes) -> None:
    """N-Triples end with a dot and a line end; the excuse of a store that gave up does not."""
    if body and not body.endswith(b".\n"):
        raise Unfinished(_last_line(body))


def _within(body: bytes, limits: Limits) -> bytes:
    refuse_bytes(len(body), limits)
    return body


def _read_json(body: bytes) -> dict[str, Any]:
    try:
        value: dict[str, Any] = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Unfinished(_last_line(body)) from error
    return value


def _parsed(body: bytes, media_type: str) -> Any:
    try:
        return parse_query_results(body, TABLES[media_type])
    except SyntaxError as error:
        raise Unfinished(_last_line(body)) from error


def _last_line(body: bytes) -> str:
    """The end of an answer, where a store that gave up says why."""
    end: Sequence[str] = body[-300:].decode("utf-8", "replace").splitlines()
    return end[-1] if end else ""
