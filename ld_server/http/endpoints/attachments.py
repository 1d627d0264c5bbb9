"""Attachments: announced, uploaded and completed, or posted with their bytes in one request; read by links that expire; deleted."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import falcon
import orjson

from ld_server.domain import file_names
from ld_server.domain.commands import AddAttachment, AnnouncedFile, DeleteAttachment, Document, StoredFile
from ld_server.domain.errors import ContentRefused, MalformedBody, NotFound, NotUploaded, ShapeViolation, StoreUnavailable, Violation
from ld_server.domain.reading import Member, anything, choice, members, read, text, whole, wrong
from ld_server.http import links
from ld_server.http.body import STEP_READABLE, format_of, read_body
from ld_server.http.endpoints.resources import Collection
from ld_server.http.execution import CACHE_CONTROL, answer_of, perform, wanted_by
from ld_server.http.finding import check_identifier, head_of
from ld_server.http.idempotency import Answer
from ld_server.http.multipart import FORM_DATA, File, form_of
from ld_server.http.negotiation import negotiate, not_acceptable
from ld_server.http.parameters import query_parameters
from ld_server.http.preconditions import expected_revisions
from ld_server.http.preferences import VALIDATE, is_rehearsal
from ld_server.http.showing import Shown, asked, may_be_read, pages_of, show
from ld_server.rdf import codecs
from ld_server.resources.attachment import ATTACHMENT
from ld_server.resources.kind import Kind, written
from ld_server.services import attachments, handle
from ld_server.services.parts import Parts
from relational.drafts import AttachmentDraft

# --- what is said of a file -------------------------------------------------------------------------------------------


def file_name(value: Any, pointer: str) -> str:
    """The name of a file, without the path that may stand before it."""
    try:
        return file_names.kept(value if isinstance(value, str) else "")
    except ValueError as error:
        raise wrong(pointer, value, str(error)) from None


def media_type(value: Any, pointer: str) -> str:
    """A media type in small letters, without its parameters."""
    essence = value.partition(";")[0].strip().lower() if isinstance(value, str) else value
    return str(text(128, r"[a-z]+/[a-z0-9][a-z0-9.+-]*", "a media type such as image/jpeg")(essence, pointer))


def checksum(value: Any, pointer: str) -> str:
    """A SHA-256 in hex."""
    digits = value.strip().lower() if isinstance(value, str) else value
    return str(text(64, r"[0-9a-f]{64}", "the SHA-256 of the file, 64 hexadecimal digits")(digits, pointer))


def owner_kind(value: Any, pointer: str) -> str:
    """What the seed calls a kind (`maintenance_log`); our own name of it (`maintenanceLog`) is understood."""
    own = {kind.name: name for name, kind in attachments.OWNERS.items()}
    return str(choice(*attachments.OWNERS)(own.get(value, value) if isinstance(value, str) else value, pointer))


_OWNER_ID = text(191, r"\S*[A-Za-z]+_[1-9][0-9]{0,17}", "the identifier of a resource, such as asset_12")

SAID: Mapping[str, Member] = {
    "@context": Member(anything),
    "@type": Member(anything),
    "ownerKind": Member(owner_kind, is_required=True),
    "ownerId": Member(_OWNER_ID, is_required=True),
    "fileName": Member(file_name, is_required=True),
    "contentType": Member(media_type, is_required=True),
    "byteSize": Member(whole(1, 10**15), is_required=True),
    "checksum": Member(checksum),
    "metadata": Member(anything),
}
"""What is said of a file, in the words of `initiate` and in the fields of a form."""


def announced_file(value: Any) -> AnnouncedFile:
    """What is said of a file. Raises ShapeViolation with everything that is wrong."""
    said = read(members(SAID), value)
    owner = said["ownerId"].rpartition("/")[2]
    kind = attachments.OWNERS[said["ownerKind"]]
    if not owner.startswith(f"{kind.prefix}_"):
        message = f"ownerId is no {kind.frame.name}; one looks like {kind.prefix}_12"
        raise ShapeViolation(f"{message}.", [Violation("/ownerId", "", owner, message)])
    return AnnouncedFile(owner, *(said[name] for name in ("fileName", "contentType", "byteSize", "checksum", "metadata")))


# --- initiate and complete --------------------------------------------------------------------------------------------

JSON_TYPES = ("application/json", "application/ld+json")


class Initiation:
    """`POST /v1/attachments/initiate`: says what is to come, and gives the link to upload it."""

    accept_post = STEP_READABLE

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """201 with the request that uploads the file. Nothing can be read yet: there is no attachment before it is complete."""
        content_type = negotiate(req.env.get("HTTP_ACCEPT"), JSON_TYPES)
        if content_type is None:
            raise not_acceptable(JSON_TYPES)
        body, value = json_of(req, self._parts)
        said = announced_file(value)
        attachments.refuse_unwanted(said, self._parts.settings)

        def act(uow: Any, occasion: Any) -> Answer:
            draft = attachments.announce(uow, said, occasion)
            headers = {"Content-Type": content_type, "Vary": "Accept", "Cache-Control": "no-store"}
            return Answer(201, headers, orjson.dumps(self._told(draft, occasion.now)))

        perform(req, self._parts, act, body).give(resp)

    def _told(self, draft: AttachmentDraft, now: Any) -> dict[str, Any]:
        lifetime = attachments.lifetime_of(self._parts.settings)
        key = attachments.draft_key(draft.token)
        upload = self._parts.blobs.upload(key, draft.content_type, draft.byte_size, now, lifetime)
        return {
            "identifier": f"{ATTACHMENT.prefix}_{draft.number}",
            "uploadUrl": upload.url,
            "uploadMethod": upload.method,
            "uploadHeaders": dict(upload.headers),
            "expiresAt": written((now + lifetime).replace(microsecond=0)),
        }


def json_of(req: falcon.Request, parts: Parts) -> tuple[bytes, Any]:
    """The body of a request in JSON, as bytes and as what they say."""
    query_parameters(req.query_string, (VALIDATE,))
    format_of(req, STEP_READABLE)
    body = read_body(req, parts.settings.max_body_bytes)
    return body, codecs.read_json(body, parts.settings.max_json_depth)


COMPLETED: Mapping[str, Member] = {
    "@context": Member(anything),
    "@type": Member(anything),
    "identifier": Member(text(191), is_required=True),
}


class Completion:
    """`POST /v1/attachments/complete`: looks at what was uploaded and makes an attachment of it."""

    accept_post = STEP_READABLE

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """200 with the attachment, also when it was completed before."""
        wanted_by(req)
        body, value = json_of(req, self._parts)
        identifier = str(read(members(COMPLETED), value)["identifier"]).rpartition("/")[2]
        check_identifier(self._parts, ATTACHMENT, identifier)
        self._completed(req, identifier, body).give(resp)

    def _completed(self, req: falcon.Request, identifier: str, body: bytes) -> Answer:
        head = self._parts.ledger.head(identifier)
        if head is None:
            try:
                return self._made(req, self._draft(identifier), body)
            except (NotFound, NotUploaded, ContentRefused):
                head = self._parts.ledger.head(identifier)  # another may have completed it meanwhile
                if head is None:
                    raise
        there = attachments.living(head)
        return perform(req, self._parts, lambda _uow, _occasion: answer_of(there, wanted_by(req), self._parts, 200), body)

    def _made(self, req: falcon.Request, draft: AttachmentDraft, body: bytes) -> Answer:
        parts = self._parts

        def add(stored: StoredFile) -> Answer:
            return _added(req, parts, AddAttachment(attachments.announced(draft), stored, draft.number), body, 200)

        if is_rehearsal(req):
            return add(attachments.glanced_at(parts.blobs, draft, parts.settings))
        key = attachments.file_key(attachments.new_token())
        answer = _keeping(req, parts, key, lambda: add(attachments.settled(parts.blobs, draft, key, parts.settings)))
        attachments.remove(parts.blobs, [attachments.draft_key(draft.token)])
        return answer

    def _draft(self, identifier: str) -> AttachmentDraft:
        with self._parts.ledger.read() as uow:
            draft = uow.attachment_drafts.find(int(identifier.rpartition("_")[2]))
        if draft is None:
            raise NotFound(f"There is no attachment {identifier!r} that could be completed; it may have been forgotten.")
        return draft


def _added(req: falcon.Request, parts: Parts, command: AddAttachment, body: bytes, status: int) -> Answer:
    form = wanted_by(req)
    return perform(req, parts, lambda uow, occasion: answer_of(handle(uow, command, occasion), form, parts, status), body)


def _keeping(req: falcon.Request, parts: Parts, key: str, act: Callable[[], Answer]) -> Answer:
    """
    What is answered to something that is done with a file, which stays if the answer tells of it.

    It stays as well where nobody knows whether anything was written; what belongs to nothing is swept.
    """
    stays = False
    try:
        answer = act()
        stays = not is_rehearsal(req) and key.encode() in answer.body
    except StoreUnavailable as outage:
        stays = outage.is_unknown
        raise
    finally:
        if not stays:
            attachments.remove(parts.blobs, [key])
    return answer


# --- in one request ---------------------------------------------------------------------------------------------------


class Attachments(Collection):
    """`/v1/attachments`: every attachment, and a new one with its bytes in one request."""

    accept_post = (FORM_DATA,)

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Takes a form with the fields of `initiate` and the part `file`, which goes straight to the store: 201."""
        wanted_by(req)
        query_parameters(req.query_string, (VALIDATE,))
        settings = self._parts.settings
        if req.content_length is not None:
            attachments.refuse_too_large(req.content_length - _ROOM_FOR_FIELDS, settings)
        key = attachments.file_key(attachments.new_token())
        _keeping(req, self._parts, key, lambda: self._posted(req, key)).give(resp)
        resp.set_header("Link", self._links_of_each)

    def _posted(self, req: falcon.Request, key: str) -> Answer:
        posted = self._taken(req, key)
        attachments.refuse_unwanted(posted.said, self._parts.settings)
        stored = attachments.looked_at(self._parts.blobs, key, posted.said, self._parts.settings)
        return _added(req, self._parts, AddAttachment(posted.said, stored), posted.fingerprint, 201)

    def _taken(self, req: falcon.Request, key: str) -> "_Posted":
        limit = self._parts.settings.attachment_max_bytes

        def keep(file: File, before: Mapping[str, str]) -> int:
            return self._parts.blobs.put(key, file.chunks(limit, _size_in(before)), file.content_type)

        form = form_of(req, keep)
        if form.file is None:
            raise MalformedBody("The form has no part `file` with the bytes of the file.")
        values = {"fileName": form.file.name, "contentType": form.file.content_type, "byteSize": form.size, **_read_fields(form.fields)}
        said = announced_file(values)
        return _Posted(said, orjson.dumps([form.fields, form.file.name, form.file.content_type, form.digest]))


