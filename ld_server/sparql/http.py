"""
A SPARQL 1.1 server over HTTP: Oxigraph's, or any other.

Only the SPARQL 1.1 Protocol is asked of a server; the Graph Store Protocol is used where a URL for it is set, for servers that
limit the size of an update. Parameters in the query URL are sent with every query.

The union of all named graphs is the default graph, whatever the server does by itself. At its first use the store puts one
triple into a graph of its own, looks for it by each way of UNIONS, and takes the triple away again. Where no way works, the
store keeps the default graph of the server equal to the union: every replacement then changes both.
"""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from pyoxigraph import NamedNode, Triple

from ld_server.domain.errors import InvalidParameter, StoreUnavailable
from ld_server.settings import Settings
from ld_server.sparql import guard, results
from ld_server.sparql.port import Answer, Dataset, Limits
from ld_server.sparql.updates import mirrored_replacement, replacement
from ld_server.sparql.wire import CHANGE_SECONDS, CONNECT_SECONDS, UNLIMITED, Endpoints, Parameters, Wire, given_up

NATIVE: Parameters = ()
UNIONS: tuple[Parameters, ...] = (
    NATIVE,  # Oxigraph with --union-default-graph; by their documentation also Virtuoso, GraphDB, RDF4J, Neptune and Blazegraph
    (("union-default-graph", "true"),),  # Oxigraph without
)
"""Ways to ask a server for the union as default graph; the first that works is used."""


def open_remote_store(settings: Settings) -> "HttpStore":
    """The server whose query URL is LD_SPARQL_URL."""
    endpoints = Endpoints(settings.sparql_url, settings.sparql_update_url or settings.sparql_url, settings.sparql_graph_store_url)
    return HttpStore(lambda: endpoints, _limits(settings))


def open_managed_store(settings: Settings) -> "HttpStore":
    """The Oxigraph server that `ld-server up` runs; the supervisor writes its address into the data directory."""
    return HttpStore(lambda: _managed(settings.data_dir / "run" / "sparql-url"), _limits(settings), unions=(NATIVE,))


def _limits(settings: Settings) -> Limits:
    return Limits(settings.sparql_max_rows, settings.sparql_max_bytes)


def _managed(address: Path) -> Endpoints:
    try:
        base = address.read_text(encoding="ascii").strip()
    except OSError as error:
        raise StoreUnavailable("The SPARQL server has not been started.") from error
    return Endpoints(f"{base}/query", f"{base}/update")


class HttpStore:
    """
    Keeps the promises of SparqlStore; threads may share it. `endpoints` is asked again after a connection failed.

    `unions`: the ways to try; a single one is taken to work, so that nothing is probed.
    """

    def __init__(self, endpoints: Callable[[], Endpoints], limits: Limits, unions: Sequence[Parameters] = UNIONS) -> None:
        self._wire = Wire(endpoints)
        self._limits = limits
        self._unions = unions
        self._union = _Union(unions[0]) if len(unions) == 1 else None
        self._probing = threading.Lock()

    def replace(self, graphs: Mapping[str, Sequence[Triple]]) -> None:
        if not graphs:
            return
        if self._way().mirrored:
            self._wire.update(mirrored_replacement(graphs))
        elif self._wire.has_graph_store():
            self._put(graphs)
        else:
            self._wire.update(replacement(graphs))

    def query(
        self, query: str, accept: str, *, default_graphs: Sequence[str] = (), named_graphs: Sequence[str] = (), timeout: float
    ) -> Answer:
        form = guard.check(query)
        dataset = form.dataset_given(default_graphs, named_graphs)
        seen = self._way().parameters if dataset is None else _parameters(dataset)
        return self._ask(query, accept, form.form.gives_graph, seen, timeout, self._limits)

    def graph_names(self) -> Iterator[str]:
        found = self._table("SELECT DISTINCT ?g WHERE { GRAPH ?g { ?s ?p ?o } }")
        return (row["g"]["value"] for row in found if row["g"]["type"] == "uri")

    def triples(self, graph: str) -> list[Triple]:
        query = f"CONSTRUCT {{ ?s ?p ?o }} WHERE {{ GRAPH {NamedNode(graph)} {{ ?s ?p ?o }} }}"
        return results.statements(self._ask(query, results.N_TRIPLES, True, NATIVE, CHANGE_SECONDS, UNLIMITED).body)

    def clear(self) -> None:
        self._wire.update("DROP ALL")

    def ping(self) -> None:
        self._ask("ASK {}", results.JSON, False, NATIVE, CONNECT_SECONDS, UNLIMITED)

    def close(self) -> None:
        self._wire.close()

    def _put(self, graphs: Mapping[str, Sequence[Triple]]) -> None:
        """One request for each graph: all or nothing for each, not for all together."""
        for name, triples in graphs.items():
            self._wire.put(NamedNode(name).value, results.n_triples(triples))

    def _ask(self, query: str, accept: str, graph: bool, parameters: Parameters, timeout: float, limits: Limits) -> Answer:
        reply = self._wire.query((("query", query), *parameters), graph, timeout, limits)
        try:
            return results.finished(reply.body, reply.media_type, accept, limits)
        except results.Unfinished as broken:
            raise given_up(broken.excuse) from broken

    def _table(self, query: str) -> list[dict[str, Any]]:
        return results.rows(self._ask(query, results.JSON, False, NATIVE, CHANGE_SECONDS, UNLIMITED).body)

    def _way(self) -> "_Union":
        if self._union is None:
            with self._probing:
                self._union = self._union or self._probe()
        return self._union

    def _probe(self) -> "_Union":
        """Which way of UNIONS works here; none means that the default graph has to be kept equal to the union."""
        name = NamedNode(f"urn:uuid:{uuid4()}")
        self._wire.update(f"INSERT DATA {{ GRAPH {name} {{ {name} {name} {name} }} }}")
        try:
            query = f"ASK {{ {name} {name} {name} GRAPH {name} {{ {name} {name} {name} }} }}"
            working = (way for way in self._unions if self._holds(query, way))
            return next((_Union(way) for way in working), _Union(NATIVE, mirrored=True))
        finally:
            self._wire.update(f"DROP SILENT GRAPH {name}")

    def _holds(self, query: str, parameters: Parameters) -> bool:
        try:
            return results.truth(self._ask(query, results.JSON, False, parameters, CHANGE_SECONDS, UNLIMITED).body)
        except InvalidParameter:  # the server does not know the parameter
            return False


@dataclass(frozen=True)
class _Union:
    """How the default graph becomes the union: by parameters of each query, or because replacements write it there."""

    parameters: Parameters
    mirrored: bool = False


def _parameters(dataset: Dataset) -> Parameters:
    default = (("default-graph-uri", name) for name in dataset.default)
    named = (("named-graph-uri", name) for name in dataset.named)
    return (*default, *named)
