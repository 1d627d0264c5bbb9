"""The description of the interface as people read it: what the template needs to know, taken out of the OpenAPI document."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import orjson
from markupsafe import Markup, escape

from ld_server.http.pages.words import sentence

Json = Mapping[str, Any]
Told = dict[str, Any]

METHODS = ("get", "post", "patch", "put", "delete")
"""The methods that are shown. HEAD and OPTIONS go with the others, and the introduction says so."""

_CODE = re.compile(r"`([^`]+)`")
_PLACES = {"path": "in the path", "query": "in the query", "header": "header"}


def interface(document: Json) -> Told:
    """Groups of operations and the schemas, in the order of the document."""
    groups = [_group(one, document) for one in document["tags"]]
    schemas = [_schema(name, one) for name, one in document["components"]["schemas"].items()]
    return {
        "version": document["info"]["version"],
        "introduction": prose(document["info"]["description"]),
        "groups": groups,
        "schemas": schemas,
        "schemes": [{"name": name, "about": prose(one["description"])} for name, one in document["components"]["securitySchemes"].items()],
    }


def _group(tag: Json, document: Json) -> Told:
    name = tag["name"]
    return {"title": sentence(name), "about": tag.get("description", ""), "operations": _operations(name, document)}


def _operations(group: str, document: Json) -> list[Told]:
    each = ((path, method, methods[method]) for path, methods in document["paths"].items() for method in METHODS if method in methods)
    return [_operation(path, method, one, document) for path, method, one in each if group in one["tags"]]


def _operation(path: str, method: str, one: Json, document: Json) -> Told:
    return {
        "id": one["operationId"],
        "path": path,
        "method": method.upper(),
        "summary": one["summary"],
        "who": _who(one["security"]),
        "parameters": [_parameter(_resolved(each, document)) for each in one["parameters"]],
        "body": _body(one["requestBody"]) if "requestBody" in one else None,
        "answers": [_answer(status, _resolved(each, document)) for status, each in one["responses"].items()],
    }


def _who(security: Iterable[Json]) -> str:
    """Whose key is asked for."""
    needed = {role for scheme in security for roles in scheme.values() for role in roles}
    return f"a key with the scope {', '.join(sorted(needed))}" if needed else "any key" if security else "anyone"


def _parameter(one: Json) -> Told:
    return {"name": one["name"], "place": _PLACES[one["in"]], "about": prose(one["description"]), "type": said(one["schema"])}


def _body(one: Json) -> Told:
    media_types = [(name, said(each["schema"])) for name, each in one["content"].items()]
    examples = {name: _indented(each["value"]) for media in one["content"].values() for name, each in media.get("examples", {}).items()}
    return {"is_required": one["required"], "media_types": media_types, "examples": examples}


def _answer(status: str, one: Json) -> Told:
    media_types = list(one.get("content", ()))
    first: Json = next(iter(one.get("content", {}).values()), {})
    return {
        "status": status,
        "about": prose(one["description"]),
        "media_types": media_types,
        "type": said(first.get("schema", {})),
        "is_refusal": "application/problem+json" in media_types,
    }


def _schema(name: str, one: Json) -> Told:
    required = _required(one)
    rows = [
        {"key": key, "type": said(each), "about": prose(each.get("description", "")), "note": _note(key, each, required)}
        for key, each in one.get("properties", {}).items()
    ]
    return {"name": name, "about": prose(one.get("description", "")), "rows": rows, "type": said({**one, "properties": {}})}


def _required(one: Json) -> set[str]:
    return set(one.get("required", ()))


def _note(key: str, one: Json, required: set[str]) -> str:
    return "required" if key in required else "given back only" if one.get("readOnly") else ""


def said(schema: Json) -> Markup:
    """A schema in a few words, with links to those that have a name."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return Markup('<a href="#{0}">{0}</a>').format(name)
    for keyword, way in _WAYS.items():
        if keyword in schema:
            return way(schema)
    return Markup("any JSON")


def _one_of(schema: Json) -> Markup:
    return Markup(" or ").join(dict.fromkeys(said(one) for one in schema["anyOf"]))


def _listed(schema: Json) -> Markup:
    return Markup("one of {}").format(Markup(", ").join(map(_as_code, schema["enum"])))


def _constant(schema: Json) -> Markup:
    return _as_code(schema["const"])


def _typed(schema: Json) -> Markup:
    types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    if types == ["array"] and "items" in schema:
        return Markup("list of {}").format(said(schema["items"]))
    words = " or ".join(types) + (f" ({schema['format']})" if "format" in schema else "")
    bounds = [text.format(schema[name]) for name, text in _BOUNDS.items() if name in schema]
    return escape(", ".join([words, *bounds]))


def _as_code(value: Any) -> Markup:
    return Markup("<code>{}</code>").format(value)


_WAYS = {"anyOf": _one_of, "enum": _listed, "const": _constant, "type": _typed}
"""Keyword → how a schema that has it is said; the first one counts."""

_BOUNDS = {"minimum": "at least {}", "maximum": "at most {}", "maxLength": "at most {} characters", "maxItems": "at most {}"}


def prose(text: str) -> Markup:
    """Paragraphs, lists with asterisks and `code`, which is all of Markdown that the document uses."""
    return Markup("").join(_block(block) for block in re.split(r"\n\s*\n", text.strip()) if block)


def _block(block: str) -> Markup:
    if block.startswith("* "):
        items = (_inline(item) for item in block.removeprefix("* ").split("\n* "))
        return Markup("<ul>{}</ul>").format(Markup("").join(Markup("<li>{}</li>").format(item) for item in items))
    return Markup("<p>{}</p>").format(_inline(block))


def _inline(text: str) -> Markup:
    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(text))))  # noqa: S704 (what is not a code mark has been escaped)


def _indented(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()


def _resolved(one: Json, document: Json) -> Json:
    if "$ref" not in one:
        return one
    _, _, kind, name = one["$ref"].split("/")
    found: Json = document["components"][kind][name]
    return found
