"""
The pages themselves: which template, and what it is told. One instance serves a whole deployment.

A page is a function of the document that it shows and of the files of this package alone. `edition` names the state of the
latter, so that entity tags change with the templates.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import orjson
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from ld_server.http.negotiation import FORMAT
from ld_server.http.pages import words
from ld_server.http.pages.answers import Shown, rows_of
from ld_server.http.pages.exhibits import showcase
from ld_server.http.pages.filters import controls
from ld_server.http.pages.interface import interface
from ld_server.http.pages.places import Places
from ld_server.http.pages.values import HIDDEN, MOST_COLUMNS, Field, Gallery, columns_of
from ld_server.http.pages.views import VIEWS
from ld_server.rdf.contexts import Contexts
from ld_server.resources import KINDS
from ld_server.resources.asset import ASSET
from ld_server.resources.attachment import ATTACHMENT
from ld_server.resources.kind import Kind
from ld_server.resources.maintenance_log import MAINTENANCE_LOG
from ld_server.services.exhibits import Exhibits

PLACE = Path(__file__).parent
STATIC = PLACE / "static"

PAGE_HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""Of every answer in HTML: no script, nothing from elsewhere, in nobody's frame."""


def page_headers(pictures_from: str | None) -> Mapping[str, str]:
    """The headers of a page that may show pictures which come from another origin, `https://bucket.example.com`."""
    if pictures_from is None:
        return PAGE_HEADERS
    policy = PAGE_HEADERS["Content-Security-Policy"].replace("img-src 'self'", f"img-src 'self' {pictures_from}")
    return {**PAGE_HEADERS, "Content-Security-Policy": policy}


SYNTAXES: Mapping[str, str] = {
    "jsonld": "JSON-LD", "turtle": "Turtle", "ntriples": "N-Triples", "nquads": "N-Quads", "trig": "TriG", "rdfxml": "RDF/XML",
    "json": "JSON", "csv": "CSV",
}  # fmt: skip
"""Keys of the syntaxes, and of tables → what people call them."""

TABLE_SYNTAXES: Mapping[str, str] = {"csv": "CSV", "tsv": "TSV", "json": "JSON", "xml": "XML"}
"""The same for answers to SPARQL queries."""

RESOURCE_SYNTAXES = tuple(key for key in SYNTAXES if key != "csv")

BELOW: Mapping[str, tuple[str, ...]] = {"rentAction": ("allocations",)}
"""Kind → what can be opened below each of its resources, besides the revisions."""

ASIDE: Mapping[str, tuple[str, ...]] = {"asset": ("/v1/assets/{}/history",)}
"""Kind → what there is about each of its resources in another place."""

HOMES: Mapping[str, Kind] = {**{kind.path: kind for kind in KINDS.values()}, "/v1/assets": ASSET}
"""Path → the kind about whose resources there is more below it."""

LOGS: Mapping[str, str] = {"asset": "Maintenance log", "maintenanceLog": "Corrected by"}
"""Kind → what the entries are that are shown beside each of its resources."""

NOTHING_BESIDE = Exhibits()

ABOUT: Mapping[str, str] = {
    "/docs": "Interface",
    "/ns/reservations": "Vocabulary",
    "/shapes": "Shapes",
    "/contexts": "Contexts",
    "/problems": "Problems",
    "/v1/sparql": "SPARQL",
    "/v1/queries": "Queries",
}
"""What the foot of every page leads to."""


@dataclass(frozen=True)
class Link:
    """Somewhere to go."""

    text: str
    href: str
    is_here: bool = False


@dataclass(frozen=True)
class Sorting:
    """A link that sorts a list; `direction` is how it is sorted now (ARIA's word), `following` how it would be then."""

    href: str
    direction: str
    following: str
    sign: str


_DIRECTIONS = {
    (False, False): ("none", "ascending", "↕"),
    (True, False): ("ascending", "descending", "↑"),
    (False, True): ("descending", "ascending", "↓"),
}
"""Whether the list is sorted by a key, upwards and downwards → what is said about that."""


