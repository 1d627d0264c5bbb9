"""
Pictures: how large they are, when they were taken, a small one to show in lists, and where they were taken: which is taken out.

A position is overwritten in its place, in the bytes of the file: the picture itself is never encoded again and loses nothing. What is
left is looked at once more; a picture that still tells where it was taken is refused.
"""

import re
import struct
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from threading import BoundedSemaphore
from typing import Any

from PIL import Image, ImageOps, UnidentifiedImageError

from ld_server.domain.errors import ContentRefused

READERS: Mapping[str, str] = {"image/jpeg": "JPEG", "image/png": "PNG", "image/webp": "WEBP", "image/gif": "GIF"}
"""Media type → the one reader of Pillow that may look at it."""

LARGEST = 64 * 1024 * 1024
"""Bytes of a picture, which is held as a whole; a camera makes 5 to 30 MiB."""
MOST_PIXELS: Mapping[str, int] = {"image/jpeg": 80_000_000}
OTHERWISE_MOST_PIXELS = 50_000_000
"""A JPEG is read at an eighth of its size; the others have to be unpacked as a whole."""

THUMBNAIL = (480, 480)
THUMBNAIL_TYPE = "image/jpeg"

_AT_WORK = BoundedSemaphore(2)
"""Pictures that are unpacked at the same time in one process: it takes up to 200 MB each."""

_EXIF, _POSITION, _TAKEN, _ZONE = 0x8769, 0x8825, 0x9003, 0x9011
"""Tags of EXIF 2.32."""


@dataclass(frozen=True)
class Picture:
    """
    What was found in a picture, and its bytes without its position. `width` and `height` are as people see it. `taken_at` is an instant
    in UTC where the camera knew its zone, else a local time; None where it knew neither.
    """

    content: bytes
    width: int
    height: int
    taken_at: str | None
    lost_position: bool
    thumbnail: bytes


def looked_at(content: bytes, media_type: str, keeps_position: bool) -> Picture:
    """The picture in these bytes. Raises ContentRefused for what cannot be read, is too large, or cannot be made to forget its position."""
    with _AT_WORK, _damage():
        cleaned = content if keeps_position else _without_position(content, media_type)
        with _opened(cleaned, media_type) as picture:
            taken_at = _taken_at(picture)
            turned = picture.getexif().get(0x0112) in (5, 6, 7, 8)
            width, height = picture.size[::-1] if turned else picture.size
            return Picture(cleaned, width, height, taken_at, cleaned != content, _thumbnail(picture))


@contextmanager
def _damage() -> Iterator[None]:
    """Pillow has many ways to say that a picture is damaged."""
    try:
        yield
    except Image.DecompressionBombError:
        raise ContentRefused("The picture has too many pixels.") from None
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, struct.error, zlib.error, EOFError, IndexError, TypeError) as error:
        raise ContentRefused("The picture is damaged: it cannot be read to its end.") from error


def _opened(content: bytes, media_type: str) -> Image.Image:
    """The picture before it is unpacked. Raises ContentRefused when that would take too much memory."""
    picture = Image.open(BytesIO(content), formats=[READERS[media_type]])
    most = MOST_PIXELS.get(media_type, OTHERWISE_MOST_PIXELS)
    if picture.width * picture.height > most:
        pixels = f"{picture.width} × {picture.height}"
        raise ContentRefused(f"The picture has {pixels} pixels; at most {most} are taken.", width=picture.width, height=picture.height)
    return picture


def _thumbnail(picture: Image.Image) -> bytes:
    picture.draft("RGB", (THUMBNAIL[0] * 2, THUMBNAIL[1] * 2))
    small = picture.copy()
    small.thumbnail(THUMBNAIL)
    small = ImageOps.exif_transpose(small)
    if small.mode not in ("RGB", "L"):
        small = _on_white(small.convert("RGBA"))
    written = BytesIO()
    small.save(written, "JPEG", quality=80, exif=b"")
    return written.getvalue()


def _on_white(picture: Image.Image) -> Image.Image:
    ground = Image.new("RGBA", picture.size, "white")
    return Image.alpha_composite(ground, picture).convert("RGB")


def _taken_at(picture: Image.Image) -> str | None:
    told = picture.getexif().get_ifd(_EXIF)
    try:
        moment = datetime.strptime(f"{told.get(_TAKEN)}{told.get(_ZONE) or ''}", "%Y:%m:%d %H:%M:%S%z")
    except ValueError:
        return _local_time(str(told.get(_TAKEN)))
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _local_time(text: str) -> str | None:
    try:
        return datetime.strptime(text, "%Y:%m:%d %H:%M:%S").isoformat()
    except ValueError:
        return None


