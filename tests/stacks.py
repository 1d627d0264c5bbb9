"""
The two stacks that a deployment may stand on, made of real engines of which each is started once for the session.

`embedded` is what `ld-server up` has in its data directory: SQLite, an Oxigraph server that the supervisor has written down, attachments on
the disk, and a queue in SQLite. `scaled` is what several nodes share: Postgres, SPARQL over HTTP, attachments behind S3, a queue in Redis.
"""

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from ld_server.blobs.store import open_store as open_blobs
from ld_server.settings import Settings, variable_of
from ld_server.sparql.store import open_store

Engine = Callable[[str], Any]
"""Gives an engine by the name of its fixture, which starts it when it is asked for first."""

Told = Mapping[str, Any]
"""What a deployment is told, by field of Settings."""

Stack = Callable[[Path], AbstractContextManager[Told]]
"""Lends a deployment in a directory what it stands on, until the block ends. Its ledger is migrated; nothing is in it."""


@contextmanager
def embedded(engine: Engine, directory: Path) -> Iterator[Told]:
    (directory / "run").mkdir(mode=0o700, exist_ok=True)
    (directory / "run" / "sparql-url").write_text(f"{engine('sparql_server').url}\n")
    _empty(Settings(data_dir=directory))
    yield {"database_url": f"sqlite:///{shutil.copy(engine('sqlite_template'), directory / 'ledger.db')}"}


@contextmanager
def scaled(engine: Engine, _directory: Path) -> Iterator[Told]:
    """Nothing of it is in the directory of the deployment."""
    postgres, sparql, s3 = engine("postgres_server"), engine("sparql_server"), engine("s3_server")
    engine("redis_server").flushall()
    database = postgres.lend()
    told = {
        "database_url": postgres.url(database),
        "sparql_url": f"{sparql.url}/query",
        "sparql_update_url": f"{sparql.url}/update",
        "huey_url": f"unix://{engine('redis_server').socket_file}",
        "blob_url": f"{s3.url}/{uuid4().hex}",
        "blob_endpoint": s3.endpoint,
    }
    _empty(Settings(**told))
    yield told
    postgres.give_back(database)
    _delete_blobs(Settings(**told))


STACKS: Mapping[str, Callable[[Engine, Path], AbstractContextManager[Told]]] = {"embedded": embedded, "scaled": scaled}


def variables(told: Told) -> dict[str, str]:
    """The environment variables that say the same."""
    return {variable_of(name): str(value) for name, value in told.items()}


def _delete_blobs(settings: Settings) -> None:
    """The bucket is shared by all who use the S3 of the session."""
    blobs = open_blobs(settings)
    for blob in list(blobs.list()):
        blobs.delete(blob.key)
    blobs.close()


def _empty(settings: Settings) -> None:
    """Whatever the last one to stand here has left in the SPARQL store."""
    store = open_store(settings)
    store.clear()
    store.close()
