"""Attachments over HTTP: announced, uploaded, completed, read, listed, deleted, and refused."""

import hashlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from io import BytesIO, RawIOBase
from typing import Any
from urllib.parse import urljoin, urlsplit

import orjson
import pytest
from falcon import testing

from ld_server.bootstrap import build
from ld_server.domain.errors import StoreUnavailable
from ld_server.http.app import create_app
from ld_server.http.negotiation import RESOURCE_OFFERS
from ld_server.services import attachments
from ld_server.settings import Settings
from tests.http.conftest import BASE, Site, open_site, problem, with_files_on_the_disk
from tests.pictures import PDF, XMP, archive, bomb, described, picture, pixels_of, position_of

ATTACHMENTS = "/v1/attachments"
MIB = 1024 * 1024
PHOTO = picture(exif=described(), xmp=XMP)
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class Endless(RawIOBase):
    """A body without a Content-Length that goes on for as long as it is read: some bytes, then zeros. Knows how many were taken."""

    def __init__(self, start: bytes, patience: int) -> None:
        super().__init__()
        self._start = BytesIO(start)
        self._patience = patience
        self.taken = 0

    def read(self, size: int = -1) -> bytes:
        assert size > 0 and self.taken < self._patience, "nobody stops"
        given = self._start.read(size) or bytes(size)
        self.taken += len(given)
        return given


@dataclass
class Desk:
    """A site with a unit to attach files to."""

    site: Site
    asset: str

    def said(self, content: bytes = PHOTO, **changes: Any) -> dict[str, Any]:
        whole = {
            "ownerKind": "asset",
            "ownerId": self.asset,
            "fileName": "lens.jpg",
            "contentType": "image/jpeg",
            "byteSize": len(content),
            "checksum": digest(content),
            **changes,
        }
        return {key: value for key, value in whole.items() if value is not None}

    def initiated(self, content: bytes = PHOTO, **changes: Any) -> dict[str, Any]:
        answer = self.site.post(f"{ATTACHMENTS}/initiate", self.said(content, **changes), key="technician")
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = answer.json
        return found

    def uploaded(self, draft: dict[str, Any], content: bytes = PHOTO, **headers: str) -> testing.Result:
        parts = urlsplit(draft["uploadUrl"])
        named = {name.replace("-", "_"): value for name, value in draft["uploadHeaders"].items()}
        return self.site.ask(draft["uploadMethod"], parts.path, query=parts.query, key=None, body=content, **{**named, **headers})

    def completed(self, draft: dict[str, Any], **more: Any) -> testing.Result:
        return self.site.post(f"{ATTACHMENTS}/complete", {"identifier": draft["identifier"]}, key="technician", **more)

    def attached(self, content: bytes = PHOTO, **changes: Any) -> dict[str, Any]:
        draft = self.initiated(content, **changes)
        assert self.uploaded(draft, content).status_code == 204
        answer = self.completed(draft)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json
        return found

    def followed(self, url: str, method: str = "GET", **headers: str) -> testing.Result:
        """What a link leads to, for somebody without a key."""
        parts = urlsplit(urljoin(BASE, url))
        assert f"{parts.scheme}://{parts.netloc}" == BASE
        return self.site.ask(method, parts.path, query=parts.query, key=None, **headers)

    def is_whole(self, found: dict[str, Any]) -> bool:
        """Whether the bytes behind an attachment are those that it tells of."""
        answer = self.followed(self.site.get(found["@id"].removeprefix(BASE)).json["downloadUrl"])
        return answer.status_code == 200 and digest(answer.content) == found["checksum"]

    def swept(self, hours: int = 0) -> int:
        """How much a sweep takes away that comes so many hours later."""
        parts = self.site.parts
        return attachments.sweep(replace(parts, now=lambda: parts.now() + timedelta(hours=hours)))

    def posted(self, fields: dict[str, str] | None = None, content: bytes = PHOTO, **more: Any) -> testing.Result:
        body, content_type = form(fields or {"ownerKind": "asset", "ownerId": self.asset}, content, **more.pop("file", {}))
        return self.site.ask("POST", ATTACHMENTS, key=more.pop("key", "technician"), body=body, Content_Type=content_type, **more)

    def streamed(self, method: str, url: str, body: Endless, **headers: str) -> testing.Result:
        """A request in chunks, as a server hands it on while they come."""
        parts = urlsplit(url)
        named = {"Transfer-Encoding": "chunked", "Authorization": f"Bearer {self.site.keys['technician']}"}
        named |= {name.replace("_", "-"): value for name, value in headers.items()}
        return self.site.client.simulate_request(method, parts.path, query_string=parts.query, headers=named, extras={"wsgi.input": body})

    def at(self, moment: datetime) -> "Desk":
        return Desk(self.site.over(now=lambda: moment), self.asset)

    def events(self) -> list[str]:
        with self.site.parts.ledger.read() as uow:
            return [one.entry.type for one in uow.outbox.after(0, 1000) if one.entry.type.startswith("attachment.")]

    def keys(self) -> list[str]:
        return [blob.key.partition("-")[0] for blob in self.site.parts.blobs.list()]


def form(fields: dict[str, str], content: bytes | None, name: str = "lens.jpg", content_type: str = "image/jpeg") -> tuple[bytes, str]:
    parts = [f'Content-Disposition: form-data; name="{key}"\r\n\r\n{value}'.encode() for key, value in fields.items()]
    if content is not None:
        head = f'Content-Disposition: form-data; name="file"; filename="{name}"\r\nContent-Type: {content_type}\r\n\r\n'
        parts.append(head.encode() + content)
    return b"".join(b"--edge\r\n" + part + b"\r\n" for part in parts) + b"--edge--\r\n", "multipart/form-data; boundary=edge"


