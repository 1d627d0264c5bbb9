"""Build requests are handed to an InvenTree over real HTTP: each once, whatever goes wrong on the way."""

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ld_server.bootstrap import build
from ld_server.settings import Settings
from tests import factories
from tests.http.conftest import Site, open_site
from tests.inventree import LONG, TIMER, TOKEN, Stand, standing
from workers.inventree import InvenTree, Order, Progress, Wanted
from workers.jobs import build_request_submit
from workers.jobs.build_request_submit import submit

NOW = datetime(2027, 5, 1, 2, tzinfo=UTC)
BUILDS = "/v1/planning/build-requests"


@pytest.fixture(scope="module")
def server() -> Iterator[Stand]:
    with standing() as stand:
        yield stand


@pytest.fixture
def stand(server: Stand) -> Stand:
    """An InvenTree that knows the timer and has no orders."""
    server.change(parts=[TIMER], orders=[], fails="")
    return server


@pytest.fixture
def asking(database_url: str, tmp_path: Path, stand: Stand) -> Iterator[Site]:
    """A request for three timers."""
    url = {"inventree_url": stand.url, "inventree_token": TOKEN}
    parts = build(Settings(data_dir=tmp_path, database_url=database_url, sparql_url="memory:", **url))
    site = open_site(parts)
    site.made(BUILDS, factories.build_request(site.item_type("TN"), 3))
    yield site
    parts.close()


def run(site: Site) -> dict[str, Any]:
    return build_request_submit.run(site.parts, {}, NOW)


def request(site: Site) -> dict[str, Any]:
    found: dict[str, Any] = site.get(f"{BUILDS}/build_1").json
    return found


def test_a_build_request_becomes_a_build_order(asking: Site, stand: Stand) -> None:
    assert run(asking)["submitted"] == ["build_1"]
    (order,) = stand.orders
    assert (order["part"], order["quantity"], order["target_date"]) == (3, 3, "2027-05-20")
    found = request(asking)
    assert order["link"] == found["@id"]
    assert (found["status"], found["externalSystem"], found["externalRef"]) == ("submitted", "inventree", "41")


def test_the_state_of_the_order_becomes_that_of_the_request(asking: Site, stand: Stand) -> None:
    run(asking)
    for status, wanted in ((10, "submitted"), (20, "accepted"), (25, "accepted"), (40, "fulfilled")):
        stand.set_status(status)
        run(asking)
        assert request(asking)["status"] == wanted
    types = [one["type"] for one in asking.get("/v1/events", query="types=buildRequest.*").json["member"]]
    assert [one for one in types if not one.endswith("updated")] == [
        f"buildRequest.{one}" for one in ("requested", "submitted", "accepted", "fulfilled")
    ]


def test_ten_runs_order_once(asking: Site, stand: Stand) -> None:
    for _ in range(10):
        run(asking)
    assert len(stand.orders) == 1


def test_an_order_that_nobody_lived_to_write_down_is_not_placed_again(asking: Site, stand: Stand) -> None:
    stand.change(fails="after")
    assert run(asking)["waiting"] == ["build_1"]
    assert (len(stand.orders), request(asking)["status"]) == (1, "requested")
    stand.change(fails="")
    assert run(asking)["submitted"] == ["build_1"]
    assert (len(stand.orders), request(asking)["externalRef"]) == (1, "41")


@pytest.mark.parametrize("fails", ["403", "429", "500", "502", "html", "hang"])
def test_what_gets_no_answer_waits_for_the_next_run(asking: Site, stand: Stand, fails: str) -> None:
    stand.change(fails=fails)
    result = submit(asking.parts, InvenTree(stand.url, TOKEN, 0.5), NOW)
    assert (result["waiting"], request(asking)["status"]) == (["build_1"], "requested")
    stand.change(fails="")
    assert run(asking)["submitted"] == ["build_1"]


def test_an_answer_that_comes_byte_by_byte_is_given_up_in_time(asking: Site, stand: Stand) -> None:
    stand.change(fails="trickle")
    began = time.monotonic()
    assert submit(asking.parts, InvenTree(stand.url, TOKEN, 0.5), NOW)["waiting"] == ["build_1"]
    assert time.monotonic() - began < LONG / 3
    assert request(asking)["status"] == "requested"


def test_a_part_on_a_later_page_is_found(asking: Site, stand: Stand) -> None:
    stand.change(parts=[*({**TIMER, "pk": 1000 + n, "IPN": "tn"} for n in range(250)), TIMER])
    assert run(asking)["submitted"] == ["build_1"]
    assert [one["part"] for one in stand.orders] == [3]


def test_an_order_on_a_later_page_is_not_placed_again(asking: Site, stand: Stand) -> None:
    run(asking)
    (ours,) = stand.orders
    stand.change(fails="", orders=[*({**ours, "pk": 1000 + n, "link": f"http://other.example/{n}"} for n in range(250)), ours])
    iri = request(asking)["@id"]
    found = InvenTree(stand.url, TOKEN, 30).placed(Wanted("build_1", iri, "TN", 3, None))
    assert found == Order("41", Progress.PLACED)


def test_a_list_without_end_says_nothing(asking: Site, stand: Stand) -> None:
    stand.change(fails="endless")
    assert run(asking)["waiting"] == ["build_1"]


def test_a_wrong_token_and_a_server_that_is_not_there_are_no_failures_of_the_request(asking: Site, stand: Stand) -> None:
    for system in (InvenTree(stand.url, "wrong", 2), InvenTree("http://127.0.0.1:9", TOKEN, 2)):
        assert submit(asking.parts, system, NOW)["waiting"] == ["build_1"]
        assert request(asking)["status"] == "requested"


def test_a_part_that_nobody_knows_fails_with_the_reason(asking: Site, stand: Stand) -> None:
    stand.change(parts=[])
    assert run(asking)["failed"] == ["build_1"]
    found = request(asking)
    assert (found["status"], found["metadata"]) == ("failed", {"failure": "There is no part with the IPN TN."})


def test_a_part_is_the_one_with_the_very_code_whatever_is_like_it(asking: Site, stand: Stand) -> None:
    stand.change(parts=[{"pk": 2, "name": "Tin", "IPN": "tn"}, TIMER])
    assert run(asking)["submitted"] == ["build_1"]
    assert [one["part"] for one in stand.orders] == [3]


def test_an_order_that_is_refused_fails_in_the_words_of_the_system(asking: Site, stand: Stand) -> None:
    stand.change(parts=[{**TIMER, "assembly": False}])
    assert run(asking)["failed"] == ["build_1"]
    assert "Part must be an assembly" in request(asking)["metadata"]["failure"]


def test_an_order_that_is_called_off_calls_off_the_request(asking: Site, stand: Stand) -> None:
    run(asking)
    stand.set_status(30)
    assert run(asking)["changed"] == ["build_1"]
    assert request(asking)["status"] == "cancelled"


def test_runs_at_once_order_once(asking: Site, stand: Stand) -> None:
    barrier = threading.Barrier(4)

    def at_once() -> None:
        barrier.wait(10)
        run(asking)

    threads = [threading.Thread(target=at_once) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(60)
    assert len(stand.orders) == 1
    assert request(asking)["status"] == "submitted"


def test_without_an_inventree_nothing_is_done(settings: Settings) -> None:
    parts = build(settings)
    assert build_request_submit.run(parts, {}, NOW)["submitted"] == []
    parts.close()
