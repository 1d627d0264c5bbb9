"""Attachments that were announced: what was said of a file before it was uploaded."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from relational import tables


@dataclass(frozen=True, slots=True)
class AttachmentDraft:
    """
    A file that is to come. `number` is that of the attachment it will be, `token` what its blobs are called by.

    `checksum` is the SHA-256 in hex, None where nobody said it; `metadata` is JSON, serialised.
    """

    number: int
    token: str
    owner: str
    file_name: str
    content_type: str
    byte_size: int
    checksum: str | None
    metadata: str | None
    created_by: str
    created_at: datetime


_D = tables.attachment_drafts.c
_DRAFTS = select(*(_D[name] for name in AttachmentDraft.__slots__))


class AttachmentDrafts:
    """The gateway to drafts of attachments."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, draft: AttachmentDraft) -> None:
        """Write a new draft."""
        self._connection.execute(insert(tables.attachment_drafts), {name: getattr(draft, name) for name in AttachmentDraft.__slots__})

    def find(self, number: int) -> AttachmentDraft | None:
        """The draft of the attachment with this number, or None."""
        return _draft(self._connection.execute(_DRAFTS.where(_D.number == number)).first())

    def remove(self, number: int) -> bool:
        """Take a draft away; whether there was one. Of two who try at the same time, one is told so."""
        return self._connection.execute(delete(tables.attachment_drafts).where(_D.number == number)).rowcount == 1

    def older_than(self, moment: datetime, limit: int) -> list[AttachmentDraft]:
        """The oldest drafts that were made before."""
        query = _DRAFTS.where(_D.created_at < moment).order_by(_D.created_at, _D.number).limit(limit)
        return [AttachmentDraft(*row) for row in self._connection.execute(query)]

    def tokens_in_use(self, tokens: list[str]) -> set[str]:
        """Those of the tokens that a draft has."""
        return set(self._connection.execute(select(_D.token).where(_D.token.in_(tokens))).scalars())


def _draft(row: Sequence[Any] | None) -> AttachmentDraft | None:
    return AttachmentDraft(*row) if row is not None else None
