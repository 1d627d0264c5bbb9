"""The disk is full: what cannot be kept is refused clearly, reading goes on, and everything is well again as soon as there is room."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ld_server.bootstrap import build
from ld_server.cli.upkeep import QUESTIONS
from ld_server.settings import Settings
from relational.engine import open_engine
from relational.migrations import migrate
from tests import factories
from tests.conftest import PostgresServer
from tests.http.conftest import ASSETS, ITEM_TYPES, RESERVATIONS, Site, open_site, problem
from tests.http.test_attachments import ATTACHMENTS, form
from tests.pictures import PDF

SIZE = 12 * 1024 * 1024


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small file system of its own. Whoever runs the tests must be allowed to mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "none", str(place)], check=True)
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.fixture
def site(disk: Path) -> Iterator[Site]:
    settings = Settings(data_dir=disk, sparql_url="memory:")
    engine = open_engine(settings.database_url)
    migrate(engine)
    engine.dispose()
    parts = build(settings)
    yield open_site(parts)
    parts.close()


@pytest.fixture
def tablespace() -> Iterator[Path]:
    """A small file system that the user of Postgres may use, too."""
    place = Path(tempfile.mkdtemp(prefix="tablespace-"))
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={2 * SIZE},mode=777", "none", str(place)], check=True)
    (place / "space").mkdir()
    (place / "space").chmod(0o777)
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)
    place.rmdir()


@pytest.fixture
def postgres_site(postgres_server: PostgresServer, tablespace: Path, tmp_path: Path) -> Iterator[Site]:
    """Its tables and indexes are in the small file system; the log of Postgres has room."""
    shutil.chown(tablespace / "space", pwd.getpwuid(postgres_owner(postgres_server)).pw_name)
    (tablespace / "space").chmod(0o700)
    postgres_server.execute(f"CREATE TABLESPACE small LOCATION '{tablespace / 'space'}'")
    database = postgres_server.new_database()
    postgres_server.execute(f"ALTER DATABASE {database} SET TABLESPACE small")
    parts = build(Settings(data_dir=tmp_path, database_url=postgres_server.url(database), sparql_url="memory:"))
    yield open_site(parts)
    parts.close()
    postgres_server.drop(database)
    postgres_server.execute("DROP TABLESPACE small")


def postgres_owner(server: PostgresServer) -> int:
    """The number of the user whom the data directory belongs to."""
    return server.directory.stat().st_uid


def fill(disk: Path) -> Path:
    """A file that leaves no room for another byte."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            while _is_written(file.fileno(), bytes(size)):
                continue
    return filler


def _is_written(descriptor: int, content: bytes) -> bool:
    try:
        return os.write(descriptor, content) > 0
    except OSError:
        return False


def test_changes_are_refused_reading_goes_on_and_room_makes_everything_well(site: Site, disk: Path) -> None:
    item = site.item_type()
    asset = site.asset(item)
    made = site.reservation(item)
    filler = fill(disk)
    refused = 0
    for number in range(200):
        answer = site.post(ITEM_TYPES, factories.item_type(f"T-{number}", description="x" * 2000))
        refused += answer.status_code == 503
        if answer.status_code == 503:
            told = problem(answer, "store-unavailable", 503)
            assert told["detail"] == "There is no room left for changes. What is there can be read."
            assert int(answer.headers["retry-after"]) >= 1
        else:
            assert answer.status_code == 201, "what fits into what the log has already is taken"
    assert refused > 100
    there = site.get(ITEM_TYPES).json["totalItems"]
    assert there == 1 + 200 - refused
    assert site.get(f"{RESERVATIONS}/{made}").status_code == 200
    body, content_type = form({"ownerKind": "asset", "ownerId": asset}, PDF * 2000, "manual.pdf", "application/pdf")
    problem(site.ask("POST", ATTACHMENTS, body=body, Content_Type=content_type), "store-unavailable", 503)

    filler.unlink()

    assert site.post(ITEM_TYPES, factories.item_type("ROOM")).status_code == 201
    assert site.ask("POST", ATTACHMENTS, body=body, Content_Type=content_type).status_code == 201
    assert site.post(f"{RESERVATIONS}/{made}/approve").json["allocations"][0]["asset"]["identifier"] == asset
    assert site.get(ASSETS).json["totalItems"] == 1
    assert site.get(ITEM_TYPES).json["totalItems"] == there + 1
    for name in ("ledger", "index", "counters", "shapes", "attachments"):
        assert not QUESTIONS[name](site.parts)[0], name
    assert [one.name for one in disk.rglob("*") if one.name == "filler"] == []


def test_where_the_tables_of_postgres_have_no_room_changes_are_refused_and_reading_goes_on(postgres_site: Site, tablespace: Path) -> None:
    site = postgres_site
    item = site.item_type()
    asset = site.asset(item)
    made = site.reservation(item)
    filler = fill(tablespace)
    answers = [site.post(ITEM_TYPES, factories.item_type(f"T-{number}", description="x" * 2000)) for number in range(120)]
    refused = [answer for answer in answers if answer.status_code != 201]
    assert len(refused) > 20
    for answer in refused:
        assert problem(answer, "store-unavailable", 503)["detail"] == "There is no room left for changes. What is there can be read."
        assert int(answer.headers["retry-after"]) >= 1
    there = site.get(ITEM_TYPES).json["totalItems"]
    assert there == 1 + len(answers) - len(refused), "what was acknowledged is there, and nothing else"
    assert site.get(f"{RESERVATIONS}/{made}").status_code == 200

    filler.unlink()

    assert site.post(ITEM_TYPES, factories.item_type("ROOM")).status_code == 201
    assert site.post(f"{RESERVATIONS}/{made}/approve").json["allocations"][0]["asset"]["identifier"] == asset
    assert site.get(ITEM_TYPES).json["totalItems"] == there + 1
    for name in ("ledger", "index", "counters", "shapes", "attachments"):
        assert not QUESTIONS[name](site.parts)[0], name
