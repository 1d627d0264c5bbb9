"""
Pages of a collection: keyset paging by the number of the resource, or by what it is sorted by, so that pages stay stable under writes.

The cursor is opaque to clients; inside it names the collection, the order, and the place of the last resource that was shown.
"""

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

import orjson

from ld_server.domain.errors import InvalidParameter
from ld_server.http.parameters import hint
from ld_server.resources.kind import Document, Filter, Kind, Sort, whole
from relational.documents import Head

DEFAULT_LIMIT = 100
LARGEST_LIMIT = 1000
PAGE_PARAMETERS = ("limit", "after")
SORT = "sort"
MOST_COUNTED = 10_000
"""Members that meet filters are counted so far, which takes about a millisecond; all of a kind are counted by tallies."""

MOST_SORTS = 3
"""Keys to sort by; what is equal in three is a matter of the order of creation."""

_LIMIT = re.compile(r"[0-9]{1,9}\Z")
_CURSOR = re.compile(r"([A-Za-z_0-9]+):([0-9]{1,18})\Z")


@dataclass(frozen=True)
class Page:
    """
    How many members are shown, and after which number; None starts at the beginning.

    `order` are the columns that the collection is sorted by, and whether they fall; `values` what the place after which the page
    starts has in them. Without an order the members come by number.
    """

    limit: int = DEFAULT_LIMIT
    after: int | None = None
    order: tuple[tuple[str, bool], ...] = ()
    values: tuple[Any, ...] = ()


def page_of(parameters: Mapping[str, str], collection: str) -> Page:
    """The page that `limit` and `after` ask for, of a collection in the order of its numbers. Raises InvalidParameter."""
    limit = _limit(parameters["limit"]) if "limit" in parameters else DEFAULT_LIMIT
    return Page(limit, read_cursor(parameters["after"], collection) if "after" in parameters else None)


def limit_of(parameters: Mapping[str, str]) -> int:
    """How many members `limit` asks for. Raises InvalidParameter."""
    return _limit(parameters["limit"]) if "limit" in parameters else DEFAULT_LIMIT


def sorted_page_of(parameters: Mapping[str, str], kind: Kind) -> Page:
    """The page that `limit`, `after` and `sort` ask for. Raises InvalidParameter; an unknown key to sort by is told the nearest."""
    if SORT not in parameters:
        return page_of(parameters, kind.name)
    keys = _sort_keys(parameters[SORT], kind.sorts)
    limit = _limit(parameters["limit"]) if "limit" in parameters else DEFAULT_LIMIT
    order = tuple((kind.sorts[key].column, falls) for key, falls in keys)
    if "after" not in parameters:
        return Page(limit, None, order)
    number, values = _read_sorted_cursor(parameters["after"], kind.name, parameters[SORT], [kind.sorts[key] for key, _ in keys])
    return Page(limit, number, order, values)


def _sort_keys(text: str, sorts: Mapping[str, Sort]) -> list[tuple[str, bool]]:
    """`-updatedAt,name` as keys, each with whether it falls."""
    keys = [(one.strip().removeprefix("-"), one.strip().startswith("-")) for one in text.split(",")]
    for key, _ in keys:
        if key not in sorts:
            sentence, members = hint(key, tuple(sorts))
            raise InvalidParameter(f"The collection cannot be sorted by {key!r}. {sentence}", parameter=SORT, **members)
    if len({key for key, _ in keys}) < len(keys) or len(keys) > MOST_SORTS:
        raise InvalidParameter(f"sort takes at most {MOST_SORTS} keys, and each of them once.", parameter=SORT)
    return keys


def _limit(text: str) -> int:
    if not _LIMIT.match(text) or not 1 <= int(text) <= LARGEST_LIMIT:
        raise InvalidParameter(f"limit must be a whole number from 1 to {LARGEST_LIMIT}.", parameter="limit")
    return int(text)


def cursor(collection: str, number: int) -> str:
    """What `after` takes to go on behind this number."""
    return base64.urlsafe_b64encode(f"{collection}:{number}".encode()).rstrip(b"=").decode()


def read_cursor(text: str, collection: str) -> int:
    """The number in a cursor of this collection. Raises InvalidParameter for anything else."""
    match = _CURSOR.match(_decoded(text))
    if match is None or match[1] != collection:
        raise _no_cursor()
    return int(match[2])


def sorted_cursor(collection: str, sort: str, number: int, values: Sequence[Any]) -> str:
    """What `after` takes to go on behind the resource with this number, which has these values in what the collection is sorted by."""
    return base64.urlsafe_b64encode(orjson.dumps([collection, sort, number, *values])).rstrip(b"=").decode()


