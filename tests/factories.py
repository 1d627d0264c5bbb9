"""Things to post: valid as they are, changed by keyword; a value of None leaves the key out."""

from typing import Any

Json = dict[str, Any]


def item_type(code: str = "TimerNode-v2", **changes: Any) -> Json:
    """A serialized item type, in plain JSON."""
    return _changed({"code": code, "name": "TimerNode v2", "kind": "serialized"}, changes)


def asset(item_type_id: str = "itemType_1", **changes: Any) -> Json:
    """A unit of the item type, in plain JSON."""
    return _changed({"itemTypeId": item_type_id, "serialNumber": "SN-0001"}, changes)


def stock_pool(item_type_id: str = "itemType_1", quantity: int = 40, **changes: Any) -> Json:
    """A number of units of a fungible item type, in plain JSON."""
    return _changed({"itemTypeId": item_type_id, "quantityTotal": quantity, "location": "Depot A"}, changes)


def kit_template(*components: tuple[str, int], code: str = "finish-line", **changes: Any) -> Json:
    """A kit of item types or other kits, with how many of each, in plain JSON."""
    parts = [{"itemType": item, "quantityPerKit": quantity} for item, quantity in components]
    return _changed({"code": code, "name": "Finish line", "kitComponents": parts}, changes)


def reservation(item_type_id: str = "itemType_1", quantity: int = 1, **changes: Any) -> Json:
    """A reservation of one day by Alice, in plain JSON."""
    whole = {
        "agent": {"@type": "Person", "identifier": "alice@example.org", "name": "Alice"},
        "object": item_type_id,
        "requestedQuantity": quantity,
        "startTime": "2027-03-01T08:00:00Z",
        "endTime": "2027-03-02T08:00:00Z",
    }
    return _changed(whole, changes)


def demand_signal(item: str = "itemType_1", quantity: int = 12, **changes: Any) -> Json:
    """What an event system expects to need for three days, in plain JSON."""
    whole = {
        "source": "sgl",
        "sourceRef": "event-4711",
        "itemType": item,
        "quantityRequired": quantity,
        "startTime": "2027-06-01T08:00:00Z",
        "endTime": "2027-06-04T08:00:00Z",
    }
    return _changed(whole, changes)


def build_request(item_type_id: str = "itemType_1", quantity: int = 3, **changes: Any) -> Json:
    """A request for more units, in plain JSON."""
    whole = {"itemType": item_type_id, "quantity": quantity, "reason": "shortfall", "neededBy": "2027-05-20T08:00:00Z"}
    return _changed(whole, changes)


def several_lines(*lines: tuple[str, int], **changes: Any) -> Json:
    """A reservation with a line for each pair of item type and quantity."""
    items = [{"object": item, "requestedQuantity": quantity} for item, quantity in lines]
    return reservation(**{"object": None, "requestedQuantity": None, "lineItems": items, **changes})


def _changed(whole: Json, changes: Json) -> Json:
    return {key: value for key, value in {**whole, **changes}.items() if value is not None}
