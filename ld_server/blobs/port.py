"""What the service asks of a store of blobs. Every backend keeps the same promises; tests/contract/test_blob_store.py holds them to it."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from ld_server.blobs.links import Links

CHUNK = 256 * 1024
"""Bytes that are held at a time, however large a blob is."""

_KEY = re.compile(r"[a-z0-9][a-z0-9_-]{2,99}\Z")


class NoBlob(LookupError):
    """There is no blob under this key."""


@dataclass(frozen=True)
class Blob:
    """A blob that is there, whole."""

    key: str
    size: int
    modified_at: datetime


@dataclass(frozen=True)
class Upload:
    """How a client uploads by itself: the request that it has to send, with these headers, before the link expires."""

    url: str
    method: str = "PUT"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Download:
    """How a blob is to leave: its media type and its Content-Disposition."""

    content_type: str
    disposition: str


class BlobStore(Protocol):
    """
    Bytes under keys (small letters, digits, `-` and `_`). A blob is there as a whole or not at all, whatever dies while it is written.

    Nothing is ever held in memory as a whole. Every method raises ValueError for what is no key, and StoreUnavailable when the store
    cannot be reached.
    """

    provider: str
    """The seed's storage_provider."""
    links: Links | None
    """The signed links that lead to this server itself; None where clients speak to the store."""

    @property
    def origin(self) -> str | None:
        """The origin where clients speak to the store, `https://bucket.example.com`; None where they come to us, or it cannot be told."""

    def put(self, key: str, chunks: Iterable[bytes], content_type: str) -> int:
        """Write a blob, or replace it, and give its size. When the chunks raise, nothing has changed."""

    def get(self, key: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """The bytes from `start` up to and without `end`, in chunks. Raises NoBlob at once, not at the first chunk."""

    def head(self, key: str) -> Blob | None:
        """The blob without its bytes, or None."""

    def copy(self, source: str, target: str) -> None:
        """Keep a blob, as it is now, under a second key too, where it replaces what was there. Raises NoBlob."""

    def delete(self, key: str) -> None:
        """Remove a blob; one that is not there is removed already."""

    def list(self, prefix: str = "") -> Iterator[Blob]:
        """Every blob whose key starts with `prefix`."""

    def upload(self, key: str, content_type: str, size: int, now: datetime, lifetime: timedelta) -> Upload:
        """How a client uploads exactly `size` bytes by itself."""

    def download(self, key: str, told: Download, now: datetime, lifetime: timedelta) -> str:
        """A link by which anybody gets the bytes until it expires, as a file that is told so."""

    def sweep(self, before: datetime) -> int:
        """Remove what is left of writes that began before and never ended; how many that were."""

    def ping(self) -> None:
        """Return when the store answers."""

    def close(self) -> None:
        """Give connections back."""


def checked(key: str) -> str:
    """The key. Raises ValueError for what is none: no path, no dot, nothing that a file system or a URL takes for more than a name."""
    if not _KEY.match(key):
        raise ValueError(f"{key!r} is no key of a blob")
    return key
