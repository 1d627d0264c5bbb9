"""`/metrics`: what was asked and refused, and what waits."""

import json
import logging
from datetime import timedelta

import pytest
from prometheus_client.parser import text_string_to_metric_families as parsed

from ld_server.cli.logs import Lines
from tests.http.conftest import ITEM_TYPES, RESERVATIONS, Site, problem
from workers.deliver import Deliverer
from workers.projector import Projector
from workers.relay import Relay


def numbers(site: Site) -> dict[tuple[str, ...], float]:
    """Name and the values of the labels in the order of their names → number."""
    answer = site.get("/metrics", key="reader", Accept="text/plain")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    families = parsed(answer.text)
    return {(one.name, *(one.labels[name] for name in sorted(one.labels))): one.value for family in families for one in family.samples}


def test_requests_are_counted_by_route_and_status(either_site: Site) -> None:
    site = either_site
    item = site.item_type()
    site.get(f"{ITEM_TYPES}/{item}")
    site.get(f"{ITEM_TYPES}/itemType_77")
    site.get("/nowhere")
    found = numbers(site)
    assert found["ld_requests_total", "GET", f"{ITEM_TYPES}/{{identifier}}", "200"] == 1
    assert found["ld_requests_total", "GET", f"{ITEM_TYPES}/{{identifier}}", "404"] == 1
    assert found["ld_requests_total", "POST", ITEM_TYPES, "201"] == 1
    assert found["ld_requests_total", "GET", "none", "404"] == 1
    assert found["ld_request_seconds_count", "GET", f"{ITEM_TYPES}/{{identifier}}"] == 2
    assert found["ld_refusals_total", "not-found"] == 2


def test_whoever_asks_does_not_choose_what_is_counted(site: Site) -> None:
    for word in ("ONE", "TWO"):
        site.client.simulate_request(word, f"/{word}", headers={"Authorization": f"Bearer {site.keys['admin']}"})
    named = [name for name in numbers(site) if name[0] == "ld_requests_total"]
    assert {name[1:3] for name in named} == {("other", "none")}


def test_conflicts_are_counted(site: Site) -> None:
    reservation = site.reservation(site.item_type())
    problem(site.post(f"{RESERVATIONS}/{reservation}/approve"), "insufficient-availability", 409)
    assert numbers(site)["ld_refusals_total", "insufficient-availability"] == 1


def test_what_waits_is_told_with_how_long(either_site: Site) -> None:
    site = either_site
    site.item_type()
    later = site.over(now=lambda: site.parts.now() + timedelta(seconds=90))
    found = numbers(later)
    assert found["ld_waiting", "projection"] == found["ld_waiting", "relay"] == 1
    assert 90 <= found["ld_lag_seconds", "projection"] < 150
    assert 90 <= found["ld_lag_seconds", "relay"] < 150
    assert found["ld_lag_seconds", "deliveries"] == 0
    assert found["ld_ledger_connections", "in_use"] == 0


def test_what_workers_do_is_counted_beside_it(either_site: Site) -> None:
    site = either_site
    trigger = {
        "name": "All that is made",
        "eventTypes": ["catalog.*"],
        "actions": [{"type": "invoke_internal", "config": {"handler": "planning.shortfall_scan"}}],
    }
    assert site.post("/v1/triggers", trigger).status_code == 201
    site.item_type()
    now = site.parts.now()
    assert Projector(site.parts, "one").run_once(now) == 1
    assert Relay(site.parts, "one").run_once(now) == 1
    assert Deliverer(site.parts, "one").run_once() == 1
    found = numbers(site)
    assert found["ld_revisions_projected_total",] == found["ld_events_relayed_total",] == 1
    assert found["ld_delivery_attempts_total", "invoke_internal", "delivered"] == 1
    assert found["ld_delivery_attempt_seconds_count", "invoke_internal"] == 1
    assert found["ld_waiting", "projection"] == found["ld_waiting", "relay"] == found["ld_waiting", "deliveries"] == 0


def test_only_holders_of_a_key_see_the_numbers(site: Site) -> None:
    problem(site.get("/metrics", key=None), "unauthenticated", 401)


def test_lines_that_are_logged_within_a_request_carry_its_correlation_id(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(Lines().format(record))  # type: ignore[method-assign]
    logging.getLogger().addHandler(handler)
    monkeypatch.setattr(site.parts.ledger, "head", lambda _identifier: 1 / 0)
    try:
        assert site.get(f"{ITEM_TYPES}/itemType_1", X_Correlation_Id="trip-7").status_code == 500
        logging.getLogger("elsewhere").warning("afterwards")
    finally:
        logging.getLogger().removeHandler(handler)
    inside, after = ([json.loads(line) for line in lines if word in line] for word in ("ZeroDivisionError", "afterwards"))
    assert [one["correlationId"] for one in inside] == ["trip-7"]
    assert "correlationId" not in after[0]
