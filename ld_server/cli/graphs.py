"""`rebuild graphs`: the SPARQL store made equal to the documents again, whatever has become of it."""

import argparse
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from ld_server.bootstrap import build
from ld_server.cli.deployment import settings_of
from ld_server.domain.errors import StoreUnavailable
from ld_server.services.parts import Parts
from ld_server.settings import Settings
from ld_server.supervisor.claims import Taken, claim_directory
from ld_server.supervisor.household import MANAGED
from workers.rebuilding import put_all_on_the_list, rebuild

LONGEST_START = 60.0
"""Seconds in which the supervisor starts its SPARQL server again: the longest of its pauses, and some more."""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--afresh", action="store_true", help="empty the store first; files that cannot be opened any more are set aside")


def rebuild_graphs(given: argparse.Namespace) -> int:
    parts = build(settings_of(given))
    try:
        if given.afresh and not _emptied(parts):
            print("everything is on the list of the projector: the next start of ld-server up fills the SPARQL store")
            return 0
        count = rebuild(parts, _Progress())
    finally:
        parts.close()
    print(f"the SPARQL store holds the graphs of {count} documents")
    return 0


class _Progress:
    """Tells how far it is, once in a while and at the end: on a terminal in one line, elsewhere in lines of their own."""

    def __init__(self) -> None:
        self._told_at = 0.0

    def __call__(self, done: int, total: int) -> None:
        if done == total or time.monotonic() - self._told_at > _SECONDS_BETWEEN:
            self._told_at = time.monotonic()
            print(f"{done} of {total} documents", end="\r" if sys.stderr.isatty() else "\n", file=sys.stderr, flush=True)


_SECONDS_BETWEEN = 1.0


def _emptied(parts: Parts) -> bool:
    """Empties the store, in whatever state it is; whether there is one to be filled now."""
    put_all_on_the_list(parts)
    try:
        parts.sparql.ping()
    except StoreUnavailable:
        if parts.settings.sparql_url != MANAGED:
            raise
        return _begun_anew(parts)
    parts.sparql.clear()
    return True


def _begun_anew(parts: Parts) -> bool:
    """Gives a managed store that does not start another directory; whether a supervisor is at work, which starts it there."""
    is_supervised = _is_supervised(parts.settings)
    _set_aside(parts.settings.data_dir / "graphs")
    if is_supervised:
        _wait_for(parts)
    return is_supervised


def _is_supervised(settings: Settings) -> bool:
    try:
        claim_directory(settings.data_dir)
    except Taken:
        return True
    return False


def _set_aside(files: Path) -> None:
    aside = files.with_name(f"graphs.broken-{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}")
    if files.exists():
        files.rename(aside)
        print(f"the files of the SPARQL store are set aside in {aside}; delete them when nobody wants to look into them", file=sys.stderr)


def _wait_for(parts: Parts) -> None:
    deadline = time.monotonic() + LONGEST_START
    while time.monotonic() < deadline:
        with suppress(StoreUnavailable):
            parts.sparql.ping()
            return
        time.sleep(0.2)
    raise StoreUnavailable("The SPARQL server does not start; ld-server up tells why.")
