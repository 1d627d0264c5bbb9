"""
Attachments. A file is announced, uploaded, and looked at; only then is there a resource that tells of it, and an event.

Bytes are moved and looked at outside of transactions, which are short. What a crash leaves behind between the two, a blob that belongs
to nothing, is swept.
"""

import logging
import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

import orjson

from ld_server.blobs import contents, pictures
from ld_server.blobs.contents import Facts
from ld_server.blobs.store import BlobStore, Download, NoBlob
from ld_server.domain import file_names
from ld_server.domain.commands import AddAttachment, AnnouncedFile, DeleteAttachment, Document, StoredFile
from ld_server.domain.errors import ContentRefused, Gone, NotFound, NotUploaded, StoreUnavailable, TooLarge
from ld_server.resources import KINDS
from ld_server.resources.attachment import ATTACHMENT
from ld_server.resources.kind import Kind
from ld_server.services import recording, references
from ld_server.services.occasion import Occasion
from ld_server.services.opening import opened
from ld_server.services.parts import Parts
from ld_server.services.references import Pointing
from ld_server.settings import Settings
from relational.documents import Head
from relational.drafts import AttachmentDraft
from relational.unit_of_work import UnitOfWork

log = logging.getLogger(__name__)


def _seed_name(kind: Kind) -> str:
    """What the seed calls a kind: `maintenance_log`."""
    return "".join(f"_{one.lower()}" if one.isupper() else one for one in kind.name)


OWNERS: Mapping[str, Kind] = {_seed_name(kind): kind for kind in KINDS.values() if kind is not ATTACHMENT}
"""The seed's owner_kind → what a file can be attached to."""


# --- what is announced ------------------------------------------------------------------------------------------------


def refuse_unwanted(file: AnnouncedFile, settings: Settings) -> None:
    """Raises TooLarge, and ContentRefused for a media type that is not to be attached here."""
    refuse_too_large(file.byte_size, settings)
    allowed = [one.strip() for one in settings.attachment_types.split(",") if one.strip()]
    main = file.content_type.partition("/")[0]
    if not {file.content_type, f"{main}/*", "*/*"} & set(allowed):
        detail = f"Files of the type {file.content_type} cannot be attached here; allowed are {', '.join(allowed)}."
        raise ContentRefused(detail, field="contentType", allowed=allowed)
    if file.content_type in pictures.READERS and file.byte_size > pictures.LARGEST:
        raise TooLarge(f"A picture may have at most {pictures.LARGEST} bytes.", limit=pictures.LARGEST)


def refuse_too_large(size: int, settings: Settings) -> None:
    """Raises TooLarge."""
    if size > settings.attachment_max_bytes:
        raise TooLarge(f"An attachment may have at most {settings.attachment_max_bytes} bytes.", limit=settings.attachment_max_bytes)


def announce(uow: UnitOfWork, file: AnnouncedFile, occasion: Occasion) -> AttachmentDraft:
    """Keep what was said of a file that is to come. Raises UnknownReference for an owner that does not exist."""
    _owner(uow, file.owner)
    draft = AttachmentDraft(
        number=uow.documents.next_number(ATTACHMENT.name),
        token=new_token(),
        owner=file.owner,
        file_name=file.file_name,
        content_type=file.content_type,
        byte_size=file.byte_size,
        checksum=file.checksum,
        metadata=None if file.metadata is None else orjson.dumps(file.metadata).decode(),
        created_by=occasion.principal,
        created_at=occasion.now,
    )
    uow.attachment_drafts.add(draft)
    return draft


def announced(draft: AttachmentDraft) -> AnnouncedFile:
    """What a draft says."""
    metadata = orjson.loads(draft.metadata) if draft.metadata is not None else None
    return AnnouncedFile(draft.owner, draft.file_name, draft.content_type, draft.byte_size, draft.checksum, metadata)


def lifetime_of(settings: Settings) -> timedelta:
    """How long a link works."""
    return timedelta(seconds=settings.attachment_link_seconds)


def new_token() -> str:
    """What the blobs of one file are called by: nobody can guess it."""
    return secrets.token_hex(16)


def draft_key(token: str) -> str:
    """Where a file is uploaded to, before anybody has looked at it."""
    return f"draft-{token}"


def file_key(token: str) -> str:
    """Where a file is kept."""
    return f"att-{token}"


def thumbnail_key(key: str) -> str:
    """Where the small picture of a file is kept."""
    return key.replace("att-", "small-", 1)


def _owner(uow: UnitOfWork, identifier: str) -> Document:
    return references.resolve(uow, [Pointing("/ownerId", "ownerId", identifier)], *OWNERS.values())[identifier]


# --- what was uploaded ------------------------------------------------------------------------------------------------


