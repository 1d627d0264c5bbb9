"""The restore drill: a backup that was made in a storm of writes comes back whole, and nothing that was acknowledged before it is lost."""

import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from falcon import testing

from ld_server.bootstrap import BASE_IRI_FACT, build
from ld_server.cli import main
from ld_server.http.app import create_app
from ld_server.services import counters
from ld_server.settings import Settings
from relational.unit_of_work import open_ledger
from tests import factories
from tests.conftest import PostgresServer
from tests.http.conftest import ITEM_TYPES, RESERVATIONS, Site, open_site


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings but the tests' own, and a SPARQL store that needs no server."""
    for name in [name for name in os.environ if name.startswith("LD_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("LD_SPARQL_URL", "memory:")


@pytest.fixture
def site(database_url: str, tmp_path: Path) -> Iterator[Site]:
    parts = build(Settings(data_dir=tmp_path / "source", database_url=database_url, sparql_url="memory:"))
    yield open_site(parts)
    parts.close()


@pytest.fixture
def fresh(site: Site, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of a database of the same engine that has nothing at all."""
    if site.parts.ledger.engine.dialect.name == "sqlite":
        yield f"sqlite:///{tmp_path}/fresh/ledger.db"
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    name = server.new_database("template0")
    yield server.url(name)
    server.drop(name)


def run(url: str, data: Path, monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    monkeypatch.setenv("LD_DATABASE_URL", url)
    monkeypatch.setenv("LD_DATA_DIR", str(data))
    return main([str(word) for word in words])


def stocked(site: Site) -> None:
    """A fleet with promises from a pool, and a file."""
    cable = site.item_type("C", kind="fungible")
    site.made("/v1/catalog/stock-pools", {"itemTypeId": cable, "quantityTotal": 9})
    made = site.reservation(cable, 3)
    assert site.post(f"{RESERVATIONS}/{made}/approve").status_code == 200
    attach(site, "note.txt", b"hi")


def attach(site: Site, name: str, content: bytes) -> None:
    said = {"ownerKind": "item_type", "ownerId": "itemType_1", "fileName": name, "contentType": "text/plain", "byteSize": len(content)}
    started = site.post("/v1/attachments/initiate", said)
    assert started.status_code == 201, started.text
    path, _, query = started.json["uploadUrl"].removeprefix(site.parts.settings.base_iri).partition("?")
    assert site.client.simulate_put(path, query_string=query, body=content, headers=started.json["uploadHeaders"]).status_code == 204
    assert site.post("/v1/attachments/complete", {"identifier": started.json["identifier"]}).status_code == 200


class Storm:
    """Writers that go on until they are told to stop; `acknowledged` are the resources they were given an identifier for."""

    def __init__(self, site: Site) -> None:
        self.acknowledged: list[str] = []
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._write, args=(site, number)) for number in range(3)]

    def __enter__(self) -> "Storm":
        for one in self._threads:
            one.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for one in self._threads:
            one.join()

    def _write(self, site: Site, number: int) -> None:
        count = 0
        while not self._over.is_set():
            body = orjson.dumps(factories.item_type(f"S{number}-{count}"))
            headers = {"Content-Type": "application/json", "X-Api-Key": site.keys["admin"]}
            answer = site.client.simulate_post(ITEM_TYPES, body=body, headers=headers)
            if answer.status_code == 201:
                self.acknowledged.append(answer.json["identifier"])
            count += 1


@pytest.mark.parametrize("name", ["backup", "backup.tar.gz"])
def test_a_backup_made_in_a_storm_comes_back_whole(
    site: Site, fresh: str, tmp_path: Path, monkeypatch: Any, capsys: Any, name: str
) -> None:
    stocked(site)
    target, source = tmp_path / name, site.parts.settings
    with Storm(site) as storm:
        while len(storm.acknowledged) < 20:
            pass
        before = list(storm.acknowledged)
        assert run(source.database_url, source.data_dir, monkeypatch, "backup", target) == 0
    assert len(storm.acknowledged) > len(before)
    assert run(fresh, tmp_path / "fresh", monkeypatch, "restore", target) == 0
    ledger = open_ledger(fresh)
    with ledger.read() as uow:
        assert set(before) <= uow.documents.heads(before).keys()
        restored = {head.identifier: head.body for head in uow.documents.each()}
        newest = uow.documents.count("itemType")
        assert uow.keys.all()
    with site.parts.ledger.read() as uow:
        assert {identifier: head.body for identifier, head in uow.documents.heads(restored).items()} == restored
    assert counters.differing(ledger) == []
    with ledger.write() as uow:
        assert uow.documents.next_number("itemType") > newest
    ledger.close()
    capsys.readouterr()
    run(fresh, tmp_path / "fresh", monkeypatch, "check")
    told = capsys.readouterr().out.splitlines()
    assert not [line for line in told if line.startswith("BAD") and "graphs" not in line], told


@pytest.fixture
def saved(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    stocked(site)
    assert run(site.parts.settings.database_url, site.parts.settings.data_dir, monkeypatch, "backup", tmp_path / "saved") == 0
    return tmp_path / "saved"


def test_what_is_restored_opens_with_the_same_keys_and_goes_on(
    saved: Path, site: Site, fresh: str, tmp_path: Path, monkeypatch: Any
) -> None:
    token = site.ask("HEAD", "/v1/export").headers["link"].partition("since=")[2].partition(">")[0]
    assert run(fresh, tmp_path / "fresh", monkeypatch, "restore", saved) == 0
    parts = build(Settings(data_dir=tmp_path / "fresh", database_url=fresh, sparql_url="memory:"))
    again = Site(parts, testing.TestClient(create_app(parts)), site.keys)
    assert again.get(f"{RESERVATIONS}/ra_1").json["status"] == "approved"
    assert again.item_type("next") == "itemType_2"
    place = again.get("/v1/attachments/att_1/content").headers["location"].removeprefix(parts.settings.base_iri)
    assert again.client.simulate_get(place.partition("?")[0], query_string=place.partition("?")[2]).content == b"hi"
    assert again.get("/v1/export", query=f"since={token}").status_code == 400
    with parts.ledger.read() as uow:
        assert uow.projections.backlog().count > 0
    parts.close()


def test_a_damaged_backup_changes_nothing(saved: Path, fresh: str, tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    victim = next(one for one in sorted(saved.iterdir()) if one.name.startswith(("ledger.db", "documents")))
    content = bytearray(victim.read_bytes())
    content[len(content) // 2] ^= 1
    victim.write_bytes(content)
    assert run(fresh, tmp_path / "fresh", monkeypatch, "restore", saved) == 1
    assert victim.name in capsys.readouterr().err
    assert not (tmp_path / "fresh" / "secret-key").exists()
    victim.unlink()
    assert run(fresh, tmp_path / "fresh", monkeypatch, "restore", saved) == 1


def test_nothing_is_restored_over_something(saved: Path, site: Site, fresh: str, tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    source = site.parts.settings
    assert run(source.database_url, tmp_path / "elsewhere", monkeypatch, "restore", saved) == 2
    assert "not empty" in capsys.readouterr().err
    assert run(fresh, source.data_dir, monkeypatch, "restore", saved) == 2
    assert run(source.database_url, source.data_dir, monkeypatch, "backup", saved) == 2
    assert "there already" in capsys.readouterr().err


def test_what_is_no_backup_is_told(site: Site, fresh: str, tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "x.tar").write_bytes(b"nothing")
    for source in ("empty", "x.tar", "nowhere"):
        assert run(fresh, tmp_path / "fresh", monkeypatch, "restore", tmp_path / source) == 1
        assert "is no backup" in capsys.readouterr().err


def test_a_backup_stays_with_its_engine(saved: Path, fresh: str, tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    manifest = json.loads((saved / "manifest.json").read_text())
    (saved / "manifest.json").write_text(json.dumps({**manifest, "engine": "other"}))
    assert run(fresh, tmp_path / "fresh", monkeypatch, "restore", saved) == 2
    assert "the backup is of other" in capsys.readouterr().err


def test_a_backup_names_the_base_that_its_data_was_made_for(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded = "https://reservations.example.org"
    with site.parts.ledger.write() as uow:
        uow.facts.set(BASE_IRI_FACT, recorded)
    monkeypatch.setenv("LD_BASE_IRI", "http://localhost:8123")
    source = site.parts.settings
    assert run(source.database_url, source.data_dir, monkeypatch, "backup", tmp_path / "copy") == 0
    assert json.loads((tmp_path / "copy" / "manifest.json").read_text())["baseIri"] == recorded
