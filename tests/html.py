"""What stands in a page: its links, what it loads, its text, the data embedded in it. Read with the standard library's parser."""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

import orjson

VOID = frozenset(("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"))


@dataclass
class Element:
    tag: str
    attributes: dict[str, str]
    text: str = ""


@dataclass
class Page(HTMLParser):
    """A page, parsed. `elements` in the order of their opening; `unclosed` names what was never closed, or closed out of order."""

    source: str
    elements: list[Element] = field(default_factory=list)
    unclosed: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._open: list[Element] = []
        self.feed(self.source)
        self.close()
        self.unclosed += [one.tag for one in self._open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.elements.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_endtag(self, tag: str) -> None:
        if self._open and self._open[-1].tag == tag:
            self._open.pop()
        else:
            self.unclosed.append(tag)

    def handle_data(self, data: str) -> None:
        for one in self._open:
            one.text += data

    def all(self, tag: str, **attributes: str) -> list[Element]:
        """The elements of this tag that have these attributes; underscores in names mean dashes."""
        wanted = {name.strip("_").replace("_", "-"): value for name, value in attributes.items()}
        return [one for one in self.elements if one.tag == tag and wanted.items() <= one.attributes.items()]

    @property
    def links(self) -> list[str]:
        """Where its anchors lead."""
        return [one.attributes["href"] for one in self.all("a")]

    @property
    def loads(self) -> list[str]:
        """What a browser fetches to show it."""
        sheets = [one.attributes["href"] for one in self.all("link") if one.attributes["rel"] in ("stylesheet", "icon", "preload")]
        return sheets + [
            one.attributes[name] for one in self.elements for name in ("src", "srcset", "poster", "data") if name in one.attributes
        ]

    @property
    def data(self) -> Any:
        """The JSON-LD embedded in it."""
        (script,) = self.all("script")
        assert script.attributes == {"type": "application/ld+json"}
        return orjson.loads(script.text)

    @property
    def body(self) -> str:
        return self.all("body")[0].text

    @property
    def heading(self) -> str:
        (heading,) = self.all("h1")
        return heading.text
