"""API keys: their hashes, never their text."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update

from relational import tables
from relational.index import number_of


@dataclass(frozen=True, slots=True)
class KeyRow:
    """An API key. It counts until `expires_at` (None: for ever) and unless `revoked_at` is set."""

    identifier: str
    name: str
    hash: str
    scopes: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None


_K = tables.keys.c
_KEYS = select(*(_K[name] for name in KeyRow.__slots__))


class Keys:
    """The gateway to API keys."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, key: KeyRow) -> None:
        """Write a new key."""
        values = {name: getattr(key, name) for name in KeyRow.__slots__}
        self._connection.execute(insert(tables.keys), {**values, "number": number_of(key.identifier), "scopes": " ".join(key.scopes)})

    def by_hash(self, hash: str) -> KeyRow | None:
        """The key with this hash, revoked and expired ones included, or None."""
        row = self._connection.execute(_KEYS.where(_K.hash == hash)).first()
        return _key(row) if row is not None else None

    def find(self, identifier: str) -> KeyRow | None:
        """The key with this identifier, revoked and expired ones included, or None."""
        row = self._connection.execute(_KEYS.where(_K.identifier == identifier)).first()
        return _key(row) if row is not None else None

    def page(self, after: int, limit: int) -> list[KeyRow]:
        """At most `limit` keys beyond a number, by number."""
        return [_key(row) for row in self._connection.execute(_KEYS.where(_K.number > after).order_by(_K.number).limit(limit))]

    def count(self) -> int:
        """How many keys there ever were."""
        return int(self._connection.execute(select(func.count()).select_from(tables.keys)).scalar_one())

    def all(self) -> list[KeyRow]:
        """Every key there ever was, by number."""
        return [_key(row) for row in self._connection.execute(_KEYS.order_by(_K.number))]

    def revoke(self, identifier: str, at: datetime) -> bool:
        """Make a key useless from now on; whether there was one to revoke."""
        change = update(tables.keys).where(_K.identifier == identifier, _K.revoked_at.is_(None)).values(revoked_at=at)
        return self._connection.execute(change).rowcount == 1

    def touch(self, identifier: str, at: datetime) -> None:
        """Note that a key was used."""
        self._connection.execute(update(tables.keys).where(_K.identifier == identifier).values(last_used_at=at))


def _key(row: Row[Any]) -> KeyRow:
    return KeyRow(**{**row._mapping, "scopes": tuple(row.scopes.split())})
