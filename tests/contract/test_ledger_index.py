"""The index: filters, pages, and what may be there only once."""

from typing import Any

import pytest

from ld_server.domain.errors import Duplicate
from relational.index import Condition, number_of
from relational.unit_of_work import Ledger
from relational.wire import VIOLATIONS
from tests.contract.rows import ALICE, FRIDAY, MONDAY, THURSDAY, TUESDAY, WEDNESDAY, add_asset, add_item_type, add_rent_action, head, stage


@pytest.fixture
def fleet(ledger: Ledger) -> Ledger:
    """Two item types, five units of the first in two cities, three reservations."""
    with ledger.write() as uow:
        add_item_type(uow, "itemType_1", code="FOG", name="Fog machine")
        add_item_type(uow, "itemType_2", code="CABLE", name="Cable", kind="fungible", is_active=False)
        for number, city, status in ((1, "Ghent", "available"), (2, "Ghent", "hold"), (3, "Oslo", "available"), (10, None, "lost")):
            add_asset(uow, f"asset_{number}", asset_tag=f"FOG-{number}", serial_number=f"S{number % 2}", location=city, status=status)
        add_rent_action(uow, "ra_1", external_source="sgl", external_ref="E-1", priority="urgent")
        add_rent_action(uow, "ra_2", start_time=TUESDAY, end_time=WEDNESDAY, requester="bob", external_ref="E-2")
        add_rent_action(uow, "ra_3", start_time=TUESDAY, end_time=FRIDAY, status="approved", is_asap=True)
    return ledger


FILTERS: list[tuple[str, list[Condition], list[int]]] = [
    ("item_types", [], [1, 2]),
    ("item_types", [("code", "=", "FOG")], [1]),
    ("item_types", [("kind", "=", "fungible")], [2]),
    ("item_types", [("is_active", "=", True)], [1]),
    ("item_types", [("name", "=", "Cable")], [2]),
    ("assets", [], [1, 2, 3, 10]),
    ("assets", [("item_type", "=", "itemType_1")], [1, 2, 3, 10]),
    ("assets", [("item_type", "=", "itemType_2")], []),
    ("assets", [("status", "=", "available")], [1, 3]),
    ("assets", [("status", "!=", "available")], [2, 10]),
    ("assets", [("status", "in", ["hold", "lost"])], [2, 10]),
    ("assets", [("location", "=", "Ghent"), ("status", "=", "available")], [1]),
    ("assets", [("asset_tag", "=", "FOG-10")], [10]),
    ("assets", [("serial_number", "=", "S1")], [1, 3]),
    ("rent_actions", [("status", "=", "pending")], [1, 2]),
    ("rent_actions", [("start_time", ">=", TUESDAY)], [2, 3]),
    ("rent_actions", [("start_time", ">", MONDAY), ("end_time", "<=", WEDNESDAY)], [2]),
    ("rent_actions", [("start_time", "<", THURSDAY), ("end_time", ">", WEDNESDAY)], [3]),
    ("rent_actions", [("external_source", "=", "sgl")], [1]),
    ("rent_actions", [("external_ref", "=", "E-2")], [2]),
    ("rent_actions", [("requester", "=", "bob")], [2]),
    ("rent_actions", [("priority", "=", "urgent")], [1]),
    ("rent_actions", [("is_asap", "=", True)], [3]),
]


@pytest.mark.parametrize(("table", "conditions", "numbers"), FILTERS)
def test_pages_and_counts_agree_on_what_meets_every_condition(
    fleet: Ledger, table: str, conditions: list[Condition], numbers: list[int]
) -> None:
    with fleet.read() as uow:
        assert [one.number for one in uow.index.page(table, conditions, None, 100)] == numbers
        assert uow.index.count(table, conditions) == len(numbers)
        assert list(uow.index.states(table, conditions)[::2]) == numbers


def test_what_is_counted_is_counted_exactly_or_not_at_all(fleet: Ledger) -> None:
    with fleet.read() as uow:
        assert [uow.index.count_up_to(most, "assets", [("location", "=", "Ghent")]) for most in (1, 2, 3)] == [None, 2, 2]
        assert uow.index.count_up_to(0, "assets", [("location", "=", "Rome")]) == 0


def test_pages_follow_one_another_by_number(fleet: Ledger) -> None:
    with fleet.read() as uow:
        assert [one.number for one in uow.index.page("assets", [], None, 2)] == [1, 2]
        assert [one.number for one in uow.index.page("assets", [], 2, 2)] == [3, 10]
        assert uow.index.page("assets", [], 10, 2) == []


@pytest.mark.parametrize("order", [(), (("location", True),), (("location", False), ("status", True))])
def test_the_states_of_a_list_are_those_of_its_pages(fleet: Ledger, order: tuple[tuple[str, bool], ...]) -> None:
    with fleet.write() as uow:
        uow.documents.replace(head("asset_3", revision=2, body="newer"), ALICE)
    with fleet.read() as uow:
        pages = uow.index.page("assets", [], None, 100, order)
        assert list(uow.index.states("assets", [], None, order)) == [part for one in pages for part in (one.number, one.revision)]
        first = pages[0]
        values = [{1: "Ghent", 2: "Ghent", 3: "Oslo", 10: None}[first.number], "hold" if first.number == 2 else "available"][: len(order)]
        assert list(uow.index.states("assets", [], first.number, order, values)[::2]) == [one.number for one in pages[1:]]


