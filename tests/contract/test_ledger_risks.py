"""Risks in a large ledger: whoever asks who is overdue or at risk is led by indexes, not through every promise."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, insert, text

from relational import tables
from relational.unit_of_work import Ledger
from tests.contract.rows import MONDAY, add_asset, add_item_type, add_pool, add_rent_action

UNITS, BOOKINGS = 200, 40
HOUR = timedelta(hours=1)
NOW = MONDAY + 10 * HOUR


@pytest.fixture
def store(ledger: Ledger) -> Ledger:
    """Units with many promises each, one after the other; one of them is still out with the reservation before."""
    with ledger.write() as uow:
        add_item_type(uow)
        add_pool(uow, "pool_1")
        add_rent_action(uow, "ra_1", status="approved")
        for number in range(1, UNITS + 1):
            add_asset(uow, f"asset_{number}")
    with ledger.engine.begin() as connection:
        connection.execute(insert(tables.allocations), [_row(unit, turn) for unit in range(1, UNITS + 1) for turn in range(BOOKINGS)])
    with ledger.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE" if ledger.engine.dialect.name == "sqlite" else "VACUUM ANALYZE"))
    return ledger


def _row(unit: int, turn: int) -> dict[str, Any]:
    start = MONDAY + turn * 3 * HOUR
    times = {name: start + (2 * HOUR if name.endswith("to") else 0 * HOUR) for name in _TIMES}
    status = "in_use" if (unit, turn) == (7, 2) else "allocated" if turn > 2 else "returned"
    held = {"item_type": "itemType_1", "asset": f"asset_{unit}", "asset_number": unit, "stock_pool": None, "quantity": 1}
    return {"number": unit * BOOKINGS + turn, "rent_action": "ra_1", "line": "line-1", "status": status, **held, **times}


_TIMES = ("allocated_from", "allocated_to", "blocked_from", "blocked_to")


def plan(store: Ledger, ask: Any) -> str:
    """How the engine finds what is asked."""
    asked: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        asked.append((statement, parameters))

    event.listen(store.engine, "before_cursor_execute", note)
    with store.read() as uow:
        assert ask(uow)
    event.remove(store.engine, "before_cursor_execute", note)
    prefix = {"sqlite": "EXPLAIN QUERY PLAN ", "postgresql": "EXPLAIN "}[store.engine.dialect.name]
    with store.engine.connect() as connection:
        return "".join(f"{row[-1]}\n" for row in connection.exec_driver_sql(prefix + asked[-1][0], asked[-1][1]))


@pytest.mark.parametrize(
    "ask",
    [
        lambda uow: uow.index.page("rent_actions", [("identifier", "is overdue", (True, NOW))], None, 10),
        lambda uow: uow.index.page("rent_actions", [("identifier", "is at risk", (True, NOW))], None, 10),
        lambda uow: uow.risks.every(NOW),
        lambda uow: uow.risks.through(["asset_7"], NOW),
        lambda uow: uow.risks.through(["asset_7", "pool_1"], NOW),
    ],
    ids=["overdue", "at risk", "every", "through a unit", "through a unit and a pool"],
)
def test_indexes_lead_to_what_is_late(store: Ledger, ask: Any) -> None:
    found = plan(store, ask)
    for scanned in ("SCAN promised", "SCAN late", "SCAN one", "Seq Scan on allocations"):
        assert scanned not in found, found