# --- positions --------------------------------------------------------------------------------------------------------


def _without_position(content: bytes, media_type: str) -> bytes:
    """The same bytes, of the same length, with nothing in the place of every position. Raises ContentRefused where one stays."""
    if not _tells_position(content, media_type):
        return content
    blanked = bytearray(content)
    for start in _exif_blocks(content):
        _blank_position(blanked, start)
    for found in _XMP_POSITION.finditer(content):
        blanked[found.start(1) : found.end(1)] = b" " * len(found[1])
    if media_type == "image/png":
        _sum_up_again(blanked)
    if _tells_position(bytes(blanked), media_type):
        raise ContentRefused("The picture tells where it was taken in a way that cannot be taken out here; take it out before.")
    return bytes(blanked)


_XMP_POSITION = re.compile(
    rb"(\bexif:GPS\w+\s*=\s*\"[^\"]*\"|\bexif:GPS\w+\s*=\s*'[^']*'|<exif:GPS\w+>.{0,4000}?</exif:GPS\w+>)", re.DOTALL
)


def _tells_position(content: bytes, media_type: str) -> bool:
    with Image.open(BytesIO(content), formats=[READERS[media_type]]) as picture:
        described = any(b"exif:GPS" in _bytes(value) for value in picture.info.values())
        has_tags = bool(picture.getexif().get_ifd(_POSITION))
    return has_tags or described or b"exif:GPS" in content or any(_has_position(content, start) for start in _exif_blocks(content))


def _bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else value.encode("utf-8", "replace") if isinstance(value, str) else b""


_TIFF = re.compile(rb"(?:Exif\x00\x00|eXIf|EXIF.{4}(?:Exif\x00\x00)?)(?=II\*\x00|MM\x00\*)", re.DOTALL)


def _exif_blocks(content: bytes) -> list[int]:
    """Where a block of EXIF begins, in a JPEG, a PNG or a WebP, also in a picture within the picture."""
    return [found.end() for found in _TIFF.finditer(content)]


_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
"""Bytes of a value of each type (TIFF 6.0, section 2)."""
_MOST_DIRECTORIES, _MOST_TAGS = 8, 512


def _positions(content: bytes | bytearray, start: int) -> Iterator[tuple[int, str]]:
    """Where the directories of positions of an EXIF block stand, with the byte order. What cannot be followed ends it."""
    if start + 8 > len(content):
        return
    order = "<" if content[start : start + 2] == b"II" else ">"
    (place,) = struct.unpack_from(f"{order}L", content, start + 4)
    for _ in range(_MOST_DIRECTORIES):
        if place == 0 or start + place + 2 > len(content):
            return
        (count,) = struct.unpack_from(f"{order}H", content, start + place)
        if count > _MOST_TAGS or start + place + 6 + 12 * count > len(content):
            return
        for number in range(count):
            tag, _type, _count, value = struct.unpack_from(f"{order}HHLL", content, start + place + 2 + 12 * number)
            if tag == _POSITION and start + value + 2 <= len(content):
                yield start + value, order
        (place,) = struct.unpack_from(f"{order}L", content, start + place + 2 + 12 * count)


def _has_position(content: bytes, start: int) -> bool:
    return any(struct.unpack_from(f"{order}H", content, place) != (0,) for place, order in _positions(content, start))


def _blank_position(content: bytearray, start: int) -> None:
    """A directory with no entries is what stays."""
    for place, order in list(_positions(content, start)):
        (count,) = struct.unpack_from(f"{order}H", content, place)
        count = min(count, (len(content) - place - 2) // 12)
        for number in range(count):
            _, kind, length, value = struct.unpack_from(f"{order}HHLL", content, place + 2 + 12 * number)
            octets = _SIZES.get(kind, 0) * length
            if 4 < octets <= 65_536 and start + value + octets <= len(content):
                content[start + value : start + value + octets] = bytes(octets)
        content[place : place + 2 + 12 * count] = bytes(2 + 12 * count)


def _sum_up_again(content: bytearray) -> None:
    """Each chunk of a PNG ends with a checksum over its type and data."""
    place = 8
    while place + 12 <= len(content):
        (length,) = struct.unpack_from(">L", content, place)
        end = place + 8 + length
        if end + 4 > len(content):
            return
        struct.pack_into(">L", content, end, zlib.crc32(content[place + 4 : end]))
        place = end + 4
