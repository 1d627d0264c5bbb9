"""A real `ld-server up` in a directory of its own, and a client for it."""

import json
import os
import random
import re
import subprocess
import sys
import urllib.error
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import psutil
from processes import PATIENCE, Running, eventually

from ld_server.supervisor.claims import free_port

LD_SERVER = (sys.executable, "-m", "ld_server")


def environment(**settings: str) -> dict[str, str]:
    """
    What a newcomer's shell has, and the settings of the test.

    One web process is enough and starts sooner; on a loaded machine the projector may take longer than a planner would wait.
    """
    bare = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return {**bare, "LD_WEB_WORKERS": "1", "LD_SPARQL_WAIT": "60", **settings}


def some_port() -> int:
    """A port nobody listens on, apart from the ones the supervisor takes for its own children."""
    return free_port(random.randrange(10_000, 18_000), 19_000)


@dataclass
class Answer:
    status: int
    headers: Any
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()


class Client:
    """Speaks to the service as anybody would."""

    def __init__(self, address: str, key: str | None) -> None:
        self.address, self.key = address, key
        self._open = urllib.request.build_opener(urllib.request.ProxyHandler({})).open

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        sent = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        sent |= {"Content-Type": "application/json"} if data is not None else {}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        url = path if path.startswith("http") else self.address + path
        try:
            with self._open(urllib.request.Request(url, data, sent, method=method), timeout=PATIENCE) as answer:
                return Answer(answer.status, answer.headers, answer.read())
        except urllib.error.HTTPError as refusal:
            return Answer(refusal.code, refusal.headers, refusal.read())

    def create(self, path: str, body: Any, **headers: str) -> Any:
        answer = self("POST", path, body, **headers)
        assert answer.status == 201, answer.text
        return answer.json

    def ask(self, query: str) -> list[dict[str, str]]:
        """The rows of a SELECT query."""
        form = urlencode({"query": query}).encode()
        content = "application/x-www-form-urlencoded"
        answer = self("POST", "/v1/sparql", form, Content_Type=content, Accept="application/sparql-results+json")
        assert answer.status == 200, answer.text
        rows = answer.json["results"]["bindings"]
        return [{name: term["value"] for name, term in row.items()} for row in rows]


@dataclass
class Deployment:
    """A running `up`."""

    running: Running
    port: int
    data: Path
    settings: dict[str, str] = field(default_factory=dict)
    """What it was told by its environment."""

    @property
    def address(self) -> str:
        return f"http://localhost:{self.port}"

    @property
    def banner(self) -> str:
        return self.running.out

    @property
    def new_key(self) -> str | None:
        found = re.search(r"export LD_KEY=(rsv_\S+)", self.banner)
        return found[1] if found else None

    @property
    def curl_lines(self) -> list[str]:
        return [line for line in self.banner.splitlines() if line.startswith("curl ")]

    def client(self, key: str | None = None) -> Client:
        return Client(self.address, key or self.new_key)

    def command(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """A command of `ld-server` beside the running deployment."""
        line = [*LD_SERVER, *words, "--data", str(self.data)]
        return subprocess.run(line, capture_output=True, text=True, env=environment(**self.settings), check=False)

    def part(self, name: str) -> psutil.Process:
        """The process of a part: sparql, web or worker."""
        words = {"sparql": ("oxigraph", "serve"), "web": ("ld_server", "web"), "worker": ("ld_server", "worker")}[name]
        return self.running.child(*words)


CODES = "SELECT ?code WHERE { ?type <http://schema.org/sku> ?code }"


def codes(client: Client) -> set[str]:
    """The codes of all item types, by SPARQL."""
    return {row["code"] for row in client.ask(CODES)}


@contextmanager
def up(data: Path, port: int | None = None, command: str = "up", wait: bool = True, **settings: str):
    """`ld-server up` until its greeting; everything it started is gone afterwards."""
    port = port or some_port()
    line = [*LD_SERVER, command, "--port", str(port), "--data", str(data)]
    place = data.parent / f"output-{len(list(data.parent.glob('output-*')))}"
    with Running(line, place, environment(**settings), cwd=data.parent) as running:
        deployment = Deployment(running, port, data, settings)
        if wait:
            running.says("Ctrl-C stops everything.")
        yield deployment


def settled(condition: Any, what: str) -> Any:
    """Like eventually, for conditions that may fail while a part is being started again."""

    def attempt() -> Any:
        try:
            return condition()
        except (OSError, AssertionError, ValueError):
            return None

    return eventually(attempt, what)
