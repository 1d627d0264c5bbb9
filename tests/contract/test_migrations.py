"""Migrations lead to exactly the schema of relational.tables, on both engines."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, Engine, bindparam, select, text

from ld_server.domain.window import Window
from relational import tables
from relational.engine import open_engine
from relational.migrations import configuration, is_current, migrate
from relational.unit_of_work import Ledger

DESCRIPTIONS = {
    "postgresql": """
        SELECT 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
            WHERE connamespace = 'public'::regnamespace
        UNION ALL SELECT 'index', tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'
        UNION ALL SELECT 'sequence', '', sequencename, concat_ws(' ', data_type, start_value, increment_by, cache_size)
            FROM pg_sequences WHERE schemaname = 'public'
        UNION ALL SELECT 'trigger', tgrelid::regclass::text, tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
        UNION ALL SELECT 'column', table_name, column_name, concat_ws(' ', data_type, is_nullable, column_default, is_identity)
            FROM information_schema.columns WHERE table_schema = 'public'
    """,
    "sqlite": "SELECT type, tbl_name, name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'",
}
"""Everything an engine knows about a schema: kind of object, table, name, definition."""


def described(engine: Engine) -> set[tuple[Any, ...]]:
    """The schema as the engine itself describes it, without Alembic's own table and whatever the order of columns and constraints."""
    with engine.connect() as connection:
        rows = connection.execute(text(DESCRIPTIONS[engine.dialect.name])).all()
    return {(*row[:3], frozenset(clauses(str(row[3])))) for row in rows if row[1] != "alembic_version"}


def clauses(definition: str) -> list[str]:
    """What stands between the commas of a definition, wherever its lines end: a column that was added stands on the last line."""
    depth, found = 0, [""]
    for character in " ".join(definition.split()):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if depth <= 1 and character in "(,)":
            found.append("")
        else:
            found[-1] += character
    return [one.strip() for one in found]


@pytest.fixture
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/empty.db"
        return
    server = request.getfixturevalue("postgres_server")
    name = server.new_database(template="template0")
    yield server.url(name)
    server.drop(name)


@pytest.fixture
def empty(empty_url: str) -> Iterator[Engine]:
    engine = open_engine(empty_url)
    yield engine
    engine.dispose()


@pytest.fixture
def migrated(database_url: str) -> Iterator[Engine]:
    engine = open_engine(database_url)
    yield engine
    engine.dispose()


on_an_empty_database = pytest.mark.parametrize("empty_url", ["sqlite", "postgres"], indirect=True)


@pytest.mark.parametrize(("empty_url", "database_url"), [("sqlite", "sqlite"), ("postgres", "postgres")], indirect=True)
def test_migrations_and_tables_describe_the_same_schema(empty: Engine, migrated: Engine) -> None:
    with empty.begin() as connection:
        tables.create(connection)
    assert described(migrated) == described(empty)
    assert len(described(migrated)) > 30


def test_alembic_finds_nothing_left_to_migrate(migrated: Engine) -> None:
    with migrated.connect() as connection:
        context = MigrationContext.configure(connection, opts={"include_object": lambda _object, name, *_rest: name != "numbers"})
        assert compare_metadata(context, tables.schema) == []


def test_what_the_engines_need_besides_tables_is_there(migrated: Engine) -> None:
    wanted = {
        "postgresql": {("constraint", tables.NEVER_TWICE)} | {("sequence", tables.sequence_of(kind)) for kind in tables.KINDS},
        "sqlite": {("trigger", f"{tables.NEVER_TWICE}_insert"), ("trigger", f"{tables.NEVER_TWICE}_update"), ("table", "numbers")},
    }
    assert wanted[migrated.dialect.name] <= {(kind, name) for kind, _table, name, _definition in described(migrated)}


@on_an_empty_database
def test_an_empty_database_is_not_current_until_it_is_migrated(empty: Engine) -> None:
    assert not is_current(empty)
    migrate(empty)
    assert is_current(empty)
    migrate(empty)
    assert is_current(empty)


@on_an_empty_database
def test_a_migration_that_fails_leaves_nothing_behind(empty: Engine) -> None:
    with empty.begin() as connection:
        connection.execute(text("CREATE TABLE facts (in_the_way INTEGER)"))
    before = described(empty)
    with pytest.raises(Exception, match="facts"):
        migrate(empty)
    assert described(empty) == before
    assert not is_current(empty)


@on_an_empty_database
def test_two_processes_may_migrate_at_once(empty_url: str) -> None:
    barrier, failures = threading.Barrier(2), []

    def run() -> None:
        engine = open_engine(empty_url)
        barrier.wait()
        try:
            migrate(engine)
        except Exception as error:
            failures.append(error)
        engine.dispose()

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


