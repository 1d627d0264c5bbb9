"""Lists of a large store: what is shown of them, and what it takes to count them, does not grow with what is there."""

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, insert, text

from relational import tables
from relational.index import Condition, Index, Order
from relational.unit_of_work import Ledger
from tests.contract.efforts import rows_read, steps
from tests.contract.rows import ALICE, MONDAY, head

MANY = 4000
MINUTE = timedelta(minutes=1)
PAGE = 20
MOST_READ = 30 * PAGE
"""Rows: one in twenty meets the rarest condition, and Postgres may look for those in the order of their numbers."""
BODY = "x" * 1500


@pytest.fixture
def store(ledger: Ledger) -> Ledger:
    """An item type with many units and as many reservations, of which the engine knows how many there are."""
    with ledger.write() as uow:
        uow.documents.add(head("itemType_1"), ALICE)
        uow.index.put("item_types", {"identifier": "itemType_1", "code": "FOG", "name": "Fog", "kind": "serialized", "is_active": True})
    numbers = range(1, MANY + 1)
    with ledger.engine.begin() as connection:
        for prefix, kind, table, row in (("asset", "asset", tables.assets, _unit), ("ra", "rentAction", tables.rent_actions, _booking)):
            named = [(f"{prefix}_{number}", number) for number in numbers]
            documents = [{"identifier": name, "kind": kind, "number": number, "revision": 1, "body": BODY} for name, number in named]
            connection.execute(insert(tables.documents), documents)
            connection.execute(insert(table), [{"identifier": name, "number": number, **row(number)} for name, number in named])
    with ledger.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE" if ledger.engine.dialect.name == "sqlite" else "VACUUM ANALYZE"))
    return ledger


def _stamps(number: int) -> dict[str, Any]:
    return {"created_at": MONDAY, "updated_at": MONDAY + (number * 7 % MANY) * MINUTE}


def _unit(number: int) -> dict[str, Any]:
    place = {"location": f"Depot {number % 7}", "asset_tag": f"T-{number}" if number % 3 else None}
    return {"item_type": "itemType_1", "status": "hold" if number % 20 == 0 else "available", **place, **_stamps(number)}


def _booking(number: int) -> dict[str, Any]:
    window = {"start_time": MONDAY + number * MINUTE, "end_time": MONDAY + (number + 9) * MINUTE}
    status = "approved" if number % 9 == 0 else "pending"
    return {"requester": f"user{number % 20}", "priority": "normal", "status": status, **window, **_stamps(number)}


LISTS: list[tuple[str, list[Condition], list[Order]]] = [
    ("assets", [], []),
    ("assets", [("item_type", "=", "itemType_1")], []),
    ("assets", [("status", "=", "available")], []),
    ("assets", [("location", "=", "Depot 3")], []),
    ("assets", [("item_type", "=", "itemType_1"), ("status", "=", "available")], []),
    ("assets", [], [("updated_at", True)]),
    ("assets", [], [("updated_at", False)]),
    ("assets", [], [("location", True)]),
    ("assets", [], [("location", False)]),
    ("rent_actions", [], []),
    ("rent_actions", [("status", "=", "approved")], []),
    ("rent_actions", [("requester", "=", "user7")], []),
    ("rent_actions", [], [("updated_at", True)]),
    ("rent_actions", [], [("start_time", False)]),
]


def test_a_page_costs_what_it_shows_however_much_there_is(store: Ledger) -> None:
    """At the beginning as in the middle. On Postgres by the rows that were read, on SQLite, which does not tell, by its plan."""
    judge = {"sqlite": _by_plan, "postgresql": _by_rows}[store.engine.dialect.name]
    for table, conditions, order in LISTS:
        for place in _places(store, table, order):
            judge(store, table, lambda uow, asked=(table, conditions, place[0], PAGE, order, place[1:]): uow.index.page(*asked))


