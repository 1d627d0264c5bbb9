"""Shortfalls are those that counting every half hour finds, whatever wants units, in weeks in which clocks are put forward or back."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import pytest

from ld_server.resources.kind import written
from tests import factories
from tests.http.conftest import ASSETS, RESERVATIONS, Site

SIGNALS, BUILDS, SHORTFALLS = "/v1/planning/demand-signals", "/v1/planning/build-requests", "/v1/planning/shortfalls"
HALF = timedelta(minutes=30)

WEEKS = [
    ("Europe/Brussels", datetime(2027, 3, 27)),  # forward
    ("America/St_Johns", datetime(2027, 3, 13)),  # forward, half an hour beside everybody else
    ("Europe/Brussels", datetime(2027, 10, 30)),  # back
]
"""A zone, and midnight there on the day before the clocks change."""


@dataclass
class Wants:
    """So many units of each item type are wanted for a while, by somebody."""

    start: datetime
    end: datetime
    quantities: dict[str, int]
    is_pending: bool = False


@dataclass
class Plan:
    """What was put into the service, to be counted. Units and spare units by item type; `away`: when one unit cannot be had."""

    zone: ZoneInfo
    begins: datetime
    rng: random.Random
    units: dict[str, int] = field(default_factory=lambda: {"itemType_1": 3, "itemType_2": 9})
    spare: dict[str, int] = field(default_factory=lambda: {"itemType_1": 0, "itemType_2": 1})
    wants: list[Wants] = field(default_factory=list)
    away: tuple[datetime, datetime] | None = None
    builds: list[tuple[str, datetime, int]] = field(default_factory=list)

    def instant(self, halves: int) -> datetime:
        return self.begins + halves * HALF

    def span(self) -> tuple[datetime, datetime]:
        start = self.rng.randrange(-10, 130)
        return self.instant(start), self.instant(start + self.rng.randrange(1, 60))

    def local(self, at: datetime) -> str:
        """As people in the zone write it, with the offset of that day."""
        return at.astimezone(self.zone).isoformat()

    def counted(self, item: str, with_pending: bool) -> list[tuple[datetime, int, int]]:
        """Half hour by half hour: from when, how many are wanted, and how many there are."""
        return [(at, self.wanted(item, at, with_pending), self.there(item, at)) for at in map(self.instant, range(144))]

    def wanted(self, item: str, at: datetime, with_pending: bool) -> int:
        those = [one for one in self.wants if one.start <= at < one.end and (with_pending or not one.is_pending)]
        return sum(one.quantities.get(item, 0) for one in those)

    def there(self, item: str, at: datetime) -> int:
        missing = int(item == "itemType_1" and self.away is not None and self.away[0] <= at < self.away[1])
        return self.units[item] - missing + sum(quantity for what, ready, quantity in self.builds if what == item and ready <= at)


def fill(site: Site, plan: Plan) -> None:
    rng = plan.rng
    site.item_type("TIMER"), site.item_type("CABLE", kind="fungible", bufferQuantity=1)
    plan.away = plan.span()
    for number in range(3):
        site.asset("itemType_1", assetTag=f"T-{number}", serialNumber=None)
    site.made("/v1/catalog/stock-pools", factories.stock_pool("itemType_2", 9))
    site.made("/v1/catalog/kit-templates", factories.kit_template(("itemType_1", 1), ("itemType_2", 3)))
    for number in range(20):
        (start, end), quantity = plan.span(), rng.randint(1, 3)
        item = rng.choice(("itemType_1", "itemType_2", "kit_1"))
        said = {"startTime": plan.local(start), "endTime": plan.local(end), "priority": rng.choice(("low", "normal", "urgent"))}
        fate = rng.choice(("signal", "signal", "pending", "approved"))
        parts = {"itemType_1": quantity, "itemType_2": 3 * quantity} if item == "kit_1" else {item: quantity}
        plan.wants.append(Wants(start, end, parts, fate == "pending"))
        if fate == "signal":
            site.made(SIGNALS, factories.demand_signal(item, quantity, sourceRef=f"e-{number}", **said))
            continue
        made = site.reservation(item, quantity, **said)
        if fate == "approved":
            answer = site.post(f"{RESERVATIONS}/{made}/approve", {"allocationPolicy": "allow_under_allocation"})
            assert answer.status_code == 200, answer.text
    for _ in range(2):
        item, ready, quantity = rng.choice(tuple(plan.units)), plan.instant(rng.randrange(1, 140)), rng.randint(1, 2)
        plan.builds.append((item, ready, quantity))
        site.made(BUILDS, factories.build_request(item, quantity, neededBy=plan.local(ready)))
    away = [{"startTime": plan.local(plan.away[0]), "endTime": plan.local(plan.away[1])}]
    assert site.ask("PATCH", f"{ASSETS}/asset_1", body={"unavailable": away}).status_code == 200


def gaps(plan: Plan, item: str, with_pending: bool) -> Iterator[dict[str, Any]]:
    """The windows in which there is too little, with the first half hour of them in which it is worst."""
    open_: list[tuple[datetime, int, int]] = []
    for at, wanted, there in [*plan.counted(item, with_pending), (plan.instant(144), 0, 1_000)]:
        if wanted + plan.spare[item] > there:
            open_.append((at, wanted, there))
        elif open_:
            _, demand, supply = max(open_, key=lambda one: one[1] - one[2])
            numbers = {"demand": demand, "supply": supply, "shortfallQuantity": max(0, demand - supply)}
            yield {"startTime": written(open_[0][0]), "endTime": written(at), **numbers}
            open_ = []


@pytest.mark.parametrize("with_pending", [False, True])
@pytest.mark.parametrize(("zone", "midnight"), WEEKS)
def test_every_half_hour_is_as_counted(site: Site, zone: str, midnight: datetime, with_pending: bool) -> None:
    there = ZoneInfo(zone)
    plan = Plan(there, midnight.replace(tzinfo=there).astimezone(UTC), random.Random(f"{zone}{midnight}{with_pending}"))
    fill(site, plan)
    window = {"startFrom": plan.local(plan.begins), "endUntil": plan.local(plan.instant(144))}
    answer = site.get(SHORTFALLS, query=urlencode({**window, "includePending": str(with_pending).lower(), "limit": 1000}))
    found = answer.json["member"]
    keys = ("startTime", "endTime", "demand", "supply", "shortfallQuantity")
    for item in plan.units:
        those = [{key: one[key] for key in keys} for one in found if one["itemType"]["identifier"] == item]
        assert those == list(gaps(plan, item, with_pending))
    assert len(found) > 1
    assert all(sum(cause["quantity"] for cause in one["causes"]) == one["demand"] for one in found)
