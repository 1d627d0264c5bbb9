"""Scheduled triggers run when they are asked to, and tell of their runs."""

from tests.http.conftest import Site
from workers.app import TASKS

NIGHTLY = {
    "name": "Nightly",
    "source": "schedule",
    "schedule": {"type": "cron", "expr": "0 2 * * *"},
    "jobType": "maintenance.overdue_scan",
}


def test_a_schedule_runs_now_and_tells_of_it(site: Site) -> None:
    trigger = site.post("/v1/triggers", NIGHTLY).json["identifier"]
    before = site.get(f"/v1/triggers/{trigger}/runs").json
    assert (before["nextRunAt"][11:], before["member"]) == ("02:00:00Z", [])
    asked = site.post(f"/v1/triggers/{trigger}/run", {})
    assert (asked.status_code, asked.json["status"], asked.json["dueAt"]) == (202, "waiting", None)
    assert TASKS["run_schedules"](site.parts) == 1
    (run,) = site.get(f"/v1/triggers/{trigger}/runs").json["member"]
    assert (run["identifier"], run["status"], run["summary"]["overdueWork"]) == (asked.json["identifier"], "completed", 0)
    event = site.get(f"/v1/events/{run['event']}").json
    assert (event["type"], event["data"]["run"]["identifier"]) == ("maintenance.overdue_scan.completed", run["identifier"])


def test_what_waits_for_events_or_is_not_there_cannot_be_run(site: Site) -> None:
    of_events = {"name": "Log", "eventTypes": ["rentAction.*"], "actions": [{"type": "invoke_internal", "handler": "log"}]}
    trigger = site.post("/v1/triggers", of_events).json["identifier"]
    assert site.post(f"/v1/triggers/{trigger}/run", {}).status_code == 422
    assert site.post("/v1/triggers/trig_99/run", {}).status_code == 404
    assert site.get("/v1/triggers/trig_99/runs").status_code == 404
