"""The catalog services: what is stored, what is told, and what is refused with nothing left behind."""

from typing import Any, get_args

import pytest

from ld_server.domain.commands import Command, CreateAsset, CreateItemType, CreateStockPool
from ld_server.domain.errors import Duplicate, InsufficientAvailability, InUse, ShapeViolation, UnknownReference
from ld_server.resources import KINDS
from ld_server.services import HANDLERS, catalog, index
from relational.unit_of_work import Ledger
from tests.contract.fleet import BASE, CONTEXT, MIDDAY, MORNING, NAMING, NEXT_DAY, Fleet, asset, document_of, item_type, stock_pool


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


# --- stock pools ------------------------------------------------------------------------------------------------------


def test_a_stock_pool_is_stored_under_its_own_name(fleet: Fleet) -> None:
    cables = fleet.item_type("CABLE", kind="fungible")
    head = fleet.do(CreateStockPool(stock_pool(cables, 250, location="Depot A", metadata={"drum": 2})))
    assert (head.identifier, head.kind, head.number, head.revision) == ("pool_1", "stockPool", 1, 1)
    assert document_of(head) == fleet.document("pool_1") == {
        "@context": CONTEXT,
        "@id": f"{BASE}/v1/catalog/stock-pools/pool_1",
        "@type": "SomeProducts",
        "identifier": "pool_1",
        "isVariantOf": {
            "@id": f"{BASE}/v1/catalog/item-types/itemType_1", "@type": "Product", "identifier": "itemType_1", "name": "TimerNode CABLE",
        },
        "quantityTotal": 250,
        "location": "Depot A",
        "isActive": True,
        "metadata": {"drum": 2},
        "createdAt": "2027-02-01T12:30:00Z",
        "updatedAt": "2027-02-01T12:30:00Z",
    }  # fmt: skip


def test_a_new_stock_pool_and_a_new_kit_are_told_as_updated(fleet: Fleet) -> None:
    """The seed has no other event for them (6.1)."""
    pool = fleet.pool(fleet.item_type("CABLE", kind="fungible"), 3)
    (event,) = fleet.events(pool)
    assert (event["type"], event["subject"]) == ("catalog.stockPool.updated", {"type": "SomeProducts", "id": pool})
    kit = fleet.kit("FINISH", ("itemType_1", 2))
    (event,) = fleet.events(kit)
    assert (event["type"], event["subject"]) == ("catalog.kitTemplate.updated", {"type": "KitTemplate", "id": kit})
    assert event["data"] == fleet.document(kit)


@pytest.mark.parametrize("kind", ["serialized", "kit"])
def test_only_fungible_item_types_have_stock_pools(fleet: Fleet, kind: str) -> None:
    timer = fleet.item_type(kind=kind)
    with pytest.raises(UnknownReference, match=f"{timer} is {kind}, and only a fungible item type has stock pools") as refused:
        fleet.pool(timer, 3)
    assert refused.value.members == {"pointer": "/isVariantOf", "field": "isVariantOf", "identifier": timer}


# --- kit templates ----------------------------------------------------------------------------------------------------


def test_a_kit_template_is_stored_with_the_names_of_its_components(fleet: Fleet) -> None:
    timer, cables = fleet.item_type("TN-2"), fleet.item_type("CABLE", kind="fungible")
    inner = fleet.kit("START", (timer, 1))
    document = fleet.document(fleet.kit("FINISH", (timer, 2), (cables, 4), (inner, 1)))
    iri = f"{BASE}/v1/catalog/kit-templates/kit_2"
    assert (document["@id"], document["@type"], document["isActive"]) == (iri, ["Product", "KitTemplate"], True)
    assert document["kitComponents"][0] == {
        "@id": f"{iri}#component-1",
        "@type": "KitComponent",
        "itemType": {"@id": f"{BASE}/v1/catalog/item-types/{timer}", "@type": "Product", "identifier": timer, "name": "TimerNode TN-2"},
        "quantityPerKit": 2,
    }
    assert document["kitComponents"][2]["itemType"] == {
        "@id": f"{BASE}/v1/catalog/kit-templates/{inner}",
        "@type": ["Product", "KitTemplate"],
        "identifier": inner,
        "name": "Kit START",
    }


@pytest.mark.parametrize(
    ("component", "why"),
    [("itemType_99", "itemType_99 does not exist"), ("kit_7", "kit_7 does not exist"), ("itemType_2", "refer to the kit template itself")],
)
def test_a_component_that_there_is_not_or_that_cannot_be_one_is_refused(fleet: Fleet, component: str, why: str) -> None:
    timer = fleet.item_type()
    fleet.item_type("SET", kind="kit")
    with pytest.raises(UnknownReference, match=why) as refused:
        fleet.kit("FINISH", (timer, 1), (component, 1))
    assert refused.value.members == {"pointer": "/kitComponents/1/itemType", "field": "itemType", "identifier": component}


