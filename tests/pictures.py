"""Pictures and other files to attach, made on the spot."""

from io import BytesIO
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

from PIL import Image

MAKER, ORIENTATION, EXIF, POSITION = 0x010F, 0x0112, 0x8769, 0x8825
PDF = b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\ntrailer\n<<>>\n%%EOF\n"
XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description xmlns:exif="http://ns.adobe.com/exif/1.0/" exif:GPSLatitude="52,31.2N">'
    b"<exif:GPSLongitude>13,24.0E</exif:GPSLongitude></rdf:Description></rdf:RDF></x:xmpmeta>"
)


def described(taken: str | None = "2026:11:20 10:15:00", zone: str | None = "+01:00", position: bool = True, turned: int = 1) -> Image.Exif:
    """What a camera writes beside a picture."""
    exif = Image.Exif()
    exif[MAKER], exif[ORIENTATION] = "Workshop", turned
    inner = exif.get_ifd(EXIF)
    inner |= {number: text for number, text in ((0x9003, taken), (0x9011, zone)) if text is not None}
    if position:
        exif.get_ifd(POSITION).update({1: "N", 2: (52.0, 31.0, 12.0), 3: "E", 4: (13.0, 24.0, 0.0), 29: "2026:11:20"})
    return exif


def picture(form: str = "JPEG", size: tuple[int, int] = (640, 400), mode: str = "RGB", **more: Any) -> bytes:
    """A picture with colours that can be told apart."""
    written = BytesIO()
    image = Image.linear_gradient("L").resize(size).convert(mode)
    image.save(written, form, **more)
    return written.getvalue()


def position_of(content: bytes) -> dict[int, Any]:
    """Where a picture was taken, as readers of EXIF see it."""
    with Image.open(BytesIO(content)) as image:
        return dict(image.getexif().get_ifd(POSITION))


def pixels_of(content: bytes) -> bytes:
    with Image.open(BytesIO(content)) as image:
        return image.convert("RGB").tobytes()


def bomb(unpacked: int = 64 * 1024 * 1024) -> bytes:
    """An archive that is small and unpacks to very much."""
    written = BytesIO()
    with ZipFile(written, "w", ZIP_DEFLATED) as archive:
        archive.writestr("word/document.xml", bytes(unpacked))
    return written.getvalue()


def archive(*names: str) -> bytes:
    """A harmless archive."""
    written = BytesIO()
    with ZipFile(written, "w", ZIP_DEFLATED) as file:
        for name in names or ("word/document.xml",):
            file.writestr(name, f"<p>{name}</p>")
    return written.getvalue()
