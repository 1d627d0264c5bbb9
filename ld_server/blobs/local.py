"""Blobs as files. A file is written beside its place, brought to the disk, and put there by a rename: it is there whole or not at all."""

import errno
import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

from ld_server.blobs.links import Links
from ld_server.blobs.port import CHUNK, Blob, Download, NoBlob, Upload, checked
from ld_server.blobs.secret import secrets_of
from ld_server.domain.errors import StoreUnavailable
from ld_server.settings import InvalidSetting, Settings

KEPT, UNDER_WAY = "kept", "under-way"
"""Directories: the blobs, and what is still being written."""


class LocalStore:
    """The blobs in a directory, which is made with the first of them."""

    provider = "local"
    origin: str | None = None

    def __init__(self, directory: Path, links: Links) -> None:
        self._kept = directory / KEPT
        self._under_way = directory / UNDER_WAY
        self.links: Links | None = links
        self._links = links

    def put(self, key: str, chunks: Iterable[bytes], content_type: str) -> int:
        with self._arriving(key) as draft:
            return _write(draft, chunks)

    def get(self, key: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        with _outages(), _missing(key):
            stream = self._place(key).open("rb")
        return _read(stream, start, end)

    def head(self, key: str) -> Blob | None:
        place = self._place(key)
        with _outages(), suppress(FileNotFoundError):
            return _blob(place)
        return None

    def copy(self, source: str, target: str) -> None:
        """A second name of the same file, where the disk knows such: no file is ever written again, only replaced by another."""
        old = self._place(source)
        with self._arriving(target) as draft:
            with _outages(), _missing(source):
                is_linked = _link(old, draft)
            if not is_linked:
                _write(draft, self.get(source))

    def delete(self, key: str) -> None:
        with _outages():
            self._place(key).unlink(missing_ok=True)

    def list(self, prefix: str = "") -> Iterator[Blob]:
        with _outages():
            for place in sorted(self._kept.glob("*/*")):
                with suppress(FileNotFoundError):
                    if place.name.startswith(prefix):
                        yield _blob(place)

    def upload(self, key: str, content_type: str, size: int, now: datetime, lifetime: timedelta) -> Upload:
        url = self._links.made("PUT", checked(key), now + lifetime, size=str(size), type=content_type)
        return Upload(url, headers={"Content-Type": content_type})

    def download(self, key: str, told: Download, now: datetime, lifetime: timedelta) -> str:
        return self._links.made("GET", checked(key), now + lifetime, type=told.content_type, disposition=told.disposition)

    def sweep(self, before: datetime) -> int:
        count = 0
        with _outages():
            for draft in self._under_way.glob("*"):
                with suppress(FileNotFoundError):
                    if draft.stat().st_mtime < before.timestamp():
                        draft.unlink()
                        count += 1
        return count

    def ping(self) -> None:
        with _outages():
            self._kept.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not os.access(self._kept, os.W_OK | os.X_OK):
            raise StoreUnavailable("The directory of attachments cannot be written to.")

    def close(self) -> None:
        """Nothing is held open."""

    @contextmanager
    def _arriving(self, key: str) -> Iterator[Path]:
        """Where a blob is written; it comes to its place at the end, and if anything is raised there is nothing of it."""
        place = self._place(key)
        with _outages():
            self._under_way.mkdir(parents=True, exist_ok=True, mode=0o700)
            draft = self._under_way / f"{key}-{secrets.token_hex(8)}"
        try:
            yield draft
            with _outages():
                place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                draft.replace(place)
                _bring_to_disk(place.parent)
        finally:
            draft.unlink(missing_ok=True)

    def _place(self, key: str) -> Path:
        """In one of many directories, by the end of the key, which is random: none of them becomes large."""
        return self._kept / checked(key)[-2:] / key


def open_local_store(settings: Settings) -> LocalStore:
    """The store at `file:///<directory>`. Raises InvalidSetting for a URL without an absolute path."""
    parts = urlsplit(settings.blob_url)
    if parts.netloc not in ("", "localhost") or not parts.path.startswith("/"):
        raise InvalidSetting("LD_BLOB_URL must be file:///<directory> or s3://<bucket>/<prefix>")
    known = cache(lambda: secrets_of(settings))
    return LocalStore(Path(unquote(parts.path)), Links(settings.base_iri, known))


def _write(draft: Path, chunks: Iterable[bytes]) -> int:
    size = 0
    with _outages():
        stream = os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb", buffering=0)
    with stream:
        for chunk in chunks:
            with _outages():
                stream.write(chunk)
            size += len(chunk)
        with _outages():
            os.fsync(stream.fileno())
    return size


def _link(old: Path, new: Path) -> bool:
    """Whether a file could be given a second name; it counts as written now. Raises OSError for all but a disk that has no such names."""
    try:
        os.link(old, new)
    except OSError as error:
        if error.errno in _NO_SECOND_NAMES:
            return False
        raise
    os.utime(new)
    return True


_NO_SECOND_NAMES = {errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}


def _read(stream: BinaryIO, start: int, end: int | None) -> Iterator[bytes]:
    with stream:
        stream.seek(start)
        left = None if end is None else max(end - start, 0)
        while chunk := stream.read(CHUNK if left is None else min(CHUNK, left)):
            yield chunk
            left = None if left is None else left - len(chunk)


def _blob(place: Path) -> Blob:
    found = place.stat()
    return Blob(place.name, found.st_size, datetime.fromtimestamp(found.st_mtime, UTC))


def _bring_to_disk(directory: Path) -> None:
    """A rename is safe once the directory itself is on the disk."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _missing(key: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise NoBlob(key) from None


@contextmanager
def _outages() -> Iterator[None]:
    """A disk that is full, gone or forbidden is a store that cannot be reached now; a file that is not there is none of it."""
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        raise StoreUnavailable(f"The directory of attachments cannot be used: {error.strerror or 'it failed'}.") from error