def settled(store: BlobStore, draft: AttachmentDraft, key: str, settings: Settings) -> StoredFile:
    """
    What is found in a copy, under a key of the caller's own, of what was uploaded for a draft.

    Nobody else writes there or removes it: neither whoever has the link for the upload, nor another who completes the same draft at the
    same time and has a copy as well. Raises NotUploaded, and ContentRefused for a file that is not what was announced; another can be
    uploaded in its place.
    """
    try:
        store.copy(draft_key(draft.token), key)
        return looked_at(store, key, announced(draft), settings)
    except NoBlob:
        raise NotUploaded("Nothing has been uploaded yet.") from None


def glanced_at(store: BlobStore, draft: AttachmentDraft, settings: Settings) -> StoredFile:
    """What would be found in the file of a draft, which stays where it is. Raises NotUploaded, ContentRefused."""
    try:
        return looked_at(store, draft_key(draft.token), announced(draft), settings, rewrites=False)
    except NoBlob:
        raise NotUploaded("Nothing has been uploaded yet.") from None


def looked_at(store: BlobStore, key: str, said: AnnouncedFile, settings: Settings, rewrites: bool = True) -> StoredFile:
    """
    What is found in a file; a picture loses its position and gets a small one beside it, if the file may be rewritten.

    Raises ContentRefused when it is not what was said, NoBlob.
    """
    found = contents.facts(store.get(key))
    _refuse_other_facts(found, said)
    contents.refuse_another_type(said.content_type, found.head)
    if contents.sniffed(found.head) == "application/zip":
        contents.refuse_burst(store, key, found.size)
    stored = StoredFile(store.provider, key, found.size, found.sha256)
    return _pictured(store, stored, said, settings, rewrites) if said.content_type in pictures.READERS else stored


def _refuse_other_facts(found: Facts, said: AnnouncedFile) -> None:
    if found.size != said.byte_size:
        detail = f"{said.byte_size} bytes were announced, and {found.size} were uploaded."
        raise ContentRefused(detail, field="byteSize", announced=said.byte_size, found=found.size)
    if said.checksum is not None and found.sha256 != said.checksum:
        detail = "The SHA-256 of what was uploaded is not the one that was announced."
        raise ContentRefused(detail, field="checksum", announced=said.checksum, found=found.sha256)


def _pictured(store: BlobStore, stored: StoredFile, said: AnnouncedFile, settings: Settings, rewrites: bool) -> StoredFile:
    content = b"".join(store.get(stored.key))
    picture = pictures.looked_at(content, said.content_type, settings.attachment_position == "keep")
    if rewrites:
        store.put(thumbnail_key(stored.key), [picture.thumbnail], pictures.THUMBNAIL_TYPE)
        if picture.lost_position:
            store.put(stored.key, [picture.content], said.content_type)
    checksum = contents.facts([picture.content]).sha256
    lost = picture.lost_position
    return replace(stored, checksum=checksum, width=picture.width, height=picture.height, taken_at=picture.taken_at, lost_position=lost)


def remove(store: BlobStore, keys: Iterable[str]) -> None:
    """Remove files, and the small pictures of those that have one. What cannot be removed now is left to the sweep of orphans."""
    try:
        for key in keys:
            for each in dict.fromkeys((key, thumbnail_key(key))):
                store.delete(each)
    except StoreUnavailable as refusal:
        log.warning("a file is left to be swept: %s", refusal.detail)


# --- resources --------------------------------------------------------------------------------------------------------


def add(uow: UnitOfWork, command: AddAttachment, occasion: Occasion) -> Head:
    """
    Make an attachment of a stored file; the draft it was announced by is gone then. One that is there already is given as it is.

    Raises UnknownReference for an owner that does not exist, NotFound for a draft that there is none of.
    """
    number = command.number
    if number is None:
        number = uow.documents.next_number(ATTACHMENT.name)
    elif not uow.attachment_drafts.remove(number):
        return _already_there(uow, f"{ATTACHMENT.prefix}_{number}")
    document = _document(uow, number, command.said, command.stored, occasion)
    return recording.add(uow, ATTACHMENT, number, document, ["attachment.created"], occasion)


def _already_there(uow: UnitOfWork, identifier: str) -> Head:
    head = uow.documents.head(identifier)
    if head is None:
        raise NotFound(f"There is no attachment {identifier!r} that could be completed.")
    return living(head)


def _document(uow: UnitOfWork, number: int, said: AnnouncedFile, stored: StoredFile, occasion: Occasion) -> Document:
    identifier = f"{ATTACHMENT.prefix}_{number}"
    iri = occasion.naming.iri(identifier)
    owner = _owner(uow, said.owner)
    kind = next(kind for kind in OWNERS.values() if kind.prefix == said.owner.partition("_")[0])
    picture = {
        "width": stored.width,
        "height": stored.height,
        "takenAt": stored.taken_at,
        "positionRemoved": stored.lost_position or None,
        "thumbnailUrl": f"{iri}/thumbnail" if stored.width is not None else None,
    }
    whole = {
        "@context": occasion.context,
        "@id": iri,
        "@type": "ImageObject" if said.content_type.startswith("image/") else "MediaObject",
        "identifier": identifier,
        "ownerKind": _seed_name(kind),
        "ownerId": said.owner,
        "about": references.echo(owner, kind),
        "fileName": said.file_name,
        "name": said.file_name,
        "contentType": said.content_type,
        "byteSize": stored.byte_size,
        "checksum": stored.checksum,
        "contentUrl": f"{iri}/content",
        "storageProvider": stored.provider,
        "storageKey": stored.key,
        "metadata": said.metadata,
        "createdBy": occasion.principal,
        "createdAt": occasion.moment,
        "updatedAt": occasion.moment,
        **picture,
    }
    return {key: value for key, value in whole.items() if value is not None}


