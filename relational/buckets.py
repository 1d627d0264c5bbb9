"""
How time is cut into buckets, from hours to blocks of days, all in UTC, and which of them make up a window.

Instants are counted in whole microseconds: the last instant of a bucket is one before the first of the next.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from ld_server.domain.window import EARLIEST, LATEST, Window
from relational.tables import EPOCH, MICROSECOND

HOUR, DAY = 3_600, 86_400
"""In seconds."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Whole buckets of a span, from the first to the last. `inside`: they lie in the window, and not before it."""

    span: int
    first: int
    last: int
    inside: bool


@dataclass(frozen=True, slots=True)
class Edge:
    """Time that no whole bucket covers, from the first instant to the last. `inside`: it lies in the window, and not before it."""

    first: datetime
    last: datetime
    inside: bool


@dataclass(frozen=True, slots=True)
class Pieces:
    """Time in pieces that do not overlap: whole buckets, as large as can be, and what is left at the edges."""

    stretches: tuple[Stretch, ...]
    edges: tuple[Edge, ...]


def bucket_of(at: datetime, span: int) -> int:
    """The bucket of so many seconds that an instant lies in. They are counted from 1970."""
    return (at - EPOCH) // timedelta(seconds=span)


def first_of(bucket: int, span: int) -> datetime:
    """The first instant of a bucket; of the first bucket that there is, the first instant of time."""
    return EARLIEST if bucket <= bucket_of(EARLIEST, span) else EPOCH + bucket * timedelta(seconds=span)


def last_of(bucket: int, span: int) -> datetime:
    """The last instant of a bucket; of the last bucket that there is, the last instant of time."""
    return LATEST if bucket >= bucket_of(LATEST, span) else EPOCH + (bucket + 1) * timedelta(seconds=span) - MICROSECOND


@dataclass(frozen=True, slots=True)
class Layout:
    """The spans of the buckets in seconds, the shortest first; each is a multiple of the one before it."""

    spans: tuple[int, ...]

    @property
    def shortest(self) -> int:
        return self.spans[0]

    def pieces(self, window: Window) -> Pieces:
        """All time up to and with the first instant of the window, and the rest of the window up to its end."""
        stretches = (*self._stretches_before(window.start), *self._stretches_within(window))
        edges = (self._edge_before(window.start), *self._edges_within(window))
        return Pieces(tuple(one for one in stretches if one.first <= one.last), tuple(one for one in edges if one.first <= one.last))

    def _edge_before(self, at: datetime) -> Edge:
        return Edge(first_of(bucket_of(at, self.shortest), self.shortest), at, False)

    def _stretches_before(self, at: datetime) -> Iterator[Stretch]:
        longest = self.spans[-1]
        yield Stretch(longest, bucket_of(EARLIEST, longest), bucket_of(at, longest) - 1, False)
        for span, longer in pairwise(self.spans):
            yield Stretch(span, bucket_of(at, longer) * (longer // span), bucket_of(at, span) - 1, False)

    def _edges_within(self, window: Window) -> Iterator[Edge]:
        first, last = window.start + MICROSECOND, window.end - MICROSECOND
        low, high = (bucket_of(at, self.shortest) for at in (window.start, last))
        if low == high:
            yield Edge(first, last, True)
        else:
            yield Edge(first, last_of(low, self.shortest), True)
            yield Edge(first_of(high, self.shortest), last, True)

    def _stretches_within(self, window: Window) -> Iterator[Stretch]:
        """The buckets after that of the start and before that of the end, of a longer span where a whole one lies between."""
        low, high = (bucket_of(at, self.shortest) for at in (window.start, window.end - MICROSECOND))
        for span, longer in pairwise(self.spans):
            ratio = longer // span
            yield Stretch(span, low + 1, min(high, (low // ratio + 1) * ratio) - 1, True)
            if low // ratio < high // ratio:
                yield Stretch(span, high // ratio * ratio, high - 1, True)
            low, high = low // ratio, high // ratio
        yield Stretch(self.spans[-1], low + 1, high - 1, True)


def buckets_around(buckets: Iterable[tuple[str, int]], ratio: int) -> list[tuple[str, int]]:
    """Pool and bucket, for each longer bucket that has one of these in it."""
    return sorted({(pool, bucket // ratio) for pool, bucket in buckets})
