"""Leases and facts."""

import threading
from datetime import timedelta

from relational.unit_of_work import Ledger
from tests.contract.rows import MONDAY

LATER = MONDAY + timedelta(seconds=10)


def test_a_lease_has_one_owner_at_a_time(ledger: Ledger) -> None:
    with ledger.write() as uow:
        assert uow.leases.acquire("projector", "one", MONDAY, 10)
        assert not uow.leases.acquire("projector", "two", MONDAY, 10)
        assert uow.leases.acquire("sweeper", "two", MONDAY, 10)


def test_an_owner_renews_and_an_expired_lease_is_free(ledger: Ledger) -> None:
    with ledger.write() as uow:
        assert uow.leases.acquire("projector", "one", MONDAY, 10)
        assert uow.leases.acquire("projector", "one", MONDAY + timedelta(seconds=5), 10)
        assert not uow.leases.acquire("projector", "two", LATER, 10)
        assert uow.leases.acquire("projector", "two", MONDAY + timedelta(seconds=15), 10)
        assert not uow.leases.acquire("projector", "one", MONDAY + timedelta(seconds=16), 10)


def test_who_has_a_lease_is_told_until_it_expires(ledger: Ledger) -> None:
    with ledger.write() as uow:
        assert uow.leases.holder("projector", MONDAY) is None
        uow.leases.acquire("projector", "one", MONDAY, 10)
        assert uow.leases.holder("projector", MONDAY) == "one"
        assert uow.leases.holder("projector", LATER) is None
        assert uow.leases.holder("relay", MONDAY) is None


def test_only_the_owner_gives_a_lease_back(ledger: Ledger) -> None:
    with ledger.write() as uow:
        uow.leases.acquire("projector", "one", MONDAY, 10)
        uow.leases.release("projector", "two")
        assert not uow.leases.acquire("projector", "two", MONDAY, 10)
        uow.leases.release("projector", "one")
        assert uow.leases.acquire("projector", "two", MONDAY, 10)


def test_a_lease_from_a_clock_that_was_set_back_is_stuck_for_nobody(ledger: Ledger) -> None:
    with ledger.write() as uow:
        assert uow.leases.acquire("projector", "one", MONDAY + timedelta(days=1), 10)
        assert uow.leases.acquire("projector", "two", MONDAY, 10)
        assert not uow.leases.acquire("projector", "one", MONDAY, 10)


def test_a_clock_that_is_a_little_slow_takes_no_lease_away(ledger: Ledger) -> None:
    with ledger.write() as uow:
        assert uow.leases.acquire("projector", "one", MONDAY + timedelta(seconds=60), 10)
        assert not uow.leases.acquire("projector", "two", MONDAY, 10)


def test_of_many_who_want_a_lease_one_gets_it(ledger: Ledger) -> None:
    barrier, outcomes = threading.Barrier(6), []

    def run(owner: str) -> None:
        barrier.wait()
        with ledger.write() as uow:
            outcomes.append(uow.leases.acquire("projector", owner, MONDAY, 10))

    threads = [threading.Thread(target=run, args=(f"owner-{number}",)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == [False] * 5 + [True]


def test_facts_are_remembered_and_replaced(ledger: Ledger) -> None:
    with ledger.write() as uow:
        assert uow.facts.get("base_iri") is None
        uow.facts.set("base_iri", "http://localhost:8000")
        uow.facts.set("base_iri", "https://fleet.example.org")
        uow.facts.set("created_at", "2027-03-01T08:00:00Z")
    with ledger.read() as uow:
        assert uow.facts.get("base_iri") == "https://fleet.example.org"
