"""
What is in a file, whatever it is said to be: its digest, its media type by the first bytes, and whether it would burst when it is unpacked.

Nothing is unpacked here, and a file passes through in chunks.
"""

import hashlib
import struct
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from io import BufferedReader, RawIOBase
from typing import Any, cast

from ld_server.blobs.port import CHUNK, BlobStore
from ld_server.domain.errors import ContentRefused

HEAD = 4096
"""Bytes by which a media type is known."""

SIGNATURES: tuple[tuple[str, int, bytes], ...] = (
    ("image/jpeg", 0, b"\xff\xd8\xff"),
    ("image/png", 0, b"\x89PNG\r\n\x1a\n"),
    ("image/gif", 0, b"GIF87a"),
    ("image/gif", 0, b"GIF89a"),
    ("image/webp", 8, b"WEBP"),
    ("image/tiff", 0, b"II*\x00"),
    ("image/tiff", 0, b"MM\x00*"),
    ("image/bmp", 0, b"BM"),
    ("image/heic", 4, b"ftypheic"),
    ("image/heic", 4, b"ftypheix"),
    ("image/heif", 4, b"ftypmif1"),
    ("image/avif", 4, b"ftypavif"),
    ("video/quicktime", 4, b"ftypqt  "),
    ("video/mp4", 4, b"ftyp"),
    ("video/webm", 0, b"\x1a\x45\xdf\xa3"),
    ("application/pdf", 0, b"%PDF-"),
    ("application/zip", 0, b"PK\x03\x04"),
    ("application/zip", 0, b"PK\x05\x06"),
    ("application/gzip", 0, b"\x1f\x8b"),
    ("application/x-executable", 0, b"\x7fELF"),
    ("application/x-executable", 0, b"MZ"),
    ("application/x-rar-compressed", 0, b"Rar!\x1a\x07"),
    ("application/x-7z-compressed", 0, b"7z\xbc\xaf\x27\x1c"),
)
"""Media type, and the bytes that its files have at an offset; the first that fits counts."""

PACKED: Mapping[str, tuple[str, ...]] = {
    "application/zip": ("application/vnd.openxmlformats-officedocument.", "application/vnd.oasis.opendocument.", "application/epub+zip"),
    "video/webm": ("video/x-matroska",),
}
"""What files look like from outside → the beginnings of the media types that they may have inside."""

TEXT = "text/plain"

LARGEST_RATIO = 200
HARMLESS = 16 * 1024 * 1024
"""An archive bursts when it unpacks to more than this, and to more than so many times its size."""
MOST_ENTRIES = 10_000
LARGEST_DIRECTORY = 4 * 1024 * 1024
"""Bytes of the list of what is in an archive."""


@dataclass(frozen=True)
class Facts:
    """What was found: the number of bytes, their SHA-256 in hex, the first of them."""

    size: int
    sha256: str
    head: bytes


def facts(chunks: Iterable[bytes]) -> Facts:
    """The facts about a file, which passes through once."""
    digest, size, head = hashlib.sha256(), 0, b""
    for chunk in chunks:
        digest.update(chunk)
        size += len(chunk)
        if len(head) < HEAD:
            head += chunk[: HEAD - len(head)]
    return Facts(size, digest.hexdigest(), head)


def sniffed(head: bytes) -> str:
    """The media type by the first bytes; empty for what no signature fits and is no text either."""
    for media_type, offset, signature in SIGNATURES:
        if head.startswith(signature, offset):
            return media_type
    return TEXT if _is_text(head) else ""


def _is_text(head: bytes) -> bool:
    """Whether it is UTF-8 without control characters that no text has; a character may be cut off at the end."""
    for cut in range(4):
        try:
            text = head[: len(head) - cut].decode("utf-8")
        except UnicodeDecodeError:
            continue
        return not any(character < " " and character not in "\t\n\r\f\x1b" for character in text)
    return False


def refuse_another_type(declared: str, head: bytes) -> None:
    """Raises ContentRefused when the first bytes are those of another media type than the declared one."""
    found = sniffed(head)
    known = {media_type for media_type, _, _ in SIGNATURES}
    if found == declared or declared.startswith(PACKED.get(found, ("\x00",))):
        return
    if found == TEXT and declared.startswith("text/"):
        return
    if not found and declared not in known and not declared.startswith("text/"):
        return
    looks = f"looks like {found}" if found else "does not look like it"
    raise ContentRefused(f"The file was said to be {declared}, and {looks}.", field="contentType", declared=declared, found=found or None)


def refuse_burst(store: BlobStore, key: str, size: int) -> None:
    """Raises ContentRefused for an archive that would unpack to very much more than it is, or whose list cannot be read."""
    file = _File(store, key, size)
    _refuse_long_list(file, size)
    try:
        with zipfile.ZipFile(cast(Any, BufferedReader(file, CHUNK))) as archive:
            unpacked = sum(one.file_size for one in archive.infolist())
    except (zipfile.BadZipFile, ValueError, NotImplementedError, struct.error, UnicodeDecodeError) as error:
        raise ContentRefused("The archive is damaged.") from error
    if unpacked > max(HARMLESS, LARGEST_RATIO * size):
        raise ContentRefused(f"The archive has {size} bytes and would unpack to {unpacked}.", unpacked=unpacked)


_END = struct.Struct("<4s4H2LH")


def _refuse_long_list(file: "_File", size: int) -> None:
    """The list stands at the end; how long it is, is said behind it."""
    file.seek(max(0, size - 65_557))
    tail = file.read(65_557) or b""
    place = tail.rfind(b"PK\x05\x06")
    if place < 0 or len(tail) - place < _END.size:
        raise ContentRefused("The archive is damaged.")
    _, _, _, _, entries, directory, _, _ = _END.unpack_from(tail, place)
    if entries > MOST_ENTRIES or directory > LARGEST_DIRECTORY:
        raise ContentRefused(f"The archive has more than {MOST_ENTRIES} entries.")


class _File(RawIOBase):
    """A blob as a file that can be read from anywhere."""

    def __init__(self, store: BlobStore, key: str, size: int) -> None:
        self._store, self._key, self._size, self._at = store, key, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = 0) -> int:
        """Raises ValueError for a place before the beginning."""
        place = offset + (0, self._at, self._size)[whence]
        if place < 0:
            raise ValueError("there is nothing before the beginning")
        self._at = place
        return place

    def readinto(self, buffer: Any) -> int:
        """Fills the buffer as far as there are bytes."""
        wanted = memoryview(buffer).cast("B")
        filled = 0
        for chunk in self._store.get(self._key, self._at, min(self._at + len(wanted), self._size)):
            wanted[filled : filled + len(chunk)] = chunk
            filled += len(chunk)
        self._at += filled
        return filled
