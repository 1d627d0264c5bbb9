"""The sequence of events follows the order in which they become visible: whoever has read up to a number has missed nothing below it."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import text

from relational.outbox import OutboxEntry, Selection
from relational.unit_of_work import Ledger
from tests.contract.rows import MONDAY, TUESDAY
from tests.contract.test_ledger_risks import plan

only_on_postgres = pytest.mark.parametrize("database_url", ["postgres"], indirect=True)


def event(name: str, subject: str = "ra_1", type: str = "rentAction.created", day: int = 0) -> OutboxEntry:
    return OutboxEntry(f"evt_{name}", type, "RentAction", subject, MONDAY + timedelta(days=day), "c", f'{{"id":"evt_{name}"}}')


def write(ledger: Ledger, *entries: OutboxEntry) -> None:
    with ledger.write() as uow:
        uow.outbox.add(*entries)


def number(ledger: Ledger, limit: int = 1000) -> int:
    with ledger.write() as uow:
        return uow.outbox.number(limit)


def read(ledger: Ledger, since: int = 0, limit: int = 100, **wanted: object) -> list[tuple[int, str]]:
    with ledger.read() as uow:
        return [(one.sequence, one.entry.id) for one in uow.outbox.since(since, limit, Selection(**wanted))]  # type: ignore[arg-type]


def test_events_are_numbered_without_gaps_in_the_order_of_writing(ledger: Ledger) -> None:
    write(ledger, event("a"), event("b"))
    write(ledger, event("c"))
    number(ledger)
    assert read(ledger) == [(1, "evt_a"), (2, "evt_b"), (3, "evt_c")]
    assert number(ledger) == 0
    write(ledger, event("d"))
    number(ledger)
    assert read(ledger, since=3) == [(4, "evt_d")]
    with ledger.read() as uow:
        assert uow.outbox.newest() == 4
        assert not uow.outbox.has_unnumbered()


def test_a_reader_goes_both_ways_and_is_choosy(ledger: Ledger) -> None:
    write(ledger, event("a"), event("b", "ra_2"), event("c", type="rentAction.approved", day=1), event("d", "ra_2", day=1))
    number(ledger)
    with ledger.read() as uow:
        assert [one.sequence for one in uow.outbox.before(4, 2)] == [2, 3]
        assert [one.sequence for one in uow.outbox.before(4, 2, Selection(subject="ra_1"))] == [1, 3]
        assert uow.outbox.before(2**70, 1)[0].sequence == 4
        assert uow.outbox.since(2**70, 1) == []
        found = uow.outbox.by_id("evt_c")
        assert found is not None and found.sequence == 3
        assert uow.outbox.by_id("evt_x") is None
    assert read(ledger, types=("rentAction.approved",)) == [(3, "evt_c")]
    assert read(ledger, since=1, limit=2) == [(2, "evt_b"), (3, "evt_c")]
    assert read(ledger, subject="ra_2") == [(2, "evt_b"), (4, "evt_d")]


def test_what_happened_to_one_subject_is_found_by_an_index_in_its_order(ledger: Ledger) -> None:
    write(ledger, *(event(str(number), f"ra_{number % 50}") for number in range(5000)))
    while number(ledger):
        pass
    with ledger.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("ANALYZE")
    found = plan(ledger, lambda uow: uow.outbox.since(100, 20, Selection(subject="ra_7")))
    assert "outbox_by_subject_and_sequence" in found, found
    assert "TEMP B-TREE" not in found and "Sort" not in found, found


def test_a_reader_can_start_at_an_instant(ledger: Ledger) -> None:
    write(ledger, event("a"), event("b", day=1), event("c", day=1))
    number(ledger)
    with ledger.read() as uow:
        assert [one.sequence for one in uow.outbox.since(0, 9, Selection(since=TUESDAY))] == [2, 3]
        assert [one.sequence for one in uow.outbox.before(9, 9, Selection(until=TUESDAY))] == [1]


@only_on_postgres
def test_an_event_that_commits_late_comes_after_all_that_were_seen(ledger: Ledger) -> None:
    written, others_are_read = threading.Event(), threading.Event()

    def slow() -> None:
        with ledger.write() as uow:
            uow.outbox.add(event("late"))
            written.set()
            assert others_are_read.wait(30)

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(slow)
        assert written.wait(30)
        write(ledger, event("quick"))
        number(ledger)
        assert read(ledger) == [(1, "evt_quick")]
        others_are_read.set()
        running.result(30)
    with ledger.read() as uow:
        assert [one.entry.id for one in uow.outbox.after(0, 9)] == ["evt_late", "evt_quick"], "it was written first"
        assert uow.outbox.has_unnumbered()
        assert uow.outbox.by_id("evt_late") is None
    number(ledger)
    assert read(ledger, since=1) == [(2, "evt_late")]


@only_on_postgres
def test_who_numbers_second_waits_and_leaves_alone_what_has_a_number(ledger: Ledger) -> None:
    """One numbers and has not committed yet; an event of a lower position appears; another numbers."""
    with ThreadPoolExecutor(1) as pool:
        with ledger.write() as first:
            with ledger.write() as slow:
                slow.outbox.add(event("late"))
                write(ledger, event("quick"))
                assert first.outbox.number() == 1
            second = pool.submit(number, ledger)
            until_somebody_waits(ledger)
        assert second.result(30) == 1
    assert read(ledger) == [(1, "evt_quick"), (2, "evt_late")]


def until_somebody_waits(ledger: Ledger) -> None:
    for _ in range(100_000):
        with ledger.engine.connect() as connection:
            if connection.execute(text("SELECT count(*) FROM pg_locks WHERE NOT granted")).scalar_one():
                return
    raise AssertionError("nobody waits")


@only_on_postgres
def test_readers_who_number_at_once_miss_nothing(ledger: Ledger) -> None:
    """Four write, three number and read on from where they are; each reader must see every event, once, in order."""
    everything = 4 * 40

    def writer(name: int) -> None:
        for one in range(40):
            write(ledger, event(f"{name}_{one}"))

    def reader(_name: int) -> list[tuple[int, str]]:
        found: list[tuple[int, str]] = []
        while len(found) < everything:
            number(ledger, 7)
            found += read(ledger, since=found[-1][0] if found else 0, limit=5)
        return found

    with ThreadPoolExecutor(7) as pool:
        readers = [pool.submit(reader, one) for one in range(3)]
        for one in [pool.submit(writer, one) for one in range(4)]:
            one.result(60)
        results = [one.result(60) for one in readers]
    assert [sequence for sequence, _ in results[0]] == list(range(1, everything + 1))
    assert results[0] == results[1] == results[2]
