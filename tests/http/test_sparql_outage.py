"""The SPARQL store is away: what waits for it is shown with its cause wherever somebody looks, and is gone when it is back."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from ld_server.bootstrap import build
from ld_server.cli.upkeep import QUESTIONS
from ld_server.domain.errors import StoreUnavailable
from ld_server.services.waiting import LONGEST_LAG
from ld_server.settings import Settings
from tests.http.conftest import ITEM_TYPES, Site, open_site
from tests.http.test_metrics import numbers
from tests.sparql_servers import OxigraphServer
from tests.workers.test_projector import eventually
from workers.projector import Projector

AWAY = "The SPARQL store cannot be reached now."
CAUSE = AWAY.removesuffix(".")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[OxigraphServer]:
    started = OxigraphServer(directory=tmp_path / "graphs")
    yield started
    started.stop()


@pytest.fixture
def site(server: OxigraphServer, sqlite_url: str, tmp_path: Path) -> Iterator[Site]:
    urls = {"sparql_url": f"{server.url}/query", "sparql_update_url": f"{server.url}/update"}
    parts = build(Settings(data_dir=tmp_path, database_url=sqlite_url, **urls))
    projector = Projector(parts, "worker a")
    projector.start()
    yield open_site(parts)
    projector.stop()
    parts.close()


def checked(site: Site, question: str) -> tuple[bool, str]:
    """What `ld-server check` says to a question, and whether it is bad."""
    try:
        return QUESTIONS[question](site.parts)
    except StoreUnavailable as refusal:
        return True, str(refusal)


def test_what_waits_for_the_store_is_shown_with_its_cause_until_it_is_back(site: Site, server: OxigraphServer) -> None:
    site.item_type("before")
    eventually(lambda: numbers(site)["ld_waiting", "projection"] == 0)
    server.stop(hard=True)
    site.item_type("meanwhile"), site.item_type("later")
    assert site.get(ITEM_TYPES).json["totalItems"] == 3
    later = site.over(now=lambda: site.parts.now() + LONGEST_LAG + timedelta(seconds=5))

    ready = later.get("/health/ready", key=None)
    parts = ready.json["parts"]
    assert (ready.status_code, parts["sparql"], parts["ledger"]) == (503, {"status": "down", "why": AWAY}, {"status": "ok"})
    why = parts["projection"]["why"]
    assert why.startswith("2 revisions wait for the SPARQL store, the oldest since ") and CAUSE in why
    assert (numbers(later)["ld_waiting", "projection"], numbers(later)["ld_lag_seconds", "projection"] >= 65) == (2, True)
    assert checked(later, "SPARQL store") == (True, AWAY)
    is_bad, told = checked(later, "projection")
    assert is_bad and told.startswith("2 revisions wait for the SPARQL store, the oldest since ") and told.endswith(f"({CAUSE})")

    server.start()

    eventually(lambda: site.get("/health/ready", key=None).status_code == 200 and numbers(site)["ld_waiting", "projection"] == 0)
    assert later.get("/health/ready", key=None).json["parts"]["projection"] == {"status": "ok"}
    assert numbers(later)["ld_lag_seconds", "projection"] == 0
    assert [checked(later, question)[0] for question in ("SPARQL store", "projection", "graphs")] == [False, False, False]
