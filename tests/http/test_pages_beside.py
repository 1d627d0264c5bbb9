"""What stands on a page beside the resource: photos and files, and the log of a unit."""

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import event

from ld_server.bootstrap import build
from ld_server.http.pages.pages import PAGE_HEADERS
from ld_server.services import exhibits
from ld_server.settings import Settings
from tests.html import Page
from tests.http.conftest import ASSETS, Site, open_site, with_files_on_the_disk
from tests.http.test_attachments import Desk, desk_over
from tests.http.test_maintenance import DONE, PLANNED
from tests.http.test_pages import HOSTILE, page
from tests.pictures import PDF

UNIT = f"{ASSETS}/asset_1"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return with_files_on_the_disk(settings)


@pytest.fixture
def desk(site: Site) -> Desk:
    return desk_over(site)


def logged(desk: Desk, **changes: Any) -> str:
    return desk.site.made(f"/v1/assets/{desk.asset}/maintenance-logs", {**DONE, **changes})


def sections(found: Page) -> list[str]:
    return [one.text for one in found.all("h2")]


def said(found: Page) -> str:
    return found.all("main")[0].text


def pictures(found: Page) -> list[str]:
    return [one.attributes["src"] for one in found.all("img") if one.attributes["src"].startswith("/v1/")]


def test_a_unit_shows_its_photos_and_files(desk: Desk) -> None:
    desk.attached()
    desk.attached(PDF, fileName="manual.pdf", contentType="application/pdf")
    found = page(desk.site, UNIT)
    assert pictures(found) == ["/v1/attachments/att_1/thumbnail"]
    assert {"/v1/attachments/att_1", "/v1/attachments/att_2"} <= set(found.links)
    assert "lens.jpg" in said(found) and "manual.pdf" in said(found) and f"{len(PDF)} bytes" in said(found)
    assert "Fri 20 Nov 2026," in said(found), "the photo is dated by the camera"
    for source in pictures(found):
        led = desk.site.get(source)
        assert led.headers["location"].startswith("/v1/blobs/"), "a link that works behind whatever address the page has"
        assert desk.followed(led.headers["location"]).headers["content-type"] == "image/jpeg"


def test_a_unit_shows_its_log_the_latest_work_first(desk: Desk) -> None:
    logged(desk, details="It had a crack.\nNow it has none.", nextAction="hold", performedBy="mika")
    logged(desk, summary="Older work, told later", performedAt="2026-10-01T09:00:00Z", outcome="fail")
    logged(desk, summary="Replaced the filter", corrects="log_1")
    desk.site.made("/v1/assets/asset_1/maintenance-logs", PLANNED)
    found = page(desk.site, UNIT)
    assert [one.text for one in found.all("h3")] == [
        "Yearly inspection", "Replaced the filter", "Replaced the lens", "Older work, told later",
    ]  # fmt: skip
    for part in ("planned", "passed", "failed", "mika", "on hold", "It had a crack.\nNow it has none.", "Mon 1 Mar 2027,"):
        assert part in said(found), part
    assert "Corrects Replaced the lens" in said(found) and "Corrected by Replaced the filter" in said(found)
    assert [one.attributes for one in found.all("li", class_="corrected")] == [{"class": "corrected"}]
    assert {f"/v1/maintenance-logs/log_{number}" for number in (1, 2, 3, 4)} <= set(found.links)


def test_reservations_that_work_has_endangered_are_linked(desk: Desk) -> None:
    desk.site.reservation("itemType_1")
    assert desk.site.post("/v1/rent-actions/ra_1/approve").status_code == 200
    logged(desk, nextAction="retire")
    assert "/v1/rent-actions/ra_1" in page(desk.site, UNIT).links


def test_photos_of_an_entry_stand_with_it_on_both_pages(desk: Desk) -> None:
    logged(desk)
    desk.attached(ownerKind="maintenance_log", ownerId="log_1")
    unit, entry = page(desk.site, UNIT), page(desk.site, "/v1/maintenance-logs/log_1")
    assert pictures(unit) == pictures(entry) == ["/v1/attachments/att_1/thumbnail"]
    assert "Photos and files" not in sections(unit) and "Photos and files" in sections(entry)


def test_an_entry_says_which_one_corrects_it(desk: Desk) -> None:
    logged(desk)
    assert "Corrected by" not in sections(page(desk.site, "/v1/maintenance-logs/log_1"))
    logged(desk, corrects="log_1", summary="It was the filter")
    found = page(desk.site, "/v1/maintenance-logs/log_1")
    assert "Corrected by" in sections(found) and "It was the filter" in said(found)


@pytest.mark.parametrize("owner", ["rentAction", "itemType", "buildRequest"])
def test_every_kind_of_owner_shows_its_files(desk: Desk, owner: str) -> None:
    made = {
        "rentAction": lambda: desk.site.reservation("itemType_1"),
        "itemType": lambda: "itemType_1",
        "buildRequest": lambda: desk.site.made(
            "/v1/planning/build-requests", {"itemType": "itemType_1", "quantity": 2, "reason": "other", "neededBy": "2027-03-01T00:00:00Z"}
        ),
    }
    identifier = made[owner]()
    desk.attached(ownerKind=owner, ownerId=identifier)
    path = desk.site.parts.naming.iri(identifier).removeprefix(desk.site.parts.settings.base_iri)
    assert pictures(page(desk.site, path)) == ["/v1/attachments/att_1/thumbnail"]


