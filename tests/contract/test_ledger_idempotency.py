"""Stored answers: one per principal and key, written with what they answer."""

import threading
from datetime import timedelta

import pytest

from relational.idempotency import Idempotency, Stored
from relational.unit_of_work import Ledger, UnitOfWork
from tests.contract.meetings import come_second
from tests.contract.rows import MONDAY, TUESDAY, WEDNESDAY

HEADERS = {"Location": "http://localhost:8000/v1/rent-actions/ra_1", "ETag": '"1-jsonld"'}


def store(gateway: Idempotency, principal: str = "alice", key: str = "k1", body: bytes = b"\x00\xff made") -> None:
    gateway.store(principal, key, "fingerprint", 201, HEADERS, body, MONDAY, TUESDAY)


def test_an_answer_comes_back_as_it_was_given(ledger: Ledger) -> None:
    with ledger.write() as uow:
        assert uow.idempotency.lock("alice", "k1")
        assert uow.idempotency.find("alice", "k1") is None
        store(uow.idempotency)
    with ledger.read() as uow:
        assert uow.idempotency.find("alice", "k1") == Stored("fingerprint", 201, HEADERS, b"\x00\xff made", TUESDAY)


def test_a_key_belongs_to_the_principal_who_used_it(ledger: Ledger) -> None:
    with ledger.write() as uow:
        store(uow.idempotency, body=b"for alice")
        store(uow.idempotency, principal="bob", body=b"for bob")
        found = uow.idempotency.find("alice", "k1")
        assert found is not None
        assert found.body == b"for alice"


def test_a_newer_answer_takes_the_place_of_an_expired_one(ledger: Ledger) -> None:
    with ledger.write() as uow:
        store(uow.idempotency)
        uow.idempotency.store("alice", "k1", "another", 200, {}, b"newer", TUESDAY, TUESDAY + timedelta(days=1))
        assert uow.idempotency.find("alice", "k1") == Stored("another", 200, {}, b"newer", TUESDAY + timedelta(days=1))


def test_only_what_has_expired_is_swept(ledger: Ledger) -> None:
    with ledger.write() as uow:
        store(uow.idempotency)
        assert uow.idempotency.sweep(TUESDAY - timedelta(microseconds=1), 10) == 0
        assert uow.idempotency.sweep(TUESDAY, 10) == 1
        assert uow.idempotency.find("alice", "k1") is None


def test_what_takes_the_place_of_an_expired_answer_is_not_swept_with_it(ledger: Ledger) -> None:
    with ledger.write() as uow:
        store(uow.idempotency)
        store(uow.idempotency, key="k2")
    newer = Stored("another", 200, {}, b"newer", WEDNESDAY)

    def replace(uow: UnitOfWork) -> None:
        uow.idempotency.store("alice", "k1", newer.fingerprint, newer.status, newer.headers, newer.body, TUESDAY, newer.expires_at)

    assert come_second(ledger, replace, lambda uow: uow.idempotency.sweep(TUESDAY, 10)) == 1
    with ledger.read() as uow:
        assert (uow.idempotency.find("alice", "k1"), uow.idempotency.find("alice", "k2")) == (newer, None)


def test_a_rollback_takes_the_answer_with_it(ledger: Ledger) -> None:
    with pytest.raises(ZeroDivisionError), ledger.write() as uow:
        store(uow.idempotency)
        raise ZeroDivisionError
    with ledger.read() as uow:
        assert uow.idempotency.find("alice", "k1") is None


def test_a_key_is_answered_once_however_many_ask_at_once(ledger: Ledger) -> None:
    """On Postgres those who come second are turned away; on SQLite they wait, and find the answer."""
    barrier, made, turned_away = threading.Barrier(6), [], []

    def run() -> None:
        barrier.wait()
        with ledger.write() as uow:
            if not uow.idempotency.lock("alice", "k1"):
                turned_away.append(1)
            elif uow.idempotency.find("alice", "k1") is None:
                store(uow.idempotency)
                made.append(1)

    threads = [threading.Thread(target=run) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
    assert ledger.engine.dialect.name == "postgresql" or turned_away == []


def test_a_lock_ends_with_its_transaction_and_is_for_one_key(ledger: Ledger) -> None:
    with ledger.write() as uow:
        assert uow.idempotency.lock("alice", "k1")
    with ledger.write() as uow:
        assert uow.idempotency.lock("alice", "k1")
        assert uow.idempotency.lock("alice", "k2")
        assert uow.idempotency.lock("bob", "k1")
