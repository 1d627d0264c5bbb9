"""The unit of work: commit, rollback, snapshots, instants, and what is said when the database cannot."""

import sqlite3
import threading
import time
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from ld_server.domain.errors import InvalidParameter, StoreUnavailable
from relational import engine as engine_module
from relational.documents import Head
from relational.engine import normalised, open_engine, refusal_of
from relational.unit_of_work import Ledger, open_ledger
from tests.contract.rows import ALICE, BOB, MONDAY, add_rent_action, head


def test_a_block_that_ends_well_is_committed_and_one_that_raises_is_not(ledger: Ledger) -> None:
    with ledger.write() as uow:
        uow.facts.set("kept", "yes")
    with pytest.raises(ZeroDivisionError), ledger.write() as uow:
        uow.facts.set("kept", "no")
        raise ZeroDivisionError
    with ledger.read() as uow:
        assert uow.facts.get("kept") == "yes"


def test_a_reader_sees_one_state_and_makes_no_writer_wait(ledger: Ledger) -> None:
    with ledger.write() as uow:
        uow.documents.add(head("ra_1", body="first"), ALICE)
    with ledger.read() as reader:
        assert reader.documents.count("rentAction") == 1
        with ledger.write() as writer:
            writer.documents.replace(head("ra_1", revision=2, body="second"), BOB)
            writer.documents.add(head("ra_2"), BOB)
        assert reader.documents.head("ra_1") == head("ra_1", body="first")
        assert reader.documents.count("rentAction") == 1
    with ledger.read() as reader:
        assert reader.documents.count("rentAction") == 2


def test_a_glance_sees_one_state_and_leaves_nothing_open(ledger: Ledger) -> None:
    with ledger.write() as uow:
        add_rent_action(uow, "ra_1")
    with pytest.raises(ZeroDivisionError), ledger.glance() as reading:
        assert (reading.documents.head("ra_1"), reading.documents.head("ra_2")) == (ledger.head("ra_1"), None)
        with ledger.write() as uow:
            add_rent_action(uow, "ra_2")
        assert reading.documents.head("ra_2") is None
        raise ZeroDivisionError
    assert ledger.head("ra_2") is not None
    with ledger.glance() as reading:
        assert set(reading.documents.heads(["ra_1", "ra_2", "ra_3"])) == {"ra_1", "ra_2"}


def test_a_writer_makes_no_reader_wait(ledger: Ledger) -> None:
    with ledger.write() as writer:
        writer.facts.set("a", "b")
        started = time.monotonic()
        with ledger.read() as reader:
            assert reader.facts.get("a") is None
        assert time.monotonic() - started < 8  # a writer is waited for longer than that


def test_a_locked_document_makes_the_next_writer_wait_and_then_see_the_change(ledger: Ledger) -> None:
    with ledger.write() as uow:
        uow.documents.add(head("ra_1"), ALICE)
    seen: list[int] = []

    def second() -> None:
        with ledger.write() as uow:
            found = uow.documents.locked("ra_1")
            seen.append(found.revision if found else 0)

    thread = threading.Thread(target=second)
    with ledger.write() as uow:
        uow.documents.locked("ra_1")
        thread.start()
        uow.documents.replace(head("ra_1", revision=2), BOB)
        thread.join(0.2)
        assert seen == []
    thread.join()
    assert seen == [2]


def test_instants_keep_their_microseconds_and_come_back_in_utc(ledger: Ledger) -> None:
    start = datetime(2027, 3, 1, 9, 0, 0, 123457, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    with ledger.write() as uow:
        add_rent_action(uow, "ra_1", start_time=start, end_time=datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC))
        add_rent_action(uow, "ra_2", start_time=datetime(1901, 1, 1, tzinfo=UTC))
        uow.leases.acquire("x", "y", start, 0)
    with ledger.read() as uow:
        assert uow.index.find("rent_actions", "start_time", start) == "ra_1"
        assert uow.index.find("rent_actions", "start_time", datetime(1901, 1, 1, tzinfo=UTC)) == "ra_2"
        assert uow.index.count("rent_actions", [("start_time", ">", start - timedelta(microseconds=1))]) == 1
        changed_at = uow.documents.revisions("ra_1")[0].changed_at
    assert (changed_at, changed_at.tzinfo) == (MONDAY, UTC)


