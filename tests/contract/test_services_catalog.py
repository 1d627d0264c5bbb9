"""The catalog services: what is stored, what is told, and what is refused with nothing left behind."""

import pytest

from ld_server.domain.commands import CreateAsset, CreateItemType
from ld_server.domain.errors import Duplicate, ShapeViolation, UnknownReference
from ld_server.services import HANDLERS, index
from relational.unit_of_work import Ledger
from tests.contract.fleet import BASE, CONTEXT, Fleet, asset, document_of, item_type


@pytest.fixture
def fleet(ledger: Ledger) -> Fleet:
    return Fleet(ledger)


def test_an_item_type_is_stored_under_its_own_name(fleet: Fleet) -> None:
    head = fleet.do(CreateItemType(item_type("TN-2", turnaroundAfter="PT2H", metadata={"rack": 4})))
    assert (head.identifier, head.kind, head.number, head.revision) == ("itemType_1", "itemType", 1, 1)
    assert document_of(head) == fleet.document("itemType_1") == {
        "@context": CONTEXT,
        "@id": f"{BASE}/v1/catalog/item-types/itemType_1",
        "@type": "Product",
        "identifier": "itemType_1",
        "code": "TN-2",
        "name": "TimerNode TN-2",
        "kind": "serialized",
        "isActive": True,
        "turnaroundAfter": "PT2H",
        "metadata": {"rack": 4},
        "createdAt": "2027-02-01T12:30:00Z",
        "updatedAt": "2027-02-01T12:30:00Z",
    }  # fmt: skip


def test_a_document_begins_with_what_it_is(fleet: Fleet) -> None:
    document = document_of(fleet.do(CreateItemType(item_type("TN-2"))))
    assert list(document)[:6] == ["@context", "@id", "@type", "identifier", "code", "name"]


def test_an_asset_shows_the_name_of_its_item_type(fleet: Fleet) -> None:
    timer = fleet.item_type("TN-2")
    document = document_of(fleet.do(CreateAsset(asset(timer, assetTag="TN-0001", location="Depot"))))
    assert document["status"] == "available"
    assert document["isVariantOf"] == {
        "@id": f"{BASE}/v1/catalog/item-types/itemType_1",
        "@type": "Product",
        "identifier": "itemType_1",
        "name": "TimerNode TN-2",
    }


def test_what_was_said_is_kept_over_the_defaults(fleet: Fleet) -> None:
    retired = document_of(fleet.do(CreateItemType(item_type("TN-1", isActive=False))))
    assert retired["isActive"] is False
    broken = document_of(fleet.do(CreateAsset(asset(fleet.item_type(), status="maintenance"))))
    assert broken["status"] == "maintenance"


def test_creation_is_told(fleet: Fleet) -> None:
    timer = fleet.stocked("TN-0001")
    (event,) = fleet.events(timer)
    assert event == {
        "id": f"evt_{1:026}",
        "type": "catalog.itemType.created",
        "occurredAt": "2027-02-01T12:30:00Z",
        "subject": {"type": "Product", "id": timer},
        "data": fleet.document(timer),
        "meta": {"tenant": "default", "correlationId": "order-77", "version": 1},
    }
    (event,) = fleet.events("asset_1")
    assert (event["type"], event["subject"]) == ("catalog.asset.created", {"type": "IndividualProduct", "id": "asset_1"})


def test_a_code_belongs_to_one_item_type(fleet: Fleet) -> None:
    timer = fleet.item_type("TN-2")
    with pytest.raises(Duplicate) as refused:
        fleet.item_type("TN-2")
    assert refused.value.members == {"field": "code", "resource": timer}
    assert [event["subject"]["id"] for event in fleet.events()] == [timer]


def test_a_tag_belongs_to_one_asset(fleet: Fleet) -> None:
    timer = fleet.stocked("TN-0001")
    with pytest.raises(Duplicate) as refused:
        fleet.assets(timer, "TN-0001")
    assert refused.value.members == {"field": "assetTag", "resource": "asset_1"}


def test_assets_need_no_tag(fleet: Fleet) -> None:
    timer = fleet.item_type()
    first, second = (fleet.do(CreateAsset(asset(timer))).identifier for _ in range(2))
    assert first != second


def test_an_asset_of_nothing_is_refused(fleet: Fleet) -> None:
    with pytest.raises(UnknownReference, match="itemType_99 does not exist") as refused:
        fleet.do(CreateAsset(asset("itemType_99")))
    assert refused.value.members == {"pointer": "/isVariantOf", "field": "isVariantOf", "identifier": "itemType_99"}
    assert fleet.events() == []


def test_an_asset_of_an_asset_is_refused(fleet: Fleet) -> None:
    fleet.stocked("TN-0001")
    with pytest.raises(UnknownReference, match="asset_1 is no item type"):
        fleet.do(CreateAsset(asset("asset_1")))


@pytest.mark.parametrize("kind", ["fungible", "kit"])
def test_only_serialized_item_types_have_units_of_their_own(fleet: Fleet, kind: str) -> None:
    cables = fleet.item_type("CABLE", kind=kind)
    with pytest.raises(UnknownReference, match=f"is {kind}"):
        fleet.assets(cables, "C-1")


@pytest.mark.parametrize("length", ["PT0.5S", "P99999D", "P" + "9" * 5000 + "D", "tomorrow"])
@pytest.mark.parametrize("key", ["turnaroundBefore", "turnaroundAfter"])
def test_a_turnaround_that_cannot_be_kept_is_refused(fleet: Fleet, key: str, length: str) -> None:
    with pytest.raises(ShapeViolation) as refused:
        fleet.item_type(**{key: length})
    assert refused.value.violations[0].pointer == f"/{key}"


def test_every_command_has_a_handler() -> None:
    assert {command.__name__ for command in HANDLERS} == {
        "CreateItemType", "CreateAsset", "CreateReservation",
        "SubmitReservation", "ApproveReservation", "RejectReservation", "CancelReservation",
    }  # fmt: skip


def test_the_index_can_be_derived_again_from_the_documents(fleet: Fleet) -> None:
    timer, masts = fleet.stocked("TN-0001", "TN-0002"), fleet.stocked("M-1", code="MAST")
    booked = fleet.reserve(timer, 2)
    fleet.approve(booked)
    fleet.reserve(masts)
    before = _index_of(fleet)
    with fleet.ledger.write() as uow:
        uow.index.clear()
    assert _index_of(fleet) != before
    assert index.rebuild(fleet.ledger) == 7
    assert _index_of(fleet) == before
    assert before["rent_action_items"][0][-2:] == (2, 2)


def _index_of(fleet: Fleet) -> dict[str, list[tuple[object, ...]]]:
    names = ("item_types", "assets", "rent_actions", "rent_action_items")
    with fleet.ledger.engine.connect() as connection:
        return {name: sorted(map(tuple, connection.exec_driver_sql(f"SELECT * FROM {name}")), key=str) for name in names}
