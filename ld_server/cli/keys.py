"""`keys create`, `keys list` and `keys revoke`: API keys of a deployment, whether it runs or not."""

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from ld_server.bootstrap import now
from ld_server.cli.deployment import settings_of
from ld_server.domain.scopes import MEANINGS, Scope
from ld_server.resources.kind import instant, written
from ld_server.services import keys
from relational.keys import KeyRow
from relational.unit_of_work import UnitOfWork, open_ledger


def creation_arguments(parser: argparse.ArgumentParser) -> None:
    meanings = "; ".join(f"{scope}: {meaning}" for scope, meaning in MEANINGS.items())
    parser.add_argument("name", help="what the key is for; it signs what is done with it")
    parser.add_argument("--scopes", nargs="+", choices=[str(scope) for scope in Scope], default=[], metavar="SCOPE", help=meanings)
    parser.add_argument("--expires", type=instant, metavar="TIME", help="when it ends, such as 2027-01-31T00:00:00Z")


def revocation_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("identifier", help="such as key_3, from `keys list`")


def create(given: argparse.Namespace) -> int:
    """Prints the key alone on standard output, so that a script can take it."""
    text = keys.new_text()
    with _writing(given) as uow:
        row = keys.add(uow, text, given.name, given.scopes, now(), given.expires)
    print(f"{row.identifier} ({', '.join(row.scopes) or 'may read'}); it is shown only now:", file=sys.stderr)
    print(text)
    return 0


def show(given: argparse.Namespace) -> int:
    with _writing(given) as uow:
        rows = uow.keys.all()
    table = [("id", "name", "scopes", "created", "expires", "last used", "state"), *(_cells(row, now()) for row in rows)]
    widths = [max(len(line[column]) for line in table) for column in range(len(table[0]))]
    for line in table:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
    return 0


def revoke(given: argparse.Namespace) -> int:
    with _writing(given) as uow:
        done = uow.keys.revoke(given.identifier, now())
    print(f"{given.identifier} is revoked" if done else f"there is no key {given.identifier} to revoke", file=sys.stderr)
    return 0 if done else 1


def _cells(row: KeyRow, at: datetime) -> tuple[str, ...]:
    expires, used = (written(moment) if moment else "never" for moment in (row.expires_at, row.last_used_at))
    return (row.identifier, row.name, ",".join(row.scopes), written(row.created_at), expires, used, keys.state(row, at))


@contextmanager
def _writing(given: argparse.Namespace) -> Iterator[UnitOfWork]:
    settings = settings_of(given)
    ledger = open_ledger(settings.database_url, pool_size=1)
    try:
        with ledger.write() as uow:
            yield uow
    finally:
        ledger.close()
