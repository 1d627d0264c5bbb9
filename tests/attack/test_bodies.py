"""
Bodies that are made to hurt, a row each: to be read for ever, to fill the memory, to read files or open connections, to write where they
may not. Each gets its refusal in a few seconds of work, or does no harm.
"""

import json
from typing import Any

import pytest

from tests.costs import within
from tests.http.conftest import ITEM_TYPES, Site, problem

JSON, LD, TURTLE, XML = "application/json", "application/ld+json", "text/turtle", "application/rdf+xml"
TRIG, QUADS, TRIPLES = "application/trig", "application/n-quads", "application/n-triples"
OURS = "http://localhost:8000/contexts/v1.jsonld"
VICTIM = "http://localhost:8000/v1/catalog/item-types/itemType_1"
NOWHERE = "http://127.0.0.1:1/"

PLAIN = {"code": "x", "name": "X", "kind": "serialized"}


def said(**more: Any) -> bytes:
    return json.dumps({**PLAIN, **more}).encode()


def under(context: Any, **more: Any) -> bytes:
    return said(**{"@context": context}, **more)


def beside(text: str) -> bytes:
    """A body whose metadata has this as its text, whether it is JSON or not."""
    return json.dumps(PLAIN).encode()[:-1] + b', "metadata": {"a": ' + text.encode() + b"}}"


def nested(levels: int, start: str, end: str, inner: str = "1") -> str:
    return start * levels + inner + end * levels


PREFIXES = "@prefix s: <http://schema.org/> . @prefix r: <https://w3id.org/ld-reservations#> .\n"


def turtle(more: str = "", head: str = "", after: str = "") -> bytes:
    return f'{head}{PREFIXES}[] a s:Product ; s:sku "x" ; s:name "X" ; r:kind r:serialized {more} .\n{after}'.encode()


def xml(name: str, head: str = "") -> bytes:
    spaces = 'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:s="http://schema.org/"'
    return f'<?xml version="1.0"?>{head}<rdf:RDF {spaces}><s:Product><s:sku>x</s:sku><s:name>{name}</s:name></s:Product></rdf:RDF>'.encode()


def entities(*declared: str) -> str:
    return f"<!DOCTYPE x [{''.join(f'<!ENTITY {one}>' for one in declared)}]>"


LAUGHS = entities('a0 "ha"', *(f'a{n} "{f"&a{n - 1};" * 10}"' for n in range(1, 12)))
MANY_TERMS = {f"t{n}": f"http://e.example/{n}" for n in range(900)}
SCOPED = {"s": {"@id": "http://e.example/s", "@context": MANY_TERMS}}
LONG_CHAIN = {"t0": "http://e.example/", **{f"t{n}": f"t{n - 1}:{'x' * 200}" for n in range(1, 900)}}
NODES = [{"@id": f"http://e.example/{n}", "http://e.example/y": 1} for n in range(2000)]
LONG = f"http://e.example/{'x' * 100_000}/"
SHORT = [{"@id": f"p:{n}"} for n in range(9000)]
MANY_SHORT = ", ".join(f"p:{n}" for n in range(9000))

