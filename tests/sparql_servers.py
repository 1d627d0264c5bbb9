"""Real Oxigraph servers for tests: children on loopback, in memory or over a directory."""

import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class OxigraphServer:
    """A server that can be stopped, and started again on the same port. Without a directory it forgets everything then."""

    def __init__(self, *options: str, directory: Path | None = None) -> None:
        program = shutil.which("oxigraph", path=str(Path(sys.executable).parent)) or shutil.which("oxigraph")
        assert program, "the oxigraph server is not installed: pip install oxigraph"
        self.url = f"http://127.0.0.1:{free_port()}"
        location = ["--location", str(directory)] if directory else []
        self._command = [program, "serve", "--bind", self.url.removeprefix("http://"), *location, *options]
        self._child: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        self._child = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(400):
            if self._serves():
                return
            time.sleep(0.025)
        raise AssertionError("the oxigraph server did not start")

    def stop(self, hard: bool = False) -> None:
        if self._child is not None:
            (self._child.kill if hard else self._child.terminate)()
            self._child.wait()
            self._child = None

    def _serves(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/query?query=ASK%7B%7D", timeout=2):
                return True
        except (urllib.error.URLError, OSError):
            return False
