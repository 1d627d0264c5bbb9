"""
What a document says, as something to look at: each value gets the look that the context knows for its key, and the
templates have one macro per look. Nothing here makes HTML, and nothing here trusts a value.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any
from urllib.parse import quote

import orjson

from ld_server.http.pages import words
from ld_server.http.pages.places import Places
from ld_server.rdf import vocab
from ld_server.rdf.contexts import Contexts

HIDDEN = frozenset(("@context", "@id", "@type", "identifier"))
"""Keys that a page says in its head, not among the fields."""

MOST_COLUMNS = 8
"""Of a collection, whose members have pages of their own. What stands in a document is shown nowhere else, and has all of its columns."""

EVERY_COLUMN = None


@dataclass(frozen=True)
class Value:
    """
    Something to look at. `look` names the macro that shows it. `note` stands beside the text, `href` is where it leads;
    `exact` is the machine's spelling. `items` are the values of a list, `fields` those of a thing, `table` the rows of things.
    """

    look: str
    text: str = ""
    href: str | None = None
    note: str = ""
    exact: str = ""
    language: str | None = None
    is_ours: bool = False
    items: tuple["Value", ...] = ()
    fields: tuple["Field", ...] = ()
    table: "Table | None" = None

    @property
    def is_large(self) -> bool:
        """Whether it wants a section of its own."""
        return self.look in ("table", "fields", "json")


@dataclass(frozen=True)
class Field:
    """A key, its name for people, where its meaning is described, and its value; None where the thing has none."""

    key: str
    label: str
    href: str | None
    value: Value | None


@dataclass(frozen=True)
class Table:
    """Things side by side: the columns (their values are None) and for each thing its fields, in their order."""

    columns: tuple[Field, ...]
    rows: tuple[tuple[Field, ...], ...]


@dataclass(frozen=True)
class Gallery:
    """Makes things to look at out of documents in our compact JSON-LD."""

    places: Places
    contexts: Contexts

    def fields(self, document: Mapping[str, Any], hidden: Iterable[str] = HIDDEN) -> tuple[Field, ...]:
        """What a document says, in its order."""
        own = _labels_of(document.get("@type"))
        fields = (self.field(key, value) for key, value in document.items() if key not in hidden and not _is_empty(value))
        return tuple(replace(field, label=own.get(field.key, field.label)) for field in fields)

    def field(self, key: str, value: Any) -> Field:
        return Field(key, words.label(key), self._term(key), None if _is_empty(value) else self.value(value, key))

    def table(self, documents: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> Table:
        """The documents side by side under these keys."""
        rows = tuple(tuple(self.field(key, document.get(key)) for key in columns) for document in documents)
        return Table(tuple(self.field(key, None) for key in columns), rows)

    def value(self, value: Any, key: str = "") -> Value:
        """The look of a value: first what the context says of its key, then what it is in JSON."""
        known = _BY_COERCION.get(self._coercion(key)) or _BY_KEY.get(key)
        if known is not None and (isinstance(value, str) or known is _json):
            return known(value)
        for kind, look in self._by_type:
            if isinstance(value, kind):
                return look(value, key)
        return Value("text", str(value))

    @cached_property
    def _by_type(self) -> tuple[tuple[type[Any], Callable[[Any, str], Value]], ...]:
        return (
            (bool, lambda value, _key: Value("flag", "yes" if value else "no")),
            (int, lambda value, _key: Value("number", str(value))),
            (float, lambda value, _key: Value("number", str(value))),
            (str, self._text),
            (dict, self._thing),
            (list, self._several),
        )

    def _text(self, text: str, key: str) -> Value:
        """A string that is an address of the web is a link; so is every IRI where the context says that it is one."""
        is_reference = self._coercion(key) == "@id" or key in ("@id", "type")
        href = self.places.href(text) if is_reference or text.startswith(("http://", "https://")) else None
        if href is None:
            return Value("text", text)
        return Value("link", text.removeprefix(self.places.base_iri), href, exact=text, is_ours=self.places.is_ours(text))

    def _thing(self, thing: dict[str, Any], key: str) -> Value:
        if "@value" in thing:
            return self._literal(thing, key)
        if thing.keys() == {"@list"}:
            inner = thing["@list"]
            return self._several(inner if isinstance(inner, list) else [inner], key)
        if self._is_reference(thing):
            return self._reference(thing)
        shown = self.fields(thing, HIDDEN - {"identifier"})
        return Value("fields", fields=shown) if shown else self._reference(thing)

    def _is_reference(self, thing: Mapping[str, Any]) -> bool:
        """Named and no more: `{"@id", "@type", "identifier", "name"}`, and without `@id` a person or a place that only has a name."""
        return thing.keys() <= {"@id", "@type", "identifier", "name"}

    def _reference(self, thing: Mapping[str, Any]) -> Value:
        """By its name, with its identifier beside it; a part of the same resource by its fragment."""
        iri = str(thing.get("@id", ""))
        identifier = str(thing.get("identifier", ""))
        text = str(thing.get("name") or identifier or iri.rpartition("#")[2].removeprefix(self.places.base_iri))
        is_whole = "#" not in iri
        href = self.places.href(iri) if iri and is_whole else None
        note = identifier if identifier != text else ""
        return Value("link" if href else "text", text, href, note, iri, is_ours=self.places.is_ours(iri))

    def _literal(self, literal: Mapping[str, Any], key: str) -> Value:
        language = literal.get("@language")
        if isinstance(language, str):
            return Value("text", str(literal["@value"]), note=language, language=language)
        known = _BY_DATATYPE.get(str(literal.get("@type", "")))
        inner = literal["@value"]
        return known(inner) if known and isinstance(inner, str) else self.value(inner)

    def _several(self, several: list[Any], key: str) -> Value:
        if several and all(isinstance(one, dict) and "@value" not in one and not self._is_reference(one) for one in several):
            return Value("table", table=self.table(several, columns_of(several, EVERY_COLUMN)))
        return Value("list", items=tuple(self.value(one, key) for one in several if not _is_empty(one)))

    def _coercion(self, key: str) -> str:
        definition = self.contexts.v1.get(key)
        return str(definition.get("@type", "")) if isinstance(definition, dict) else ""

    def _term(self, key: str) -> str | None:
        """Where the meaning of a key is described."""
        definition = self.contexts.v1.get(key, key)
        compact = str(definition["@id"] if isinstance(definition, dict) else definition)
        prefix, _, local = compact.partition(":")
        return self.places.href(vocab.PREFIXES[prefix] + local if prefix in vocab.PREFIXES else compact)


def columns_of(documents: Sequence[Mapping[str, Any]], most: int | None = MOST_COLUMNS) -> tuple[str, ...]:
    """The keys that the documents have, in the order of their appearance, at most so many; None means all."""
    keys = dict.fromkeys(key for document in documents for key in document if key not in ("@context", "@id", "@type"))
    return tuple(keys)[:most]


def _labels_of(types: Any) -> Mapping[str, str]:
    """What keys are called in a document of these classes, where that is not what they are called elsewhere."""
    several = types if isinstance(types, list) else [types]
    return {key: label for one, labels in words.LABELS_OF.items() if one in several for key, label in labels.items()}


def _is_empty(value: Any) -> bool:
    return value is None or value == [] or value == ""


def _moment(text: str) -> Value:
    said = words.moment(text)
    return Value("moment", said[0], note=said[1], exact=text) if said else Value("text", text)


def _length(text: str) -> Value:
    return Value("text", words.length(text) or text)


def _word(text: str) -> Value:
    return Value("word", words.label(text).lower(), exact=text)


def _json(value: Any) -> Value:
    return Value("json", orjson.dumps(value, option=orjson.OPT_INDENT_2).decode())


def _mail(text: str) -> Value:
    return Value("link", text, f"mailto:{quote(text, safe='@+')}") if text.count("@") == 1 else Value("text", text)


_BY_COERCION: Mapping[str, Callable[[Any], Value]] = {
    "xsd:dateTime": _moment,
    "xsd:duration": _length,
    "@vocab": _word,
    "@json": _json,
}
"""What the context says of a key → the look of its values."""

_BY_KEY: Mapping[str, Callable[[Any], Value]] = {"email": _mail}

_BY_DATATYPE: Mapping[str, Callable[[Any], Value]] = {
    vocab.DATE_TIME: _moment,
    "xsd:dateTime": _moment,
    vocab.DURATION: _length,
    "xsd:duration": _length,
}
