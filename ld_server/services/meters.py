"""
What is counted while the service works: requests, refusals, deliveries, events, revisions.

Every process of a node counts in files of its own under `run/metrics` of the data directory, in the layout that prometheus_client has for
many processes; whoever is asked adds them up. So any web process answers for all of them, and for the worker beside it.
"""

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import TypeAlias

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.mmap_dict import MmapedDict, mmap_key
from prometheus_client.multiprocess import MultiProcessCollector

Moment: TypeAlias = Metric
"""What is so at the moment, as the library has it."""


@dataclass(frozen=True)
class Meter:
    """Something that is counted: its name, what it means, and by what it is told apart."""

    name: str
    meaning: str
    labels: tuple[str, ...] = ()


REQUESTS = Meter("ld_requests", "Requests answered, by method, route and status.", ("method", "route", "status"))
REQUEST_SECONDS = Meter("ld_request_seconds", "Seconds from reading a request to its answer, by method and route.", ("method", "route"))
REFUSALS = Meter("ld_refusals", "Requests refused, by the slug of their problem; conflicts are among them.", ("problem",))
EVENTS_RELAYED = Meter("ld_events_relayed", "Events that were brought to the triggers.")
REVISIONS_PROJECTED = Meter("ld_revisions_projected", "Revisions that were brought to the SPARQL store.")
ATTEMPTS = Meter("ld_delivery_attempts", "Attempts at deliveries, by action and outcome: delivered or failed.", ("action", "outcome"))
ATTEMPT_SECONDS = Meter("ld_delivery_attempt_seconds", "Seconds that attempts at deliveries took, by action.", ("action",))

COUNTERS = (REQUESTS, REFUSALS, EVENTS_RELAYED, REVISIONS_PROJECTED, ATTEMPTS)
"""What only rises; each is exposed with `_total` behind its name."""

HISTOGRAMS = (REQUEST_SECONDS, ATTEMPT_SECONDS)

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, float("inf"))
"""Upper bounds in seconds: from a read of one resource to the time that a receiver has."""


FIRST_ROOM = 1 << 16
"""Bytes that a file has at first; prometheus_client doubles them as it needs more."""

AROUND_A_KEY = 32
"""Bytes that a key takes beside its own, at most: its length, padding, the value and a time."""


class Meters:
    """
    The counts of one process, in `directory`. Threads may share them; a process that forks makes its own afterwards.

    Files are made with the first count: building this touches nothing.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock = Lock()
        self._files: dict[str, MmapedDict] = {}
        self._values: dict[str, float] = {}
        self._keys: dict[tuple[str, ...], tuple[str, ...]] = {}
        self._sizes: dict[str, int] = {}

    def count(self, meter: Meter, *labels: str, amount: float = 1.0) -> None:
        """Add to a counter."""
        with self._lock, suppress(OSError):  # where there is no room to count, the work goes on
            self._add("counter", self._keys_of("counter", meter, labels, ("_total",))[0], amount)

    def observe(self, meter: Meter, seconds: float, *labels: str) -> None:
        """Add a duration to a histogram."""
        with self._lock, suppress(OSError):
            total, *buckets = self._keys_of("histogram", meter, labels, ("_sum", *map(_le, BUCKETS)))
            self._add("histogram", total, seconds)
            self._add("histogram", buckets[next(place for place, bound in enumerate(BUCKETS) if seconds <= bound)], 1.0)

    def gather(self, moments: Iterable[Moment]) -> CollectorRegistry:
        """What every process of this node has counted, and beside it what is so at the moment."""
        registry = CollectorRegistry()
        if self._directory.is_dir():
            MultiProcessCollector(registry, path=str(self._directory))
        registry.register(_Given(tuple(moments)))
        return registry

    def close(self) -> None:
        """The counts stay: what this process has done was done."""
        with self._lock:
            for file in self._files.values():
                file.close()
            self._files.clear()
            self._keys.clear()
            self._sizes.clear()

    def _keys_of(self, sort: str, meter: Meter, labels: tuple[str, ...], suffixes: tuple[str, ...]) -> tuple[str, ...]:
        known = self._keys.get((meter.name, *labels))
        return self._begun(sort, meter, labels, suffixes) if known is None else known

    def _begun(self, sort: str, meter: Meter, labels: tuple[str, ...], suffixes: tuple[str, ...]) -> tuple[str, ...]:
        """Each key where it was when a process of this number was here before, else at 0: empty buckets are told, too."""
        keys = tuple(_key(meter, labels, suffix) for suffix in suffixes)
        self._make_room(sort, keys)
        file = self._files.get(sort) or self._open(sort)
        self._values |= {key: file.read_value(key)[0] for key in keys}
        self._keys[(meter.name, *labels)] = keys
        return keys

    def _make_room(self, sort: str, keys: Iterable[str]) -> None:
        """
        Have the disk keep what these keys will take. Raises OSError where it is full.

        The library maps files with holes into memory; to write into a hole for which there is no room would kill the process.
        """
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._path(sort).open("ab") as file:
            known = self._sizes.get(sort, os.fstat(file.fileno()).st_size)
            needed = known + sum(len(key.encode()) + AROUND_A_KEY for key in keys)
            size = FIRST_ROOM
            while size < needed:
                size *= 2
            os.posix_fallocate(file.fileno(), 0, size)
        self._sizes[sort] = needed

    def _add(self, sort: str, key: str, amount: float) -> None:
        self._values[key] += amount
        self._files[sort].write_value(key, self._values[key], 0.0)

    def _open(self, sort: str) -> MmapedDict:
        file = self._files[sort] = MmapedDict(str(self._path(sort)))
        return file

    def _path(self, sort: str) -> Path:
        return self._directory / f"{sort}_{os.getpid()}.db"


def _le(bound: float) -> str:
    return "+Inf" if bound == float("inf") else str(bound)


def _key(meter: Meter, labels: tuple[str, ...], suffix: str) -> str:
    """The key of a value, as prometheus_client names values in its files; a suffix that is a bound is that of a bucket."""
    if suffix.startswith("_"):
        return str(mmap_key(meter.name, f"{meter.name}{suffix}", list(meter.labels), list(labels), meter.meaning))
    return str(mmap_key(meter.name, f"{meter.name}_bucket", [*meter.labels, "le"], [*labels, suffix], meter.meaning))


class _Given:
    """A collector of what has been measured already."""

    def __init__(self, moments: tuple[Moment, ...]) -> None:
        self._moments = moments

    def collect(self) -> Iterable[Moment]:
        return self._moments


def gauge(name: str, meaning: str, values: Mapping[str, float], label: str = "") -> Moment:
    """What is so at the moment: value of the label → number, or one number under the empty text where there is no label."""
    found = GaugeMetricFamily(name, meaning, labels=[label] if label else [])
    for value, number in values.items():
        found.add_metric([value] if label else [], number)
    return found


def exposed(registry: CollectorRegistry, accept: str) -> tuple[bytes, str]:
    """The text of everything in the registry and its media type: Prometheus' text format, or OpenMetrics where that is accepted."""
    encode, content_type = choose_encoder(accept)
    return bytes(encode(registry)), str(content_type)


def forget_the_dead(directory: Path) -> None:
    """Drop the counts of processes that are gone; call it where a service starts, as counts fall by it."""
    for file in directory.glob("*.db"):
        pid = file.stem.rpartition("_")[2]
        if pid.isdecimal() and not _lives(int(pid)):
            file.unlink(missing_ok=True)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