def desk_over(site: Site) -> Desk:
    return Desk(site, site.asset(site.item_type(), assetTag="TN-001"))


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """On each stack; what is different behind S3 is in test_attachments_s3."""
    return with_files_on_the_disk(settings)


@pytest.fixture
def desk(site: Site) -> Desk:
    return desk_over(site)


@pytest.fixture
def either_desk(either_site: Site) -> Desk:
    return desk_over(either_site)


# --- the whole way ----------------------------------------------------------------------------------------------------


def test_a_photo_is_announced_uploaded_and_completed(either_desk: Desk) -> None:
    desk = either_desk
    draft = desk.initiated(metadata={"shelf": 4})
    assert draft["identifier"] == "att_1" and draft["uploadMethod"] == "PUT"
    assert draft["uploadHeaders"] == {"Content-Type": "image/jpeg"}
    assert desk.events() == []
    problem(desk.site.get(f"{ATTACHMENTS}/att_1"), "not-found", 404)
    assert desk.uploaded(draft).status_code == 204
    problem(desk.site.get(f"{ATTACHMENTS}/att_1"), "not-found", 404)
    answer = desk.completed(draft)
    found = answer.json
    assert answer.headers["content-location"] == found["@id"] == f"{BASE}{ATTACHMENTS}/att_1"
    assert (found["@type"], found["ownerKind"], found["ownerId"]) == ("ImageObject", "asset", desk.asset)
    assert found["about"]["name"] == "TN-001"
    assert (found["fileName"], found["name"], found["contentType"]) == ("lens.jpg", "lens.jpg", "image/jpeg")
    assert (found["width"], found["height"], found["takenAt"]) == (640, 400, "2026-11-20T09:15:00Z")
    assert found["metadata"] == {"shelf": 4} and found["createdBy"] == "technician"
    assert desk.events() == ["attachment.created"]
    assert sorted(desk.keys()) == ["att", "small"]


def test_what_was_announced_is_known_to_the_event_and_to_the_graph(desk: Desk) -> None:
    found = desk.attached()
    with desk.site.parts.ledger.read() as uow:
        told = orjson.loads(next(one.entry.body for one in uow.outbox.after(0, 100) if one.entry.type == "attachment.created"))
    assert told["subject"] == {"type": "MediaObject", "id": "att_1"}
    assert told["data"] == found
    turtle = desk.site.get(f"{ATTACHMENTS}/att_1", Accept="text/turtle").text
    for part in ("ImageObject", "contentUrl", "encodingFormat", "contentSize", "sha256", f"assets/{desk.asset}"):
        assert part in turtle


def test_the_document_has_the_shape_that_is_published(desk: Desk) -> None:
    desk.attached()
    desk.attached(PDF, fileName="manual.pdf", contentType="application/pdf")
    desk.site.ask("DELETE", f"{ATTACHMENTS}/att_2")
    parts = desk.site.parts
    with parts.ledger.read() as uow:
        heads = list(uow.documents.each("attachment"))
    assert len(heads) == 2
    for head in heads:
        triples = attachments_triples(head.body, parts)
        parts.validator.check(triples, parts.naming.iri(head.identifier), "https://w3id.org/ld-reservations/shapes#Attachment")


def attachments_triples(body: str, parts: Any) -> Any:
    from ld_server.rdf.representation import triples_of

    return triples_of(body, parts.contexts)


def test_the_link_leads_to_the_bytes_without_a_key(desk: Desk) -> None:
    found = desk.attached(PDF, fileName="manual.pdf", contentType="application/pdf")
    link = desk.site.get(found["@id"].removeprefix(BASE), key="reader").json["downloadUrl"]
    answer = desk.followed(link)
    assert answer.status_code == 200 and answer.content == PDF
    assert answer.headers["content-type"] == "application/pdf"
    assert answer.headers["content-disposition"] == "attachment; filename=\"manual.pdf\"; filename*=UTF-8''manual.pdf"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in answer.headers["content-security-policy"]
    assert digest(answer.content) == found["checksum"] and len(answer.content) == found["byteSize"]


def test_whoever_has_a_key_is_led_to_the_bytes(desk: Desk) -> None:
    found = desk.attached()
    for name in ("contentUrl", "thumbnailUrl"):
        led = desk.site.get(found[name].removeprefix(BASE), key="reader")
        assert led.status_code == 307 and led.headers["cache-control"] == "no-store"
        answer = desk.followed(led.headers["location"])
        assert answer.status_code == 200 and answer.headers["content-type"] == "image/jpeg"
        problem(desk.site.get(found[name].removeprefix(BASE), key=None), "unauthenticated", 401)
    assert len(answer.content) < len(PHOTO)


def test_whoever_asks_for_the_head_alone_is_led_to_the_same_place(desk: Desk) -> None:
    found = desk.attached()
    for name in ("contentUrl", "thumbnailUrl"):
        path = found[name].removeprefix(BASE)
        head, whole = (desk.site.ask(method, path, key="reader") for method in ("HEAD", "GET"))
        assert (head.status_code, head.content, head.headers["cache-control"]) == (307, b"", "no-store")
        assert head.headers["location"] == whole.headers["location"]
        led = desk.followed(head.headers["location"], method="HEAD")
        assert (led.status_code, led.content) == (200, b"")
        assert led.headers["content-length"] == str(len(desk.followed(head.headers["location"]).content))
        assert desk.site.ask("HEAD", path, key=None).status_code == 401
    assert desk.site.ask("HEAD", f"{ATTACHMENTS}/att_9/content").status_code == 404


def test_what_has_no_thumbnail_says_so(desk: Desk) -> None:
    found = desk.attached(PDF, fileName="manual.pdf", contentType="application/pdf")
    assert "thumbnailUrl" not in found and "width" not in found and found["@type"] == "MediaObject"
    problem(desk.site.get(f"{ATTACHMENTS}/{found['identifier']}/thumbnail"), "not-found", 404)


