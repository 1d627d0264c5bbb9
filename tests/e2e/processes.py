"""Starting, watching and outliving processes in tests: conditions with generous bounds, never a bet on seconds."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import psutil

PATIENCE = 120.0
"""Seconds after which a condition counts as never coming true. A loaded machine needs many of them; a good run needs few."""

T = TypeVar("T")


def eventually(condition: Callable[[], T], what: str, seconds: float = PATIENCE) -> T:
    """The first true answer of the condition."""
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"never came true: {what}")
        time.sleep(0.02)
    return answer


def alive(pid: int) -> bool:
    """True while the process runs; a zombie has ended."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def all_gone(pids: Iterable[int]) -> None:
    """Waits until none of the processes runs."""
    pids = list(pids)
    eventually(lambda: not [pid for pid in pids if alive(pid)], f"the end of {pids}")


def family(pid: int) -> list[psutil.Process]:
    """The children of a process, theirs, and so on."""
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


class Running:
    """A process whose two outputs go to files; leaving the context kills it and all it started."""

    def __init__(self, command: Sequence[str], place: Path, environment: dict[str, str], **options: Any) -> None:
        place.mkdir(parents=True, exist_ok=True)
        self._out, self._err = place / "stdout", place / "stderr"
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.process = subprocess.Popen(command, stdout=out, stderr=err, stdin=subprocess.DEVNULL, env=environment, **options)
        self._seen: set[int] = {self.process.pid}

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def out(self) -> str:
        return self._out.read_text()

    @property
    def err(self) -> str:
        return self._err.read_text()

    def says(self, text: str) -> None:
        """Waits until the text is in one of the outputs; fails at once when the process ends without it."""

        def said_or_ended() -> bool:
            ended = self.process.poll() is not None
            return text in self.out + self.err or ended

        eventually(said_or_ended, f"{text!r} in the output:\n{self.out}\n{self.err}")
        self.family()
        assert text in self.out + self.err, f"it ended with {self.process.poll()} and said:\n{self.out}\n{self.err}"

    def family(self) -> list[psutil.Process]:
        """Everything below this process now; what was ever seen is cleaned up at the end."""
        members = family(self.pid)
        self._seen.update(member.pid for member in members)
        return members

    def child(self, *words: str) -> psutil.Process:
        """Waits for the topmost descendant whose command line has all the words."""
        return eventually(lambda: self._find(words), f"a child with {words}; there are {[_line(one) for one in self.family()]}")

    def _find(self, words: Sequence[str]) -> psutil.Process | None:
        return next((one for one in self.family() if all(word in _line(one) for word in words) and "launcher.py" not in _line(one)), None)

    def ends(self) -> int:
        """Waits for the end and gives the exit status."""
        eventually(lambda: self.process.poll() is not None, f"the end of {self.process.args}; it said:\n{self.out}\n{self.err}")
        return self.process.returncode

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.family()
        self.process.send_signal(number)
        return self.ends()

    def __enter__(self) -> "Running":
        return self

    def __exit__(self, *_: object) -> None:
        self.family()
        for pid in self._seen:
            if pid == self.pid and self.process.poll() is not None:
                continue
            kill(pid)
        self.process.wait()


def kill(pid: int) -> None:
    """kill -9; a process that is gone already is fine."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _line(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""