def _read_sorted_cursor(text: str, collection: str, sort: str, sorts: Sequence[Sort]) -> tuple[int, tuple[Any, ...]]:
    try:
        found = orjson.loads(_decoded_bytes(text))
        name, order, number, *values = found if isinstance(found, list) else [found]
        if (name, order) != (collection, sort):
            raise _no_cursor()
        return whole(number), tuple(None if value is None else one.read(value) for one, value in zip(sorts, values, strict=True))
    except (ValueError, TypeError, OverflowError):
        raise _no_cursor() from None


def _no_cursor() -> InvalidParameter:
    message = "after must be a cursor that this collection gave out in this order; take it from the next link."
    return InvalidParameter(message, parameter="after")


def _decoded(text: str) -> str:
    try:
        return _decoded_bytes(text).decode("ascii")
    except ValueError:
        return ""


def _decoded_bytes(text: str) -> bytes:
    """Raises ValueError."""
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


def conditions(parameters: Mapping[str, str], filters: Mapping[str, Filter], now: datetime) -> list[tuple[str, str, Any]]:
    """Column, operator and value for every filter that is given. Raises InvalidParameter for a value that it does not take."""
    given = ((name, text, filters[name]) for name, text in parameters.items() if name in filters)
    compared = ((one, value_of(name, text, one)) for name, text, one in given)
    return [(one.column, one.operator, (value, now) if one.is_timed else value) for one, value in compared]


def value_of(name: str, text: str, one: Filter) -> Any:
    """What the text of a parameter means. Raises InvalidParameter for a value that it does not take."""
    if one.allowed and text not in one.allowed:
        raise InvalidParameter(f"{name} must be one of {', '.join(one.allowed)}, not {text!r}.", parameter=name, allowed=list(one.allowed))
    try:
        return one.read(text)
    except (ValueError, OverflowError) as error:
        raise InvalidParameter(f"{name} cannot be {text!r}: {error}.{_plus_hint(text)}", parameter=name) from None


def _plus_hint(text: str) -> str:
    return " (In a query string `+` means a blank; write %2B.)" if " " in text else ""


@dataclass(frozen=True)
class CollectionPage:
    """
    One page of a collection as it is shown. `iri` is the collection's, `filters` the parameters that narrow and sort it,
    `total` the number of members on all pages, None for more than MOST_COUNTED; `next_after` the cursor of the next page, if there
    is one.
    """

    iri: str
    filters: Mapping[str, str]
    page: Mapping[str, str]
    total: int | None
    next_after: str | None

    @property
    def next(self) -> str | None:
        """The IRI of the next page."""
        return None if self.next_after is None else _with_query(self.iri, {**self.filters, **self._limit, "after": self.next_after})

    @property
    def first(self) -> str:
        """The IRI of the first page."""
        return _with_query(self.iri, {**self.filters, **self._limit})

    @property
    def _limit(self) -> dict[str, str]:
        return {"limit": self.page["limit"]} if "limit" in self.page else {}

    def document(self, context: object) -> dict[str, Any]:
        """Everything but the members, in Hydra's terms."""
        view = {"@id": _with_query(self.iri, {**self.filters, **self.page}), "@type": "PartialCollectionView"}
        return {
            "@context": context,
            "@id": _with_query(self.iri, self.filters),
            "@type": "Collection",
            **({"totalItemsAbove": MOST_COUNTED} if self.total is None else {"totalItems": self.total}),
            "view": {**view, "next": self.next} if self.next else view,
        }


def collection_page(iri: str, parameters: Mapping[str, str], total: int | None, next_after: str | None) -> CollectionPage:
    """The page that a request with these parameters asked for."""
    page = {name: parameters[name] for name in PAGE_PARAMETERS if name in parameters}
    filters = {name: value for name, value in parameters.items() if name not in PAGE_PARAMETERS}
    return CollectionPage(iri, filters, page, total, next_after)


def cut(numbers: Sequence[int], page: Page, collection: str) -> tuple[int, str | None]:
    """How many of `limit + 1` found members are shown, and the cursor behind the last of them when more follow."""
    if len(numbers) <= page.limit:
        return len(numbers), None
    return page.limit, cursor(collection, numbers[page.limit - 1])


def cut_sorted(heads: Sequence[Head], page: Page, sort: str | None, kind: Kind) -> tuple[int, str | None]:
    """As `cut`, of resources in the order of the page; `sort` is the text that asked for it."""
    if sort is None or len(heads) <= page.limit:
        return cut([head.number for head in heads], page, kind.name)
    last = heads[page.limit - 1]
    document: Document = orjson.loads(last.body)
    row = kind.index_row(document)
    return page.limit, sorted_cursor(kind.name, sort, last.number, [row[column] for column, _ in page.order])


def _with_query(iri: str, parameters: Mapping[str, str]) -> str:
    return f"{iri}?{urlencode(parameters)}" if parameters else iri