def test_links_expire(desk: Desk) -> None:
    found = desk.attached()
    link = desk.site.get(found["@id"].removeprefix(BASE)).json["downloadUrl"]
    later = desk.site.parts.now() + timedelta(seconds=desk.site.parts.settings.attachment_link_seconds + 600)
    assert desk.followed(link).status_code == 200
    assert problem(desk.at(later).followed(link), "link-refused", 403)["reason"] == "expired"
    draft = desk.initiated()
    assert datetime.fromisoformat(draft["expiresAt"]) < later
    assert problem(desk.at(later).uploaded(draft), "link-refused", 403)["reason"] == "expired"


@pytest.mark.parametrize(
    "change", [("expires=", "expires=9"), ("signature=", "signature=0"), ("type=", "type=text%2F"), ("size=", "size=9")]
)
def test_links_that_were_changed_open_nothing(desk: Desk, change: tuple[str, str]) -> None:
    draft = desk.initiated()
    changed = {**draft, "uploadUrl": draft["uploadUrl"].replace(*change)}
    assert changed != draft
    assert problem(desk.uploaded(changed), "link-refused", 403)["reason"] == "tampered"
    assert desk.keys() == []


def test_a_link_for_the_upload_is_none_for_the_download(desk: Desk) -> None:
    draft = desk.initiated()
    desk.uploaded(draft)
    problem(desk.followed(draft["uploadUrl"]), "link-refused", 403)


def test_what_is_completed_cannot_be_changed_by_the_link_that_uploaded_it(desk: Desk) -> None:
    draft = desk.initiated(PDF, contentType="application/pdf")
    desk.uploaded(draft, PDF)
    found = desk.completed(draft).json
    assert desk.uploaded(draft, bytes(len(PDF))).status_code == 204
    again = desk.completed(draft)
    assert again.status_code == 200 and again.json == found
    link = desk.site.get(found["@id"].removeprefix(BASE)).json["downloadUrl"]
    assert desk.followed(link).content == PDF
    assert desk.events() == ["attachment.created"]


def test_tags_name_the_revision_and_the_link(desk: Desk) -> None:
    path = desk.attached()["@id"].removeprefix(BASE)
    now = datetime.fromisoformat("2026-11-24T08:01:00+00:00")
    first = desk.at(now).site.get(path)
    tag = first.headers["etag"]
    assert desk.at(now + timedelta(minutes=2)).site.get(path, If_None_Match=tag).status_code == 304
    later = desk.at(now + timedelta(minutes=10)).site.get(path, If_None_Match=tag)
    assert later.status_code == 200 and later.json["downloadUrl"] != first.json["downloadUrl"]
    problem(desk.site.ask("DELETE", path, If_Match='"9-jsonld"'), "precondition-failed", 412)
    assert desk.site.ask("DELETE", path, If_Match=tag).status_code == 204


# --- in one request ---------------------------------------------------------------------------------------------------


def test_a_file_is_attached_in_one_request(either_desk: Desk) -> None:
    answer = either_desk.posted()
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"] == answer.json["@id"] == f"{BASE}{ATTACHMENTS}/att_1"
    assert (answer.json["fileName"], answer.json["byteSize"], answer.json["width"]) == ("lens.jpg", len(PHOTO), 640)
    assert either_desk.events() == ["attachment.created"]
    assert sorted(either_desk.keys()) == ["att", "small"]


def test_fields_of_a_form_may_say_more(desk: Desk) -> None:
    fields = {"ownerKind": "asset", "ownerId": f"{BASE}/v1/catalog/assets/{desk.asset}", "fileName": "better.jpg", "metadata": '{"a": 1}'}
    found = desk.posted({**fields, "checksum": digest(PHOTO), "byteSize": str(len(PHOTO))}).json
    assert (found["fileName"], found["metadata"], found["ownerId"]) == ("better.jpg", {"a": 1}, desk.asset)


def test_a_repeated_form_under_one_key_is_one_attachment(desk: Desk) -> None:
    first = desk.posted(Idempotency_Key="upload-1")
    again = desk.posted(Idempotency_Key="upload-1")
    assert again.json == first.json and again.headers["idempotency-replayed"] == "true"
    assert sorted(desk.keys()) == ["att", "small"]
    problem(desk.posted(content=picture(size=(30, 30)), Idempotency_Key="upload-1"), "idempotency-mismatch", 422)
    assert sorted(desk.keys()) == ["att", "small"]


def test_a_form_that_is_only_to_be_checked_leaves_nothing(desk: Desk) -> None:
    before = desk.site.written()
    answer = desk.posted(query="validate=only")
    assert answer.status_code == 200 and answer.json["width"] == 640
    assert desk.site.written() == before and desk.keys() == []


def test_completing_can_be_tried_and_changes_nothing(desk: Desk) -> None:
    draft = desk.initiated()
    desk.uploaded(draft)
    before = desk.site.written()
    assert desk.completed(draft, query="validate=only").json["width"] == 640
    assert desk.site.written() == before and desk.keys() == ["draft"]
    assert desk.completed(draft).status_code == 200


