"""
The store inside this process, by pyoxigraph: for tests and one-off commands. It is gone when the process ends.

pyoxigraph lets other threads run while it evaluates but cannot be told to stop. A query that takes too long is
therefore given up, not ended: its thread goes on until it has a row to write, and then finds that its time is over.
"""

import io
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from traceback import clear_frames
from typing import Any, TypeVar

from pyoxigraph import NamedNode, Store, Triple

from ld_server.domain.errors import InvalidParameter, StoreUnavailable
from ld_server.settings import Settings
from ld_server.sparql import guard, results
from ld_server.sparql.port import Answer, Dataset, Limits, limits_of
from ld_server.sparql.updates import addable, quads, replacement

_Result = TypeVar("_Result")


def open_memory_store(settings: Settings) -> "MemoryStore":
    """An empty store."""
    return MemoryStore(limits_of(settings))


class MemoryStore:
    """Keeps the promises of SparqlStore."""

    def __init__(self, limits: Limits) -> None:
        self._store = Store()
        self._limits = limits
        self._changing = threading.Lock()

    def replace(self, graphs: Mapping[str, Sequence[Triple]]) -> None:
        if not graphs:
            return
        update = replacement(graphs, mirrored=True)
        with self._changing:
            self._update(update)

    def fill(self, graphs: Mapping[str, Sequence[Triple]]) -> None:
        with self._changing:
            new = addable(graphs, {name for name in graphs if self._store.contains_named_graph(NamedNode(name))})
            self._store.extend(quads(new, mirrored=True))
        self.replace({name: triples for name, triples in graphs.items() if name not in new})

    def query(
        self, query: str, accept: str, *, default_graphs: Sequence[str] = (), named_graphs: Sequence[str] = (), timeout: float
    ) -> Answer:
        dataset = guard.check(query).dataset_given(default_graphs, named_graphs)
        output = _Bounded(self._limits, time.monotonic() + timeout)
        media_type = _in_time(lambda: self._evaluate(query, dataset, output), timeout)
        return results.finished(output.getvalue(), media_type, accept, self._limits)

    def graph_names(self) -> Iterator[str]:
        return (name.value for name in self._store.named_graphs() if isinstance(name, NamedNode))

    def triples(self, graph: str) -> list[Triple]:
        return [quad.triple for quad in self._store.quads_for_pattern(None, None, None, NamedNode(graph))]

    def contents(self, graphs: Sequence[str]) -> dict[str, list[Triple]]:
        found = {name: self.triples(name) for name in graphs}
        return {name: triples for name, triples in found.items() if triples}

    def clear(self) -> None:
        with self._changing:
            self._update("DROP ALL")

    def ping(self) -> None:
        """Always returns: the store is where we are."""

    def close(self) -> None:
        """Nothing is to be given back."""

    def _update(self, update: str) -> None:
        try:
            self._store.update(update)
        except OSError as error:
            raise StoreUnavailable("The SPARQL store cannot be written now.") from error

    def _evaluate(self, query: str, dataset: Dataset | None, output: "_Bounded") -> str:
        try:
            return results.write(self._store.query(query, **_seen(dataset)), output)
        except SyntaxError as error:
            raise InvalidParameter(f"The query cannot be read: {error}.", parameter="query") from error


def _seen(dataset: Dataset | None) -> dict[str, Any]:
    """pyoxigraph's arguments for a dataset."""
    if dataset is None:
        return {}
    return {"default_graph": [NamedNode(name) for name in dataset.default], "named_graphs": [NamedNode(name) for name in dataset.named]}


class _Bounded(io.BytesIO):
    """Takes what a query writes until it is too much or too late."""

    def __init__(self, limits: Limits, deadline: float) -> None:
        super().__init__()
        self._limits = limits
        self._deadline = deadline

    def write(self, data: Any) -> int:
        if time.monotonic() > self._deadline:
            raise results.took_too_long()
        results.refuse_bytes(self.tell() + len(data), self._limits)
        return super().write(data)


def _in_time(work: Callable[[], _Result], timeout: float) -> _Result:
    """What `work` gives, or QueryLimitExceeded after `timeout` seconds."""
    future: Future[_Result] = Future()
    threading.Thread(target=_settle, args=(future, work), name="sparql-query", daemon=True).start()
    try:
        return future.result(timeout)
    except TimeoutError:
        raise results.took_too_long() from None


def _settle(future: "Future[_Result]", work: Callable[[], _Result]) -> None:
    try:
        future.set_result(work())
    except BaseException as error:  # the thread that waits is the one to handle it
        clear_frames(error.__traceback__)  # pyoxigraph's results must be dropped in the thread that made them
        future.set_exception(error)