def test_an_instant_without_a_zone_is_refused(ledger: Ledger) -> None:
    with pytest.raises(Exception, match="an instant needs a zone"), ledger.write() as uow:
        add_rent_action(uow, "ra_1", start_time=datetime(2027, 3, 1))


def test_a_ledger_that_answers_says_so_and_can_be_used_after_closing(ledger: Ledger) -> None:
    ledger.ping()
    ledger.close()
    ledger.ping()
    assert ledger.head("ra_1") is None


@pytest.mark.parametrize("identifier", ["", "ra_1\x00", "ra_\ud800", "ra_é", "' OR 1=1 --", "%s", "?", "x" * 100_000])
def test_the_hot_path_finds_nothing_under_strange_names(ledger: Ledger, identifier: str) -> None:
    assert ledger.head(identifier) is None


def test_a_value_that_cannot_be_compared_is_an_invalid_parameter_or_matches_nothing(ledger: Ledger) -> None:
    with ledger.read() as uow:
        assert uow.index.page("assets", [], 10**30, 1) == []
    try:
        with ledger.read() as uow:
            assert uow.index.page("assets", [("location", "=", "\x00")], None, 1) == []
    except InvalidParameter:
        assert ledger.engine.dialect.name == "postgresql"


@pytest.mark.parametrize("url", ["sqlite:////nowhere/at/all/ledger.db", "postgresql://nobody@127.0.0.1:1/nothing"])
def test_a_database_that_is_not_there_is_an_unavailable_store(url: str) -> None:
    ledger = open_ledger(url)
    for attempt in (ledger.ping, lambda: ledger.head("ra_1"), lambda: ledger.write().__enter__()):
        with pytest.raises(StoreUnavailable) as refused:
            attempt()
        assert "SELECT" not in refused.value.detail
        assert "nowhere" not in refused.value.detail
    ledger.close()


def test_a_ledger_without_a_schema_says_that_it_must_be_migrated(tmp_path: Path) -> None:
    ledger = open_ledger(f"sqlite:///{tmp_path}/new.db")
    for attempt in (ledger.ping, lambda: ledger.head("ra_1")):
        with pytest.raises(StoreUnavailable, match="migrated"):
            attempt()
    ledger.close()


def test_a_file_that_is_no_database_is_an_unavailable_store(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").write_bytes(b"not a database at all, but a text" * 100)
    ledger = open_ledger(f"sqlite:///{tmp_path}/ledger.db")
    with pytest.raises(StoreUnavailable):
        ledger.ping()
    with pytest.raises(StoreUnavailable):
        ledger.head("ra_1")


def test_a_writer_who_waits_too_long_is_told_that_the_store_is_busy(ledger: Ledger) -> None:
    impatient = open_ledger(ledger.engine.url.render_as_string(hide_password=False), patience=0.1)
    with ledger.write() as uow:
        uow.documents.add(head("ra_1"), ALICE)
        with pytest.raises(StoreUnavailable) as refused, impatient.write() as other:
            other.documents.add(head("ra_1"), BOB)
        assert refused.value.retry_after == 1
    impatient.close()


def test_a_writer_outside_the_line_is_met_by_the_lock_of_sqlite(sqlite_url: str) -> None:
    ledger = open_ledger(sqlite_url, patience=0.1)
    stranger = sqlite3.connect(ledger.engine.url.database or "", isolation_level=None)
    stranger.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match="locked"), ledger.write():
        pass
    stranger.close()
    with ledger.write() as uow:
        uow.facts.set("the line", "moves on")
    ledger.close()


def test_threads_in_line_are_told_when_it_does_not_move(sqlite_url: str) -> None:
    ledger = open_ledger(sqlite_url, patience=0.1)
    with ledger.write(), pytest.raises(StoreUnavailable, match="too long"), ledger.write():
        pass
    ledger.close()