@cache
def templates() -> Environment:
    """The templates, each compiled when it is first used. Everything that is said in them is escaped."""
    loader = FileSystemLoader(PLACE / "templates")
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)


@cache
def edition(place: Path = PLACE) -> str:
    """The state of the templates and of the code around them, in eight letters."""
    digest = hashlib.sha256()
    for file in sorted(one for one in place.rglob("*") if one.suffix in (".py", ".html", ".css", ".svg")):
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:8]


def embedded(body: str) -> Markup:
    """JSON as it may stand in a script element: nothing in it can end the element or open a comment, and it reads the same."""
    for letter in "<>&":
        body = body.replace(letter, f"\\u{ord(letter):04x}")
    return Markup(body)  # noqa: S704 (the letters that mean something to HTML are gone)


class Pages:
    """Renders documents for people. `base_iri` and `contexts` are those of the deployment."""

    def __init__(self, base_iri: str, contexts: Contexts) -> None:
        self.places = Places(base_iri)
        self.gallery = Gallery(self.places, contexts)
        self._contexts = contexts

    @cached_property
    def edition(self) -> str:
        """Eight letters that change whenever the same document would be shown in another way."""
        told = [[kind.name, kind.path, kind.frame.name, *kind.keys] for kind in KINDS.values()]
        seen = orjson.dumps([edition(), self.places.base_iri, told, self._contexts.v1])
        return hashlib.sha256(seen).hexdigest()[:8]

    # --- resources and collections ------------------------------------------------------------------------------------

    def resource(self, kind: Kind, iri: str, body: str, exhibits: Exhibits = NOTHING_BESIDE) -> str:
        """A resource, or one of its revisions, whose document is `body`, with what is shown beside it."""
        document = orjson.loads(body)
        fields = [one for one in self.gallery.fields(document, HIDDEN | {"downloadUrl"}) if one.value]
        return self._render(
            "resource.html",
            iri,
            body,
            title=_title(kind, document),
            noun=kind.frame.name if kind.label(document) != document["identifier"] else "",
            identifier=document["identifier"],
            revision=self._revision(kind, iri),
            newest=self.places.href(str(document["@id"])),
            fields=fields,
            source=orjson.dumps(document, option=orjson.OPT_INDENT_2).decode(),
            related=[*self._saved(document), *self._below(kind, iri), *self._having(kind, iri, document["identifier"])],
            picture=self._picture(kind, iri, document),
            beside=showcase(exhibits, document["identifier"], self.gallery),
            all_files=f"{self.places.path(ATTACHMENT.path)}?{urlencode({'ownerId': document['identifier']})}",
            whole_log=self._whole_log(document["identifier"]) if kind is ASSET else "",
            log_is=LOGS.get(kind.name, ""),
        )

    def collection(self, iri: str, body: str, chosen: Mapping[str, str], kind: Kind | None = None) -> str:
        """A page of a collection at `iri` whose document, members included, is `body`; `chosen` are the parameters of the request."""
        document = orjson.loads(body)
        members = document["member"]
        following = document.get("view", {}).get("next")
        address = f"{iri}?{urlencode(chosen)}" if chosen else iri
        return self._render(
            "collection.html",
            address,
            body,
            syntaxes=self._syntaxes(address, SYNTAXES),
            title=_plural(kind) if kind else _part_of(iri),
            total=_total(document),
            first_column=Field("", words.sentence(kind.frame.name) if kind else _class_of(members), None, None),
            sorts=self._sorts(kind, iri, chosen) if kind else {},
            members=[self._member(kind, one) for one in members],
            table=self.gallery.table(members, _columns(kind, iri, members)),
            controls=controls(kind.filters if kind else {}, chosen),
            narrowed=bool(kind and chosen.keys() & kind.filters.keys()),
            chosen=chosen,
            whole=self.places.href(iri),
            first=self._first(iri, chosen) if "after" in chosen else None,
            following=self.places.href(following) if following else None,
        )

    def _member(self, kind: Kind | None, member: dict[str, Any]) -> Link:
        iri = str(member.get("@id", ""))
        text = kind.label(member) if kind else str(member.get("name") or member.get("identifier") or words.last_part(iri))
        return Link(text, "" if "#" in iri else self.places.href(iri) or "")

    def _sorts(self, kind: Kind, iri: str, chosen: Mapping[str, str]) -> dict[str, "Sorting"]:
        """Key → how the list is sorted by it now, and the link that sorts by it, or the other way round."""
        now = chosen.get("sort", "").split(",")[0]
        kept = {name: value for name, value in chosen.items() if name not in ("after", "sort")}
        found = {}
        for key in kind.sorts:
            query = urlencode({**kept, "sort": f"-{key}" if now == key else key})
            found[key] = Sorting(f"{self.places.href(iri)}?{query}", *_DIRECTIONS[now == key, now == f"-{key}"])
        return found

    def _first(self, iri: str, chosen: Mapping[str, str]) -> str:
        kept = {name: value for name, value in chosen.items() if name != "after"}
        return f"{self.places.href(iri)}?{urlencode(kept)}" if kept else str(self.places.href(iri))

    def _below(self, kind: Kind, iri: str) -> list[Link]:
        if self._revision(kind, iri):
            return []
        below = [Link(words.label(name), f"{self.places.href(iri)}/{name}") for name in (*BELOW.get(kind.name, ()), "revisions")]
        return below + [Link(words.label(path), self.places.path(path.format(words.last_part(iri)))) for path in ASIDE.get(kind.name, ())]

    def _picture(self, kind: Kind, iri: str, document: Mapping[str, Any]) -> str | None:
        """Where the bytes of a picture are, on its own page."""
        is_shown = kind is ATTACHMENT and "thumbnailUrl" in document and not self._revision(kind, iri)
        return self.places.href(document["contentUrl"]) if is_shown else None

    def _whole_log(self, asset: str) -> str:
        return f"{self.places.path(MAINTENANCE_LOG.path)}?{urlencode({'assetId': asset, 'sort': '-performedAt'})}"

    def _saved(self, document: Mapping[str, Any]) -> list[Link]:
        """The link that saves what a document is about, where it has one."""
        url = document.get("downloadUrl")
        place = self.places.href(url) if isinstance(url, str) else None
        return [Link("Download", place)] if place else []

    def _having(self, kind: Kind, iri: str, identifier: str) -> list[Link]:
        """The lists that can be narrowed to what has to do with this resource: the units of an item type, its reservations, …"""
        key = f"{kind.name}Id"
        those = [] if self._revision(kind, iri) else [one for one in KINDS.values() if key in one.filters]
        return [Link(_plural(one), f"{self.places.path(one.path)}?{urlencode({key: identifier})}") for one in those]

    def _revision(self, kind: Kind, iri: str) -> str:
        """The number of the revision that this is the address of, or nothing for the newest state."""
        return iri.removeprefix(f"{self.places.base_iri}{kind.path}/").partition("/revisions/")[2]

    # --- everything else ----------------------------------------------------------------------------------------------

    def problem(self, document: Mapping[str, Any], advice: str, wants_key: bool) -> str:
        """A problem document, with what can be done about it."""
        fields = self.gallery.fields(document, ("title", "status", "detail"))
        told = {"document": document, "fields": fields, "advice": advice, "wants_key": wants_key, "syntaxes": []}
        return self._render("problem.html", "", "", title=document["title"], **told)

    def published(self, view: str, iri: str, body: str, source: str, syntaxes: Sequence[str]) -> str:
        """
        Something published: `view` names how it is shown, `body` is its JSON-LD, `source` how it is written; `syntaxes` are the keys
        of what it can be had as.
        """
        told = VIEWS[view](orjson.loads(body), self.gallery)
        others = self._syntaxes(iri, syntaxes)
        title = words.label(iri.removesuffix(".jsonld"))
        return self._render(f"{view}.html", iri, body, **{"title": title, "source": source, "syntaxes": others, **told})

    def answer(self, shown: Shown, content: bytes) -> str:
        """The answer to a SPARQL query, in SPARQL's JSON, with what stands around it."""
        rows = rows_of(content, self.gallery)
        address = f"{shown.iri}?{urlencode(shown.said)}" if shown.said else shown.iri
        return self._render(
            "rows.html",
            address,
            "",
            title=shown.title,
            description=shown.description,
            query=shown.query,
            controls=shown.controls,
            said=shown.said,
            whole=self.places.href(shown.iri),
            table=rows.table,
            count=rows.count,
            syntaxes=self._syntaxes(address, shown.syntaxes),
        )

    def interface(self, iri: str, document: Mapping[str, Any]) -> str:
        """The OpenAPI document for people."""
        return self._render("docs.html", iri, "", title="The interface", syntaxes=[], **interface(document))

    def _render(self, template: str, iri: str, body: str, **told: Any) -> str:
        common = {
            "iri": iri,
            "embedded": embedded(body),
            "crumbs": self._crumbs(iri),
            "kinds": [self._to_collection(kind, iri) for kind in KINDS.values()],
            "about": [Link(text, self.places.path(path)) for path, text in ABOUT.items()],
            "syntaxes": self._syntaxes(iri, RESOURCE_SYNTAXES),
            "path": self.places.path,
            "here": self.places.href(iri) if iri else "",
        }
        return templates().get_template(template).render({**common, **told})

    def _to_collection(self, kind: Kind, iri: str) -> Link:
        here = iri.removeprefix(self.places.base_iri + kind.path)
        return Link(_plural(kind), self.places.path(kind.path), is_here=here != iri and here[:1] in ("", "/", "?"))

    def _crumbs(self, iri: str) -> list[Link]:
        """The way from the entry point to the address, which is not itself in it."""
        path = iri.removeprefix(self.places.base_iri).partition("?")[0]
        home = next((one for one in HOMES if path.startswith(one + "/")), None)
        if home is None:
            return [Link(text, self.places.path(above)) for above, text in ABOUT.items() if path.startswith(above + "/")]
        above = HOMES[home].path
        crumbs = [Link(_plural(HOMES[home]), self.places.path(above))]
        for name in path.removeprefix(home).strip("/").split("/")[:-1]:
            above = f"{above}/{name}"
            crumbs.append(Link(name if "_" in name else words.label(name), self.places.path(above)))
        return crumbs

    def _syntaxes(self, iri: str, keys: Iterable[str]) -> list[Link]:
        """The same in the other syntaxes, for people who cannot say Accept."""
        address = self.places.href(iri) or ""
        names = {**SYNTAXES, **TABLE_SYNTAXES}
        return [Link(names[key], f"{address}{'&' if '?' in address else '?'}{FORMAT}={key}") for key in keys if key in names]