def test_documents_can_be_read_as_they_were_in_the_order_that_is_asked_for(fleet: Ledger) -> None:
    with fleet.write() as uow:
        uow.documents.replace(head("ra_1", revision=2, body="newer"), ALICE)
    with fleet.read() as uow:
        old = uow.documents.revision("ra_1", 1)
        assert old is not None
        other = uow.documents.heads(["ra_2"])["ra_2"].body
        assert list(uow.documents.bodies([("ra_2", 1), ("ra_1", 1), ("ra_1", 2)])) == [other, old.body, "newer"]
        with pytest.raises(KeyError):
            list(uow.documents.bodies([("ra_1", 3)]))


def test_a_page_holds_the_newest_state(fleet: Ledger) -> None:
    with fleet.write() as uow:
        uow.documents.replace(head("ra_1", revision=2, body="newer"), ALICE)
        assert uow.index.page("rent_actions", [], None, 1) == [head("ra_1", revision=2, body="newer")]


@pytest.mark.parametrize(
    ("table", "conditions"),
    [("unicorns", []), ("assets", [("horn", "=", 1)]), ("assets", [("status", "LIKE", "x")]), ("assets", [("status; DROP", "=", "x")])],
)
def test_unknown_tables_columns_and_operators_are_key_errors(fleet: Ledger, table: str, conditions: list[Condition]) -> None:
    with fleet.read() as uow, pytest.raises(KeyError):
        uow.index.page(table, conditions, None, 1)


def test_find_gives_the_first_by_number(fleet: Ledger) -> None:
    with fleet.read() as uow:
        assert uow.index.find("item_types", "code", "FOG") == "itemType_1"
        assert uow.index.find("assets", "serial_number", "S1") == "asset_1"
        assert uow.index.find("assets", "serial_number", "none such") is None


def test_putting_a_row_again_replaces_it(fleet: Ledger) -> None:
    with fleet.write() as uow:
        uow.index.put("assets", {"identifier": "asset_1", "item_type": "itemType_1", "status": "retired", "location": None})
        assert uow.index.find("assets", "status", "retired") == "asset_1"
        assert uow.index.count("assets") == 4


@pytest.mark.parametrize(
    ("table", "row", "field", "owner"),
    [
        ("item_types", {"identifier": "itemType_2", "code": "FOG", "name": "n", "kind": "kit", "is_active": True}, "code", "itemType_1"),
        ("assets", {"identifier": "asset_1", "item_type": "itemType_1", "status": "hold", "asset_tag": "FOG-3"}, "assetTag", "asset_3"),
    ],
)
def test_a_value_that_another_has_is_a_duplicate_that_names_both(
    fleet: Ledger, table: str, row: dict[str, Any], field: str, owner: str
) -> None:
    with fleet.write() as uow:
        before = uow.index.page(table, [], None, 10)
        with pytest.raises(Duplicate, match=owner) as refused:
            uow.index.put(table, row)
        assert refused.value.members == {"field": field, "resource": owner}
        assert uow.index.page(table, [], None, 10) == before


def test_a_duplicate_leaves_nothing_of_the_transaction(fleet: Ledger) -> None:
    with pytest.raises(Duplicate), fleet.write() as uow:
        add_item_type(uow, "itemType_3", code="FOG")
    assert fleet.head("itemType_3") is None


def test_a_unit_of_no_known_item_type_is_refused_by_the_database(fleet: Ledger) -> None:
    with pytest.raises(VIOLATIONS), fleet.write() as uow:
        add_asset(uow, "asset_11", item_type="itemType_99")


def test_units_without_a_tag_are_no_duplicates(ledger: Ledger) -> None:
    stage(ledger, assets=3)


def test_lines_are_replaced_as_a_whole(fleet: Ledger) -> None:
    line = {"item_kind": "item_type", "item": "itemType_1", "requested_quantity": 2}
    with fleet.write() as uow:
        uow.index.put_lines("ra_1", [{**line, "line": "line-1"}, {**line, "line": "line-2"}])
        uow.index.put_lines("ra_1", [{**line, "line": "line-1", "allocated_quantity": 2}])
        uow.index.put_lines("ra_2", [])
    with fleet.engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT rent_action, line, allocated_quantity FROM rent_action_items").all()
    assert [tuple(row) for row in rows] == [("ra_1", "line-1", 2)]


def test_clear_empties_the_index_and_a_rollback_brings_it_back(fleet: Ledger) -> None:
    class Regret(Exception):
        pass

    with pytest.raises(Regret), fleet.write() as uow:
        uow.index.clear()
        assert [uow.index.count(table) for table in ("item_types", "assets", "rent_actions")] == [0, 0, 0]
        raise Regret
    with fleet.read() as uow:
        assert [uow.index.count(table) for table in ("item_types", "assets", "rent_actions")] == [2, 4, 3]


def test_the_number_of_an_identifier() -> None:
    assert number_of("itemType_17") == 17
    with pytest.raises(ValueError, match="unicorn"):
        number_of("unicorn")
