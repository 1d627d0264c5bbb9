"""
What the kernel tells of a process (Linux): the memory that it has, and what it still works on although whoever asked for it has hung
up, which shows as sockets that it holds open and that are connected to nobody.

Oxigraph 0.5.13 looks whether the time of a query is over only between some of its steps: it sums up a product, sorts, plans a long path
and makes long texts for as long as that takes, whatever `--timeout-s` says. Only its end ends them. Its memory cannot be bounded by
setrlimit(2), which counts stacks: each query has a thread of its own until its time is over, also when it was answered long ago.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_PROCESSES = Path("/proc")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_USED = frozenset(["01", "02", "03", "0A"])
"""States of sockets that somebody is at the other end of, or may be soon: established, being opened by one or the other, listening."""


def abandoned(pid: int) -> set[str]:
    """The sockets of a process that are connected to nobody, by names that stay theirs; none where the kernel does not tell."""
    process = _PROCESSES / str(pid)
    held = set(_held(process))
    return held - _used(process)


def memory(pid: int) -> int:
    """The bytes of memory that a process has; 0 where the kernel does not tell."""
    with suppress(OSError, IndexError, ValueError):
        return int((_PROCESSES / str(pid) / "statm").read_text(encoding="ascii").split()[1]) * _PAGE
    return 0


def give_away_first(pid: int) -> None:
    """Where the machine runs out of memory, this process is the first to go."""
    with suppress(OSError):
        (_PROCESSES / str(pid) / "oom_score_adj").write_text("1000", encoding="ascii")


def _held(process: Path) -> Iterator[str]:
    with suppress(OSError):
        for descriptor in (process / "fd").iterdir():
            with suppress(OSError):
                kind, _, inode = str(descriptor.readlink()).partition(":[")
                if kind == "socket":
                    yield inode.rstrip("]")


def _used(process: Path) -> set[str]:
    """Those of all sockets that are in use: the fourth field of a line is the state, the tenth the inode (proc_net_tcp.rst)."""
    rows = [line.split() for family in ("tcp", "tcp6") for line in _lines(process / "net" / family)]
    return {row[9] for row in rows if row[3] in _USED}


def _lines(table: Path) -> list[str]:
    try:
        return table.read_text(encoding="ascii").splitlines()[1:]
    except OSError:
        return []