def delete(uow: UnitOfWork, command: DeleteAttachment, occasion: Occasion) -> Head:
    """Leave a tombstone in the place of an attachment; its bytes are the caller's to remove. Raises NotFound, Gone, Stale."""
    head = living(opened(uow, command.identifier, (ATTACHMENT,), command.expected))
    before = orjson.loads(head.body)
    kept = {key: value for key, value in before.items() if key not in _ENDS_WITH_IT}
    after = {**kept, "@type": "Tombstone", "deletedAt": occasion.moment, "deletedBy": occasion.principal}
    return recording.replace(uow, ATTACHMENT, head, before, after, ["attachment.deleted"], occasion)


_ENDS_WITH_IT = ("contentUrl", "thumbnailUrl")


def living(head: Head) -> Head:
    """The head of an attachment. Raises Gone for a tombstone."""
    deleted_at = orjson.loads(head.body).get("deletedAt")
    if deleted_at is not None:
        raise Gone(f"{head.identifier} was deleted.", resource=head.identifier, deletedAt=deleted_at)
    return head


# --- links ------------------------------------------------------------------------------------------------------------

STEADY = timedelta(minutes=5)
"""For so long the same link is given again, so that what has it can be kept by clients."""


def download_link(parts: Parts, document: Document) -> str:
    """A link to the file that works without a key until it expires."""
    told = Download(document["contentType"], file_names.disposition(document["fileName"]))
    return _link(parts, document["storageKey"], told)


def thumbnail_link(parts: Parts, document: Document) -> str:
    """The same to the small picture. Raises NotFound where there is none."""
    if "thumbnailUrl" not in document:
        raise NotFound(f"{document['identifier']} has no thumbnail.")
    told = Download(pictures.THUMBNAIL_TYPE, file_names.disposition(f"{document['fileName'][:200]}.thumbnail.jpg"))
    return _link(parts, thumbnail_key(document["storageKey"]), told)


def _link(parts: Parts, key: str, told: Download) -> str:
    since = datetime.fromtimestamp(parts.now().timestamp() // STEADY.total_seconds() * STEADY.total_seconds(), parts.now().tzinfo)
    return parts.blobs.download(key, told, since, lifetime_of(parts.settings) + STEADY)


# --- sweeping ---------------------------------------------------------------------------------------------------------

BATCH = 200


def sweep(parts: Parts) -> int:
    """Forget drafts that are too old, and remove blobs that belong to nothing; how many of both that were."""
    before = parts.now() - timedelta(hours=parts.settings.attachment_draft_hours)
    return sweep_drafts(parts, before) + sweep_orphans(parts, before)


def sweep_drafts(parts: Parts, before: datetime) -> int:
    """Forget what was announced before and never completed, with what was uploaded of it; how many that were."""
    with parts.ledger.write() as uow:
        old = [one for one in uow.attachment_drafts.older_than(before, BATCH) if uow.attachment_drafts.remove(one.number)]
    for draft in old:
        parts.blobs.delete(draft_key(draft.token))
    return len(old)


def sweep_orphans(parts: Parts, before: datetime) -> int:
    """Remove blobs from before that belong to no attachment and no draft, and writes that never ended; how many that were."""
    count = parts.blobs.sweep(before)
    old = (blob.key for blob in parts.blobs.list() if blob.modified_at < before)
    while keys := list(islice(old, BATCH)):
        for key in _orphans(parts, keys):
            parts.blobs.delete(key)
            count += 1
    return count


def _orphans(parts: Parts, keys: Iterable[str]) -> Iterator[str]:
    tokens = {key: key.rpartition("-")[2] for key in keys if key.startswith(("att-", "draft-", "small-"))}
    with parts.ledger.read() as uow:
        drafts = uow.attachment_drafts.tokens_in_use(list(tokens.values()))
        kept = uow.index.having("attachments", "storage_key", [file_key(token) for token in tokens.values()], [("is_deleted", "=", False)])
    return (key for key, token in tokens.items() if not (token in drafts if key.startswith("draft-") else file_key(token) in kept))


def document_of(head: Head) -> dict[str, Any]:
    """The document of a living attachment. Raises Gone."""
    found: dict[str, Any] = orjson.loads(living(head).body)
    return found
