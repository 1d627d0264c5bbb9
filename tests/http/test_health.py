"""Health: what is down and why, without secrets; and how the service answers while a store is away."""

from datetime import timedelta
from types import SimpleNamespace

import pytest

from ld_server.domain.errors import StoreUnavailable
from ld_server.services.waiting import LONGEST_LAG
from tests import factories
from tests.http.conftest import ITEM_TYPES, RESERVATIONS, Site, problem


def away(*_arguments, **_options):
    raise StoreUnavailable("The store cannot be reached now.", retry_after=7)


def broken(*_arguments, **_options):
    raise OSError("postgresql://user:secret@db/ledger")


def test_a_process_that_answers_is_live(site: Site) -> None:
    answer = site.get("/health/live", key=None, Accept="image/png")
    assert (answer.status_code, answer.json) == (200, {"status": "ok"})


def test_a_process_whose_parts_work_is_ready(site: Site) -> None:
    answer = site.get("/health/ready", key=None)
    assert answer.status_code == 200
    parts = {name: {"status": "ok"} for name in ("ledger", "sparql", "projection")}
    told = {"relay": {"status": "ok", "waiting": 0}, "deliveries": {"status": "ok", "waiting": 0, "dead": 0}}
    assert answer.json == {"status": "ok", "parts": {**parts, **told}}
    assert answer.headers["cache-control"] == "no-store"


def test_what_is_down_is_named_with_the_reason(site: Site) -> None:
    answer = site.over(sparql=SimpleNamespace(ping=away)).get("/health/ready", key=None)
    assert (answer.status_code, answer.json["status"]) == (503, "down")
    assert answer.json["parts"]["sparql"] == {"status": "down", "why": "The store cannot be reached now."}
    assert answer.json["parts"]["ledger"] == {"status": "ok"}


def test_a_check_that_breaks_tells_no_secret(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    answer = site.over(sparql=SimpleNamespace(ping=broken)).get("/health/ready", key=None)
    assert answer.status_code == 503
    assert "secret" not in answer.text
    assert "secret" in caplog.text


def test_a_projection_that_lags_is_named(site: Site) -> None:
    site.item_type()
    assert site.get("/health/ready").status_code == 200
    later = site.parts.now() + LONGEST_LAG + timedelta(seconds=1)
    answer = site.over(now=lambda: later).get("/health/ready")
    assert answer.status_code == 503
    assert answer.json["parts"]["projection"]["why"].startswith("1 revisions wait for the SPARQL store")


def test_while_the_ledger_is_away_every_request_says_so(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.get(RESERVATIONS)
    for name in ("ping", "read", "write", "head"):
        monkeypatch.setattr(site.parts.ledger, name, away)
    for method, path, body in (
        ("GET", RESERVATIONS, None),
        ("GET", f"{RESERVATIONS}/ra_1", None),
        ("POST", ITEM_TYPES, factories.item_type()),
    ):
        answer = site.ask(method, path, body=body)
        problem(answer, "store-unavailable", 503)
        assert answer.headers["retry-after"] == "7"
    assert site.get("/health/live").status_code == 200
    assert site.get("/health/ready").json["parts"]["ledger"]["status"] == "down"
    assert site.get("/", key=None).status_code == 200


def test_reservations_go_on_while_the_sparql_store_is_away(site: Site) -> None:
    without = site.over(sparql=SimpleNamespace(ping=away, query=away, replace=away))
    without.asset(without.item_type())
    assert without.post(f"{RESERVATIONS}/{without.reservation('itemType_1')}/approve").status_code == 200