def test_the_page_of_a_picture_shows_it_whole(desk: Desk) -> None:
    desk.attached()
    found = page(desk.site, "/v1/attachments/att_1")
    assert pictures(found) == ["/v1/attachments/att_1/content"]
    (download,) = [one for one in found.all("a") if one.text == "Download"]
    assert desk.followed(download.attributes["href"]).status_code == 200
    assert pictures(page(desk.site, "/v1/attachments/att_1/revisions/1")) == []


def test_what_is_deleted_is_not_shown_and_past_states_show_nothing_beside(desk: Desk) -> None:
    desk.attached()
    assert pictures(page(desk.site, f"{UNIT}/revisions/1")) == []
    assert desk.site.ask("DELETE", "/v1/attachments/att_1").status_code == 204
    assert pictures(page(desk.site, UNIT)) == []


def test_the_tag_of_a_page_changes_with_what_stands_beside(desk: Desk) -> None:
    def tag() -> str:
        return str(desk.site.get(UNIT, Accept="text/html").headers["etag"])

    data, tags = desk.site.get(UNIT).headers["etag"], [tag()]
    assert desk.site.get(UNIT, Accept="text/html", If_None_Match=tags[0]).status_code == 304
    for change in (desk.attached, lambda: logged(desk), lambda: desk.site.ask("DELETE", "/v1/attachments/att_1")):
        change()
        tags.append(tag())
    assert len(set(tags)) == 4
    assert desk.site.get(UNIT).headers["etag"] == data, "the data are what they were"
    assert desk.site.ask("PATCH", UNIT, body={"location": "B"}, If_Match=tags[-1]).status_code == 200


def test_hostile_names_of_files_and_entries_are_words_and_nothing_else(desk: Desk) -> None:
    desk.attached(fileName=HOSTILE)
    logged(desk, summary=HOSTILE, details=HOSTILE, performedBy=HOSTILE)
    found = page(desk.site, UNIT)
    assert {one.attributes.get("type") for one in found.all("script")} == {"application/ld+json"}
    assert not [one for one in found.all("img") if one.attributes["src"] == "x"]


def test_a_page_costs_one_look_at_the_files_and_one_at_the_log(desk: Desk) -> None:
    for number in (1, 2, 3):
        logged(desk, summary=f"Work {number}")
        desk.attached(ownerKind="maintenance_log", ownerId=f"log_{number}")
    asked: list[str] = []
    event.listen(desk.site.parts.ledger.engine, "before_cursor_execute", lambda *them: asked.append(them[2]))
    assert len(pictures(page(desk.site, UNIT))) == 3
    assert [len([one for one in asked if table in one]) for table in ("attachments", "maintenance_logs")] == [1, 1]


def test_of_very_many_the_newest_are_shown_and_the_rest_is_linked(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exhibits, "MOST_FILES", 1)
    monkeypatch.setattr(exhibits, "MOST_ENTRIES", 1)
    for number in (1, 2):
        desk.attached(fileName=f"photo-{number}.jpg")
        logged(desk, summary=f"Work {number}")
    found = page(desk.site, UNIT)
    assert "photo-2.jpg" in said(found) and "photo-1.jpg" not in said(found)
    assert [one.text for one in found.all("h3")] == ["Work 2"]
    for link in ("/v1/attachments?ownerId=asset_1", "/v1/maintenance-logs?assetId=asset_1&sort=-performedAt"):
        assert link in found.links
        assert page(desk.site, link)


def test_pictures_may_come_from_the_store_that_clients_speak_to(settings: Settings) -> None:
    parts = build(replace(settings, blob_url="s3://a:b@fleet/x", blob_endpoint="http://127.0.0.1:9"))
    site = open_site(parts)
    site.asset(site.item_type())
    policy = site.get(UNIT, Accept="text/html").headers["content-security-policy"]
    assert policy == PAGE_HEADERS["Content-Security-Policy"].replace("img-src 'self'", "img-src 'self' http://127.0.0.1:9")
    parts.close()


def test_the_history_leads_back_to_the_unit_and_the_unit_to_its_history(desk: Desk) -> None:
    assert "/v1/assets/asset_1/history" in page(desk.site, UNIT).links
    for below in ("history", "maintenance-logs"):
        assert {UNIT, ASSETS} <= set(page(desk.site, f"/v1/assets/asset_1/{below}").links)


def test_the_log_of_a_unit_is_a_list_that_can_be_narrowed(desk: Desk) -> None:
    logged(desk)
    logged(desk, outcome="fail", summary="Tried to repair it")
    found = page(desk.site, "/v1/assets/asset_1/maintenance-logs?outcome=fail")
    assert "Tried to repair it" in said(found) and "Replaced the lens" not in said(found)
    assert {"kind", "outcome", "performedBy", "from", "to"} <= {one.attributes.get("name") for one in found.elements}
