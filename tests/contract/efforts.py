"""What an engine does for what it is asked, counted by the engine itself."""

import itertools
from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection

from relational.unit_of_work import Ledger


def rows_read(ledger: Ledger, table: str) -> int:
    """Rows of a table that Postgres has read until now."""
    with ledger.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("SELECT pg_stat_force_next_flush()")
        read = f"SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_user_tables WHERE relname = '{table}'"
        return int(connection.exec_driver_sql(read).scalar_one())


def steps(connection: Connection, work: Callable[[], object]) -> int:
    """Steps of SQLite's machine that work on a connection takes."""
    count = itertools.count()
    driver: Any = connection.connection.driver_connection
    driver.set_progress_handler(lambda: next(count) < 0, 1)
    work()
    driver.set_progress_handler(None, 1)
    return next(count)
