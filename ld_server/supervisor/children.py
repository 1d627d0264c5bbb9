"""One child process of the supervisor: what it is to run, and the process that currently runs it."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from ld_server.supervisor import kernel

LAUNCHER = Path(__file__).with_name("launcher.py")


@dataclass(frozen=True)
class Role:
    """
    A part of the service that runs as a process.

    `command()` gives the program and its arguments; it is asked before every start, and does what must be done before.
    `is_ready()` tells whether it serves now and may block for a second or two.
    When the service stops, roles with a smaller `leaves` go first: what others call goes last.
    `is_watched` roles are ended when they work on what nobody waits for, and when they have more than `memory` bytes (0 means any).
    `advice` is told with its death, where it dies again and again.
    """

    name: str
    command: Callable[[], Sequence[str]]
    is_ready: Callable[[], bool]
    environment: Mapping[str, str] = field(default_factory=dict)
    leaves: int = 1
    is_watched: bool = False
    memory: int = 0
    advice: str = ""


@dataclass(frozen=True)
class Patience:
    """
    How long to wait before a child that died is started again.

    The pause doubles from `first` to `longest` seconds with every death in a row; a child that lived `forgiven_after`
    seconds starts afresh.
    """

    first: float = 0.5
    longest: float = 30.0
    forgiven_after: float = 60.0

    def deaths_in_a_row(self, deaths_before: int, lived: float) -> int:
        return 1 if lived >= self.forgiven_after else deaths_before + 1

    def pause(self, deaths: int) -> float:
        """Seconds to wait after this many deaths in a row (at least one)."""
        return min(self.first * 2.0 ** min(deaths - 1, 30), self.longest)


class Child:
    """The process of a role. It must be started by the thread that lives as long as the supervisor: see prctl(2)."""

    def __init__(self, role: Role) -> None:
        self.role = role
        self.deaths = 0
        self.ready = False
        self.started_at = 0.0
        self.due_at = 0.0
        self.abandoned_since: dict[str, float] = {}
        self.was_cut_short = False
        self._process: subprocess.Popen[bytes] | None = None
        self._lifeline: int | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def start(self, now: float) -> None:
        """Start the process. What goes wrong later is its end: see `buried`."""
        command = self.role.command()
        read_end, self._lifeline = os.pipe()
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(LAUNCHER), str(os.getpid()), *command],
                stdin=read_end,
                env={**os.environ, **self.role.environment},
                start_new_session=True,
            )
        finally:
            os.close(read_end)
        if self.role.is_watched:
            kernel.give_away_first(self._process.pid)
        self.started_at, self.ready, self.abandoned_since, self.was_cut_short = now, False, {}, False

    def excess(self, now: float, longest: float) -> str:
        """What is too much, in words; nothing where it is not watched. `longest` are the seconds for which it may work in vain."""
        if not self.role.is_watched or self.pid is None:
            return ""
        if 0 < self.role.memory < kernel.memory(self.pid):
            return f"has more than {self.role.memory} bytes of memory"
        self.abandoned_since = {one: self.abandoned_since.get(one, now) for one in kernel.abandoned(self.pid)}
        is_in_vain = any(now - since >= longest for since in self.abandoned_since.values())
        return "works on and on for somebody who has hung up" if is_in_vain else ""

    def signal(self, number: signal.Signals) -> None:
        """One that has ended is left to `buried`; Popen's own way would wait for it here."""
        if self._process is not None:
            os.kill(self._process.pid, number)

    def kill(self) -> None:
        """End the process and everything it started, at once."""
        if self._process is not None:
            self._kill_group(self._process.pid)

    def buried(self) -> int | None:
        """
        The exit status (negative: the signal) when the process has ended since the last call, else None.

        What it leaves behind is killed first: while it is not waited for, no other process group can have its number.
        """
        if self._process is None or not _has_ended(self._process.pid):
            return None
        self._kill_group(self._process.pid)
        status = self._process.wait()
        self._process, self.ready = None, False
        self._drop_lifeline()
        return status

    def _kill_group(self, leader: int) -> None:
        with suppress(ProcessLookupError, PermissionError):  # macOS answers EPERM for a group of zombies
            os.killpg(leader, signal.SIGKILL)

    def _drop_lifeline(self) -> None:
        if self._lifeline is not None:
            os.close(self._lifeline)
            self._lifeline = None


def _has_ended(pid: int) -> bool:
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def cause_of(status: int) -> str:
    """An exit status in words: `exit status 3`, `signal SIGKILL`."""
    if status >= 0:
        return f"exit status {status}"
    return f"signal {signal.Signals(-status).name}" if -status in set(signal.Signals) else f"signal {-status}"