def test_connections_that_a_restart_has_cut_are_replaced(postgres_url: str) -> None:
    ledger = open_ledger(postgres_url)
    with ledger.write() as uow:
        uow.documents.add(head("ra_1"), ALICE)
    assert ledger.head("ra_1") is not None
    other = open_engine(postgres_url)
    for ask in (ledger.head, partial(_glanced, ledger)):
        with other.connect() as connection:
            connection.execute(
                text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            )
        assert ask("ra_1") is not None
    other.dispose()
    time.sleep(engine_module.RESTED_SECONDS)
    ledger.ping()
    ledger.close()


def _glanced(ledger: Ledger, identifier: str) -> Head | None:
    with ledger.glance() as reading:
        return reading.documents.head(identifier)


def test_a_deadlock_is_an_unavailable_store_for_one_of_the_two(postgres_url: str) -> None:
    ledger, barrier, ends = open_ledger(postgres_url), threading.Barrier(2), []
    with ledger.write() as uow:
        uow.documents.add(head("ra_1"), ALICE)
        uow.documents.add(head("ra_2"), ALICE)

    def run(first: str, second: str) -> None:
        try:
            with ledger.write() as uow:
                uow.documents.locked(first)
                barrier.wait()
                uow.documents.locked(second)
            ends.append("done")
        except StoreUnavailable:
            ends.append("gave way")

    threads = [threading.Thread(target=run, args=names) for names in (("ra_1", "ra_2"), ("ra_2", "ra_1"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ledger.close()
    assert sorted(ends) == ["done", "gave way"]


def test_a_pool_without_a_free_connection_is_an_unavailable_store(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "POOL_SECONDS", 0.1)
    ledger = open_ledger(postgres_url, pool_size=1)
    with ledger.read(), ledger.read(), pytest.raises(StoreUnavailable, match="busy"):
        ledger.ping()
    ledger.close()


@pytest.mark.parametrize("pragma", [("journal_mode", "wal"), ("foreign_keys", 1), ("synchronous", 2), ("busy_timeout", 10_000)])
def test_sqlite_is_opened_to_keep_what_it_is_given(sqlite_url: str, pragma: tuple[str, object]) -> None:
    ledger = open_ledger(sqlite_url)
    with ledger.engine.connect() as connection:
        assert connection.exec_driver_sql(f"PRAGMA {pragma[0]}").scalar() == pragma[1]
    ledger.close()


def test_what_is_wrong_with_the_statement_is_no_outage(sqlite_url: str) -> None:
    ledger = open_ledger(sqlite_url)
    with pytest.raises(OperationalError, match="unicorn"), ledger.write() as uow:
        uow.facts._connection.execute(text("SELECT unicorn FROM facts"))
    ledger.close()


@pytest.mark.parametrize(
    ("url", "opened"),
    [
        ("sqlite:////var/lib/x.db", "sqlite+pysqlite:////var/lib/x.db"),
        ("postgres://u@h/d", "postgresql+psycopg://u@h/d"),
        ("postgresql://u@h/d", "postgresql+psycopg://u@h/d"),
        ("postgresql+psycopg2://u@h/d", "postgresql+psycopg://u@h/d"),
    ],
)
def test_urls_lead_to_the_driver_of_this_project(url: str, opened: str) -> None:
    assert str(normalised(url)) == opened


@pytest.mark.parametrize("url", ["mysql://u@h/d", "sqlite://", "sqlite:///:memory:", "sqlite:///file:x.db?mode=memory&uri=true"])
def test_other_databases_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match="ledger"):
        open_ledger(url)


def test_only_outages_become_refusals() -> None:
    assert isinstance(refusal_of(psycopg.errors.SerializationFailure()), StoreUnavailable)
    assert isinstance(refusal_of(psycopg.OperationalError("server closed the connection")), StoreUnavailable)
    for error in (psycopg.errors.UniqueViolation(), sqlite3.IntegrityError("UNIQUE constraint failed")):
        assert refusal_of(error) is error
