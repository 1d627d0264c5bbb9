"""The example of the specification (6.5), posted as it stands: the scan runs at night, is told of, and reaches the planners by TLS."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook

from ld_server.resources.kind import written
from tests import factories
from tests.certificates import Authority
from tests.http.conftest import Site
from tests.receivers import Receiver, receiving
from workers.app import TASKS
from workers.deliver import Deliverer
from workers.relay import Relay

NIGHTLY: dict[str, Any] = {
    "name": "Nightly shortfall scan",
    "enabled": True,
    "source": "schedule",
    "schedule": {"type": "cron", "expr": "0 2 * * *", "timezone": "UTC"},
    "jobType": "planning.shortfall_scan",
    "filter": {"meta.tenant": "default"},
    "actions": [
        {"type": "invoke_internal", "config": {"handler": "planning.shortfall_scan"}},
        {"type": "webhook", "config": {"url": "https://lmt.internal/webhooks/planning"}},
    ],
}
COMPLETED = "planning.shortfall_scan.completed"


@pytest.fixture
def planners(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """`lmt.internal`, with a certificate of an authority that the worker believes."""
    authority = Authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    with receiving(tls=authority.context("lmt.internal")) as receiver:
        yield receiver


def at_its_port(receiver: Receiver) -> dict[str, Any]:
    """The example; its host listens on a port that is free here."""
    scan, webhook = NIGHTLY["actions"]
    url = webhook["config"]["url"].replace("lmt.internal", f"lmt.internal:{receiver.port}")
    return {**NIGHTLY, "actions": [scan, {**webhook, "config": {"url": url}}]}


def test_the_example_is_taken_as_it_stands(site: Site) -> None:
    made = site.over(settings=replace(site.parts.settings, webhook_allow="lmt.internal")).post("/v1/triggers", NIGHTLY)
    assert made.status_code == 201, made.text
    shown = site.get("/v1/triggers/trig_1").json
    assert {name: shown[name] for name in NIGHTLY} == NIGHTLY


def last_night(now: datetime) -> datetime:
    """The last time when it was two."""
    two = now.replace(hour=2, minute=0, second=0, microsecond=0)
    return two if two <= now else two - timedelta(days=1)


def _at(moment: datetime) -> datetime:
    return moment


def test_a_night_passes_and_the_planners_know_what_is_missing(either_site: Site, planners: Receiver) -> None:
    site = either_site.over(settings=replace(either_site.parts.settings, webhook_allow="lmt.internal", webhook_timeout=10.0))
    two = last_night(site.parts.now())
    evening, night = (site.over(now=partial(_at, two - timedelta(hours=before))) for before in (3, 0))
    window = {"startTime": written(two + timedelta(days=30)), "endTime": written(two + timedelta(days=32))}
    evening.made("/v1/planning/demand-signals", factories.demand_signal(evening.item_type(), 12, **window))
    made = evening.post("/v1/triggers", at_its_port(planners)).json
    assert TASKS["run_schedules"](evening.parts) == 0
    assert TASKS["run_schedules"](night.parts) == 1

    (completed,) = site.get("/v1/events", query=f"types={COMPLETED}").json["member"]
    assert completed["subject"] == {"type": "Trigger", "id": made["identifier"]}
    summary = completed["data"]["run"]["summary"]
    assert summary["shortfalls"] == 1, summary

    deliver(site)
    (got,) = planners.got
    assert (got.path, got.headers["host"]) == ("/webhooks/planning", f"lmt.internal:{planners.port}")
    assert Webhook(made["actions"][1]["config"]["secret"]).verify(got.body, dict(got.headers)) == completed == got.json
    assert completed["meta"]["sequence"] > 0
    page = site.get("/v1/deliveries", query=f"event={completed['id']}").json["member"]
    assert [(one["actionType"], one["status"]) for one in page] == [("webhook", "delivered"), ("invoke_internal", "delivered")]
    assert site.get("/v1/planning/snapshots").json["totalItems"] == 1, "the action is the run, and not another one after it"


def deliver(site: Site) -> None:
    """What a worker does, to whom the name service says that lmt.internal is this machine."""
    relay = Relay(site.parts, "worker")
    while relay.run_once(site.parts.now()):
        pass
    relay.stop()
    deliverer = Deliverer(site.parts, "worker", lambda _host, _port: ["127.0.0.1"])
    while deliverer.run_once():
        pass
