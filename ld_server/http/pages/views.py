"""How published things are shown: the entry point, lists, problems, the vocabulary, shapes and contexts. A view a template."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ld_server.http.pages import words
from ld_server.http.pages.values import Gallery
from ld_server.rdf import vocab
from ld_server.resources import KINDS

Told = dict[str, Any]
"""What a template is told."""


def _entry(document: Any, gallery: Gallery) -> Told:
    """The collections as cards, everything else as links."""
    collections = [_card(one, gallery) for one in _several(document.get("collection"))]
    others = [(one, one.value) for one in gallery.fields(document, _SAID_BY_ENTRY) if one.value]
    links = [one for one, value in others if value.look == "link"]
    fields = [one for one, value in others if value.look != "link"]
    said = {name: document.get(name, "") for name in ("title", "description")}
    return {**said, "collections": collections, "links": links, "fields": fields}


_SAID_BY_ENTRY = ("@context", "@id", "@type", "identifier", "title", "description", "collection")


def _card(one: Mapping[str, Any], gallery: Gallery) -> Told:
    iri = str(one["@id"])
    kind = next((kind for kind in KINDS.values() if iri.endswith(kind.path)), None)
    title = words.sentence(words.plural(kind.frame.name)) if kind else words.label(iri)
    return {"href": gallery.places.href(iri), "title": title, "description": words.sentence(str(one.get("title", "")))}


def _listing(document: Any, gallery: Gallery) -> Told:
    """What there is of something, a row each."""
    members = _several(document.get("member"))
    said = ("title", "status", "advice")
    return {"members": [{"href": gallery.places.href(one["@id"]), **{key: one.get(key, "") for key in said}} for one in members]}


def _queries(document: Any, gallery: Gallery) -> Told:
    """The questions that have a name, each with the form that asks it."""
    return {"members": [_query(one, gallery) for one in _several(document.get("member"))]}


def _query(one: Mapping[str, Any], gallery: Gallery) -> Told:
    parameters = [{"default": "", **each} for each in one["search"]["mapping"]]
    name = words.last_part(str(one["@id"]))
    asked = {"parameters": parameters, "can_be_asked": not any(each["required"] for each in parameters)}
    return {"href": gallery.places.href(one["@id"]), "name": name, "title": one["title"], "description": one["description"], **asked}


def _plain(document: Any, gallery: Gallery) -> Told:
    """Field by field."""
    fields = [one for one in gallery.fields(document, ("@context", "@id", "@type", "title")) if one.value]
    return {"title": document.get("title", ""), "fields": fields}


def _answer(document: Any, gallery: Gallery) -> Told:
    """Field by field, under the name of what was asked."""
    fields = [one for one in gallery.fields(document) if one.value]
    return {"title": words.label(str(document["@type"])), "fields": fields}


def _source(_document: Any, _gallery: Gallery) -> Told:
    """As it is written."""
    return {}


# --- graphs: expanded JSON-LD, a list of nodes -------------------------------------------------------------------------


def _vocabulary(nodes: Any, gallery: Gallery) -> Told:
    """The terms in groups, each with its anchor."""
    terms = [_term(node, gallery) for node in nodes if node["@id"].startswith(vocab.RSV)]
    about: Mapping[str, Any] = next((node for node in nodes if node["@id"] == vocab.RSV.rstrip("#")), {})
    groups = [(heading, [term for term in terms if term["group"] == heading]) for heading in ("Classes", "Properties", "Words")]
    return {"title": _text(about, "label"), "comment": _text(about, "comment"), "groups": [one for one in groups if one[1]]}


def _term(node: Mapping[str, Any], gallery: Gallery) -> Told:
    types = [words.last_part(one["@id"]) for one in node.get(vocab.TYPE, ())]
    group = "Classes" if "Class" in types else "Properties" if "Property" in types else "Words"
    said = {words.label(words.last_part(key)): _links(values, gallery) for key, values in node.items() if key in _SAID_OF_TERMS}
    return {
        "name": words.last_part(node["@id"]),
        "group": group,
        "label": _text(node, "label"),
        "comment": _text(node, "comment"),
        "said": {**({"Is a": _links(node.get(vocab.TYPE, ()), gallery)} if group == "Words" else {}), **said},
    }


_SAID_OF_TERMS = frozenset(vocab.RDFS + name for name in ("domain", "range", "subClassOf", "subPropertyOf", "seeAlso")) | frozenset(
    vocab.SCHEMA + name for name in ("domainIncludes", "rangeIncludes")
)


def _links(values: Iterable[Mapping[str, Any]], gallery: Gallery) -> list[Told]:
    return [{"text": words.last_part(one["@id"]), "href": gallery.places.href(one["@id"])} for one in values if "@id" in one]


def _shape(nodes: Any, gallery: Gallery) -> Told:
    """What is asked of each property, in the order of the shape."""
    by_name = {node["@id"]: node for node in nodes}
    whole: Mapping[str, Any] = next((node for node in nodes if vocab.SH + "name" in node and vocab.SH + "property" in node), {})
    asked = [by_name[one["@id"]] for one in whole.get(vocab.SH + "property", ()) if one["@id"] in by_name]
    rules = [{"name": _text(one, "name", vocab.SH), "message": _text(one, "message", vocab.SH)} for one in asked]
    title = words.sentence(f"the shape of {_text(whole, 'name', vocab.SH)}")
    return {"title": title, "comment": _text(whole, "description", vocab.SH), "rules": rules}


def _context(document: Any, gallery: Gallery) -> Told:
    """Every key with the IRI that it stands for."""
    definitions = document["@context"]
    keys = [_key(name, one, gallery) for name, one in definitions.items() if not name.startswith("@")]
    return {"keys": keys}


def _key(name: str, definition: Any, gallery: Gallery) -> Told:
    compact = str(definition.get("@id", name) if isinstance(definition, dict) else definition)
    typed = definition.get("@type", "") if isinstance(definition, dict) else ""
    prefix, _, local = compact.partition(":")
    iri = vocab.PREFIXES[prefix] + local if prefix in vocab.PREFIXES else compact
    return {"name": name, "iri": compact, "href": gallery.places.href(iri), "type": typed}


def _text(node: Mapping[str, Any], name: str, namespace: str = vocab.RDFS) -> str:
    """The first text of a property."""
    return str(next((one["@value"] for one in node.get(namespace + name, ()) if "@value" in one), ""))


def _several(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


VIEWS: Mapping[str, Callable[[Any, Gallery], Told]] = {
    "entry": _entry,
    "listing": _listing,
    "plain": _plain,
    "answer": _answer,
    "source": _source,
    "sparql": _source,
    "queries": _queries,
    "vocabulary": _vocabulary,
    "shape": _shape,
    "context": _context,
}
"""Name of a template → what it is told about the document."""