REFUSED = [
    # --- XML: files, addresses, entities, depth
    ("a file as an entity", XML, xml("&e;", entities('e SYSTEM "file:///etc/passwd"')), 400, "malformed-body"),
    ("an address as an entity", XML, xml("&e;", entities(f'e SYSTEM "{NOWHERE}"')), 400, "malformed-body"),
    ("a parameter entity", XML, xml("X", f'<!DOCTYPE x [<!ENTITY % p SYSTEM "{NOWHERE}"> %p;]>'), 400, "malformed-body"),
    ("a document type elsewhere", XML, xml("X", f'<!DOCTYPE x SYSTEM "{NOWHERE}">'), 400, "malformed-body"),
    ("a billion laughs", XML, xml("&a11;", LAUGHS), 400, "malformed-body"),
    ("an entity used often", XML, xml("&q;" * 20_000, entities(f'q "{"q" * 20_000}"')), 400, "malformed-body"),
    ("elements within elements", XML, xml(nested(20_000, "<s:Product><s:name>", "</s:name></s:Product>")), 400, "malformed-body"),
    ("XML that never ends", XML, xml("X")[:-20], 400, "malformed-body"),
    ("XML in UTF-16", XML, xml("X").decode().encode("utf-16"), 400, "malformed-body"),
    ("XML that says that it is in UTF-16", XML, xml("X").replace(b'"1.0"', b'"1.0" encoding="utf-16"'), 400, "malformed-body"),
    # --- JSON: depth, numbers, characters
    ("arrays within arrays", JSON, nested(1_000_000, "[", "]").encode(), 400, "malformed-body"),
    ("objects within objects", JSON, nested(300_000, '{"a":', "}").encode(), 400, "malformed-body"),
    ("metadata one level too deep", JSON, beside(nested(64, '{"a":', "}")), 400, "malformed-body"),
    ("a number beyond all numbers", JSON, beside("1e400"), 400, "malformed-body"),
    ("a number with 5000 digits", JSON, beside("9" * 5000), 400, "malformed-body"),
    ("zeros in front", JSON, beside("007"), 400, "malformed-body"),
    ("not a number", JSON, beside("-Infinity"), 400, "malformed-body"),
    ("half a character", JSON, beside('"\\udfff"'), 400, "malformed-body"),
    ("half a character, encoded", JSON, b'{"name": "\xed\xa0\x80"}', 400, "malformed-body"),
    ("a slash in two bytes", JSON, b'{"name": "\xc0\xaf"}', 400, "malformed-body"),
    ("a zero byte", JSON, b'{"name": "\x00"}', 400, "malformed-body"),
    ("UTF-32", JSON, "{}".encode("utf-32"), 400, "malformed-body"),
    ("a comment", JSON, b"/* */" + said(), 400, "malformed-body"),
    ("sixty thousand keys", JSON, said(**{f"k{n}": 1 for n in range(60_000)}), 413, "payload-too-large"),
    ("a name of a million characters", JSON, said(name="x" * 1_000_000), 422, "shape-violation"),
    ("a zero character in a name", JSON, said(name="a\0b"), 422, "shape-violation"),
    ("a code that looks like another", JSON, said(code="e\u0301"), 422, "shape-violation"),
    ("a prototype", JSON, said(__proto__={"admin": True}), 422, "unknown-term"),
    # --- contexts: fetched, applied for ever, turned round
    ("a context with a context elsewhere", JSON, under([None, {"x": {"@id": "urn:x", "@context": NOWHERE}}]), 400, "unknown-context"),
    ("a context with an import inside", JSON, under({"x": {"@id": "urn:x", "@context": {"@import": NOWHERE}}}), 400, "unknown-context"),
    ("a context by a path", JSON, under("../../etc/passwd"), 400, "unknown-context"),
    ("no context at all", JSON, under(None), 400, "malformed-body"),
    ("a context that is a number", JSON, under(7), 400, "malformed-body"),
    ("terms that stand for each other", JSON, under({"a": "b:x", "b": "a:y"}, a=1), 400, "malformed-body"),
    ("a context 20,000 times", JSON, under([OURS] * 20_000), 413, "payload-too-large"),
    ("a context in each of many nodes", JSON, said(sameAs=[{"@context": OURS, **one} for one in NODES]), 413, "payload-too-large"),
    ("a large context under a key of many nodes", JSON, under([OURS, SCOPED], s=NODES), 413, "payload-too-large"),
    ("a large context of many classes", JSON, under([OURS, SCOPED], a=[{"@type": "s", **one} for one in NODES]), 413, "payload-too-large"),
    ("small contexts under a large one", JSON, under([OURS, MANY_TERMS], a=[{"@context": {}}] * 2000), 413, "payload-too-large"),
    ("a context with many terms", JSON, under([OURS, {f"t{n}": "urn:x" for n in range(60_000)}]), 413, "payload-too-large"),
    ("terms that grow from one another", JSON, under([OURS, LONG_CHAIN]), 413, "payload-too-large"),
    ("a long IRI behind a short term", JSON, under([OURS, {"p": LONG}], **{"urn:x": SHORT}), 413, "payload-too-large"),
    ("a long name with many values", JSON, said(**{"@id": LONG, "urn:x": list(range(9000))}), 413, "payload-too-large"),
    ("a long name of a graph", LD, json.dumps({"@id": LONG, "@graph": NODES * 4}).encode(), 413, "payload-too-large"),
    ("a million numbers", JSON, said(**{"urn:x": [1] * 1_000_000}), 413, "payload-too-large"),
    ("a million nodes of nothing", JSON, said(**{"urn:x": [{}] * 1_000_000}), 413, "payload-too-large"),
    ("a managed property by another name", JSON, under([OURS, {"name": "rsv:createdBy"}]), 422, "unknown-term"),
    ("a vocabulary of somebody else", JSON, under({"@vocab": "http://evil.example/"}), 422, "shape-violation"),
    ("a key that is not allowed to change", JSON, under([OURS, {"code": "http://evil.example/"}]), 422, "shape-violation"),
    # --- Turtle and its kin
    ("bases within bases", TURTLE, turtle(head="".join(f"@base <x{n}/> .\n" for n in range(4000))), 413, "payload-too-large"),
    ("a long IRI behind a short prefix", TURTLE, turtle(f"; <urn:x> {MANY_SHORT}", f"@prefix p: <{LONG}> ."), 413, "payload-too-large"),
    ("nodes within nodes", TURTLE, turtle("; <urn:x> " + nested(50_000, "[ <urn:x> ", " ]")), 413, "payload-too-large"),
    ("some nodes within nodes", TURTLE, turtle("; <urn:x> " + nested(40, "[ <urn:x> ", " ]")), 400, "malformed-body"),
    ("lists within lists", TURTLE, turtle("; <urn:x> " + nested(50_000, "( ", " )")), 413, "payload-too-large"),
    ("a text that never ends", TURTLE, PREFIXES.encode() + b'<a> <b> "' + b"x" * 1_000_000, 400, "malformed-body"),
    ("an IRI with a space", TURTLE, turtle("; s:url <http://e.example/a b>"), 400, "malformed-body"),
    ("an IRI with a space, escaped", TURTLE, turtle("; s:url <http://e.example/a\\u0020b>"), 400, "malformed-body"),
    ("an IRI with a zero character", TURTLE, turtle("; s:url <http://e.example/\\u0000>"), 400, "malformed-body"),
    ("half a character in Turtle", TURTLE, turtle('; s:description "\\uD800"'), 400, "malformed-body"),
    ("a character beyond all", TURTLE, turtle('; s:description "\\UFFFFFFFF"'), 400, "malformed-body"),
    ("a zero character in Turtle", TURTLE, turtle('; s:description "a\\u0000b"'), 422, "shape-violation"),
    ("a language of 100,000 letters", TURTLE, turtle('; s:description "x"@' + "a" * 100_000), 400, "malformed-body"),
    ("a statement about a statement", TURTLE, turtle("; <urn:x> <<( <urn:a> <urn:b> <urn:c> )>>"), 400, "malformed-body"),
    ("a number as a class", TURTLE, turtle("; a 5"), 422, "shape-violation"),
    ("bytes that are nothing", TRIPLES, b"\x00\x01\x02", 400, "malformed-body"),
    # --- what is somebody else's
    ("words about another resource", TURTLE, turtle(after=f'<{VICTIM}> s:name "hacked" .'), 400, "malformed-body"),
    ("words about another resource that is linked", TURTLE, turtle(f"; s:isRelatedTo <{VICTIM}>", after=f'<{VICTIM}> s:sku "hacked" .'),
     422, "shape-violation"),
    ("words about a part of another resource", TURTLE, turtle(f"; s:isRelatedTo <{VICTIM}#x>", after=f'<{VICTIM}#x> s:sku "hacked" .'),
     422, "shape-violation"),
    ("another resource, included", JSON, said(**{"@included": [{"@id": VICTIM, "description": "hacked"}]}), 422, "resources-refused"),
    ("another resource that points here", JSON, said(**{"@reverse": {"http://schema.org/object": {"@id": VICTIM}}}), 422, "unknown-term"),
    ("another graph beside ours", TRIG, turtle(after=f'<{VICTIM}> {{ <{VICTIM}> s:name "hacked" }}'), 400, "malformed-body"),
]  # fmt: skip


