"""Servers under test, each a process of its own on loopback, stopped by pid when the block ends."""

import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from bench.load import HOST
from ld_server.bootstrap import prepare
from ld_server.settings import Settings
from ld_server.supervisor.household import environment_of

KEY = "rsv_bench_0123456789012345678901234567890123"


@contextmanager
def running(command: list[str], environment: dict[str, str], port: int, path: str = "/health/live") -> Iterator[psutil.Process]:
    """The process, once it answers on its port at a path. What it says and logs goes to a file, as it would in a deployment."""
    top = Path(__file__).parent.parent
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, env={**os.environ, **environment}, stdout=log, stderr=log, cwd=top)
    try:
        _wait_for(port, process, path)
        yield psutil.Process(process.pid)
    finally:
        _stop(process)


def _stop(process: "subprocess.Popen[bytes]") -> None:
    """By its pid. One that is still at work on a request when its patience is over is killed, with its children."""
    family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)] if process.poll() is None else []
    process.terminate()
    try:
        process.wait(timeout=60)
    except subprocess.TimeoutExpired:
        for one in family:
            with suppress(psutil.NoSuchProcess):
                one.kill()
        process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def settings_at(directory: Path, port: int, **more: object) -> Settings:
    """A deployment of the bench: its own directory, a known admin key."""
    base = f"http://localhost:{port}"
    values = {"data_dir": directory, "port": port, "base_iri": base, "admin_key": KEY, **more}
    return Settings(**values)  # type: ignore[arg-type]


@contextmanager
def web_only(settings: Settings) -> Iterator[psutil.Process]:
    """Our web server alone, as `ld-server web` starts it, over a prepared ledger."""
    prepare(settings)
    with running([sys.executable, "-m", "ld_server", "web"], environment_of(settings), settings.port) as process:
        yield process


@contextmanager
def whole(settings: Settings) -> Iterator[psutil.Process]:
    """Everything, as `ld-server up` starts it."""
    with running([sys.executable, "-m", "ld_server", "up"], environment_of(settings), settings.port) as process:
        yield process


@contextmanager
def hello(settings: Settings) -> Iterator[psutil.Process]:
    """A Falcon hello-world under the same web server with the same settings."""
    with running([sys.executable, "-m", "bench.hello"], environment_of(settings), settings.port) as process:
        yield process


def cpu_seconds(process: psutil.Process) -> float:
    """CPU time of the process and all its children so far."""
    family = [process, *process.children(recursive=True)]
    return sum(map(_cpu_seconds, family))


def _cpu_seconds(process: psutil.Process) -> float:
    """Nothing for one that has just ended, as processes of Postgres do."""
    with suppress(psutil.NoSuchProcess):
        return float(sum(process.cpu_times()[:2]))
    return 0.0


def _wait_for(port: int, process: "subprocess.Popen[bytes]", path: str) -> None:
    for _ in range(600):
        if process.poll() is not None:
            raise SystemExit(f"the server ended with {process.returncode}")
        try:
            urllib.request.urlopen(f"http://localhost:{port}{path}", timeout=2).close()  # loopback only
            return
        except OSError:
            time.sleep(0.1)
    raise SystemExit("the server did not start within a minute")
