"""
Which of the media types on offer a client gets: RFC 9110, sections 8.3.1, 12.4.2 and 12.5.1, and nothing else.

Everything here is pure and cached by the text of the header, so that a request costs one dictionary look-up.
What cannot be read in a header is passed over; a header of which nothing can be read counts as absent.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Protocol, TypeVar

from ld_server.domain.errors import InvalidParameter, NotAcceptable
from ld_server.rdf.formats import FORMATS, JSON_LD, Format
from ld_server.rdf.representation import COMPACTED, EXPANDED, FLATTENED

_NAME = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_QUOTED = r'"(?:[^"\\]|\\.)*"'
_RANGE = re.compile(rf"\s*({_NAME})(?:\s*/\s*({_NAME}))?\s*")
_PARAMETER = re.compile(rf";\s*(?:({_NAME})\s*=\s*({_QUOTED}|[^\s\";,]*))?\s*")
_ELEMENT = re.compile(r'(?:"(?:[^"\\]|\\.?)*+(?:"|\Z)|[^,"])+', re.DOTALL)
"""What stands between two commas; a quotation that is never closed reaches to the end, so that the time stays linear."""
_WEIGHT = re.compile(r"[0-9]+(?:\.[0-9]*)?|\.[0-9]+")


@dataclass(frozen=True)
class MediaRange:
    """A media type or a range of them, in lower case, with its parameters (without the weight) and its weight from 0 to 1."""

    type: str
    subtype: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    weight: float = 1.0

    @property
    def essence(self) -> str:
        """Type and subtype, as in `text/turtle`."""
        return f"{self.type}/{self.subtype}"

    @property
    def profiles(self) -> frozenset[str]:
        """The IRIs that the `profile` parameter lists (RFC 6906)."""
        return frozenset(self.parameters.get("profile", "").split())

    def precision(self, offer: "MediaRange") -> tuple[bool, bool, int, int, bool]:
        """
        How narrowly it means this offer: the range with the highest precision decides about it. A range with
        profiles that the offer does not have means it less than the same range without any.
        """
        honoured = len(self.profiles & offer.profiles)
        others = len(self.parameters.keys() - {"profile"})
        return self.type != "*", self.subtype != "*", others, honoured, not self.profiles

    def covers(self, offer: "MediaRange") -> bool:
        """
        Whether the offer falls into this range.

        Two parameters are read generously: every offer is in UTF-8, so asking for that charset excludes nothing, and
        `profile` is a preference that a server ignores where it does not know the profile (JSON-LD 1.1, appendix C).
        """
        if self.type not in ("*", offer.type) or self.subtype not in ("*", offer.subtype):
            return False
        return all(_PARAMETER_RULES.get(name, _same)(name, value, offer) for name, value in self.parameters.items())


def _same(name: str, value: str, offer: MediaRange) -> bool:
    return offer.parameters.get(name) == value


def _utf8(_name: str, value: str, _offer: MediaRange) -> bool:
    return value.lower() in ("utf-8", "utf8")


def _preference(_name: str, _value: str, _offer: MediaRange) -> bool:
    return True


_PARAMETER_RULES = {"charset": _utf8, "profile": _preference}


def parse(text: str) -> MediaRange | None:
    """One media type or range as in Content-Type or between the commas of Accept; None when it is not one."""
    start = _RANGE.match(text)
    if start is None:
        return None
    kind, subtype = start[1].lower(), (start[2] or "").lower()
    if (kind, subtype) == ("*", ""):
        subtype = "*"  # java.net.URLConnection sends a lone asterisk
    if not subtype or (kind == "*" and subtype != "*"):
        return None
    parameters = _parameters(text, start.end())
    if parameters is None:
        return None
    weight = _weight(parameters.pop("q", "1"))
    return MediaRange(kind, subtype, parameters, weight)


def _parameters(text: str, position: int) -> dict[str, str] | None:
    found: dict[str, str] = {}
    while position < len(text):
        match = _PARAMETER.match(text, position)
        if match is None:
            return None
        if match[1]:
            found[match[1].lower()] = _unquoted(match[2])
        position = match.end()
    return found


def _unquoted(value: str) -> str:
    return re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value


def _weight(text: str) -> float:
    """A weight that cannot be read counts as 1: the client did name the type."""
    return min(1.0, float(text)) if _WEIGHT.fullmatch(text) else 1.0


@lru_cache(maxsize=1024)
def ranges(accept: str) -> tuple[MediaRange, ...]:
    """The ranges of an Accept header, in its order; elements that cannot be read are passed over."""
    return tuple(one for one in map(parse, _ELEMENT.findall(accept)) if one is not None)


def negotiate(accept: str | None, offers: Sequence[str]) -> str | None:
    """
    The offer that the client likes best, or None when it accepts none of them.

    An absent or empty header accepts anything. Among offers of the same weight the one that honours more of the
    profiles asked for wins, then the one that stands first.
    """
    return _negotiate(accept or "", tuple(offers))


@lru_cache(maxsize=2048)
def _negotiate(accept: str, offers: tuple[str, ...]) -> str | None:
    wanted = ranges(accept)
    if not wanted:
        return offers[0] if offers else None
    ranked = [(_liking(wanted, offer), offer) for offer in offers]
    best, chosen = max(ranked, key=lambda row: row[0], default=((0.0, 0), None))
    return chosen if best[0] > 0 else None


def _liking(wanted: Sequence[MediaRange], offer: str) -> tuple[float, int]:
    """The weight of an offer and how many of the wished profiles it has. The first of equally precise ranges decides."""
    media_type = parse(offer)
    if media_type is None:
        raise ValueError(f"{offer!r} is not a media type")
    covering = [one for one in wanted if one.covers(media_type)]
    if not covering:
        return 0.0, 0
    decisive = max(covering, key=lambda one: one.precision(media_type))
    return decisive.weight, len(decisive.profiles & media_type.profiles)


@dataclass(frozen=True)
class Wanted:
    """What a client gets: a syntax and, for JSON-LD, a profile. `key` stands for both in entity tags."""

    form: Format
    profile: str = COMPACTED

    @property
    def media_type(self) -> str:
        return self.form.media_type

    @cached_property
    def key(self) -> str:
        return self.form.key if self.profile == COMPACTED else f"{self.form.key}-{self.profile.partition('#')[2]}"

    @cached_property
    def content_type(self) -> str:
        """The Content-Type of the answer."""
        if self.profile != COMPACTED:
            return _profiled(self.form, self.profile)
        return f"{self.form.media_type}; charset=utf-8" if self.form.utf8 else self.form.media_type


def _profiled(form: Format, profile: str) -> str:
    return f'{form.media_type};profile="{profile}"'


def not_acceptable(offers: Iterable[str]) -> NotAcceptable:
    """The refusal of a request that accepts none of the offers."""
    available = list(offers)
    return NotAcceptable(f"None of what Accept names can be produced; there is {', '.join(available)}.", available=available)


@dataclass(frozen=True)
class Medium:
    """What is not RDF and still an answer: a page for people, a table for a spreadsheet. `key` stands for it in entity tags."""

    key: str
    media_type: str

    @property
    def content_type(self) -> str:
        """The Content-Type of the answer."""
        return f"{self.media_type}; charset=utf-8"


HTML = Medium("html", "text/html")
CSV = Medium("csv", "text/csv")

Choice = Wanted | Medium
"""What an answer is given as."""


RESOURCE_OFFERS: Mapping[str, Wanted] = {
    **{form.media_type: Wanted(form) for form in FORMATS},
    **{_profiled(JSON_LD, profile): Wanted(JSON_LD, profile) for profile in (COMPACTED, EXPANDED, FLATTENED)},
    **{alias: Wanted(form) for form in FORMATS for alias in form.media_types[1:]},
}
"""What graphs are served as: every syntax by its own name, the profiles, then the names that syntaxes once had."""

READ_OFFERS: Mapping[str, Choice] = {**RESOURCE_OFFERS, HTML.media_type: HTML}
"""What a resource can be read as. The page stands last: a browser names it, and whoever takes anything gets data."""

COLLECTION_OFFERS: Mapping[str, Choice] = {**READ_OFFERS, CSV.media_type: CSV}
"""What a collection can be read as."""


FORMAT = "format"
"""The parameter that says what Accept cannot say where somebody clicks on a link: the key of a syntax, a page or a table."""


class Keyed(Protocol):
    """Something on offer that a link can name."""

    @property
    def key(self) -> str:
        """What the parameter `format` calls it."""


Offer = TypeVar("Offer", bound=Keyed)


def choose(accept: str | None, offers: Mapping[str, Offer], name: str | None = None) -> Offer:
    """
    What a client gets among these offers: the one that `name` is the key of, else what it likes best.

    Raises NotAcceptable, or InvalidParameter when nothing on offer has that key.
    """
    if name is not None:
        return _named(name, offers)
    chosen = negotiate(accept, tuple(offers))
    if chosen is None:
        raise not_acceptable(offers)
    return offers[chosen]


def _named(name: str, offers: Mapping[str, Offer]) -> Offer:
    by_key = {one.key: one for one in offers.values()}
    if name not in by_key:
        raise InvalidParameter(f"{FORMAT} must be one of {', '.join(by_key)}, not {name!r}.", parameter=FORMAT, allowed=list(by_key))
    return by_key[name]


@lru_cache(maxsize=1024)
def wanted(accept: str | None) -> Wanted | None:
    """How a client gets a resource, or None when it accepts nothing that there is."""
    chosen = negotiate(accept, tuple(RESOURCE_OFFERS))
    return RESOURCE_OFFERS[chosen] if chosen else None