def test_a_code_belongs_to_one_kit_template_and_item_types_have_codes_of_their_own(fleet: Fleet) -> None:
    timer = fleet.item_type("TN-2")
    kit = fleet.kit("TN-2", (timer, 1))
    with pytest.raises(Duplicate) as refused:
        fleet.kit("TN-2", (timer, 2))
    assert refused.value.members == {"field": "code", "resource": kit}


# --- changes ----------------------------------------------------------------------------------------------------------


def check(fleet: Fleet, identifier: str, **changes: Any) -> None:
    """Whether the rules let a resource be changed in this way; what refuses, raises."""
    before = fleet.document(identifier)
    with fleet.ledger.write() as uow:
        head = uow.documents.locked(identifier)
        assert head is not None
        catalog.check_change(uow, KINDS[head.kind], before, {**before, **changes}, fleet.occasion())


def referring(identifier: str) -> dict[str, Any]:
    return {"@id": NAMING.iri(identifier), "@type": "Product", "identifier": identifier}


def of(*items: str) -> list[dict[str, Any]]:
    return [{"itemType": referring(item), "quantityPerKit": 1} for item in items]


@pytest.mark.parametrize("kind", ["fungible", "kit"])
def test_an_item_type_that_has_units_keeps_its_kind(fleet: Fleet, kind: str) -> None:
    timer = fleet.stocked("TN-1", "TN-2")
    with pytest.raises(InUse, match=f"kind of {timer} cannot be changed from serialized to {kind}: it has 2 assets") as refused:
        check(fleet, timer, kind=kind)
    assert refused.value.members == {"field": "kind", "pointer": "/kind", "resource": timer, "has": {"assets": 2}}


def test_an_item_type_that_has_pools_keeps_its_kind(fleet: Fleet) -> None:
    with pytest.raises(InUse, match="it has 1 stock pools"):
        check(fleet, fleet.pooled(0), kind="serialized")


def test_an_item_type_of_which_there_is_nothing_may_become_of_another_kind(fleet: Fleet) -> None:
    timer = fleet.item_type()
    fleet.kit("FINISH", (timer, 1))
    check(fleet, timer, kind="fungible")
    with pytest.raises(InUse, match="it has 1 kit templates"):
        check(fleet, timer, kind="kit")


@pytest.mark.parametrize("identifier", ["itemType_1", "pool_1", "kit_1"])
def test_everything_may_be_deactivated_whatever_is_promised(fleet: Fleet, identifier: str) -> None:
    cables = fleet.pooled(30)
    fleet.kit("FINISH", (cables, 2))
    fleet.approve(fleet.reserve(cables, 30))
    check(fleet, identifier, isActive=False)


@pytest.mark.parametrize("status", ["maintenance", "hold", "retired", "lost"])
def test_a_unit_that_is_promised_may_be_taken_out_of_service(fleet: Fleet, status: str) -> None:
    fleet.approve(fleet.reserve(fleet.stocked("TN-1")))
    check(fleet, "asset_1", status=status)


def test_a_unit_that_is_promised_keeps_its_item_type(fleet: Fleet) -> None:
    timer, other = fleet.stocked("TN-1"), fleet.item_type("TN-3")
    booked = fleet.reserve(timer)
    fleet.approve(booked)
    with pytest.raises(InUse, match="isVariantOf of asset_1 cannot be changed while it is promised: ra_1") as refused:
        check(fleet, "asset_1", isVariantOf=referring(other))
    assert refused.value.members["reservationsInTheWay"] == [
        {
            "@id": f"{BASE}/v1/rent-actions/{booked}",
            "identifier": booked,
            "units": 1,
            "blockedFrom": MORNING[0],
            "blockedTo": MORNING[1],
        }
    ]
    fleet.cancel(booked)
    check(fleet, "asset_1", isVariantOf=referring(other))


def test_what_has_long_been_over_keeps_no_unit_in_its_item_type(fleet: Fleet) -> None:
    timer, other = fleet.stocked("TN-1"), fleet.item_type("TN-3")
    fleet.approve(fleet.reserve(timer, window=("2026-03-01T08:00:00Z", "2026-03-01T12:00:00Z")))
    check(fleet, "asset_1", isVariantOf=referring(other))


@pytest.mark.parametrize(("unit", "item_type"), [("asset_1", "itemType_2"), ("pool_1", "itemType_1"), ("asset_1", "itemType_9")])
def test_a_unit_or_pool_moves_only_to_an_item_type_that_can_have_it(fleet: Fleet, unit: str, item_type: str) -> None:
    fleet.stocked("TN-1")
    fleet.pooled(30)
    with pytest.raises(UnknownReference):
        check(fleet, unit, isVariantOf=referring(item_type))