BROKEN_FORMS = {
    "no file": lambda desk: form({"ownerKind": "asset", "ownerId": desk.asset}, None),
    "ends early": lambda desk: (form({"ownerKind": "asset", "ownerId": desk.asset}, PHOTO)[0][:-30], "multipart/form-data; boundary=edge"),
    "no boundary": lambda desk: (form({}, PHOTO)[0], "multipart/form-data"),
    "another boundary": lambda desk: (form({}, PHOTO)[0], "multipart/form-data; boundary=rim"),
    "empty": lambda desk: (b"", "multipart/form-data; boundary=edge"),
    "two files": lambda desk: (
        form({}, PHOTO)[0].removesuffix(b"--edge--\r\n") + form({}, PHOTO)[0],
        "multipart/form-data; boundary=edge",
    ),
    "a name that is no text": lambda desk: (form({}, PHOTO)[0].replace(b"lens.jpg", b"\xff.jpg"), "multipart/form-data; boundary=edge"),
    "a media type that is no text": lambda desk: (
        form({}, PHOTO)[0].replace(b"image/jpeg", b"image/\xff"),
        "multipart/form-data; boundary=edge",
    ),
    "a field that is no text": lambda desk: (
        form({"ownerKind": "x"}, PHOTO)[0].replace(b"x\r\n", b"\xff\r\n", 1),
        "multipart/form-data; boundary=edge",
    ),
}


@pytest.mark.parametrize("case", BROKEN_FORMS)
def test_a_form_that_cannot_be_read_leaves_nothing(desk: Desk, case: str) -> None:
    body, content_type = BROKEN_FORMS[case](desk)
    before = desk.site.written()
    problem(desk.site.ask("POST", ATTACHMENTS, body=body, Content_Type=content_type), "malformed-body", 400)
    assert desk.site.written() == before and desk.keys() == []


def test_the_collection_takes_forms_and_no_graphs(desk: Desk) -> None:
    found = problem(desk.site.post(ATTACHMENTS, desk.said()), "unsupported-media-type", 415)
    assert found["supported"] == ["multipart/form-data"]


# --- refusals ---------------------------------------------------------------------------------------------------------

