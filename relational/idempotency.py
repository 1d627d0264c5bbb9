"""Answers that were given to requests with an Idempotency-Key, kept so that a repeated request gets the same one."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b

from sqlalchemy import Connection, delete, func, select, tuple_

from relational import tables
from relational.upsert import upsert

_I = tables.idempotency.c


@dataclass(frozen=True, slots=True)
class Stored:
    """An answer as it was given. `fingerprint` tells which request it answered; after `expires_at` it no longer counts."""

    fingerprint: str
    status: int
    headers: Mapping[str, str]
    body: bytes
    expires_at: datetime


class Idempotency:
    """The gateway to stored answers. A key belongs to the principal who used it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def find(self, principal: str, key: str) -> Stored | None:
        """The answer stored under a key, expired or not, or None."""
        query = select(_I.fingerprint, _I.status, _I.headers, _I.body, _I.expires_at).where(_I.principal == principal, _I.key == key)
        row = self._connection.execute(query).first()
        return Stored(row[0], row[1], json.loads(row[2]), bytes(row[3]), row[4]) if row is not None else None

    def lock(self, principal: str, key: str) -> bool:
        """
        Whether this transaction may answer for the key: False while another one is at it. Never waits on Postgres;
        SQLite has one writer at a time anyway.
        """
        if self._connection.dialect.name == "sqlite":
            return True
        return bool(self._connection.execute(select(func.pg_try_advisory_xact_lock(_lock_number(principal, key)))).scalar_one())

    def store(
        self,
        principal: str,
        key: str,
        fingerprint: str,
        status: int,
        headers: Mapping[str, str],
        body: bytes,
        created_at: datetime,
        expires_at: datetime,
    ) -> None:
        """Keep an answer, in place of an older one under the same key."""
        row = {
            "principal": principal,
            "key": key,
            "fingerprint": fingerprint,
            "status": status,
            "headers": json.dumps(dict(headers)),
            "body": body,
            "created_at": created_at,
            "expires_at": expires_at,
        }
        upsert(self._connection, tables.idempotency, row, "principal", "key")

    def sweep(self, now: datetime, limit: int) -> int:
        """Forget at most `limit` answers that have expired; how many those were. One that is replaced meanwhile stays."""
        has_expired = _I.expires_at <= now
        expired = select(_I.principal, _I.key).where(has_expired).order_by(_I.expires_at).limit(limit)
        return self._connection.execute(delete(tables.idempotency).where(tuple_(_I.principal, _I.key).in_(expired), has_expired)).rowcount


def _lock_number(principal: str, key: str) -> int:
    """A signed 64-bit number for an advisory lock. Two keys that share one merely wait for each other's end."""
    digest = blake2b(f"idempotency\0{principal}\0{key}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, signed=True)
