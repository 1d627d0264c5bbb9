"""API keys: how they are made and how they are stored. The text of a key is shown once and kept nowhere."""

import hashlib
import secrets
from collections.abc import Sequence
from datetime import datetime

from ld_server.domain.errors import NotFound
from relational.keys import KeyRow
from relational.unit_of_work import UnitOfWork


def new_text() -> str:
    """A new API key: 256 random bits behind a prefix that secret scanners can know."""
    return "rsv_" + secrets.token_urlsafe(32)


def hash_of(text: str) -> str:
    """How a key is stored. The text is random, so a plain hash is enough: there is nothing to guess."""
    return hashlib.sha256(text.encode()).hexdigest()


def add(uow: UnitOfWork, text: str, name: str, scopes: Sequence[str], at: datetime, expires_at: datetime | None = None) -> KeyRow:
    """Lets the holder of `text` in, with these scopes, until `expires_at` (None: until revoked)."""
    row = KeyRow(
        identifier=f"key_{uow.documents.next_number('key')}",
        name=name,
        hash=hash_of(text),
        scopes=tuple(scopes),
        created_at=at,
        expires_at=expires_at,
        revoked_at=None,
        last_used_at=None,
    )
    uow.keys.add(row)
    return row


def state(row: KeyRow, at: datetime) -> str:
    """How a key stands at an instant: valid, expired or revoked."""
    if row.revoked_at is not None:
        return "revoked"
    return "expired" if row.expires_at is not None and row.expires_at <= at else "valid"


def found(uow: UnitOfWork, identifier: str) -> KeyRow:
    """The key with this identifier. Raises NotFound."""
    row = uow.keys.find(identifier) if identifier.isprintable() else None
    if row is None:
        raise NotFound(f"There is no key {identifier!r}.")
    return row


def revoke(uow: UnitOfWork, identifier: str, at: datetime) -> None:
    """Makes a key useless from now on; one that is revoked already stays as it is. Raises NotFound."""
    uow.keys.revoke(found(uow, identifier).identifier, at)
