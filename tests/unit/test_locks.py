"""The numbers of the locks that Postgres keeps for us."""

import re
from pathlib import Path

import relational
from relational.locks import Lock, taking


def test_each_lock_is_taken_by_a_number_of_its_own() -> None:
    assert len({str(taking(lock)) for lock in Lock.__members__.values()}) == len(Lock.__members__)


def test_no_number_is_taken_outside_the_table() -> None:
    top = Path(relational.__path__[0])
    written = {path.name for path in top.rglob("*.py") if re.search(r"advisory_xact_lock\(\{?(\d|lock)", path.read_text(encoding="utf-8"))}
    assert written == {"locks.py"}
