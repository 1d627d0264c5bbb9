"""The disk is full: what cannot be kept is refused clearly, reading goes on, and everything is well again as soon as there is room."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ld_server.bootstrap import build
from ld_server.cli.upkeep import QUESTIONS
from ld_server.settings import Settings
from relational.engine import open_engine
from relational.migrations import migrate
from tests import factories
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
