"""Which children a deployment has, how each is started and how it is asked whether it serves."""

import dataclasses
import http.client
import math
import secrets
import shutil
import socket
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

from ld_server.settings import Settings
from ld_server.supervisor.children import Role
from ld_server.supervisor.claims import Taken, free_port, private_directory

MANAGED = "managed:"
"""The SPARQL URL that asks for a store run by the supervisor."""

STACK = 8 * 1024 * 1024
"""Bytes of the stack of each thread of the SPARQL server: enough for what `ld_server.sparql.guard` lets through."""

LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 (names to translate, nothing listens here)
"""Where a server that listens on every address can be reached from this machine."""


def roles(settings: Settings) -> list[Role]:
    """The children in the order they are started. Raises Taken when the deployment cannot run as several processes."""
    if settings.sparql_url.startswith("memory:"):
        raise Taken("LD_SPARQL_URL=memory: lives in one process and cannot be shared by the children of up; use managed: or a URL")
    private_directory(settings.data_dir / "run")
    managed = [_sparql(settings)] if settings.sparql_url == MANAGED else []
    return [*managed, _web(settings), _worker(settings)]


def environment_of(settings: Settings) -> dict[str, str]:
    """The environment variables that give a child these settings."""
    values = {one.metadata["variable"]: getattr(settings, one.name) for one in dataclasses.fields(settings)}
    return {variable: str(value) for variable, value in values.items()}


def worker_ready_file(settings: Settings) -> Path:
    """The file whose presence says that the worker runs."""
    return settings.data_dir / "run" / "worker-ready"


def answers(host: str, port: int, path: str) -> bool:
    """True when something on the host answers GET with 200 within two seconds."""
    connection = http.client.HTTPConnection(LOOPBACK.get(host, host), port, timeout=2)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _sparql(settings: Settings) -> Role:
    """On a port that is free when it starts; the others read from a file which that is."""
    address = settings.data_dir / "run" / "sparql-url"
    server = oxigraph()

    def command() -> tuple[str, ...]:
        port = free_port()
        graphs = private_directory(settings.data_dir / "graphs")
        _write(address, f"http://127.0.0.1:{port}\n")
        limit = str(math.ceil(settings.sparql_timeout))
        return (server, "serve", "-l", str(graphs), "-b", f"127.0.0.1:{port}", "--timeout-s", limit)

    def is_ready() -> bool:
        return answers("127.0.0.1", int(address.read_text(encoding="ascii").rpartition(":")[2]), "/query?query=ASK%7B%7D")

    return Role(
        name="sparql",
        command=command,
        is_ready=is_ready,
        environment={"RUST_MIN_STACK": str(STACK)},
        leaves=2,
        advice=advice(settings),
        is_watched=True,
        memory=settings.sparql_memory,
    )


def advice(settings: Settings) -> str:
    """What can be done where the managed SPARQL store does not start, as the end of a sentence."""
    files = settings.data_dir / "graphs"
    return f"; if its files in {files} are broken, ld-server rebuild graphs --afresh sets them aside and fills new ones"


def _web(settings: Settings) -> Role:
    return Role(
        name="web",
        command=lambda: ourselves("web"),
        environment=environment_of(settings),
        is_ready=lambda: answers(settings.host, settings.port, "/health/live"),
    )


def _worker(settings: Settings) -> Role:
    """
    It keeps its name over restarts, so that it need not wait for the lease of its dead self to expire. The name is in the data
    directory, which is locked: no two workers of supervisors have the same.
    """
    ready = worker_ready_file(settings)
    name = _kept(settings.data_dir / "run" / "worker-name", lambda: f"{socket.gethostname()}:{secrets.token_hex(8)}")

    def command() -> tuple[str, ...]:
        ready.unlink(missing_ok=True)
        return ourselves("worker", "--name", name)

    return Role(name="worker", command=command, environment=environment_of(settings), is_ready=ready.exists)


def ourselves(*words: str) -> tuple[str, ...]:
    """A command of this very installation, wherever it is started: -P keeps the current directory off the module path."""
    return (sys.executable, "-P", "-m", "ld_server", *words)


def oxigraph() -> str:
    """The path of the Oxigraph server that the `oxigraph` package installed. Raises Taken when there is none."""
    beside = [Path(sys.executable).parent, Path(sysconfig.get_path("scripts"))]
    found = next((found for place in beside if (found := shutil.which("oxigraph", path=str(place)))), None) or shutil.which("oxigraph")
    if found is None:
        raise Taken("the oxigraph server is not installed: pip install oxigraph, or set LD_SPARQL_URL")
    return found


def _kept(path: Path, make: Callable[[], str]) -> str:
    """The text in the file, which is made the first time."""
    if not path.exists():
        _write(path, make())
    return path.read_text(encoding="utf-8")


def _write(path: Path, text: str) -> None:
    """Put the text in the file so that no reader sees half of it."""
    half = path.with_name(path.name + ".new")
    half.write_text(text, encoding="utf-8")
    half.replace(path)
