"""To take what is next in line costs the same however many deliveries wait behind it."""

from datetime import timedelta

import pytest
from sqlalchemy import insert, text

from relational import tables
from relational.deliveries import Deliveries
from relational.unit_of_work import Ledger
from tests.contract.efforts import rows_read, steps
from tests.contract.rows import MONDAY, TUESDAY

FEW, MANY, TAKEN = 40, 4000, 10


def _wait(ledger: Ledger, first: int, last: int) -> None:
    """Deliveries of two thousand subjects, which all go to one endpoint."""
    same = {"event_type": "rentAction.created", "action_index": 0, "endpoint": "hook_1", "plan": "{}", "status": "pending"}
    rows = [
        {
            **same,
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


def _take(deliveries: Deliveries) -> None:
    assert [one.endpoint for one in deliveries.hold_endpoints(TUESDAY)] == ["hook_1"]
    first = [one.identifier for one in deliveries.candidates("hook_1", TUESDAY, 2 * TAKEN) if one.identifier == one.first]
    taken = deliveries.claim(first[:TAKEN], "worker", TUESDAY, TUESDAY + timedelta(minutes=1))
    assert len(taken) == TAKEN
    sent = {one.identifier: one.attempts + 1 for one in taken}
    deliveries.postpone([first[TAKEN]], TUESDAY)
    deliveries.let_follow("hook_1", "ra_1", TUESDAY)
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
    with ledger.engine.begin() as connection:
        connection.execute(insert(tables.endpoints), {"endpoint": "hook_1"})
    _wait(ledger, 1, FEW)
    few = _effort(ledger)
    _wait(ledger, FEW, MANY)
    if is_analyzed or ledger.engine.dialect.name == "postgresql":
        with ledger.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("ANALYZE"))
    assert _effort(ledger) < 3 * few