_ROOM_FOR_FIELDS = 1024 * 1024
"""Bytes that a form may have besides the file."""


@dataclass(frozen=True)
class _Posted:
    """What a form said of its file, and the bytes that make two such requests the same."""

    said: AnnouncedFile
    fingerprint: bytes


def _size_in(fields: Mapping[str, str]) -> int | None:
    """The size that was announced; None where there is none. What is no size is refused with whatever else is wrong."""
    said = fields.get("byteSize", "").strip()
    return int(said) if said.isascii() and said.isdigit() and len(said) <= 18 else None


def _read_fields(fields: Mapping[str, str]) -> dict[str, Any]:
    """Fields are texts; the ones that are no texts are read."""
    found: dict[str, Any] = {name: value for name, value in fields.items() if value != ""}
    for name in ("byteSize", "metadata"):
        if name in found:
            found[name] = _read_field(name, found[name])
    return found


def _read_field(name: str, value: str) -> Any:
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        raise ShapeViolation(f"{name} must be JSON.", [Violation(f"/{name}", "", value, f"{name} must be JSON")]) from None


# --- one attachment ---------------------------------------------------------------------------------------------------


class Attachment:
    """`/v1/attachments/{identifier}`: what there is to know about a file, with a link to it."""

    def __init__(self, parts: Parts, kind: Kind) -> None:
        self.kind = kind
        self._parts = parts
        self._links = links.of_resource(kind, parts.settings.base_iri)

    def on_get(self, req: falcon.Request, resp: falcon.Response, identifier: str) -> None:
        """`downloadUrl` is not a part of the resource: it is made for whoever asks, and expires."""
        may_be_read(req)
        asked(req)
        head = head_of(self._parts, self.kind, identifier)
        document = attachments.document_of(head)
        link = attachments.download_link(self._parts, document)
        iri = self._parts.naming.iri(identifier)
        body = orjson.dumps({**document, "downloadUrl": link}).decode()
        resp.set_header("Link", f'{self._links}, <{iri}/revisions>; rel="version-history"')
        show(req, resp, Shown(self.kind, identifier, iri, head.revision, body, passing=link), self._parts)

    def on_delete(self, req: falcon.Request, resp: falcon.Response, identifier: str) -> None:
        """204. A tombstone stays, and what the attachment was like stands among its revisions; the bytes are gone."""
        query_parameters(req.query_string, (VALIDATE,))
        head = head_of(self._parts, self.kind, identifier)
        command = DeleteAttachment(identifier, expected_revisions(req.env.get("HTTP_IF_MATCH")))

        def act(uow: Any, occasion: Any) -> Answer:
            handle(uow, command, occasion)
            return Answer(204, {"Cache-Control": CACHE_CONTROL}, b"")

        perform(req, self._parts, act, b"").give(resp)
        if not is_rehearsal(req):
            attachments.remove(self._parts.blobs, [orjson.loads(head.body)["storageKey"]])


class Bytes:
    """`/v1/attachments/{identifier}/content` and `/thumbnail`: leads whoever has a key to the bytes."""

    def __init__(self, parts: Parts, link: Callable[[Parts, Document], str]) -> None:
        self._parts = parts
        self._link = link

    def on_get(self, req: falcon.Request, resp: falcon.Response, identifier: str) -> None:
        """307 to a link that works without a key, for a while; one to this server has no host, so that it works behind every address."""
        query_parameters(req.query_string)
        document = attachments.document_of(head_of(self._parts, ATTACHMENT, identifier))
        resp.status = falcon.HTTP_307
        link = self._link(self._parts, document)
        resp.set_header("Location", pages_of(self._parts).places.href(link) or link)
        resp.set_header("Cache-Control", "no-store")
