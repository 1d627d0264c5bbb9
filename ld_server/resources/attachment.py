"""Attachments: photos and documents that belong to a resource. schema.org calls them media objects; the bytes themselves are kept apart."""

from typing import Any

from ld_server.domain.scopes import Scope
from ld_server.rdf import vocab
from ld_server.rdf.adoption import Frame, Reference
from ld_server.resources.kind import Document, Filter, Kind, Sort, findable, identifier, instant, stamps, text_search, whole

KEYS = (
    "ownerKind", "ownerId", "about", "fileName", "name", "contentType", "byteSize", "checksum", "width", "height", "takenAt",
    "positionRemoved", "contentUrl", "downloadUrl", "thumbnailUrl", "storageProvider", "storageKey", "metadata",
    "createdBy", "deletedAt", "deletedBy", "createdAt", "updatedAt",
)  # fmt: skip

OWNERS = {
    "asset": (vocab.INDIVIDUAL_PRODUCT,),
    "itemType": (vocab.PRODUCT,),
    "pool": (vocab.SOME_PRODUCTS,),
    "kit": (vocab.PRODUCT, vocab.KIT_TEMPLATE),
    "ra": (vocab.RENT_ACTION,),
    "log": (vocab.ACTION,),
    "demand": (vocab.DEMAND,),
    "build": (vocab.ORDER_ACTION,),
}
"""Prefix of what a file can be attached to → its classes."""

FRAME = Frame(
    name="attachment",
    prefix="att",
    types=(vocab.MEDIA_OBJECT,),
    shape=vocab.SHAPES + "Attachment",
    properties=frozenset(
        (vocab.OWNER_KIND, vocab.OWNER_ID, vocab.FILE_NAME, vocab.CONTENT_TYPE, vocab.BYTE_SIZE, vocab.CHECKSUM, vocab.METADATA)
    ),
    managed=frozenset(
        (
            vocab.IDENTIFIER, vocab.ABOUT, vocab.NAME, vocab.CONTENT_URL, vocab.THUMBNAIL_URL, vocab.DOWNLOAD_URL, vocab.WIDTH,
            vocab.HEIGHT, vocab.TAKEN_AT, vocab.POSITION_REMOVED, vocab.STORAGE_PROVIDER, vocab.STORAGE_KEY, vocab.CREATED_BY,
            vocab.DELETED_AT, vocab.DELETED_BY, vocab.DATE_CREATED, vocab.DATE_MODIFIED,
        )
    ),
    references={vocab.ABOUT: Reference(OWNERS)},
    others=(vocab.IMAGE_OBJECT, vocab.TOMBSTONE),
)  # fmt: skip


def index_row(document: Document) -> dict[str, Any]:
    """The typed columns of `attachments`."""
    return {
        "identifier": document["identifier"],
        "owner_kind": document["ownerKind"],
        "owner": document["ownerId"],
        "file_name": document["fileName"],
        "content_type": document["contentType"],
        "byte_size": document["byteSize"],
        "storage_key": document["storageKey"],
        "is_deleted": "deletedAt" in document,
        "search_text": findable(document["fileName"]),
        **stamps(document),
    }


def media_type(text: str) -> str:
    """How media types begin that are meant: `image/jpeg`, or `image/` for `image/*`. Raises ValueError for what is none."""
    main, slash, sub = text.strip().lower().partition("/")
    if not (main and slash and sub):
        raise ValueError("write a media type such as image/jpeg, or image/*")
    return f"{main}/" if sub == "*" else f"{main}/{sub}"


def _no_graph(_document: Document) -> Any:
    """An attachment comes with its bytes."""
    raise NotImplementedError("an attachment is not made from a graph")


ATTACHMENT = Kind(
    name="attachment",
    prefix="att",
    path="/v1/attachments",
    subject_type="MediaObject",
    table="attachments",
    frame=FRAME,
    to_create=_no_graph,
    index_row=index_row,
    label=lambda document: str(document["fileName"]),
    create_scope=Scope.TECHNICIAN,
    keys=KEYS,
    columns=("fileName", "about", "contentType", "byteSize", "takenAt", "createdAt"),
    filters={
        "ownerKind": Filter("owner_kind", description="Files of resources of this kind, such as asset or maintenance_log."),
        "ownerId": Filter("owner", read=identifier, description="Files of this resource."),
        "contentType": Filter("content_type", "starts with", media_type, "Files of this media type; image/* means every picture."),
        "q": text_search("fileName"),
    },
    sorts={
        "fileName": Sort("file_name"),
        "byteSize": Sort("byte_size", whole),
        "createdAt": Sort("created_at", instant),
        "updatedAt": Sort("updated_at", instant),
    },
    is_posted=False,
    is_patched=False,
    always=(("is_deleted", "=", False),),
    owned="owner",
)
