"""What was exported comes back under its names, what is new is made as if it had been posted, and a load goes on where it stopped."""

import gzip
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson
import pyoxigraph as ox
import pytest
from processes import eventually

from ld_server.bootstrap import build
from ld_server.cli import main
from ld_server.resources.kind import is_same
from ld_server.services import counters, loading
from ld_server.settings import Settings
from relational.unit_of_work import Ledger, open_ledger
from tests import factories
from tests.http.conftest import BASE, ITEM_TYPES, RESERVATIONS, Site, open_site

SYNTAXES = {"nquads": "nq", "trig": "trig", "jsonld": "jsonld"}


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No settings but the tests' own, a SPARQL store that needs no server, and reports in a directory of their own."""
    for name in [name for name in os.environ if name.startswith("LD_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("LD_SPARQL_URL", "memory:")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """Where everything comes from."""
    monkeypatch.setenv("LD_DATA_DIR", str(tmp_path / "source"))
    assert main(["migrate"]) == 0
    parts = build(Settings(data_dir=tmp_path / "source", sparql_url="memory:"))
    yield open_site(parts)
    parts.close()


@pytest.fixture
def target(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    """Where it goes to, on each engine in turn."""
    monkeypatch.setenv("LD_DATA_DIR", str(tmp_path / "target"))
    monkeypatch.setenv("LD_DATABASE_URL", database_url)
    ledger = open_ledger(database_url)
    yield ledger
    ledger.close()


def run(*words: object) -> int:
    return main([str(word) for word in words])


def load(*words: object) -> int:
    return run("load", "--processes", 0, *words)


def exported(site: Site, file: Path, *words: str, monkeypatch: pytest.MonkeyPatch | None = None) -> Path:
    """A file with everything that is at the source, whatever the environment says now."""
    kept = {name: os.environ.pop(name) for name in ("LD_DATA_DIR", "LD_DATABASE_URL") if name in os.environ}
    key = next(key for key, extension in SYNTAXES.items() if f".{extension}" in file.name)
    assert run("export", "--data", site.parts.settings.data_dir, "--format", key, "--output", file, *words) == 0
    os.environ.update(kept)
    return file


def canonical(file: Path, site: Site) -> str:
    content = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
    if ".jsonld" in file.name:
        content = orjson.dumps({**orjson.loads(content), "@context": site.parts.contexts.inline})
    form = ox.RdfFormat.from_extension(file.name.removesuffix(".gz").rpartition(".")[2])
    found = ox.Dataset(ox.parse(content, form))
    found.canonicalize(ox.CanonicalizationAlgorithm.RDFC_1_0)
    return "\n".join(sorted(map(str, found)))


def lively(site: Site) -> None:
    """A fleet with everything that follows from documents: allocations out and promised, kits in kits, tombstones, demand, work."""
    timer = site.item_type("T", turnaroundAfter="PT2H")
    units = [site.asset(timer, assetTag=f"TN-{number}", location="Ghent", metadata={"n": number}) for number in range(4)]
    cable = site.item_type("C", kind="fungible")
    site.made("/v1/catalog/stock-pools", {"itemTypeId": cable, "quantityTotal": 9, "location": "Ghent"})
    outer = site.made(
        "/v1/catalog/kit-templates", {"code": "O", "name": "Outer", "kitComponents": [{"itemTypeId": timer, "quantityPerKit": 1}]}
    )
    inner = site.made(
        "/v1/catalog/kit-templates", {"code": "I", "name": "Inner", "kitComponents": [{"itemTypeId": cable, "quantityPerKit": 2}]}
    )
    parts = [{"itemTypeId": timer, "quantityPerKit": 1}, {"kitTemplateId": inner, "quantityPerKit": 1}]
    path = f"/v1/catalog/kit-templates/{outer}"
    answer = site.ask("PATCH", path, body={"kitComponents": parts}, Content_Type="application/merge-patch+json")
    assert answer.status_code == 200, answer.text
    for item, quantity in ((timer, 1), (cable, 3), (outer, 2), (timer, 1)):
        made = site.reservation(item, quantity)
        assert site.post(f"{RESERVATIONS}/{made}/approve").status_code == 200
    assert site.post(f"{RESERVATIONS}/ra_1/check-out").status_code == 200
    assert site.post(f"{RESERVATIONS}/ra_2/cancel").status_code == 200
    log = {"kind": "repair", "summary": "New lens", "performedAt": "2026-05-01T09:00:00Z"}
    assert site.post(f"/v1/assets/{units[0]}/maintenance-logs", log).status_code == 201
    assert site.post("/v1/planning/demand-signals", factories.demand_signal(timer)).status_code in (200, 201)


@pytest.mark.parametrize("key", SYNTAXES)
def test_an_export_loaded_into_an_empty_instance_is_the_same_dataset(
    site: Site, target: Ledger, tmp_path: Path, key: str, capsys: Any
) -> None:
    lively(site)
    file = exported(site, tmp_path / f"all.{SYNTAXES[key]}.gz")
    assert load(file) == 0, (tmp_path / "load-report.jsonl").read_text()
    again = tmp_path / f"again.{SYNTAXES[key]}"
    assert run("export", "--format", key, "--output", again) == 0
    assert canonical(again, site) == canonical(file, site)
    with site.parts.ledger.read() as was, target.read() as now:
        for kind in ("itemType", "asset", "stockPool", "kitTemplate", "rentAction", "maintenanceLog", "demandSignal"):
            assert now.documents.count(kind) == was.documents.count(kind) > 0
        for number in range(1, 5):
            assert now.allocations.of(f"ra_{number}") == was.allocations.of(f"ra_{number}")
        for one, other in zip(now.documents.each(), was.documents.each(), strict=True):
            assert is_same(orjson.loads(one.body), orjson.loads(other.body))
        assert now.outbox.after(0, 10) == []
    assert counters.differing(target) == []
    with target.write() as uow:
        assert uow.documents.next_number("rentAction") == 5
        assert uow.documents.next_number("allocation") > 5
    capsys.readouterr()
    run("check")
    told = capsys.readouterr().out.splitlines()
    assert not [line for line in told if line.startswith("BAD") and "graphs" not in line], told


def test_what_is_loaded_again_is_there_once(site: Site, target: Ledger, tmp_path: Path, capsys: Any) -> None:
    lively(site)
    file = exported(site, tmp_path / "all.nq")
    assert load(file) == 0
    assert load(file) == 0
    assert "was loaded before" in capsys.readouterr().err
    assert load("--again", file) == 0
    assert "0 resources were added" in capsys.readouterr().out.splitlines()[-1]
    answer = site.ask("PATCH", f"{ITEM_TYPES}/itemType_1", body={"name": "Other"}, Content_Type="application/merge-patch+json")
    assert answer.status_code == 200
    assert load(exported(site, tmp_path / "changed.nq")) == 1
    (refused,) = map(orjson.loads, (tmp_path / "load-report.jsonl").read_bytes().splitlines())
    assert refused["resource"] == "itemType_1" and "something else" in refused["detail"]


def test_what_refers_to_something_later_waits_for_it_and_what_never_comes_is_told(
    site: Site, target: Ledger, tmp_path: Path, monkeypatch: Any
) -> None:
    lively(site)
    quads = list(ox.parse(exported(site, tmp_path / "all.nq").read_bytes(), ox.RdfFormat.N_QUADS))
    backwards = tmp_path / "backwards.nq"
    graphs: dict[Any, list[ox.Quad]] = {}
    for one in quads:
        graphs.setdefault(one.graph_name, []).append(one)
    monkeypatch.setattr("ld_server.rdf.pieces.GRAPHS_AT_ONCE", 2)
    turned = [one for group in reversed(graphs.values()) for one in group]
    backwards.write_bytes(ox.serialize(turned, format=ox.RdfFormat.N_QUADS))
    assert load(backwards) == 0
    with target.read() as uow:
        assert uow.documents.count("rentAction") == 4
    without = tmp_path / "without.nq"
    lost = [one for one in turned if not one.graph_name.value.endswith("/itemType_1")]
    without.write_bytes(
        ox.serialize(lost, format=ox.RdfFormat.N_QUADS)
        .replace(b"ra_4", b"ra_44")
        .replace(b"alloc_", b"alloc_9")
        .replace(b"itemType_1>", b"itemType_71>")
        .replace(b'"itemType_1"', b'"itemType_71"')
    )
    assert load(without) == 1
    told = {one["resource"]: one["detail"] for one in map(orjson.loads, (tmp_path / "load-report.jsonl").read_bytes().splitlines())}
    assert "itemType_71" in told["ra_44"]


def test_an_export_of_another_address_has_to_say_so(site: Site, target: Ledger, tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    lively(site)
    file = exported(site, tmp_path / "all.jsonld")
    monkeypatch.setenv("LD_BASE_IRI", "https://new.example")
    assert load(file) == 2
    assert f"say --from {BASE}" in capsys.readouterr().err
    assert load("--from", BASE, file) == 0
    again = tmp_path / "again.nq"
    assert run("export", "--output", again) == 0
    moved = canonical(exported(site, tmp_path / "all.nq"), site).replace(f"<{BASE}/v1", "<https://new.example/v1")
    assert sorted(canonical(again, site).splitlines()) == sorted(moved.splitlines())


# --- what is new -------------------------------------------------------------------------------------------------------


def new_assets(count: int) -> list[dict[str, Any]]:
    return [{"@type": "IndividualProduct", "itemTypeId": "itemType_1", "assetTag": f"N-{number}"} for number in range(count)]


@pytest.fixture
def stocked(target: Ledger, tmp_path: Path) -> Ledger:
    """With an item type to which units can be added."""
    file = tmp_path / "types.json"
    file.write_bytes(orjson.dumps({"@type": "Product", **factories.item_type("T")}))
    assert load(file) == 0
    return target


def test_new_resources_are_made_as_if_they_had_been_posted(stocked: Ledger, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "units.json").write_bytes(orjson.dumps(new_assets(3)))
    turtle = "@prefix s: <https://schema.org/> . @prefix r: <https://w3id.org/ld-reservations#> .\n" + "".join(
        f'[] a s:IndividualProduct ; s:isVariantOf <{BASE}{ITEM_TYPES}/itemType_1> ; r:assetTag "TTL-{number}" .\n' for number in range(300)
    )
    (tmp_path / "in" / "units.ttl.gz").write_bytes(gzip.compress(turtle.encode()))
    (tmp_path / "in" / "more.jsonl").write_bytes(
        b"\n".join(map(orjson.dumps, [{**one, "assetTag": f"L-{n}"} for n, one in enumerate(new_assets(4))]))
    )
    (tmp_path / "in" / "notes.txt").write_text("not data")
    assert load(tmp_path / "in") == 0, (tmp_path / "load-report.jsonl").read_text()
    with stocked.read() as uow:
        assert uow.documents.count("asset") == 307 == uow.index.count("assets")
        assert uow.index.find("assets", "asset_tag", "TTL-299")
        told = uow.outbox.after(0, 1000)
        assert len([one for one in told if one.entry.type == "catalog.asset.created"]) == 307
        assert [one.entry.subject_id for one in told][1:] == [head.identifier for head in uow.documents.each("asset")]
        assert len(uow.projections.pending(1000)) == 308


def test_what_is_refused_is_told_one_by_one_and_keeps_nobody_out(stocked: Ledger, tmp_path: Path, capsys: Any) -> None:
    members = new_assets(5)
    members[1]["assetTag"] = "N-0"
    members[2]["status"] = "levitating"
    members[3]["itemTypeId"] = "itemType_99"
    file = tmp_path / "units.json"
    file.write_bytes(orjson.dumps([*members, {"@type": "Nonsense"}]))
    assert load("--report", tmp_path / "why.jsonl", file) == 1
    told = {one["resource"]: one for one in map(orjson.loads, (tmp_path / "why.jsonl").read_bytes().splitlines())}
    assert set(told) == {"1", "2", "3", "1 resources"}
    assert "belongs to asset_1 already" in told["1"]["detail"]
    assert told["2"]["violations"][0]["pointer"] == "/status"
    assert "itemType_99 does not exist" in told["3"]["detail"]
    assert "2 resources were added" in capsys.readouterr().out and "--type" in told["1 resources"]["detail"]


def test_a_load_that_was_interrupted_goes_on_where_it_stopped(stocked: Ledger, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("ld_server.rdf.pieces.RESOURCES_AT_ONCE", 10)
    file = tmp_path / "units.jsonl"
    file.write_bytes(b"\n".join(map(orjson.dumps, new_assets(45))))
    whole, seen = loading.make, []

    def breaking(*arguments: Any) -> Any:
        seen.append(1)
        if len(seen) == 3:
            raise KeyboardInterrupt
        return whole(*arguments)

    monkeypatch.setattr(loading, "make", breaking)
    assert load(file) == 130
    with stocked.read() as uow:
        assert uow.documents.count("asset") == 20
    monkeypatch.setattr(loading, "make", whole)
    assert load(file) == 0
    with stocked.read() as uow:
        assert uow.documents.count("asset") == 45
        assert len({orjson.loads(head.body)["assetTag"] for head in uow.documents.each("asset")}) == 45


@pytest.mark.parametrize("what", ["new", "restored"])
def test_a_load_that_is_killed_at_any_moment_goes_on_and_makes_nothing_twice(
    what: str, stocked: Ledger, tmp_path: Path, monkeypatch: Any
) -> None:
    count, chance = 1000, random.Random(what)
    file = tmp_path / "units.jsonl"
    file.write_bytes(b"\n".join(map(orjson.dumps, new_assets(count))))
    if what == "restored":
        file = restorable(file, tmp_path, monkeypatch)

    for _ in range(2):
        killed_while_loading(file, stocked, chance)
    assert run("load", "--processes", 2, file) == 0

    with stocked.read() as uow:
        assert uow.documents.count("asset") == count == uow.index.count("assets")
        assert len({orjson.loads(head.body)["assetTag"] for head in uow.documents.each("asset")}) == count
        assert len({identifier for _, identifier in uow.projections.pending(2 * count)}) == count + 1
        told = [one.entry.subject_id for one in uow.outbox.after(0, 2 * count) if one.entry.type == "catalog.asset.created"]
        assert sorted(told) == (sorted(head.identifier for head in uow.documents.each("asset")) if what == "new" else [])


def restorable(file: Path, tmp_path: Path, monkeypatch: Any) -> Path:
    """The same units as an export of another deployment, which has the same item type."""
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("LD_DATA_DIR", str(tmp_path / "source"))
        elsewhere.delenv("LD_DATABASE_URL")
        assert run("migrate") == 0
        assert load(tmp_path / "types.json", file) == 0
        assert run("export", "--type", "asset", "--output", tmp_path / "units.nq") == 0
    return tmp_path / "units.nq"


def killed_while_loading(file: Path, ledger: Ledger, chance: random.Random) -> None:
    """Starts a load, and kills it when it has brought some more, and a moment later."""

    def loaded() -> int:
        with ledger.read() as uow:
            return uow.documents.count("asset")

    before = loaded()
    child = subprocess.Popen([sys.executable, "-m", "ld_server", "load", "--processes", "2", file], start_new_session=True)
    eventually(lambda: loaded() > before or child.poll() is not None, "something is loaded")
    time.sleep(chance.uniform(0, 0.3))
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def test_pieces_are_checked_in_processes_of_their_own(stocked: Ledger, tmp_path: Path) -> None:
    file = tmp_path / "units.json"
    file.write_bytes(orjson.dumps(new_assets(600)))
    assert run("load", "--processes", 2, file) == 0
    with stocked.read() as uow:
        assert uow.documents.count("asset") == 600


@pytest.mark.parametrize(("name", "content"), [("x.json", b"{"), ("x.nq", b"<a"), ("x.ttl", b"<a> <b> \n")])
def test_a_file_that_cannot_be_read_is_a_refusal(stocked: Ledger, tmp_path: Path, name: str, content: bytes, capsys: Any) -> None:
    (tmp_path / name).write_bytes(content)
    assert load(tmp_path / name) == 1
    assert capsys.readouterr().err.startswith("ld-server: ")


def test_files_that_are_none_are_refused_before_anything_is_read(stocked: Ledger, tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "x.docx").write_bytes(b"")
    assert load(tmp_path / "x.docx") == 2
    assert load(tmp_path / "nowhere.nq") == 2
    assert "is no file" in capsys.readouterr().err
