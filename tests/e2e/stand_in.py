"""
A household of stand-in children under the real Watch, for test_supervisor.

`stand_in.py household DIR NAME…` runs the watch; each name is a behaviour below. `stand_in.py child DIR NAME` is one child.
Children write their process id to DIR/NAME.pid and what happens to them to DIR/diary.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

QUICK = (sys.executable, "-I", "-S")


def child(place: Path, name: str) -> None:
    if name == "broken":
        sys.exit(3)
    if name == "parent":
        grandchild = subprocess.Popen([*QUICK, "-c", "import time; time.sleep(600)"])
        (place / "grandchild.pid").write_text(str(grandchild.pid))
    signal.signal(signal.SIGTERM, signal.SIG_IGN if name == "stubborn" else lambda *_: _leave(place, name))
    half = place / f"{name}.half"
    half.write_text(str(os.getpid()))
    half.rename(place / f"{name}.pid")
    while True:
        time.sleep(600)


def _leave(place: Path, name: str) -> None:
    with (place / "diary").open("a") as diary:
        diary.write(f"{name} left\n")
    sys.exit(0)


def command(place: Path, name: str) -> tuple[str, ...]:
    (place / f"{name}.pid").unlink(missing_ok=True)
    return (*QUICK, __file__, "child", str(place), name)


def household(place: Path, names: list[str]) -> None:
    from ld_server.supervisor.children import Patience, Role
    from ld_server.supervisor.watch import StartFailed, Watch, notice

    roles = [
        Role(
            name=name,
            command=lambda name=name: command(place, name),
            is_ready=lambda name=name: (place / f"{name}.pid").exists(),
            leaves=2 if name == "last" else 1,
        )
        for name in names
    ]
    watch = Watch(roles, Patience(first=0.05, longest=0.1), attempts=3, grace=1.0 if "stubborn" in names else 60.0)
    try:
        received = watch.run(lambda: print("ready", flush=True))
        print(f"stopped by {received}", flush=True)
    except StartFailed as failure:
        notice(str(failure))
        sys.exit(1)


if __name__ == "__main__":
    if sys.argv[1] == "household":
        household(Path(sys.argv[2]), sys.argv[3:])
    else:
        child(Path(sys.argv[2]), sys.argv[3])