def _places(store: Ledger, table: str, order: list[Order]) -> Iterator[tuple[Any, ...]]:
    """The beginning, and a place in the midst."""
    yield (None,)
    columns = [tables.schema.tables[table].c[name] for name in ("number", *(column for column, _ in order))]
    with store.engine.connect() as connection:
        query = tables.schema.tables[table].select().with_only_columns(*columns).where(columns[0] == MANY // 2 + 1)
        place = tuple(connection.execute(query).one())
    yield place


def _by_rows(store: Ledger, table: str, ask: Callable[[Any], list[Any]]) -> None:
    before = {name: rows_read(store, name) for name in (table, "documents")}
    with store.read() as uow:
        assert len(ask(uow)) == PAGE
    for name, count in before.items():
        assert rows_read(store, name) - count <= MOST_READ, (name, _plan(store, ask))


def _by_plan(store: Ledger, table: str, ask: Callable[[Any], list[Any]]) -> None:
    finding, _, _ = _plan(store, ask).rpartition("SEARCH documents")
    assert f"SCAN {table}\n" not in finding, finding
    assert "TEMP B-TREE FOR ORDER BY" not in finding, finding
    with store.read() as uow:
        assert len(ask(uow)) == PAGE


def _plan(store: Ledger, ask: Callable[[Any], Any], prefix: str = "EXPLAIN ") -> str:
    """How the engine answers what is asked."""
    asked: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        asked.append((statement, parameters))

    event.listen(store.engine, "before_cursor_execute", note)
    with store.read() as uow:
        ask(uow)
    event.remove(store.engine, "before_cursor_execute", note)
    prefix = {"sqlite": "EXPLAIN QUERY PLAN ", "postgresql": prefix}[store.engine.dialect.name]
    statement, parameters = asked[-1]
    with store.engine.connect() as connection:
        return "".join(f"{row[-1]}\n" for row in connection.exec_driver_sql(prefix + statement, parameters))


def test_to_look_for_what_is_within_a_window_costs_no_more_than_the_window(store: Ledger) -> None:
    within: list[Condition] = [("start_time", ">=", MONDAY + 10 * MINUTE), ("end_time", "<=", MONDAY + 60 * MINUTE)]
    with store.read() as uow:
        assert uow.index.count_up_to(MANY, "rent_actions", within) == 42
        assert len(uow.index.page("rent_actions", within, None, PAGE, [("start_time", False)])) == PAGE
    assert _effort(store, (MANY, "rent_actions", within)) * 10 < _effort(store, (MANY, "rent_actions", within[:1]))


def test_to_count_what_meets_a_filter_costs_no_more_than_the_bound(store: Ledger) -> None:
    asked = (PAGE, "assets", [("item_type", "=", "itemType_1")])
    with store.read() as uow:
        assert uow.index.count_up_to(*asked) is None
    assert _effort(store, asked) * 10 < _effort(store, (MANY, *asked[1:]))


def _effort(store: Ledger, asked: Any) -> int:
    """How much the engine does to count: on Postgres the most rows that a node of its plan has, on SQLite steps of its machine."""
    if store.engine.dialect.name == "postgresql":
        plan = _plan(store, lambda uow: uow.index.count_up_to(*asked), "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) ")
        return max(int(float(rows)) for rows in re.findall(r"actual rows=([0-9.]+)", plan))
    with store.engine.connect() as connection:
        return steps(connection, lambda: Index(connection).count_up_to(*asked))


def test_to_count_everything_is_to_add_up_a_few_tallies(ledger: Ledger) -> None:
    for number in range(1, 40):
        with ledger.write() as uow:
            uow.documents.add(head(f"asset_{number}"), ALICE)
            uow.documents.add(head(f"ra_{number}"), ALICE)
            assert uow.documents.count("asset") == number
    with pytest.raises(ZeroDivisionError), ledger.write() as uow:
        uow.documents.add(head("asset_41"), ALICE)
        raise ZeroDivisionError
    with ledger.read() as uow:
        assert (uow.documents.count("asset"), uow.documents.count("rentAction"), uow.documents.count("itemType")) == (39, 39, 0)
    with ledger.engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM tallies").scalar_one() <= 32
