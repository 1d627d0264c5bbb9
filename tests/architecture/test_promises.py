"""Each promise of SECURITY.md names tests that are there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROWS = [row for row in (ROOT / "SECURITY.md").read_text(encoding="utf-8").splitlines() if row.startswith("| ") and "---" not in row][1:]
NAMED = [(file, name) for row in ROWS for file, name in re.findall(r"`(tests/[a-z_0-9/]+\.py)::(test_\w+)`", row)]


def test_every_promise_names_a_test():
    assert len(ROWS) > 15
    assert [row for row in ROWS if "`tests/" not in row] == []


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_every_test_that_is_named_exists(file, name):
    assert f"\ndef {name}(" in (ROOT / file).read_text(encoding="utf-8")
