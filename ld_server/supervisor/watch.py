"""
Starts the children, starts again the ones that die, and stops them all when asked.

`Watch.round` is the work and `Watch.run` the loop: a round never blocks for longer than a readiness question does.
"""

import queue
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import FrameType

from ld_server.supervisor.children import Child, Patience, Role, cause_of

LOOKS = 0.5
"""Seconds between two looks at what is watched: a query can take a gigabyte of memory in a second."""

STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class StartFailed(Exception):
    """A child died again and again before the service was ready."""


def notice(text: str) -> None:
    """One line for the person at the terminal, which may be gone."""
    with suppress(OSError):
        print(f"ld-server: {text}", file=sys.stderr, flush=True)


class Watch:
    """
    Watches over one child per role.

    A child that dies `attempts` times in a row before everything was ready once ends the start: something is wrong that
    another try will not mend. Later it is started again for as long as it takes. One that works for `vain` seconds on what nobody waits for
    is ended, and started again at once.
    """

    def __init__(
        self,
        roles: Sequence[Role],
        patience: Patience,
        clock: Callable[[], float] = time.monotonic,
        say: Callable[[str], None] = notice,
        attempts: int = 4,
        grace: float = 15.0,
        vain: float = 4.0,
    ) -> None:
        self.children = [Child(role) for role in roles]
        self._patience, self._clock, self._say = patience, clock, say
        self._attempts, self._grace, self._vain = attempts, grace, vain
        self._signals: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._was_ready = False

    def run(self, when_ready: Callable[[], None]) -> int:
        """
        Run until SIGTERM, SIGINT or SIGHUP; `when_ready` is called once, when every child serves. A second signal kills
        without waiting. Gives the number of the signal; raises StartFailed. Children are gone in either case.
        """
        self._listen()
        try:
            while (received := self._next_signal(self._pause())) not in STOPPING:
                self.round()
                if self._all_ready() and not self._was_ready:
                    self._was_ready = True
                    when_ready()
            return received
        finally:
            self.stop()

    def round(self) -> None:
        """Bury who died, start who is due, ask who is not ready yet, end who takes too much."""
        for child in self.children:
            self._cut_short(child)
            self._bury(child)
            self._start_if_due(child)
            self._ask(child)

    def stop(self) -> None:
        """End every child: in the order of `leaves`, politely, and by force after the grace or at a second signal."""
        for wave in sorted({child.role.leaves for child in self.children}):
            self._end([child for child in self.children if child.role.leaves == wave])

    def _cut_short(self, child: Child) -> None:
        excess = child.excess(self._clock(), self._vain) if child.ready and not child.was_cut_short else ""
        if excess:
            self._say(f"{child.role.name} {excess}; it is ended")
            child.was_cut_short = True
            child.kill()

    def _bury(self, child: Child) -> None:
        status = child.buried()
        if status is None:
            return
        now = self._clock()
        child.deaths = 1 if child.was_cut_short else self._patience.deaths_in_a_row(child.deaths, now - child.started_at)
        if child.deaths >= self._attempts and not self._was_ready:
            raise StartFailed(f"{child.role.name} does not start ({cause_of(status)}){child.role.advice}")
        child.due_at = now + self._patience.pause(child.deaths)
        self._say(f"{child.role.name} ended ({cause_of(status)}); it is started again in {child.due_at - now:g} s{self._advice(child)}")

    def _advice(self, child: Child) -> str:
        return child.role.advice if child.deaths >= self._attempts else ""

    def _start_if_due(self, child: Child) -> None:
        if child.pid is None and self._clock() >= child.due_at:
            child.start(self._clock())

    def _ask(self, child: Child) -> None:
        if child.pid is None or child.ready or not child.role.is_ready():
            return
        child.ready = True
        if child.deaths:
            self._say(f"{child.role.name} is back")

    def _all_ready(self) -> bool:
        return all(child.ready for child in self.children)

    def _pause(self) -> float:
        """Seconds until something may have to be done; the death of a child wakes us earlier."""
        if all(child.ready for child in self.children if child.pid is not None):
            due = [child.due_at - self._clock() for child in self.children if child.pid is None]
            return max(0.0, min([LOOKS, *due]))
        return 0.05

    def _end(self, children: Sequence[Child]) -> None:
        for child in children:
            child.signal(signal.SIGTERM)
        deadline = self._clock() + self._grace
        while children := [child for child in children if child.pid is not None and child.buried() is None]:
            if self._clock() >= deadline or self._next_signal(0.02) in STOPPING:
                deadline = self._clock() + self._grace
                self._kill(children)

    def _kill(self, children: Sequence[Child]) -> None:
        for child in children:
            self._say(f"{child.role.name} did not stop by itself and is killed")
            child.kill()

    def _listen(self) -> None:
        for number in (*STOPPING, signal.SIGCHLD):
            signal.signal(number, self._note)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._signals.put(number)  # SimpleQueue alone may be used by the handler of a signal that interrupts its own `get`

    def _next_signal(self, seconds: float) -> int:
        """The next signal, or 0 when none came in time."""
        try:
            return self._signals.get(timeout=seconds) if seconds > 0 else self._signals.get_nowait()
        except queue.Empty:
            return 0
