"""Documents reach the SPARQL store, once and in their newest state, whatever dies on the way."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

import orjson
import pytest
from pyoxigraph import Triple

from ld_server.bootstrap import build
from ld_server.domain.errors import StoreUnavailable
from ld_server.rdf.representation import triples_of
from ld_server.services.parts import Parts
from ld_server.settings import Settings
from ld_server.sparql import results
from ld_server.sparql.http import PROBE
from ld_server.sparql.store import SparqlStore
from relational.documents import Authorship, Head
from tests.sparql_servers import OxigraphServer
from workers.projector import LOOKS, SET_ASIDE, Projector, bring
from workers.rebuilding import rebuild

MONDAY = datetime(2026, 11, 23, 8, tzinfo=UTC)
LATER = MONDAY + timedelta(seconds=600)


@dataclass
class Fleet:
    """Parts, and short ways to change documents and to look at graphs."""

    parts: Parts

    def write(self, number: int, name: str = "Finish camera", times: int = 1) -> str:
        """A new revision of an item type, several times if asked; its identifier."""
        identifier = f"itemType_{number}"
        for _ in range(times):
            with self.parts.ledger.write() as uow:
                held = uow.documents.locked(identifier)
                head = Head(identifier, "itemType", number, held.revision + 1 if held else 1, self.body(number, name))
                (uow.documents.replace if held else uow.documents.add)(head, Authorship("admin", MONDAY, "test"))
        return identifier

    def body(self, number: int, name: str) -> str:
        iri = self.parts.naming.iri(f"itemType_{number}")
        document = {
            "@context": self.parts.contexts.reference,
            "@id": iri,
            "@type": "Product",
            "identifier": f"itemType_{number}",
            "name": name,
        }
        return orjson.dumps(document).decode()

    def waiting(self) -> int:
        with self.parts.ledger.read() as uow:
            return uow.projections.backlog().count

    def names(self) -> list[str]:
        """What the graphs say, by the SPARQL store."""
        query = "SELECT ?name WHERE { ?type a <http://schema.org/Product> ; <http://schema.org/name> ?name } ORDER BY ?name"
        return [row["name"]["value"] for row in results.rows(self.parts.sparql.query(query, results.JSON, timeout=10).body)]

    def differences(self) -> list[str]:
        """The graphs that are not equal to their documents, and those of no document."""
        with self.parts.ledger.read() as uow:
            heads = {self.parts.naming.iri(head.identifier): head for head in uow.documents.each()}
        wrong = [
            iri for iri, head in heads.items() if set(self.parts.sparql.triples(iri)) != set(triples_of(head.body, self.parts.contexts))
        ]
        return wrong + [name for name in self.parts.sparql.graph_names() if name not in heads]

    def over(self, store: Any) -> "Fleet":
        """The same documents over another store."""
        return Fleet(replace(self.parts, sparql=store))

    def projector(self, owner: str = "first") -> Projector:
        return Projector(self.parts, owner)


@pytest.fixture
def fleet(database_url: str, tmp_path: Path) -> Iterator[Fleet]:
    """Over each engine in turn, with a store in memory."""
    parts = build(Settings(data_dir=tmp_path, database_url=database_url, sparql_url="memory:", projector_batch=10))
    yield Fleet(parts)
    parts.close()


def drain(projector: Projector, now: datetime = MONDAY) -> int:
    """Runs until nothing is left to do."""
    total = 0
    while done := projector.run_once(now):
        total += done
    return total


def test_a_document_becomes_a_graph_under_its_own_name(fleet: Fleet) -> None:
    identifier = fleet.write(1)
    assert fleet.projector().run_once(MONDAY) == 1
    assert list(fleet.parts.sparql.graph_names()) == [fleet.parts.naming.iri(identifier)]
    assert fleet.differences() == []
    assert fleet.waiting() == 0


def test_nothing_waits_nothing_is_done(fleet: Fleet) -> None:
    assert fleet.projector().run_once(MONDAY) == 0


def test_only_the_newest_of_several_revisions_is_brought(fleet: Fleet) -> None:
    fleet.write(1, "Camera", times=3)
    fleet.write(1, "Finish camera")
    assert fleet.projector().run_once(MONDAY) == 4
    assert fleet.names() == ["Finish camera"]


def test_one_run_takes_one_batch(fleet: Fleet) -> None:
    for number in range(1, 26):
        fleet.write(number)
    projector = fleet.projector()
    assert [projector.run_once(MONDAY) for _ in range(4)] == [10, 10, 5, 0]
    assert fleet.differences() == []


def test_a_change_during_the_work_waits_for_the_next_run(fleet: Fleet) -> None:
    fleet.write(1, "Camera")
    writing = Meddling(fleet.parts.sparql, after=lambda: fleet.write(1, "Finish camera"))
    projector = fleet.over(writing).projector()
    projector.run_once(MONDAY)
    assert fleet.waiting() == 1
    drain(projector)
    assert fleet.names() == ["Finish camera"]


class Meddling:
    """A store in which something happens once, before or after the first replacement."""

    def __init__(self, store: SparqlStore, before: Callable[[], object] | None = None, after: Callable[[], object] | None = None) -> None:
        self._store = store
        self._before, self._after = before, after

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def replace(self, graphs: Mapping[str, Sequence[Triple]]) -> None:
        before, after, self._before, self._after = self._before, self._after, None, None
        if before:
            before()
        self._store.replace(graphs)
        if after:
            after()


# --- leases -----------------------------------------------------------------------------------------------------------


def test_one_of_two_projectors_works(fleet: Fleet) -> None:
    fleet.write(1)
    first, second = fleet.projector("first"), fleet.projector("second")
    assert first.run_once(MONDAY) == 1
    fleet.write(2)
    assert second.run_once(MONDAY) == 0
    assert first.run_once(MONDAY) == 1


def test_the_other_takes_over_when_the_first_is_silent(fleet: Fleet) -> None:
    fleet.projector("first").run_once(MONDAY)
    fleet.write(1)
    second = fleet.projector("second")
    lease = timedelta(seconds=fleet.parts.settings.projector_lease)
    assert second.run_once(MONDAY + lease * 0.9) == 0
    assert second.run_once(MONDAY + lease * 1.1) == 1


def test_a_projector_at_work_keeps_its_lease(fleet: Fleet) -> None:
    first, second = fleet.projector("first"), fleet.projector("second")
    for seconds in range(0, 60, 2):
        first.run_once(MONDAY + timedelta(seconds=seconds))
        fleet.write(1)
        assert second.run_once(MONDAY + timedelta(seconds=seconds)) == 0


@pytest.mark.parametrize("step", [timedelta(days=-1), timedelta(days=1)], ids=["back", "forward"])
def test_one_projector_works_on_when_the_clock_is_set(fleet: Fleet, step: timedelta) -> None:
    first, second = fleet.projector("first"), fleet.projector("second")
    first.run_once(MONDAY)
    fleet.write(1)
    assert [first.run_once(MONDAY + step), second.run_once(MONDAY + step)] == [1, 0]
    fleet.write(1)
    assert second.run_once(MONDAY + step + timedelta(seconds=10)) == 1


def test_a_projector_that_stops_lets_the_next_begin_at_once(fleet: Fleet) -> None:
    first = fleet.projector("first")
    first.run_once(MONDAY)
    first.stop()
    fleet.write(1)
    assert fleet.projector("second").run_once(MONDAY) == 1


def test_a_projector_that_slept_too_long_cannot_bring_back_an_old_state(fleet: Fleet) -> None:
    """The first reads revision 1 and sleeps; the second brings revision 2 and takes both off the list; then the first wakes up."""
    fleet.write(1, "Camera")

    def meanwhile() -> None:
        fleet.write(1, "Finish camera")
        assert drain(fleet.projector("second"), LATER) == 2

    fleet.over(Meddling(fleet.parts.sparql, before=meanwhile)).projector("first").run_once(MONDAY)
    assert fleet.names() == ["Finish camera"]
    assert fleet.waiting() == 0


# --- failures ---------------------------------------------------------------------------------------------------------


class Killed(BaseException):
    """As if the process had been killed: nothing catches it."""


def raising(error: BaseException) -> Callable[[], object]:
    def act() -> None:
        raise error

    return act


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("error", [Killed(), StoreUnavailable("The SPARQL store cannot be reached now.")], ids=["killed", "store down"])
def test_a_projector_that_dies_around_a_replacement_leaves_everything_on_the_list(fleet: Fleet, moment: str, error: BaseException) -> None:
    for number in range(1, 4):
        fleet.write(number)
    dying = fleet.over(Meddling(fleet.parts.sparql, **{moment: raising(error)})).projector("first")
    with pytest.raises(type(error)):
        dying.run_once(MONDAY)
    assert fleet.waiting() == 3
    assert drain(fleet.projector("second"), LATER) == 3
    assert fleet.differences() == []


def test_half_of_a_replacement_is_made_good(fleet: Fleet) -> None:
    """Servers without transactions may have taken some graphs of a batch when they die."""
    for number in range(1, 4):
        fleet.write(number)
    half = fleet.parts.naming.iri("itemType_2")
    fleet.parts.sparql.replace({half: triples_of(fleet.body(2, "half"), fleet.parts.contexts)})
    drain(fleet.projector())
    assert fleet.differences() == []


def test_what_cannot_be_brought_does_not_hold_up_the_rest(fleet: Fleet, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(1, 8):
        fleet.write(number)
    refusing = Refusing(fleet.parts.sparql, fleet.parts.naming.iri("itemType_4"))
    projector = fleet.over(refusing).projector()
    assert drain(projector) == 6
    assert fleet.waiting() == 1
    assert "itemType_4 cannot be brought" in caplog.text
    attempts = refusing.attempts
    assert projector.run_once(MONDAY) == 0
    assert refusing.attempts == attempts
    refusing.refused = ""
    assert projector.run_once(MONDAY + SET_ASIDE + timedelta(seconds=1)) == 1
    assert fleet.differences() == []


def test_many_rows_that_cannot_be_brought_do_not_hide_the_others(fleet: Fleet) -> None:
    fleet.write(4, times=25)
    fleet.write(5)
    projector = fleet.over(Refusing(fleet.parts.sparql, fleet.parts.naming.iri("itemType_4"))).projector()
    for _ in range(6):
        projector.run_once(MONDAY)
    assert list(fleet.parts.sparql.graph_names()) == [fleet.parts.naming.iri("itemType_5")]
    assert fleet.waiting() == 25


class Refusing:
    """A store that does not take one graph."""

    def __init__(self, store: SparqlStore, refused: str) -> None:
        self._store = store
        self.refused = refused
        self.attempts = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def replace(self, graphs: Mapping[str, Sequence[Triple]]) -> None:
        if self.refused in graphs:
            self.attempts += 1
            raise ValueError("the store refuses it")
        self._store.replace(graphs)


class Down:
    """A store that cannot be reached until it is told to come back."""

    def __init__(self, store: SparqlStore) -> None:
        self._store = store
        self.back = threading.Event()
        self.attempts = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def replace(self, graphs: Mapping[str, Sequence[Triple]]) -> None:
        self.attempts += 1
        if not self.back.is_set():
            raise StoreUnavailable("The SPARQL store cannot be reached now.")
        self._store.replace(graphs)


def eventually(holds: Callable[[], bool], seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it does not happen"
        time.sleep(0.005)


def test_the_thread_outlives_an_outage_and_does_not_hammer(fleet: Fleet, caplog: pytest.LogCaptureFixture) -> None:
    down = Down(fleet.parts.sparql)
    projector = fleet.over(down).projector()
    fleet.write(1)
    projector.start()
    time.sleep(0.5)
    assert 1 < down.attempts < 10
    assert caplog.text.count("projection waits") == 1
    down.back.set()
    eventually(lambda: fleet.waiting() == 0)
    projector.stop()
    assert fleet.differences() == []


def test_what_is_committed_is_brought_with_the_next_look(fleet: Fleet) -> None:
    projector = fleet.projector()
    by_hand = [_lag(fleet, number, lambda: drain(projector)) for number in range(1, 22)]
    projector.start()
    eventually(lambda: projector._leading)
    by_itself = [_lag(fleet, number, lambda: None) for number in range(101, 122)]
    projector.stop()
    assert median(by_itself) < 4 * (median(by_hand) + fleet.parts.settings.projector_interval)


def _lag(fleet: Fleet, number: int, work: Callable[[], object]) -> float:
    """Seconds from a commit until nothing waits to be brought, with this work in between."""
    fleet.write(number)
    committed = time.perf_counter()
    work()
    eventually(lambda: fleet.waiting() == 0)
    return time.perf_counter() - committed


# --- rebuild ----------------------------------------------------------------------------------------------------------


def test_a_rebuild_makes_every_graph_equal_to_its_document(fleet: Fleet) -> None:
    for number in range(1, 24):
        fleet.write(number)
    drain(fleet.projector())
    stale, lost, stray = (fleet.parts.naming.iri(f"itemType_{number}") for number in (1, 2, 99))
    strange = triples_of(fleet.body(99, "nobody's"), fleet.parts.contexts)
    fleet.parts.sparql.replace({stale: strange, lost: [], stray: strange})
    told: list[tuple[int, int]] = []
    assert rebuild(fleet.parts, lambda done, of: told.append((done, of))) == 23
    assert fleet.differences() == []
    assert told == [(10, 23), (20, 23), (23, 23)]


def test_a_rebuild_leaves_graphs_of_others_alone(fleet: Fleet) -> None:
    fleet.parts.sparql.replace({"https://example.org/their-graph": triples_of(fleet.body(1, "theirs"), fleet.parts.contexts)})
    rebuild(fleet.parts)
    assert list(fleet.parts.sparql.graph_names()) == ["https://example.org/their-graph"]


def test_a_rebuild_of_nothing_is_fine(fleet: Fleet) -> None:
    assert rebuild(fleet.parts) == 0


def test_a_rebuild_beside_a_projector_and_writers_ends_equal(fleet: Fleet) -> None:
    for number in range(1, 12):
        fleet.write(number)
    projector = fleet.projector()
    projector.start()
    writer = threading.Thread(target=lambda: [fleet.write(number % 11 + 1, f"state {number}") for number in range(60)])
    writer.start()
    while writer.is_alive():
        rebuild(fleet.parts)
    writer.join()
    eventually(lambda: fleet.waiting() == 0)
    projector.stop()
    assert fleet.differences() == []


def test_the_graph_of_a_resource_that_is_gone_is_dropped(fleet: Fleet) -> None:
    fleet.parts.sparql.replace({fleet.parts.naming.iri("itemType_1"): triples_of(fleet.body(1, "gone"), fleet.parts.contexts)})
    bring(fleet.parts, ["itemType_1"])
    assert list(fleet.parts.sparql.graph_names()) == []


# --- a store that was lost ---------------------------------------------------------------------------------------------


def test_an_emptied_store_is_filled_again_by_itself(fleet: Fleet, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(1, 4):
        fleet.write(number)
    projector = fleet.projector()
    drain(projector)
    fleet.parts.sparql.clear()
    projector.run_once(MONDAY + LOOKS)
    assert fleet.waiting() == 3
    assert "the SPARQL store is empty: 3 resources are brought to it again" in caplog.text
    drain(projector, MONDAY + LOOKS)
    assert fleet.differences() == []


def test_an_empty_ledger_has_an_empty_store_and_a_full_store_is_left_alone(fleet: Fleet) -> None:
    projector = fleet.projector()
    assert [projector.run_once(MONDAY + turn * LOOKS) for turn in range(3)] == [0, 0, 0]
    fleet.write(1)
    assert [projector.run_once(MONDAY + turn * LOOKS) for turn in range(3, 6)] == [1, 0, 0]


# --- a real process, killed -------------------------------------------------------------------------------------------

WORKER = """
import sys, time
from ld_server.bootstrap import build
from ld_server.settings import Settings
from workers.projector import Projector
data, database, sparql, owner = sys.argv[1:]
parts = build(Settings(data_dir=data, database_url=database, sparql_url=sparql, projector_lease=0.4, projector_batch=7))
Projector(parts, owner).start()
print("ready", flush=True)
time.sleep(600)
"""


@pytest.fixture
def sparql_url(server: OxigraphServer, tmp_path: Path) -> str:
    """The setting that leads to a server which the supervisor has written down."""
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "sparql-url").write_text(server.url)
    return "managed:"


def test_killed_at_any_moment_it_ends_up_equal(database_url: str, tmp_path: Path, sparql_url: str) -> None:
    fleet = Fleet(build(Settings(data_dir=tmp_path, database_url=database_url, sparql_url=sparql_url)))
    chance = random.Random(7)
    workers = [launch(tmp_path, database_url, sparql_url, "worker 0")]
    for kill in range(1, 5):
        for _ in range(chance.randint(1, 60)):
            fleet.write(chance.randint(1, 12), f"state {chance.random()}")
        time.sleep(chance.uniform(0.0, 0.1) if kill % 2 else chance.uniform(0.4, 0.6))
        os.kill(workers[-1].pid, signal.SIGKILL)
        workers[-1].wait()
        workers.append(launch(tmp_path, database_url, sparql_url, f"worker {kill}"))
    try:
        eventually(lambda: fleet.waiting() == 0, seconds=30)
        left_by_probes = [name for name in fleet.parts.sparql.graph_names() if name.startswith(PROBE)]
        assert fleet.differences() == left_by_probes
        assert len(fleet.names()) == len(list(fleet.parts.sparql.graph_names())) - len(left_by_probes) > 5
    finally:
        workers[-1].kill()
        workers[-1].wait()
        fleet.parts.close()


def launch(directory: Path, *said: str) -> "subprocess.Popen[bytes]":
    root = Path(__file__).resolve().parents[2]
    child = subprocess.Popen([sys.executable, "-c", WORKER, str(directory), *said], cwd=root, stdout=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stdout.readline() == b"ready\n"
    child.stdout.close()
    return child
