"""Attachments behind a real S3 endpoint: clients speak to it by themselves, and what has no bytes goes on when it is down."""

import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import psutil
import pytest

from ld_server.bootstrap import build
from ld_server.services import attachments
from ld_server.settings import Settings
from tests.http.conftest import BASE, Site, open_site, problem
from tests.http.test_attachments import ATTACHMENTS, PHOTO, Desk, desk_over, digest, form, meanwhile
from tests.pictures import PDF, position_of
from tests.s3_servers import S3Server


@pytest.fixture
def desk(settings: Settings, s3_server: S3Server) -> Iterator[Desk]:
    parts = build(replace(settings, blob_url=s3_server.url, blob_endpoint=s3_server.endpoint))
    for blob in list(parts.blobs.list()):
        parts.blobs.delete(blob.key)
    yield desk_over(open_site(parts))
    parts.close()


def sent(draft: dict[str, Any], content: bytes) -> int:
    """The request that `initiate` asks for, sent to whom it names."""
    headers = dict(draft["uploadHeaders"])
    request = urllib.request.Request(draft["uploadUrl"], data=content, method=draft["uploadMethod"], headers=headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return int(answer.status)


def test_a_photo_goes_to_s3_and_comes_from_there(desk: Desk, s3_server: S3Server) -> None:
    draft = desk.initiated()
    assert draft["uploadUrl"].startswith(s3_server.endpoint)
    assert sent(draft, PHOTO) == 200
    found = desk.completed(draft).json
    assert (found["storageProvider"], found["width"]) == ("s3", 640)
    for link in (desk.site.get(found["@id"].removeprefix(BASE)).json["downloadUrl"], led(desk.site, found["contentUrl"])):
        with urllib.request.urlopen(link, timeout=30) as answer:
            assert position_of(answer.read()) == {}
            assert answer.headers["Content-Disposition"].startswith('attachment; filename="lens.jpg"')
    with urllib.request.urlopen(led(desk.site, found["thumbnailUrl"]), timeout=30) as answer:
        assert answer.headers["Content-Type"] == "image/jpeg"


def led(site: Site, iri: str) -> str:
    return str(site.get(iri.removeprefix(BASE)).headers["location"])


def test_a_wrong_file_is_refused_until_the_right_one_is_in_its_place(desk: Desk) -> None:
    draft = desk.initiated()
    problem(desk.completed(draft), "not-uploaded", 409)
    sent(draft, bytes(len(PHOTO)))
    for _ in range(2):
        problem(desk.completed(draft), "content-refused", 422)
        assert desk.keys() == ["draft"]
    sent(draft, PHOTO)
    assert position_of(downloaded(desk.completed(draft).json, desk.site)) == {}
    assert sorted(desk.keys()) == ["att", "small"]


@pytest.mark.parametrize("place", ["blobs", "attachments"])
def test_two_who_complete_at_once_leave_one_whole_photo(desk: Desk, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    """The second does all of it while the first copies, or after the first took the position out; then the link is used once more."""
    draft = desk.initiated()
    sent(draft, PHOTO)
    second: list[dict[str, Any]] = []

    def again() -> None:
        second.append(desk.completed(draft).json)
        sent(draft, bytes(len(PHOTO)))

    where, name = (desk.site.parts.blobs, "copy") if place == "blobs" else (attachments, "looked_at")
    meanwhile(monkeypatch, where, name, again, is_before=place == "blobs")
    first = desk.completed(draft)
    assert first.status_code == 200 and first.json == second[0], first.text
    assert digest(downloaded(first.json, desk.site)) == first.json["checksum"]
    assert desk.events() == ["attachment.created"] and {"att", "small"} <= {*desk.keys()} <= {"att", "small", "draft"}


def downloaded(found: dict[str, Any], site: Site) -> bytes:
    with urllib.request.urlopen(led(site, found["contentUrl"]), timeout=30) as answer:
        return bytes(answer.read())


def test_a_form_goes_through_to_s3_and_a_deletion_too(desk: Desk) -> None:
    assert desk.posted(content=PDF, file={"name": "manual.pdf", "content_type": "application/pdf"}).status_code == 201
    assert desk.keys() == ["att"]
    assert desk.site.ask("DELETE", f"{ATTACHMENTS}/att_1").status_code == 204
    assert desk.keys() == []


def test_there_are_no_links_of_our_own(desk: Desk) -> None:
    problem(desk.site.get(f"/v1/blobs/att-{'0' * 32}", key=None), "not-found", 404)


def test_what_has_no_bytes_goes_on_while_s3_is_down(desk: Desk, s3_server: S3Server) -> None:
    draft = desk.initiated()
    sent(draft, PHOTO)
    path = desk.completed(draft).json["@id"].removeprefix(BASE)
    waiting = desk.initiated()
    s3_server.stop()
    try:
        problem(desk.posted(), "store-unavailable", 503)
        answer = desk.completed(waiting)
        problem(answer, "store-unavailable", 503)
        assert answer.headers["retry-after"]
        logged = {"kind": "repair", "summary": "Replaced the lens", "performedAt": "2026-11-20T09:00:00Z", "nextAction": "hold"}
        assert desk.site.post(f"/v1/assets/{desk.asset}/maintenance-logs", logged, key="technician").status_code == 201
        assert desk.site.get(path).json["fileName"] == "lens.jpg"
        assert desk.site.ask("DELETE", path).status_code == 204
        assert desk.events() == ["attachment.created", "attachment.deleted"]
    finally:
        s3_server.start()
    sent(waiting, PHOTO)
    assert desk.completed(waiting).status_code == 200


def test_a_form_of_64_mib_passes_through_little_memory(settings: Settings, s3_server: S3Server) -> None:
    """The test itself holds the body once; the server must not hold it again."""
    size = 64 * 1024 * 1024
    for changes in ({}, {"blob_url": s3_server.url, "blob_endpoint": s3_server.endpoint}):
        parts = build(replace(settings, **changes))
        desk = Desk(open_site(parts), "")
        desk.asset = desk.site.asset(desk.site.item_type(f"T-{len(changes)}"), serialNumber=f"{len(changes)}")
        body, content_type = form({"ownerKind": "asset", "ownerId": desk.asset}, b"%PDF-" + bytes(size), "a.pdf", "application/pdf")
        before = psutil.Process().memory_info().rss
        answer = desk.site.ask("POST", ATTACHMENTS, body=body, Content_Type=content_type)
        assert answer.status_code == 201, answer.text
        grown = psutil.Process().memory_info().rss - before
        assert grown < 40 * 1024 * 1024, f"{grown} bytes more are held for a file of {size}"
        parts.close()