def test_a_pool_that_is_promised_keeps_its_item_type(fleet: Fleet) -> None:
    cables, other = fleet.pooled(30), fleet.pooled(code="ROPE")
    check(fleet, "pool_1", isVariantOf=referring(other))
    fleet.approve(fleet.reserve(cables, 1))
    with pytest.raises(InUse):
        check(fleet, "pool_1", isVariantOf=referring(other))


def test_a_pool_never_goes_below_what_is_promised_at_an_instant(fleet: Fleet) -> None:
    cables = fleet.pooled(30)
    first, second, apart = fleet.reserve(cables, 12), fleet.reserve(cables, 5, MIDDAY), fleet.reserve(cables, 11, NEXT_DAY)
    for booked in (first, second, apart):
        fleet.approve(booked)
    check(fleet, "pool_1", quantityTotal=17)
    with pytest.raises(InsufficientAvailability, match="pool_1 cannot go down to 16: 17 of its units are promised") as refused:
        check(fleet, "pool_1", quantityTotal=16)
    told = refused.value.members
    assert (told["field"], told["requested"], told["promised"], told["resource"]) == ("quantityTotal", 16, 17, "pool_1")
    assert [(one["identifier"], one["units"]) for one in told["reservationsInTheWay"]] == [(first, 12), (second, 5)]
    fleet.cancel(second)
    check(fleet, "pool_1", quantityTotal=12)
    with pytest.raises(InsufficientAvailability):
        check(fleet, "pool_1", quantityTotal=11)
    fleet.cancel(first)
    check(fleet, "pool_1", quantityTotal=11)


def test_a_kit_may_be_put_into_kits_but_never_into_itself(fleet: Fleet) -> None:
    timer = fleet.item_type()
    inner = fleet.kit("INNER", (timer, 1))
    middle = fleet.kit("MIDDLE", (timer, 1), (inner, 1))
    outer = fleet.kit("OUTER", (middle, 2), (inner, 1))
    check(fleet, outer, kitComponents=of(timer, inner, middle))
    for kit, items, circle in (
        (inner, (timer, inner), f"{inner} → {inner}"),
        (inner, (timer, middle), f"{inner} → {middle} → {inner}"),
        (middle, (inner, timer, outer), f"{middle} → {outer} → {middle}"),
    ):
        with pytest.raises(ShapeViolation, match=f"A kit cannot contain itself: {circle}") as refused:
            check(fleet, kit, kitComponents=of(*items))
        (violation,) = refused.value.violations
        assert violation.pointer == f"/kitComponents/{items.index(violation.value)}/itemType"


def test_components_must_be_there_when_a_kit_is_changed(fleet: Fleet) -> None:
    kit = fleet.kit("FINISH", (fleet.item_type(), 1))
    with pytest.raises(UnknownReference, match="itemType_99 does not exist"):
        check(fleet, kit, kitComponents=of("itemType_99"))


def test_a_turnaround_that_cannot_be_kept_is_refused_on_change_too(fleet: Fleet) -> None:
    with pytest.raises(ShapeViolation):
        check(fleet, fleet.item_type(), turnaroundAfter="P99999D")


# --- the whole --------------------------------------------------------------------------------------------------------


def test_every_command_has_a_handler() -> None:
    assert set(HANDLERS) == set(get_args(Command))


def test_the_index_can_be_derived_again_from_the_documents(fleet: Fleet) -> None:
    timer, masts = fleet.stocked("TN-0001", "TN-0002"), fleet.stocked("M-1", code="MAST")
    booked = fleet.reserve(timer, 2)
    fleet.approve(booked)
    fleet.reserve(masts)
    cables = fleet.pooled(30, 20)
    fleet.kit("FINISH", (fleet.kit("START", (masts, 1)), 1), (cables, 4), (timer, 2))
    before = _index_of(fleet)
    with fleet.ledger.write() as uow:
        uow.index.clear()
    assert _index_of(fleet) != before
    assert index.rebuild(fleet.ledger) == 12
    assert _index_of(fleet) == before
    assert before["rent_action_items"][0][-2:] == (2, 2)
    assert [row[0] for row in before["kit_template_items"]] == ["kit_1", "kit_2", "kit_2", "kit_2"]


def _index_of(fleet: Fleet) -> dict[str, list[tuple[object, ...]]]:
    names = ("item_types", "assets", "stock_pools", "kit_templates", "kit_template_items", "rent_actions", "rent_action_items")
    with fleet.ledger.engine.connect() as connection:
        return {name: sorted(map(tuple, connection.exec_driver_sql(f"SELECT * FROM {name}")), key=str) for name in names}
