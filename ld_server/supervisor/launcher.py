"""
Starts one child so that it cannot outlive the supervisor, not even when that is killed with -9.

Run as a script (`python launcher.py SUPERVISOR_PID COMMAND…`), with the standard library alone. Where the kernel can send a
signal when a parent dies (Linux), this process asks for it and becomes the command. Elsewhere it stays as the parent of the
command and watches the lifeline: its standard input, a pipe whose other end only the supervisor holds and never writes to.
The child is the leader of a session of its own, so a Ctrl-C in the terminal reaches the supervisor alone.
"""

import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence

PR_SET_PDEATHSIG = 1
"""From <linux/prctl.h>. The setting survives execve, but not fork: see prctl(2)."""

WATCH = "LAUNCHER_WATCHES"
"""An environment variable: when set, the lifeline is watched even where the kernel could do it. For tests."""


def die_with_parent() -> bool:
    """Ask the kernel to kill this process when its parent dies. False where the kernel cannot."""
    prctl = getattr(ctypes.CDLL(None, use_errno=True), "prctl", None)
    return sys.platform == "linux" and prctl is not None and prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0) == 0


def launch(supervisor: int, command: Sequence[str]) -> int:
    """Run the command for the supervisor with this process id. Gives the exit status, unless it became the command."""
    bound = not os.environ.pop(WATCH, "") and die_with_parent()
    if os.getppid() != supervisor:
        return 1  # it died before we were bound to it
    if bound:
        os.execv(command[0], list(command))  # noqa: S606 (that is the point)
    return _watch(command)


def _watch(command: Sequence[str]) -> int:
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda received, frame: child.send_signal(received))
    threading.Thread(target=_end_with_lifeline, daemon=True).start()
    status = child.wait()
    return status if status >= 0 else 128 - status


def _end_with_lifeline() -> None:
    os.read(0, 1)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(launch(int(sys.argv[1]), sys.argv[2:]))
