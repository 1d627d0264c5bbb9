"""The data of the benches, posted through the API like anyone's."""

import datetime
import json
import urllib.request
from dataclasses import dataclass
from typing import Any

from bench.load import HOST, request
from bench.servers import KEY


@dataclass(frozen=True)
class Story:
    """Paths of what was posted, and the ETag of the last reservation as JSON-LD."""

    item_type: str
    assets: list[str]
    reservations: list[str]
    etag: str


def post_story(port: int, assets: int = 2, reservations: int = 1, code: str = "bench") -> Story:
    """An item type with units and pending reservations of one unit each, each in a window of its own."""
    item_type, _ = post(port, "/v1/catalog/item-types", {"code": code, "name": "Timer", "kind": "serialized"})
    units = [post(port, "/v1/catalog/assets", {"itemTypeId": item_type["identifier"]})[0] for _ in range(assets)]
    made = [post(port, "/v1/rent-actions", reservation(item_type["identifier"])) for _ in range(reservations)]
    return Story(path(item_type), [path(one) for one in units], [path(one) for one, _ in made], made[-1][1])


def reservation(item_type: str, day: int = 0) -> dict[str, Any]:
    """One unit for one day; `day` moves the window."""
    date = datetime.date(2027, 1, 1) + datetime.timedelta(days=day)
    return {
        "agent": {"@type": "Person", "identifier": "alice@example.org", "name": "Alice"},
        "object": item_type,
        "requestedQuantity": 1,
        "startTime": f"{date}T08:00:00Z",
        "endTime": f"{date}T20:00:00Z",
        "description": "Stage timing for the spring rally",
        "externalSource": "sgl",
        "externalRef": f"event-{day}",
    }


def post(port: int, where: str, document: dict[str, Any] | None = None) -> tuple[dict[str, Any], str]:
    """The answer and its ETag. Raises urllib's HTTPError for a refusal."""
    body = json.dumps(document or {}).encode()
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {KEY}"}
    asked = urllib.request.Request(f"http://{HOST}:{port}{where}", body, headers)  # loopback only
    with urllib.request.urlopen(asked, timeout=30) as answer:
        return json.load(answer), answer.headers.get("ETag", "")


def wire(where: str, document: dict[str, Any] | None = None) -> bytes:
    """The same as a request for the load generator."""
    body = json.dumps(document or {}).encode()
    return request("POST", where, {"Content-Type": "application/json", "Authorization": f"Bearer {KEY}"}, body)


def path(document: dict[str, Any]) -> str:
    """The path of a resource."""
    return "/" + document["@id"].split("/", 3)[3]