@pytest.mark.parametrize(("media_type", "body", "status", "slug"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_it_is_refused_soon_and_nothing_is_written(fleet: Site, media_type: str, body: bytes, status: int, slug: str) -> None:
    assert len(body) < fleet.parts.settings.max_body_bytes
    before = fleet.written()
    with within():
        problem(fleet.post(ITEM_TYPES, body, Content_Type=media_type), slug, status)
    assert fleet.written() == before


HARMLESS = [
    ("the last of two keys counts", JSON, b'{"code": "a", ' + said()[1:]),
    ("another resource's name as its own", JSON, said(**{"@id": VICTIM})),
    ("another resource's name, by another keyword", JSON, under([{"i": "@id"}, OURS], i=VICTIM)),
    ("another resource's graph", LD, json.dumps({"@graph": [PLAIN], "@id": VICTIM}).encode()),
    ("another resource's graph in TriG", TRIG, f'{PREFIXES}<{VICTIM}> {{ [] s:sku "x" ; s:name "X" ; r:kind r:serialized }}'.encode()),
    ("another base", TURTLE, turtle("; <urn:x> <y>", head="@base <http://evil.example/> .\n")),
    ("a script as a name", JSON, said(**{"@id": "javascript:alert(1)"})),
    ("a script as a link", TURTLE, turtle("; s:url <javascript:alert(1)>")),
    ("a picture that is a page", JSON, said(image={"@id": "data:text/html,<script>alert(1)</script>"})),
    ("an import, and shapes from elsewhere", TURTLE,
     turtle(f"; <http://www.w3.org/2002/07/owl#imports> <{NOWHERE}> ; <http://www.w3.org/ns/shacl#shapesGraph> <{NOWHERE}>")),
    ("text that is turned round", JSON, said(name="abc\u202exyz")),
    ("a byte order mark", JSON, b"\xef\xbb\xbf" + said()),
    ("a node that is its own part", TURTLE, f'{PREFIXES}_:a s:sku "x" ; s:name "X" ; r:kind r:serialized ; <urn:x> _:a .'.encode()),
    ("a context within metadata", JSON, said(metadata={"@context": NOWHERE, "@id": "x"})),
    ("numbers at the edge", TURTLE, turtle("; <urn:x> 1e400, -0, 007, " + "9" * 10_000)),
    ("a day that never was", TURTLE, turtle('; s:releaseDate "0000-00-00"^^<http://www.w3.org/2001/XMLSchema#date>')),
    ("a list of 3,000", JSON, said(**{"urn:x": {"@list": list(range(3000))}})),
    ("metadata with 100,000 keys", JSON, said(metadata={f"k{n}": n for n in range(100_000)})),
    ("what another resource is called", TURTLE, turtle(f"; s:isRelatedTo <{VICTIM}>", after=f'<{VICTIM}> s:name "hacked" .')),
]  # fmt: skip


@pytest.mark.parametrize(("media_type", "body"), [row[1:] for row in HARMLESS], ids=[row[0] for row in HARMLESS])
def test_it_becomes_a_resource_of_its_own_and_nothing_else(fleet: Site, media_type: str, body: bytes) -> None:
    before = fleet.get("/v1/catalog/item-types/itemType_1").content
    posted = body.replace(b'"x"', f'"x{fleet.written()["itemType"]}"'.encode(), 1)
    with within():
        made = fleet.post(ITEM_TYPES, posted, Content_Type=media_type)
    assert made.status_code == 201, made.text
    assert made.json["@id"].startswith(f"http://localhost:8000{ITEM_TYPES}/itemType_")
    assert fleet.get("/v1/catalog/item-types/itemType_1").content == before
    for syntax in ("text/turtle", "application/n-quads", "text/html", "application/ld+json"):
        shown = fleet.get(made.headers["location"].removeprefix("http://localhost:8000"), Accept=syntax)
        assert shown.status_code == 200
        assert "hacked" not in shown.text
