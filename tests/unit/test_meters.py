"""What is counted, by several processes, and how it is told."""

import os
import subprocess
import sys
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families as parsed

from ld_server.services.meters import (
    ATTEMPTS,
    COUNTERS,
    EVENTS_RELAYED,
    HISTOGRAMS,
    REQUEST_SECONDS,
    Meters,
    exposed,
    forget_the_dead,
    gauge,
)

COUNT_IN_ANOTHER_PROCESS = """
import sys
from pathlib import Path
from ld_server.services.meters import EVENTS_RELAYED, REQUEST_SECONDS, Meters
meters = Meters(Path(sys.argv[1]))
meters.count(EVENTS_RELAYED, amount=5)
meters.observe(REQUEST_SECONDS, 0.3, "GET", "/")
meters.close()
"""


def told(meters: Meters) -> dict[tuple[str, ...], float]:
    """Name and the values of the labels in the order of their names → number."""
    text = exposed(meters.gather(()), "")[0].decode()
    return {
        (one.name, *(one.labels[label] for label in sorted(one.labels))): one.value for family in parsed(text) for one in family.samples
    }


def test_nothing_is_made_before_something_is_counted(tmp_path: Path) -> None:
    meters = Meters(tmp_path / "metrics")
    assert told(meters) == {}
    meters.close()
    assert not (tmp_path / "metrics").exists()


def test_counts_are_told_by_their_labels(tmp_path: Path) -> None:
    meters = Meters(tmp_path)
    meters.count(ATTEMPTS, "webhook", "delivered")
    meters.count(ATTEMPTS, "webhook", "delivered")
    meters.count(ATTEMPTS, "route", "failed")
    found = told(meters)
    assert found["ld_delivery_attempts_total", "webhook", "delivered"] == 2
    assert found["ld_delivery_attempts_total", "route", "failed"] == 1


def test_a_duration_is_in_its_bucket_and_in_all_larger_ones(tmp_path: Path) -> None:
    meters = Meters(tmp_path)
    for seconds in (0.0004, 0.05, 99.0):
        meters.observe(REQUEST_SECONDS, seconds, "GET", "/")
    found = told(meters)
    bounds = {name[1]: value for name, value in found.items() if name[0] == "ld_request_seconds_bucket"}
    assert (bounds["0.001"], bounds["0.05"], bounds["15.0"], bounds["+Inf"]) == (1, 2, 2, 3)
    assert found["ld_request_seconds_count", "GET", "/"] == 3
    assert abs(found["ld_request_seconds_sum", "GET", "/"] - 99.0504) < 1e-9


def test_processes_are_added_up_and_what_ended_ones_did_stays(tmp_path: Path) -> None:
    meters = Meters(tmp_path)
    meters.count(EVENTS_RELAYED, amount=2)
    subprocess.run([sys.executable, "-c", COUNT_IN_ANOTHER_PROCESS, str(tmp_path)], check=True)
    found = told(meters)
    assert found["ld_events_relayed_total",] == 7
    assert found["ld_request_seconds_count", "GET", "/"] == 1


def test_a_process_goes_on_where_it_was(tmp_path: Path) -> None:
    for expected in (1, 2):
        meters = Meters(tmp_path)
        meters.count(EVENTS_RELAYED)
        meters.close()
        assert told(meters)["ld_events_relayed_total",] == expected


def test_the_dead_are_forgotten_and_the_living_are_not(tmp_path: Path) -> None:
    meters = Meters(tmp_path)
    meters.count(EVENTS_RELAYED)
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    (tmp_path / f"counter_{dead.pid}.db").write_bytes((tmp_path / f"counter_{os.getpid()}.db").read_bytes())
    assert told(meters)["ld_events_relayed_total",] == 2
    forget_the_dead(tmp_path)
    assert told(meters)["ld_events_relayed_total",] == 1


def test_open_metrics_is_given_where_it_is_accepted(tmp_path: Path) -> None:
    meters = Meters(tmp_path)
    meters.count(EVENTS_RELAYED)
    text, content_type = exposed(
        meters.gather([gauge("ld_waiting", "What waits.", {"relay": 3}, "part")]), "application/openmetrics-text;version=1.0.0"
    )
    assert content_type.startswith("application/openmetrics-text; version=1.0.0")
    assert text.endswith(b"# EOF\n")
    assert b'ld_waiting{part="relay"} 3.0' in text


def test_names_are_those_of_the_manual_of_prometheus() -> None:
    assert all(one.name.startswith("ld_") and one.meaning.endswith(".") for one in (*COUNTERS, *HISTOGRAMS))
    assert all(one.name.endswith("_seconds") for one in HISTOGRAMS)
