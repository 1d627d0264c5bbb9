"""
A SPARQL 1.1 server over HTTP: Oxigraph's, or any other.

Only the SPARQL 1.1 Protocol is asked of a server; the Graph Store Protocol is used where a URL for it is set, for servers that
limit the size of an update. Parameters in the query URL are sent with every query.

The default graph is the union of all named graphs, each triple once. Before its first change the store puts one triple into two
graphs of its own and counts how often the default graph has it: once means that the server makes the union itself; never, that
every change has to be mirrored there; twice, that the server makes a union with duplicates that nobody can take out again.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

from pyoxigraph import NamedNode, Triple

from ld_server.domain.errors import QueryLimitExceeded, StoreUnavailable
from ld_server.settings import Settings
from ld_server.sparql import dialects, guard, results
from ld_server.sparql.dialects import STANDARD, VIRTUOSO, Standard
from ld_server.sparql.port import Answer, Dataset, Limits, limits_of
from ld_server.sparql.rate_limit import RateLimit
from ld_server.sparql.updates import addable, addition, arrival, departure, quads, replacement
from ld_server.sparql.wire import CHANGE_SECONDS, CONNECT_SECONDS, GRAPH_WANTED, UNLIMITED, Endpoints, Wire, given_up

log = logging.getLogger(__name__)

PROBE = "urn:ld-reservations:probe:"
"""Graphs of the probe are named by this, the second they were made in, and something unique."""
FORGOTTEN_SECONDS = 2 * CHANGE_SECONDS
"""A probe of this age has been killed: nobody looks at its graphs any more."""


MOST_THREADS = 10_000
"""
For each query Oxigraph starts a thread that sleeps until the time of the query is over, however soon it is answered. It dies where memory
may not be mapped in more places, which Linux stops at about 16,000 such threads.
"""


def open_remote_store(settings: Settings) -> "HttpStore":
    """The server whose query URL is LD_SPARQL_URL."""
    endpoints = Endpoints(settings.sparql_url, settings.sparql_update_url or settings.sparql_url, settings.sparql_graph_store_url)
    return HttpStore(lambda: endpoints, limits_of(settings))


def open_virtuoso_store(settings: Settings) -> "HttpStore":
    """The Virtuoso whose SPARQL endpoint LD_SPARQL_URL names after `virtuoso+`."""
    url = settings.sparql_url.removeprefix("virtuoso+")
    graph_store = settings.sparql_graph_store_url or dialects.graph_store_beside(url)
    endpoints = Endpoints(url, settings.sparql_update_url or url, graph_store)
    return HttpStore(lambda: endpoints, limits_of(settings), dialect=VIRTUOSO)


def open_managed_store(settings: Settings) -> "HttpStore":
    """The Oxigraph server that `ld-server up` runs; the supervisor writes its address into the data directory."""
    rate = RateLimit(MOST_THREADS // settings.web_workers, settings.sparql_timeout)
    return HttpStore(lambda: _managed(settings.data_dir / "run" / "sparql-url"), limits_of(settings), rate)


def _managed(address: Path) -> Endpoints:
    try:
        base = address.read_text(encoding="ascii").strip()
    except OSError as error:
        raise StoreUnavailable("The SPARQL server has not been started.") from error
    return Endpoints(f"{base}/query", f"{base}/update", quads=f"{base}/store")


class HttpStore:
    """
    Keeps the promises of SparqlStore; threads may share it. `endpoints` is asked again after a connection failed. Queries keep to a `rate`
    where there is one.
    """

    def __init__(
        self, endpoints: Callable[[], Endpoints], limits: Limits, rate: RateLimit | None = None, dialect: Standard = STANDARD
    ) -> None:
        self._wire = Wire(endpoints, dialect.by_digest)
        self._limits = limits
        self._rate = rate
        self._dialect = dialect
        self._mirrored: bool | None = True if dialect.union else None
        self._probing = threading.Lock()

    def replace(self, graphs: Mapping[str, Sequence[Triple]]) -> None:
        if not graphs:
            return
        if self._wire.has_graph_store():
            self._put(graphs, self._mirrors())
        else:
            self._wire.update(replacement(graphs, self._mirrors()))

    def fill(self, graphs: Mapping[str, Sequence[Triple]]) -> None:
        if not graphs or self._wire.has_graph_store():
            self.replace(graphs)
            return
        new = addable(graphs, set(self._present(graphs)))
        self.replace({name: triples for name, triples in graphs.items() if name not in new})
        if new and self._wire.takes_quads():
            self._wire.add(results.n_quads(quads(new, self._mirrors())))
        elif new:
            self._wire.update(addition(new, self._mirrors()))

    def query(
        self, query: str, accept: str, *, default_graphs: Sequence[str] = (), named_graphs: Sequence[str] = (), timeout: float
    ) -> Answer:
        form = guard.check(query)
        dataset = form.dataset_given(default_graphs, named_graphs)
        self._dialect.refuse(query, is_told_twice=form.dataset is not None and form.dataset != dataset)
        if self._rate is not None:
            self._rate.take()
        return self._ask(query, accept, form.form.gives_graph, dataset, form.graphs, timeout, self._limits)

    def graph_names(self) -> Iterator[str]:
        found = self._table("SELECT DISTINCT ?g WHERE { GRAPH ?g { ?s ?p ?o } }", ("?g",))
        return (row["g"]["value"] for row in found if row["g"]["type"] == "uri")

    def triples(self, graph: str) -> list[Triple]:
        query = f"CONSTRUCT {{ ?s ?p ?o }} WHERE {{ GRAPH {NamedNode(graph)} {{ ?s ?p ?o }} }}"
        return results.statements(self._ask(query, results.N_TRIPLES, True, None, (graph,), CHANGE_SECONDS, UNLIMITED).body)

    def contents(self, graphs: Sequence[str]) -> dict[str, list[Triple]]:
        """A server that takes graphs one by one is asked for them so, too."""
        if self._wire.has_graph_store():
            found = {name: self.triples(name) for name in graphs}
            return {name: triples for name, triples in found.items() if triples}
        query = f"SELECT ?g ?s ?p ?o WHERE {{ {_one_of(graphs)} GRAPH ?g {{ ?s ?p ?o }} }}"
        return results.graphs_in_table(self._ask(query, results.JSON, False, None, ("?g",), CHANGE_SECONDS, UNLIMITED).body)

    def clear(self) -> None:
        for update in self._dialect.emptying(self.graph_names):
            self._wire.update(update)

    def ping(self) -> None:
        try:
            self._ask("ASK {}", results.JSON, False, None, (), CONNECT_SECONDS, UNLIMITED)
        except QueryLimitExceeded as error:
            raise StoreUnavailable("The SPARQL store does not answer.") from error

    def close(self) -> None:
        self._wire.close()

    def _present(self, graphs: Iterable[str]) -> Iterator[str]:
        """Those of the graphs that hold a triple."""
        found = self._table(f"SELECT DISTINCT ?g WHERE {{ {_one_of(graphs)} GRAPH ?g {{ ?s ?p ?o }} }}", ("?g",))
        return (row["g"]["value"] for row in found)

    def _put(self, graphs: Mapping[str, Sequence[Triple]], mirrored: bool) -> None:
        """Several requests for each graph. Broken off anywhere, the same replacement again makes it good."""
        for name, triples in ((NamedNode(name), triples) for name, triples in graphs.items()):
            if mirrored:
                self._wire.update(departure(name, self._dialect.union))
            self._wire.put(name.value, results.n_triples(triples))
            if mirrored and triples:
                self._wire.update(arrival(name, self._dialect.union))

    def _ask(
        self,
        query: str,
        accept: str,
        is_graph: bool,
        dataset: Dataset | None,
        graphs: Sequence[str],
        timeout: float,
        limits: Limits,
    ) -> Answer:
        wanted = GRAPH_WANTED if is_graph else self._dialect.tables
        asked = self._dialect.asked(query, dataset, graphs, timeout)
        reply = self._dialect.understood(self._wire.query(asked, wanted, timeout, limits))
        try:
            return results.finished(reply.body, reply.media_type, accept, limits)
        except results.Unfinished as broken:
            raise given_up(broken.excuse) from broken

    def _table(self, query: str, graphs: Sequence[str] = ()) -> list[dict[str, Any]]:
        return results.rows(self._ask(query, results.JSON, False, None, graphs, CHANGE_SECONDS, UNLIMITED).body)

    def _mirrors(self) -> bool:
        """Whether this store has to keep the default graph of the server equal to the union."""
        if self._mirrored is None:
            with self._probing:
                self._mirrored = self._probe() if self._mirrored is None else self._mirrored
        return self._mirrored

    def _probe(self) -> bool:
        self._forget_probes()
        one, other = (NamedNode(f"{PROBE}{time.time():.0f}:{uuid4()}") for _ in range(2))
        triple = f"{one} {one} {one}"
        self._wire.update(f"INSERT DATA {{ GRAPH {one} {{ {triple} }} GRAPH {other} {{ {triple} }} }}")
        try:
            times = int(self._table(f"SELECT (COUNT(*) AS ?n) WHERE {{ {triple} }}")[0]["n"]["value"])
        finally:
            self._wire.update(f"DROP SILENT GRAPH {one} ; DROP SILENT GRAPH {other}")
        if times > 1:
            log.warning("the SPARQL server repeats a triple for each graph that holds it; run it without its union default graph")
        return times == 0

    def _forget_probes(self) -> None:
        """Drops what a process left that was killed while it probed."""
        latest = time.time() - FORGOTTEN_SECONDS
        probes = (name for name in self.graph_names() if name.startswith(PROBE))
        for name in [name for name in probes if float(name.removeprefix(PROBE).split(":")[0]) < latest]:
            self._wire.update(f"DROP SILENT GRAPH {NamedNode(name)}")


def _one_of(graphs: Iterable[str]) -> str:
    return f"VALUES ?g {{ {' '.join(str(NamedNode(name)) for name in graphs)} }}"