def _title(kind: Kind, document: dict[str, Any]) -> str:
    label = kind.label(document)
    return f"{words.sentence(kind.frame.name)} {label}" if label == document["identifier"] else label


def _is_said(key: str, member: Mapping[str, Any], collection: str) -> bool:
    value = str(member.get(key, ""))
    return value == words.last_part(str(member.get("@id", ""))) or collection.startswith(value + "/")


def _class_of(members: Sequence[Mapping[str, Any]]) -> str:
    """What the members are, as a heading."""
    types = {str(one.get("@type", "")) for one in members}
    return words.label(types.pop()) if len(types) == 1 else "Name"


def _plural(kind: Kind) -> str:
    return words.sentence(words.plural(kind.frame.name))


def _total(document: Mapping[str, Any]) -> str:
    """How many entries the collection has, as people say it."""
    if "totalItems" not in document:
        return f"more than {document['totalItemsAbove']:,} entries"
    return "1 entry" if document["totalItems"] == 1 else f"{document['totalItems']:,} entries"


def _part_of(iri: str) -> str:
    """A heading for what belongs to a resource: Revisions of ra_1."""
    *_, owner, name = iri.split("/")
    return f"{words.label(name)} of {owner}"


def _columns(kind: Kind | None, iri: str, members: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Of a kind those of its columns that any member has; of parts of a resource what neither their own names nor its name says already."""
    if kind is None:
        return tuple(key for key in columns_of(members) if not all(_is_said(key, one, iri) for one in members))
    return tuple(key for key in kind.columns or kind.keys if any(key in one for one in members))[:MOST_COLUMNS]