WRONG = {
    "no owner": ({"ownerId": None}, "shape-violation", 422, "/ownerId"),
    "no kind": ({"ownerKind": None}, "shape-violation", 422, "/ownerKind"),
    "unknown kind": ({"ownerKind": "planet"}, "shape-violation", 422, "/ownerKind"),
    "another kind": ({"ownerKind": "rent_action"}, "shape-violation", 422, "/ownerId"),
    "no name": ({"fileName": "../.."}, "shape-violation", 422, "/fileName"),
    "no size": ({"byteSize": None}, "shape-violation", 422, "/byteSize"),
    "empty": ({"byteSize": 0}, "shape-violation", 422, "/byteSize"),
    "size as text": ({"byteSize": "12"}, "shape-violation", 422, "/byteSize"),
    "no digest": ({"checksum": "abc"}, "shape-violation", 422, "/checksum"),
    "no type": ({"contentType": "jpeg"}, "shape-violation", 422, "/contentType"),
    "typo": ({"filename": "x"}, "shape-violation", 422, "/filename"),
    "owner that is not there": ({"ownerId": "asset_99"}, "unknown-reference", 422, None),
    "type that is not allowed": ({"contentType": "text/html"}, "content-refused", 422, None),
    "program": ({"contentType": "application/x-msdownload"}, "content-refused", 422, None),
    "too large": ({"byteSize": 3 * 1024**3}, "payload-too-large", 413, None),
    "too large for a picture": ({"byteSize": 100 * 1024**2}, "payload-too-large", 413, None),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_with_an_announcement_is_told(desk: Desk, case: str) -> None:
    changes, slug, status, pointer = WRONG[case]
    before = desk.site.written()
    found = problem(desk.site.post(f"{ATTACHMENTS}/initiate", desk.said(**changes)), slug, status)
    if pointer is not None:
        assert pointer in [one["pointer"] for one in found["violations"]]
    assert desk.site.written() == before


def test_everything_that_is_wrong_is_told_at_once(desk: Desk) -> None:
    found = problem(desk.site.post(f"{ATTACHMENTS}/initiate", {"byteSize": -1}), "shape-violation", 422)
    assert {one["pointer"] for one in found["violations"]} == {"/ownerKind", "/ownerId", "/fileName", "/contentType", "/byteSize"}


LYING = {
    "another digest": (PHOTO, {"checksum": digest(b"other")}, "SHA-256"),
    "a program as a photo": (b"MZ" + bytes(500), {}, "looks like application/x-executable"),
    "a page as a photo": (b"<html><script>alert(1)</script>" + b" " * 99, {}, "looks like text/plain"),
    "a picture of another sort": (picture("PNG"), {}, "looks like image/png"),
    "a picture as a document": (PHOTO, {"contentType": "application/pdf"}, "looks like image/jpeg"),
    "bytes as a text": (bytes(range(256)), {"contentType": "text/plain"}, "does not look like it"),
    "half a picture": (PHOTO[: len(PHOTO) // 2], {}, "damaged"),
    "the beginning of a picture": (b"\xff\xd8\xff\xe0" + bytes(200), {}, "damaged"),
    "too many pixels": (picture("PNG", (9000, 8000), "1"), {"contentType": "image/png"}, "pixels"),
    "an archive that bursts": (bomb(), {"contentType": DOCX}, "unpack"),
    "a damaged archive": (archive()[:-10], {"contentType": DOCX}, "damaged"),
    "an archive with too much in it": (archive(*(f"n{n}" for n in range(10_001))), {"contentType": DOCX}, "entries"),
}


@pytest.fixture
def liberal(settings: Settings) -> Iterator[Desk]:
    """A desk that takes documents of offices, too."""
    parts = build(replace(settings, attachment_types=f"{settings.attachment_types}, {DOCX}"))
    yield desk_over(open_site(parts))
    parts.close()


@pytest.mark.parametrize("case", LYING)
def test_a_file_that_is_not_what_it_was_said_to_be_is_refused(liberal: Desk, case: str) -> None:
    content, changes, told = LYING[case]
    draft = liberal.initiated(content, **changes)
    assert liberal.uploaded(draft, content).status_code == 204
    found = problem(liberal.completed(draft), "content-refused", 422)
    assert told in found["detail"]
    assert problem(liberal.completed(draft), "content-refused", 422)["detail"] == found["detail"]
    assert liberal.events() == [] and liberal.keys() == ["draft"]
    fields = {"ownerKind": "asset", "ownerId": liberal.asset, **{name: str(value) for name, value in changes.items()}}
    problem(liberal.posted(fields, content), "content-refused", 422)
    assert liberal.events() == [] and liberal.keys() == ["draft"]


def test_a_file_has_the_size_that_was_announced_wherever_it_was_uploaded(desk: Desk) -> None:
    """A store that clients speak to by themselves may have taken another file than it was told of."""
    fields = {"ownerKind": "asset", "ownerId": desk.asset, "byteSize": str(len(PHOTO) + 1)}
    found = problem(desk.posted(fields), "content-refused", 422)
    assert (found["field"], found["announced"], found["found"]) == ("byteSize", len(PHOTO) + 1, len(PHOTO))
    draft = desk.initiated(byteSize=len(PHOTO) + 1, checksum=None)
    with desk.site.parts.ledger.read() as uow:
        kept = uow.attachment_drafts.find(1)
    assert kept is not None
    desk.site.parts.blobs.put(attachments.draft_key(kept.token), [PHOTO], "image/jpeg")
    assert problem(desk.completed(draft), "content-refused", 422)["found"] == len(PHOTO)
    assert desk.events() == [] and desk.keys() == ["draft"]


def test_after_a_wrong_file_the_right_one_can_be_uploaded(desk: Desk) -> None:
    draft = desk.initiated()
    desk.uploaded(draft, bytes(len(PHOTO)))
    problem(desk.completed(draft), "content-refused", 422)
    desk.uploaded(draft)
    assert desk.completed(draft).status_code == 200
    assert sorted(desk.keys()) == ["att", "small"]


def test_a_wrong_file_goes_with_its_draft(either_desk: Desk) -> None:
    desk = either_desk
    draft = desk.initiated()
    desk.uploaded(draft, bytes(len(PHOTO)))
    problem(desk.completed(draft), "content-refused", 422)
    assert desk.keys() == ["draft"]
    assert desk.swept(hours=desk.site.parts.settings.attachment_draft_hours + 1) == 1
    assert desk.keys() == []


@pytest.mark.parametrize("content_type", [DOCX])
def test_a_harmless_archive_is_taken(liberal: Desk, content_type: str) -> None:
    assert liberal.attached(archive(), contentType=content_type, fileName="report.docx")["byteSize"] == len(archive())


def test_an_upload_has_the_size_and_the_type_that_were_announced(desk: Desk) -> None:
    draft = desk.initiated()
    problem(desk.uploaded(draft, PHOTO + b"x"), "payload-too-large", 413)
    problem(desk.uploaded(draft, PHOTO[:-1]), "malformed-body", 400)
    problem(desk.uploaded(draft, PHOTO, Content_Type="text/html"), "unsupported-media-type", 415)
    assert desk.keys() == []
    problem(desk.completed(draft), "not-uploaded", 409)


def test_an_upload_in_chunks_is_cut_off_where_the_file_was_said_to_end(desk: Desk) -> None:
    draft = desk.initiated()
    endless = Endless(PHOTO, patience=len(PHOTO) + MIB)
    answer = desk.streamed(draft["uploadMethod"], draft["uploadUrl"], endless, Content_Type="image/jpeg")
    assert problem(answer, "payload-too-large", 413)["limit"] == len(PHOTO)
    assert endless.taken == len(PHOTO) + 1
    assert desk.keys() == []
    problem(desk.completed(draft), "not-uploaded", 409)


def test_a_form_in_chunks_is_cut_off_where_its_file_was_said_to_end(desk: Desk) -> None:
    body, content_type = form({"ownerKind": "asset", "ownerId": desk.asset, "byteSize": str(len(PHOTO))}, PHOTO)
    endless = Endless(body.removesuffix(b"\r\n--edge--\r\n"), patience=len(body) + 2 * MIB)
    answer = desk.streamed("POST", ATTACHMENTS, endless, Content_Type=content_type)
    assert problem(answer, "payload-too-large", 413)["limit"] == len(PHOTO)
    assert endless.taken < len(body) + MIB
    assert desk.keys() == [] and desk.events() == []


@pytest.fixture
def strict(settings: Settings) -> Iterator[Desk]:
    """A desk that takes a little less than a photo."""
    parts = build(replace(settings, attachment_max_bytes=len(PHOTO) - 1))
    yield desk_over(open_site(parts))
    parts.close()


def test_a_file_that_is_larger_than_allowed_is_not_taken_from_the_wire(strict: Desk) -> None:
    problem(strict.posted(), "payload-too-large", 413)
    assert strict.keys() == []


def test_a_form_in_chunks_is_cut_off_where_its_file_becomes_larger_than_allowed(strict: Desk) -> None:
    body, content_type = form({"ownerKind": "asset", "ownerId": strict.asset}, PHOTO)
    endless = Endless(body.removesuffix(b"\r\n--edge--\r\n"), patience=len(body) + 2 * MIB)
    answer = strict.streamed("POST", ATTACHMENTS, endless, Content_Type=content_type)
    assert problem(answer, "payload-too-large", 413)["limit"] == len(PHOTO) - 1
    assert endless.taken < len(body) + MIB
    assert strict.keys() == [] and strict.events() == []


@pytest.mark.parametrize("path", ["/v1/blobs/../../etc/passwd", "/v1/blobs/..%2f..%2fledger.db", "/v1/blobs/att-x", "/v1/blobs/%2e%2e"])
def test_no_path_leads_out_of_the_store(desk: Desk, path: str) -> None:
    for method in ("GET", "PUT"):
        answer = desk.site.ask(method, path, key=None, body=b"x" if method == "PUT" else None)
        assert answer.status_code in (404, 405), answer.text


NAMES = {
    "../../etc/cron.d/evil.jpg": "evil.jpg",
    "C:\\Users\\eve\\lens.jpg": "lens.jpg",
    'Öl & "Fett" — 北京.jpg': 'Öl & "Fett" — 北京.jpg',
    "a\r\nSet-Cookie: x=1.jpg": "aSet-Cookie: x=1.jpg",
    "gpj.\u202eexe": "gpj.exe",
    "%2e%2e%2fx.jpg": "%2e%2e%2fx.jpg",
    "  spaces   here .jpg ": "spaces here .jpg",
}


@pytest.mark.parametrize("given", NAMES)
def test_a_name_is_for_people_and_breaks_no_header(desk: Desk, given: str) -> None:
    found = desk.attached(fileName=given)
    assert found["fileName"] == NAMES[given]
    link = desk.site.get(found["@id"].removeprefix(BASE)).json["downloadUrl"]
    told = desk.followed(link).headers["content-disposition"]
    assert told.startswith('attachment; filename="') and told.isascii() and "\n" not in told
    assert "set-cookie" not in desk.followed(link).headers


def test_only_technicians_attach_and_everybody_reads(desk: Desk) -> None:
    for key in ("planner", "approver", "catalog_admin", "reader"):
        problem(desk.site.post(f"{ATTACHMENTS}/initiate", desk.said(), key=key), "forbidden", 403)
        problem(desk.posted(key=key), "forbidden", 403)
    path = desk.attached()["@id"].removeprefix(BASE)
    assert desk.site.get(path, key="reader").status_code == 200
    problem(desk.site.ask("DELETE", path, key="reader"), "forbidden", 403)


# --- pictures ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("form_name", "media_type"), [("JPEG", "image/jpeg"), ("PNG", "image/png"), ("WEBP", "image/webp")])
def test_a_picture_forgets_where_it_was_taken_and_loses_nothing_else(desk: Desk, form_name: str, media_type: str) -> None:
    more = {"xmp": XMP} if form_name != "PNG" else {}
    content = picture(form_name, exif=described(turned=6), **more)
    assert position_of(content)
    found = desk.attached(content, contentType=media_type)
    assert found["positionRemoved"] is True
    kept = desk.followed(desk.site.get(found["@id"].removeprefix(BASE)).json["downloadUrl"]).content
    assert position_of(kept) == {} and b"52,31.2N" not in kept and b"13,24.0E" not in kept
    assert pixels_of(kept) == pixels_of(content) and len(kept) == len(content)
    assert digest(kept) == found["checksum"] != digest(content)
    assert (found["width"], found["height"]) == (400, 640)


def test_a_deployment_may_keep_positions(settings: Settings) -> None:
    parts = build(replace(settings, attachment_position="keep"))
    desk = desk_over(open_site(parts))
    found = desk.attached()
    assert "positionRemoved" not in found and found["checksum"] == digest(PHOTO)
    parts.close()


def test_a_picture_without_a_position_is_kept_byte_for_byte(desk: Desk) -> None:
    content = picture(exif=described(position=False, zone=None))
    found = desk.attached(content)
    assert found["checksum"] == digest(content) and "positionRemoved" not in found
    assert found["takenAt"] == "2026-11-20T10:15:00"


# --- lists and deletion -----------------------------------------------------------------------------------------------


def test_files_are_found_by_owner_and_type(either_desk: Desk) -> None:
    desk, site = either_desk, either_desk.site
    other = site.asset("itemType_1", assetTag="TN-002", serialNumber="2")
    reservation = site.reservation("itemType_1")
    desk.attached()
    desk.attached(PDF, contentType="application/pdf", fileName="manual.pdf")
    desk.attached(ownerId=other)
    desk.attached(ownerKind="rentAction", ownerId=reservation)
    for query, expected in {
        "": ["att_1", "att_2", "att_3", "att_4"],
        f"ownerId={desk.asset}": ["att_1", "att_2"],
        f"ownerKind=asset&ownerId={other}": ["att_3"],
        "ownerKind=rent_action": ["att_4"],
        "contentType=application/pdf": ["att_2"],
        "contentType=image/*": ["att_1", "att_3", "att_4"],
        "q=MANUAL": ["att_2"],
        "sort=-byteSize&contentType=application/pdf": ["att_2"],
    }.items():
        answer = site.get(ATTACHMENTS, query=query)
        assert [one["identifier"] for one in answer.json["member"]] == expected, query
        assert answer.json["totalItems"] == len(expected)
    problem(site.get(ATTACHMENTS, query="contentType=jpeg"), "invalid-parameter", 400)
    assert site.get(ATTACHMENTS, Accept="text/csv").text.count("\n") == 5


def test_a_deleted_attachment_is_gone_and_its_history_stays(either_desk: Desk) -> None:
    desk = either_desk
    path = desk.attached()["@id"].removeprefix(BASE)
    link = desk.site.get(path).json["downloadUrl"]
    assert desk.site.ask("DELETE", path, key="technician").status_code == 204
    for below in ("", "/content", "/thumbnail"):
        assert problem(desk.site.get(path + below), "gone", 410)["deletedAt"]
    problem(desk.site.ask("DELETE", path), "gone", 410)
    problem(desk.followed(link), "not-found", 404)
    assert desk.keys() == [] and desk.events() == ["attachment.created", "attachment.deleted"]
    assert desk.site.get(ATTACHMENTS).json["totalItems"] == 0
    assert desk.site.get(f"{path}/revisions").json["totalItems"] == 2
    assert desk.site.get(f"{path}/revisions/1").json["fileName"] == "lens.jpg"
    assert desk.site.get(f"{path}/revisions/2").json["@type"] == "Tombstone"


def test_a_deletion_that_is_only_tried_deletes_nothing(desk: Desk) -> None:
    path = desk.attached()["@id"].removeprefix(BASE)
    assert desk.site.ask("DELETE", path, query="validate=only").status_code == 200
    assert desk.site.get(path).status_code == 200 and sorted(desk.keys()) == ["att", "small"]


def test_the_page_of_an_attachment_shows_it(desk: Desk) -> None:
    path = desk.attached()["@id"].removeprefix(BASE)
    page = desk.site.get(path, Accept="text/html")
    assert page.status_code == 200 and "lens.jpg" in page.text


# --- ranges -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [("bytes=0-0", 0, 1), ("bytes=5-9", 5, 10), ("bytes=10-", 10, None), ("bytes=-5", -5, None), ("bytes=0-999999", 0, None)],
)
def test_a_range_is_given(desk: Desk, asked: str, start: int, end: int | None) -> None:
    found = desk.attached(PDF, contentType="application/pdf")
    link = desk.site.get(found["@id"].removeprefix(BASE)).json["downloadUrl"]
    answer = desk.followed(link, Range=asked)
    whole = desk.followed(link)
    expected = PDF[start:end]
    if asked == "bytes=0-999999":
        assert answer.status_code == 200 and answer.content == PDF
        return
    first = start if start >= 0 else len(PDF) + start
    assert (answer.status_code, answer.content) == (206, expected)
    assert answer.headers["content-range"] == f"bytes {first}-{first + len(expected) - 1}/{len(PDF)}"
    assert answer.headers["content-length"] == str(len(expected))
    assert whole.headers["accept-ranges"] == "bytes" and whole.headers["content-length"] == str(len(PDF))


def test_what_is_no_range_that_is_there(desk: Desk) -> None:
    found = desk.attached(PDF, contentType="application/pdf")
    link = desk.site.get(found["@id"].removeprefix(BASE)).json["downloadUrl"]
    answer = desk.followed(link, Range=f"bytes={len(PDF)}-")
    problem(answer, "range-not-satisfiable", 416)
    assert answer.headers["content-range"] == f"bytes */{len(PDF)}"
    for passed_over in ("bytes=1-2,4-5", "lines=1-2", "bytes=-", "bytes=9-3", "nonsense"):
        assert desk.followed(link, Range=passed_over).status_code == 200
    tag = desk.followed(link).headers["etag"]
    assert desk.followed(link, Range="bytes=0-1", If_Range=tag).status_code == 206
    assert desk.followed(link, Range="bytes=0-1", If_Range='"other"').status_code == 200
    assert desk.followed(link, If_None_Match=tag).status_code == 304
    head = desk.followed(link, method="HEAD")
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", str(len(PDF)))


# --- sweeping ---------------------------------------------------------------------------------------------------------


def test_what_was_never_completed_is_forgotten(either_desk: Desk) -> None:
    desk = either_desk
    kept = desk.attached()
    draft, empty = desk.initiated(), desk.initiated()
    desk.uploaded(draft)
    assert desk.swept() == 0
    assert desk.swept(hours=desk.site.parts.settings.attachment_draft_hours + 1) == 2
    assert sorted(desk.keys()) == ["att", "small"]
    for one in (draft, empty):
        problem(desk.completed(one), "not-found", 404)
    assert desk.site.get(kept["@id"].removeprefix(BASE)).status_code == 200


def test_blobs_that_belong_to_nothing_are_swept(either_desk: Desk) -> None:
    desk = either_desk
    desk.attached()
    parts = desk.site.parts
    token = attachments.new_token()
    for key in (attachments.file_key(token), attachments.draft_key(token), attachments.thumbnail_key(attachments.file_key(token))):
        parts.blobs.put(key, [b"left behind"], "image/jpeg")
    assert desk.swept() == 0
    assert desk.swept(hours=parts.settings.attachment_draft_hours + 1) == 3
    assert sorted(desk.keys()) == ["att", "small"]


def test_the_application_can_be_made_twice_over_the_same_data(desk: Desk) -> None:
    """Links of one process are good in another."""
    found = desk.attached()
    link = desk.site.get(found["@id"].removeprefix(BASE)).json["downloadUrl"]
    other = build(desk.site.parts.settings)
    client = testing.TestClient(create_app(other))
    parts = urlsplit(link)
    assert client.simulate_get(parts.path, query_string=parts.query).status_code == 200
    other.close()


# --- at the same time, and after a crash ------------------------------------------------------------------------------


def test_a_completion_that_died_half_way_can_be_repeated(either_desk: Desk) -> None:
    """The photo was copied, and had lost its position already, but the transaction never began."""
    desk = either_desk
    draft = desk.initiated()
    desk.uploaded(draft)
    parts = desk.site.parts
    with parts.ledger.read() as uow:
        found = uow.attachment_drafts.find(1)
    assert found is not None
    left = attachments.settled(parts.blobs, found, attachments.file_key(attachments.new_token()), parts.settings)
    assert left.lost_position
    done = desk.completed(draft)
    assert done.status_code == 200, done.text
    assert desk.events() == ["attachment.created"] and desk.is_whole(done.json)
    assert desk.swept() == 0
    assert desk.swept(hours=parts.settings.attachment_draft_hours + 1) == 2
    assert sorted(desk.keys()) == ["att", "small"] and desk.is_whole(done.json)


@pytest.mark.parametrize("accept", RESOURCE_OFFERS)
def test_the_bytes_stay_however_the_answer_is_written(desk: Desk, accept: str) -> None:
    draft = desk.initiated()
    desk.uploaded(draft)
    assert desk.completed(draft, Accept=accept).status_code == 200
    assert desk.posted(Accept=accept).status_code == 201
    for number in (1, 2):
        assert desk.is_whole(desk.site.get(f"{ATTACHMENTS}/att_{number}").json)
    assert sorted(desk.keys()) == ["att", "att", "small", "small"]


def meanwhile(monkeypatch: pytest.MonkeyPatch, where: Any, name: str, act: Callable[[], None], is_before: bool = False) -> None:
    """Something is done by another once, after (or before) a function has done its work for the first one who calls it."""
    real = getattr(where, name)
    left = [act]

    def between(*args: Any, **more: Any) -> Any:
        other = left.pop() if left else lambda: None
        if is_before:
            other()
        try:
            return real(*args, **more)
        finally:
            if not is_before:
                other()

    monkeypatch.setattr(where, name, between)


def test_who_completes_while_another_does_spoils_nothing(either_desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first has taken the position out of the photo, whose digest is another one then, and has not told of it yet."""
    desk = either_desk
    draft = desk.initiated()
    desk.uploaded(draft)
    second: list[testing.Result] = []
    meanwhile(monkeypatch, attachments, "looked_at", lambda: second.append(desk.completed(draft)))
    first = desk.completed(draft)
    assert (first.status_code, second[0].status_code) == (200, 200), (first.text, second[0].text)
    assert first.json == second[0].json and desk.is_whole(first.json)
    assert desk.events() == ["attachment.created"] and sorted(desk.keys()) == ["att", "small"]


@pytest.mark.parametrize("repeats", ["plain", "under a key"])
def test_who_is_refused_late_takes_nothing_away(either_desk: Desk, monkeypatch: pytest.MonkeyPatch, repeats: str) -> None:
    """The wrong file has been replaced, and the right one completed, while somebody still looked at the wrong one."""
    desk = either_desk
    draft = desk.initiated(b"%PDF-1.7 right", contentType="application/pdf")
    desk.uploaded(draft, b"%PDF-1.7 wrong")
    second: list[testing.Result] = []

    def right() -> None:
        desk.uploaded(draft, b"%PDF-1.7 right")
        second.append(desk.completed(draft))

    meanwhile(monkeypatch, attachments, "looked_at", right)
    more = {"Idempotency_Key": "late"} if repeats == "under a key" else {}
    first = desk.completed(draft, **more)
    assert (first.status_code, second[0].status_code) == (200, 200), (first.text, second[0].text)
    assert first.json == second[0].json and desk.is_whole(first.json)
    assert desk.events() == ["attachment.created"] and desk.keys() == ["att"]


@pytest.mark.parametrize("content", [b"%PDF-1.7 other", b"no document at"])
@pytest.mark.parametrize("is_before", [True, False])
def test_what_is_uploaded_after_the_completion_replaces_nothing(
    either_desk: Desk, monkeypatch: pytest.MonkeyPatch, content: bytes, is_before: bool
) -> None:
    """Not even when somebody else has begun to complete before that: the link still works for a while."""
    desk = either_desk
    draft = desk.initiated(b"%PDF-1.7 right", contentType="application/pdf", checksum=None)
    desk.uploaded(draft, b"%PDF-1.7 right")
    second: list[testing.Result] = []

    def again() -> None:
        second.append(desk.completed(draft))
        desk.uploaded(draft, content)

    meanwhile(monkeypatch, desk.site.parts.blobs, "copy", again, is_before)
    first = desk.completed(draft)
    assert (first.status_code, second[0].status_code) == (200, 200), (first.text, second[0].text)
    assert first.json == second[0].json and desk.is_whole(first.json)
    assert desk.events() == ["attachment.created"]
    desk.swept(hours=desk.site.parts.settings.attachment_draft_hours + 1)
    assert desk.keys() == ["att"] and desk.is_whole(first.json)


@pytest.mark.parametrize("place", ["ld_server.http.endpoints.attachments.handle", "ld_server.services.attachments.contents.facts"])
def test_a_completion_that_fails_for_another_reason_leaves_the_upload_alone(
    either_desk: Desk, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """The ledger, or the store once the file is copied, is away for a while; nothing heaps up in it when clients try again."""
    desk = either_desk
    draft = desk.initiated()
    desk.uploaded(draft)

    def away(*_: Any) -> None:
        raise StoreUnavailable("It is away.")

    with monkeypatch.context() as broken:
        broken.setattr(place, away)
        problem(desk.completed(draft), "store-unavailable", 503)
    assert desk.events() == [] and desk.keys() == ["draft"]
    assert desk.is_whole(desk.completed(draft).json)


def test_two_who_complete_at_once_make_one_attachment(either_desk: Desk) -> None:
    desk = either_desk
    desk.site.description  # noqa: B018 (read before threads ask for it)
    draft = desk.initiated()
    desk.uploaded(draft)
    barrier = threading.Barrier(4)

    def complete(_number: int) -> testing.Result:
        barrier.wait()
        return desk.completed(draft)

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(complete, range(4)))
    assert {answer.status_code for answer in answers} == {200}, [answer.text for answer in answers]
    assert all(answer.json == answers[0].json for answer in answers)
    assert desk.events() == ["attachment.created"] and sorted(desk.keys()) == ["att", "small"]


def test_two_who_delete_at_once_delete_once(either_desk: Desk) -> None:
    desk = either_desk
    path = desk.attached()["@id"].removeprefix(BASE)
    barrier = threading.Barrier(3)

    def delete(_number: int) -> int:
        barrier.wait()
        return desk.site.ask("DELETE", path).status_code

    with ThreadPoolExecutor(3) as pool:
        assert sorted(pool.map(delete, range(3))) == [204, 410, 410]
    assert desk.events() == ["attachment.created", "attachment.deleted"]
