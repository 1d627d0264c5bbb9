"""Bringing a database to the schema of this version. Works from an installed package: no alembic.ini, no working directory."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

from relational.engine import outages_told
from relational.locks import Lock, taking


def migrate(engine: Engine, version: str = "head") -> None:
    """
    Bring the database up to date, or to a version, in one transaction: it is changed as a whole or not at all. Safe to run from several
    processes.

    Raises StoreUnavailable when the database cannot be reached.
    """
    with outages_told(), engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SET LOCAL lock_timeout = 0"))
            connection.execute(taking(Lock.MIGRATION))
        command.upgrade(configuration(connection), version)


def current(connection: Connection) -> str:
    """The version of the schema of a database."""
    return str(MigrationContext.configure(connection).get_current_revision())


def is_current(engine: Engine) -> bool:
    """Whether the database has the schema of this version. Raises StoreUnavailable when it cannot be reached."""
    with outages_told(), engine.connect() as connection:
        there = set(MigrationContext.configure(connection).get_current_heads())
        return there == set(ScriptDirectory.from_config(configuration(connection)).get_heads())


def configuration(connection: Connection) -> Config:
    """Alembic's configuration for the scripts beside this file, run on a connection."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config