@pytest.fixture
def before(empty: Engine) -> Engine:
    """A database as version 0001 left it, with a reservation that has been changed once."""
    with empty.begin() as connection:
        command.upgrade(configuration(connection), "0001")
        moments = ["2027-03-01 08:00:00+00", "2027-03-02 09:30:00+00"]
        if connection.dialect.name == "sqlite":
            moments = [str(int(datetime.fromisoformat(one).timestamp()) * 1_000_000) for one in moments]
        first, second = (f"'{one}'" for one in moments)
        for statement in (
            """INSERT INTO documents VALUES ('itemType_1', 'itemType', 1, 1, '{"code": "FOG-1", "name": "Öd  Fog"}')""",
            """INSERT INTO documents VALUES ('asset_1', 'asset', 1, 1, '{"assetTag": "T-1", "serialNumber": "S-9"}')""",
            """INSERT INTO documents VALUES ('ra_1', 'rentAction', 1, 2,
               '{"description": "Ski Race", "agent": {"identifier": "alice", "name": "Alice"}, "externalRef": "EV-1"}')""",
            "INSERT INTO item_types (identifier, number, code, name, kind, is_active) VALUES ('itemType_1', 1, 'FOG-1', 'x', 'kit', true)",
            "INSERT INTO assets (identifier, number, item_type, asset_tag, status) VALUES ('asset_1', 1, 'itemType_1', 'T-1', 'hold')",
            f"""INSERT INTO rent_actions (identifier, number, status, priority, requester, start_time, end_time)
               VALUES ('ra_1', 1, 'pending', 'normal', 'alice', {first}, {second})""",
            *(f"INSERT INTO revisions VALUES ('{one}', 1, '', 'bob', {first}, 'c')" for one in ("itemType_1", "asset_1", "ra_1")),
            f"INSERT INTO revisions VALUES ('ra_1', 2, '', 'bob', {second}, 'c')",
            *(
                "INSERT INTO outbox (position, id, type, subject_type, subject_id, occurred_at, correlation_id, body) "
                f"VALUES ({position}, 'evt_{position}', 't', 'RentAction', 'ra_1', {first}, 'c', '')"
                for position in (9, 4)
            ),
        ):
            connection.exec_driver_sql(statement)
    return empty


@on_an_empty_database
def test_what_was_there_can_be_searched_sorted_and_counted_afterwards(before: Engine) -> None:
    migrate(before)
    with Ledger(before).read() as uow:
        for table, part, identifier in (
            ("item_types", "öd fog", "itemType_1"),
            ("assets", "s-9", "asset_1"),
            ("rent_actions", "ski", "ra_1"),
            ("rent_actions", "alice", "ra_1"),
            ("rent_actions", "ev-", "ra_1"),
        ):
            assert [one.identifier for one in uow.index.page(table, [("search_text", "contains", part)], None, 9)] == [identifier]
        assert [uow.documents.count(kind) for kind in ("itemType", "asset", "rentAction", "stockPool")] == [1, 1, 1, 0]
    with before.connect() as connection:
        stamps = connection.execute(select(tables.rent_actions.c.created_at, tables.rent_actions.c.updated_at)).one()
    assert tuple(stamps) == (datetime(2027, 3, 1, 8, tzinfo=UTC), datetime(2027, 3, 2, 9, 30, tzinfo=UTC))


@on_an_empty_database
def test_events_that_were_there_are_numbered_in_the_order_in_which_they_were_written(before: Engine) -> None:
    migrate(before)
    with Ledger(before).read() as uow:
        assert [(one.sequence, one.entry.id) for one in uow.outbox.since(0, 9)] == [(1, "evt_4"), (2, "evt_9")]


@on_an_empty_database
def test_what_was_promised_is_counted_afterwards(empty: Engine) -> None:
    """A pool with promises from long ago, until a midnight, given back, and for months; and a reservation with a line, which stays."""
    long_ago, midnight = datetime(1969, 12, 31, 22, 30, tzinfo=UTC), datetime(2027, 3, 1, tzinfo=UTC)
    summer = datetime(2027, 6, 1, 7, 15, tzinfo=UTC)
    with empty.begin() as connection:
        command.upgrade(configuration(connection), "0002")
        for identifier in ("it", "pool_1", "ra_1"):
            _write(connection, "documents", {"identifier": identifier, "kind": identifier, "number": 1, "revision": 1, "body": "{}"})
        _write(
            connection, "item_types", {"identifier": "it", "number": 1, "code": "C", "name": "Cable", "kind": "fungible", "is_active": True}
        )
        _write(connection, "stock_pools", {"identifier": "pool_1", "number": 1, "item_type": "it", "quantity_total": 99, "is_active": True})
        reservation = {"identifier": "ra_1", "number": 1, "status": "approved", "priority": "low", "requester": "al"}
        _write(connection, "rent_actions", {**reservation, "start_time": long_ago, "end_time": midnight})
        line = {"rent_action": "ra_1", "line": "line-1", "item_kind": "item_type", "item": "it", "requested_quantity": 3}
        _write(connection, "rent_action_items", line)
        _promise(connection, 1, "allocated", 4, long_ago, summer)
        _promise(connection, 2, "in_use", 5, long_ago, midnight)
        _promise(connection, 3, "returned", 6, long_ago, summer)
        _promise(connection, 4, "allocated", 2, midnight, summer)
    migrate(empty)
    with Ledger(empty).read() as uow:
        assert uow.counters.differing(["pool_1"]) == []
        [pool] = uow.capacity.pools({"it": Window(midnight - timedelta(hours=1), summer)}, long_ago)["it"]
        assert (pool.reserved, pool.peak) == (11, 9)
        assert [one.identifier for one in uow.index.page("rent_actions", [("identifier", "has a line for", "it")], None, 9)] == ["ra_1"]


def _write(connection: Connection, table: str, row: dict[str, Any]) -> None:
    """A row as it was written before the table had the columns of today."""
    statement = f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join(f':{name}' for name in row)})"
    instants = [bindparam(name, type_=tables.Instant) for name, value in row.items() if isinstance(value, datetime)]
    connection.execute(text(statement).bindparams(*instants), row)


def _promise(connection: Connection, number: int, status: str, quantity: int, start: datetime, end: datetime) -> None:
    window = {"allocated_from": start, "allocated_to": end, "blocked_from": start, "blocked_to": end}
    row = {"number": number, "rent_action": "ra_1", "line": "line-1", "item_type": "it", "stock_pool": "pool_1"}
    _write(connection, "allocations", {**row, "quantity": quantity, "status": status, **window})
