"""
Names of files: what is kept of what somebody calls a file, and how it is told to whoever downloads it (RFC 6266, RFC 8187).

A name is for people. No path is ever made of it.
"""

from unicodedata import category, normalize

LONGEST = 255
"""Characters."""

_UNSEEN = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
"""Controls, marks that turn the direction of writing around, halves of characters, separators of lines."""

_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$&+-.^_`|~")
"""What needs no escape in an extended parameter (RFC 8187, attr-char)."""

_QUOTED = _PLAIN | frozenset(" '()[]{},;@=")
"""What may stand between quotes and means the same to every browser."""


def kept(name: str) -> str:
    """The last step of what may be a path, without characters that nobody sees. Raises ValueError when nothing is left."""
    last = normalize("NFC", name).replace("\\", "/").rstrip("/ ").rpartition("/")[2]
    seen = " ".join("".join(one for one in last if category(one) not in _UNSEEN).split())
    if not seen.strip(". ") or len(seen) > LONGEST:
        raise ValueError(f"fileName must be the name of a file, with 1 to {LONGEST} characters")
    return seen


def disposition(name: str) -> str:
    """The Content-Disposition under which a file is saved by this name, whatever characters it has."""
    plain = "".join(one if one in _QUOTED else "_" for one in name)
    extended = "".join(one if one in _PLAIN else "".join(f"%{octet:02X}" for octet in one.encode()) for one in name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{extended}"
