"""Content codings (RFC 9110, section 12.5.3): what is long is sent compressed to whoever takes it so."""

import re
import zlib
from collections.abc import Iterable, Iterator
from functools import lru_cache

GZIP = "gzip"

_CODING = re.compile(r"\s*([!#$%&'*+.^_`|~0-9A-Za-z-]+)\s*(?:;\s*[qQ]\s*=\s*([0-9.]+)\s*)?\Z")
_GZIP_WINDOW = 31
_LEVEL = 6


@lru_cache(maxsize=256)
def takes_gzip(accept_encoding: str) -> bool:
    """Whether the client likes gzip at least as well as no coding at all. What cannot be read in the header is passed over."""
    found = [match for match in map(_CODING.match, accept_encoding.split(",")) if match]
    weights = {match[1].lower(): _weight(match[2]) for match in found}
    gzip = weights.get(GZIP, weights.get("x-gzip", weights.get("*", 0.0)))
    return gzip > 0 and gzip >= weights.get("identity", 0.0)


def _weight(text: str | None) -> float:
    try:
        return 1.0 if text is None else float(text)
    except ValueError:
        return 0.0


def gzipped(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes, compressed while they pass."""
    compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP_WINDOW)
    yield from filter(None, map(compressor.compress, pieces))
    yield compressor.flush()
