"""Whatever has become of the SPARQL store, a rebuild makes it equal to the documents, and goes on where it was killed."""

import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest
from pyoxigraph import Literal, NamedNode, Triple

from ld_server.bootstrap import build
from ld_server.rdf import vocab
from ld_server.settings import Settings
from ld_server.sparql import results
from tests.sparql_servers import OxigraphServer
from tests.workers.test_projector import Fleet, drain
from workers.projector import Projector
from workers.rebuilding import GOES_ON_WITHIN, REACHED, put_all_on_the_list, rebuild

MANY = 140
"""So many documents that most of them are brought in bulk."""


@pytest.fixture
def fleet(database_url: str, tmp_path: Path, server: OxigraphServer) -> Iterator[Fleet]:
    """Many item types over each engine in turn, and a managed SPARQL server that has nothing yet."""
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "sparql-url").write_text(server.url)
    fleet = Fleet(build(Settings(data_dir=tmp_path, database_url=database_url, projector_batch=60)))
    for number in range(1, MANY + 1):
        fleet.write(number, f"Type {number}")
    yield fleet
    fleet.parts.close()


class Watched:
    """A store that remembers which graphs were brought."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self.brought: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def replace(self, graphs: Mapping[str, Sequence[Triple]]) -> None:
        self.brought |= graphs.keys()
        self._store.replace(graphs)

    def fill(self, graphs: Mapping[str, Sequence[Triple]]) -> None:
        self.brought |= graphs.keys()
        self._store.fill(graphs)


def count_of_union(fleet: Fleet) -> int:
    counted = fleet.parts.sparql.query("SELECT (COUNT(*) AS ?n) WHERE { ?s ?p ?o }", results.JSON, timeout=30)
    return int(results.rows(counted.body)[0]["n"]["value"])


def test_an_empty_store_is_filled_and_nothing_waits_afterwards(fleet: Fleet) -> None:
    drain(fleet.projector())
    fleet.parts.sparql.clear()
    told: list[tuple[int, int]] = []
    assert rebuild(fleet.parts, lambda done, total: told.append((done, total))) == MANY
    assert fleet.differences() == []
    assert fleet.waiting() == 0
    assert told[-1] == (MANY, MANY)
    assert count_of_union(fleet) == 3 * MANY


def test_only_what_differs_is_brought(fleet: Fleet) -> None:
    drain(fleet.projector())
    missing, garbled, renamed = (fleet.parts.naming.iri(f"itemType_{number}") for number in (3, 5, 7))
    more = [*fleet.parts.sparql.triples(garbled), Triple(NamedNode(garbled), NamedNode(vocab.NAME), Literal("nonsense"))]
    other = [Triple(one.subject, one.predicate, Literal("?")) for one in fleet.parts.sparql.triples(renamed)]
    fleet.parts.sparql.replace({missing: [], garbled: more, renamed: other})
    watched = Watched(fleet.parts.sparql)
    rebuild(fleet.over(watched).parts)
    assert watched.brought == {missing, garbled, renamed}
    assert fleet.differences() == []


def test_blank_nodes_and_values_that_the_store_writes_in_its_own_way_are_no_difference(fleet: Fleet) -> None:
    iri = fleet.parts.naming.iri("itemType_9000")
    document = {
        **orjson.loads(fleet.body(9000, "With parts")),
        "createdAt": "2026-11-23T08:00:00.500Z",
        "http://other.example/made": [{"http://other.example/by": "Ann"}, {"http://other.example/by": "Bob"}],
    }
    fleet.body = lambda number, name: orjson.dumps(document).decode()  # type: ignore[method-assign]
    fleet.write(9000)
    drain(fleet.projector())
    watched = Watched(fleet.parts.sparql)
    rebuild(fleet.over(watched).parts)
    assert watched.brought == set()
    stored = fleet.parts.sparql.triples(iri)
    changed = [Triple(one.subject, one.predicate, Literal("Eve")) if str(one.object) == '"Bob"' else one for one in stored]
    fleet.parts.sparql.replace({iri: changed})
    rebuild(fleet.over(watched).parts)
    assert watched.brought == {iri}


def test_what_waits_is_brought_by_whoever_leads(fleet: Fleet) -> None:
    leading = Projector(fleet.parts, "the worker")
    leading.start()
    try:
        assert rebuild(fleet.parts) == MANY
    finally:
        leading.stop()
    assert fleet.differences() == []


def test_a_resource_that_cannot_be_brought_does_not_hold_a_rebuild_up(fleet: Fleet) -> None:
    drain(fleet.projector())
    put_all_on_the_list(fleet.parts)
    broken = fleet.parts.naming.iri("itemType_7")

    class Refusing(Watched):
        def fill(self, graphs: Mapping[str, Sequence[Triple]]) -> None:
            self.replace(graphs)

        def replace(self, graphs: Mapping[str, Sequence[Triple]]) -> None:
            if broken in graphs:
                raise ValueError("the store refuses it")
            super().replace(graphs)

    assert rebuild(fleet.over(Refusing(fleet.parts.sparql)).parts) == MANY
    assert fleet.waiting() == 1


def test_everything_is_put_on_the_list_once(fleet: Fleet) -> None:
    drain(fleet.projector())
    for _ in range(2):
        put_all_on_the_list(fleet.parts)
    assert fleet.waiting() == MANY


def test_a_comparison_that_was_broken_off_long_ago_begins_anew(fleet: Fleet) -> None:
    drain(fleet.projector())
    lost = fleet.parts.naming.iri("itemType_1")
    for age, is_seen in ((GOES_ON_WITHIN - 60, False), (GOES_ON_WITHIN + 60, True)):
        fleet.parts.sparql.replace({lost: ()})
        with fleet.parts.ledger.write() as uow:
            uow.facts.set(REACHED, orjson.dumps(["itemType", 100, 100, fleet.parts.now().timestamp() - age]).decode())
        assert rebuild(fleet.parts) == MANY
        assert bool(fleet.parts.sparql.triples(lost)) is is_seen


# --- a real process, killed -------------------------------------------------------------------------------------------

REBUILD = """
import sys
from ld_server.bootstrap import build
from ld_server.settings import Settings
from workers.rebuilding import rebuild
parts = build(Settings(data_dir=sys.argv[1], database_url=sys.argv[2], projector_batch=10, projector_lease=0.4))
rebuild(parts, lambda done, total: (print(done, flush=True), input()))
print("done", flush=True)
"""


def run(fleet: Fleet, kill_after: int | None) -> list[str]:
    """
    What a rebuild in a process of its own says. It goes on from line to line when it is told to; soon after it was told so many times,
    it is killed.
    """
    settings = fleet.parts.settings
    arguments = [sys.executable, "-c", REBUILD, str(settings.data_dir), settings.database_url]
    child = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])
    assert child.stdout is not None and child.stdin is not None
    said: list[str] = []
    for line in child.stdout:
        said.append(line.strip())
        if said[-1] != "done":
            print(file=child.stdin, flush=True)
        if len(said) == kill_after:
            time.sleep(CHANCE.uniform(0, 0.005))
            child.send_signal(signal.SIGKILL)
            break
    child.communicate()
    return said


CHANCE = random.Random(9)


def test_killed_in_the_middle_it_goes_on_where_it_was(fleet: Fleet) -> None:
    drain(fleet.projector())
    fleet.parts.sparql.clear()
    filling = run(fleet, CHANCE.randint(2, 10))
    waiting = fleet.waiting()
    assert 0 < waiting <= MANY - 10 * len(filling)

    comparing = run(fleet, waiting // 10 + 5)
    with fleet.parts.ledger.read() as uow:
        _, _, reached, _ = orjson.loads(uow.facts.get(REACHED) or "")
    assert 0 < reached < MANY

    rest = run(fleet, None)
    assert comparing[-1] != "done"
    assert rest[0] == str(reached + 10)
    assert rest[-2:] == [str(MANY), "done"]
    assert fleet.differences() == []
    assert fleet.waiting() == 0
    assert count_of_union(fleet) == 3 * MANY
