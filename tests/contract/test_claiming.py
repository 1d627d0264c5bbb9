"""Taking what is next in line: it costs the same however many deliveries wait behind it, and several workers do not take too much."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from sqlalchemy import insert, text

from relational import tables
from relational.deliveries import Deliveries
from relational.unit_of_work import Ledger, UnitOfWork
from tests.contract.efforts import rows_read, steps
from tests.contract.meetings import come_second
from tests.contract.rows import MONDAY, TUESDAY

FEW, MANY, TAKEN = 40, 4000, 10


def _wait(ledger: Ledger, first: int, last: int, endpoints: int = 1) -> None:
    """Deliveries of two thousand subjects, which go to each endpoint in turn."""
    same = {"event_type": "rentAction.created", "action_index": 0, "plan": "{}", "status": "pending"}
    rows = [
        {
            **same,
            "endpoint": f"hook_{number % endpoints + 1}",
            **dict.fromkeys(("identifier", "event_id", "message_id", "trigger"), f"delivery_{number}"),
            "number": number,
            "sequence": number,
            "subject_id": f"ra_{number % 2000}",
            **dict.fromkeys(("due_at", "next_attempt_at", "created_at"), MONDAY + number * timedelta(milliseconds=1)),
        }
        for number in range(first, last)
    ]
    with ledger.engine.begin() as connection:
        connection.execute(insert(tables.deliveries), rows)


def _know_endpoints(ledger: Ledger, count: int) -> None:
    with ledger.engine.begin() as connection:
        connection.execute(insert(tables.endpoints), [{"endpoint": f"hook_{number + 1}"} for number in range(count)])


def _take(deliveries: Deliveries) -> None:
    assert [one.endpoint for one in deliveries.hold_endpoints(TUESDAY)] == ["hook_1"]
    first = [one.identifier for one in deliveries.candidates("hook_1", TUESDAY, 2 * TAKEN) if one.identifier == one.first]
    taken = deliveries.claim(first[:TAKEN], "worker", TUESDAY, TUESDAY + timedelta(minutes=1))
    assert len(taken) == TAKEN
    sent = {one.identifier: one.attempts + 1 for one in taken}
    deliveries.postpone([first[TAKEN]], TUESDAY)
    deliveries.let_follow("hook_1", {"ra_1"}, TUESDAY)
    assert deliveries.held(sent, "worker") == deliveries.finish_held(sent, "worker", TUESDAY, 204) == sent.keys()


def _effort(ledger: Ledger) -> int:
    if ledger.engine.dialect.name == "sqlite":
        with ledger.engine.begin() as connection:
            return steps(connection, lambda: _take(Deliveries(connection)))
    before = rows_read(ledger, "deliveries")
    with ledger.engine.begin() as connection:
        _take(Deliveries(connection))
    return rows_read(ledger, "deliveries") - before


@pytest.mark.parametrize("is_analyzed", [False, True], ids=["as it is", "analyzed"])  # nobody analyzes an SQLite ledger
def test_what_waits_behind_costs_nothing(ledger: Ledger, is_analyzed: bool) -> None:
    _know_endpoints(ledger, 1)
    _wait(ledger, 1, FEW)
    few = _effort(ledger)
    _wait(ledger, FEW, MANY)
    if is_analyzed or ledger.engine.dialect.name == "postgresql":
        with ledger.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("ANALYZE"))
    assert _effort(ledger) < 3 * few


def test_where_one_may_be_under_way_workers_that_come_together_take_one(ledger: Ledger) -> None:
    """What is under way is counted when nobody else can claim there any more, not before."""
    workers, rounds, endpoints = 8, 40, 100
    _know_endpoints(ledger, endpoints)
    _wait(ledger, 0, MANY, endpoints)
    together, until = Barrier(workers, timeout=60), TUESDAY + timedelta(minutes=1)
    one_each = Counter(f"hook_{number + 1}" for number in range(endpoints))

    def take_one_of_each(owner: str) -> dict[str, str]:
        together.wait()
        with ledger.write() as uow:
            free = [one.endpoint for one, sending in uow.deliveries.hold_endpoints(TUESDAY).items() if not sending]
            first = [uow.deliveries.candidates(one, TUESDAY, 1)[0].first for one in free]
            return {one.identifier: one.endpoint for one in uow.deliveries.claim(first, owner, TUESDAY, until)}

    owners = [f"worker-{number}" for number in range(workers)]
    with ThreadPoolExecutor(workers) as threads:
        for _ in range(rounds):
            taken = dict(zip(owners, threads.map(take_one_of_each, owners), strict=True))
            assert Counter(endpoint for one in taken.values() for endpoint in one.values()) == one_each
            with ledger.write() as uow:
                for owner, deliveries in taken.items():
                    uow.deliveries.finish_held(dict.fromkeys(deliveries, 1), owner, TUESDAY, 204)


@pytest.mark.parametrize("is_sent", [False, True], ids=["sending", "delivered"])
def test_what_is_taken_just_before_it_is_given_up_is_not_given_up(ledger: Ledger, is_sent: bool) -> None:
    _know_endpoints(ledger, 1)
    _wait(ledger, 1, 4)

    def take(uow: UnitOfWork) -> None:
        uow.deliveries.claim(["delivery_1"], "worker", TUESDAY, TUESDAY + timedelta(minutes=1))
        if is_sent:
            uow.deliveries.finish_held({"delivery_1": 1}, "worker", TUESDAY, 204)

    assert come_second(ledger, take, lambda uow: uow.deliveries.cancel(TUESDAY, "Nobody wants it.", endpoint="hook_1")) == 2
    with ledger.read() as uow:
        statuses = [one.status for one in uow.deliveries.page(None, 10, {})]
    assert statuses == ["cancelled", "cancelled", "delivered" if is_sent else "sending"]
