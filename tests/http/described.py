"""The description of the interface, and whether an answer is what it describes."""

import gzip
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import orjson
from falcon import testing
from jsonschema import Draft202012Validator, FormatChecker
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

METHODS = ("get", "head", "post", "patch", "put", "delete", "options")
OF_THE_PROTOCOL = {"content-type", "content-length"}
"""Headers that OpenAPI does not describe as headers."""
OF_PAGES = {
    "content-security-policy",
    "x-content-type-options",
    "referrer-policy",
    "content-disposition",
    "cross-origin-resource-policy",
    "cross-origin-opener-policy",
}
"""Headers that say how a browser treats what it got, not what was got."""

_SOME = re.compile(r"\{[^}]+\}")


@dataclass(frozen=True)
class Description:
    """An OpenAPI document."""

    document: Mapping[str, Any]

    @cached_property
    def operations(self) -> dict[tuple[str, str], dict[str, Any]]:
        """Method and template → operation."""
        paths = self.document["paths"].items()
        return {(method.upper(), path): one for path, methods in paths for method, one in methods.items() if method in METHODS}

    def template(self, path: str) -> str | None:
        """The template that an address falls under; those without parameters first."""
        return next((template for template, pattern in self._patterns.items() if pattern.fullmatch(path)), None)

    @cached_property
    def _patterns(self) -> dict[str, re.Pattern[str]]:
        return {one: _as_pattern(one) for one in sorted(self.document["paths"], key=lambda one: one.count("{"))}

    def check(self, method: str, path: str, answer: testing.Result) -> None:
        """Whether the answer is one of those that the document has for this request. Unknown paths and methods are nobody's."""
        operation = self.operations.get((method, self.template(path) or ""))
        if operation is None:
            assert answer.status_code in (404, 405), (method, path, answer.status)
            return
        response = operation["responses"].get(str(answer.status_code))
        assert response is not None, f"{method} {path} answers {answer.status}, which is not described: {answer.text[:300]}"
        self._check_response(self.resolved(response), answer, f"{method} {path} {answer.status}")

    def _check_response(self, response: Mapping[str, Any], answer: testing.Result, where: str) -> None:
        described = {name.lower() for name in response.get("headers", ())} | OF_THE_PROTOCOL
        given = {name.lower() for name in answer.headers} - OF_PAGES
        assert given <= described, f"{where} has {given - described}, which are not described"
        if answer.content:
            media_type = answer.headers["content-type"]
            key = media_type if "profile=" in media_type else media_type.partition(";")[0]
            content = response.get("content", {})
            key = key if key in content else "*/*"
            assert key in content, f"{where} has the undescribed Content-Type {media_type}"
            if key == "*/*":
                return
            self.validate(content[key]["schema"], _value(key, answer), where)

    def validate(self, schema: Mapping[str, Any], value: Any, where: str = "") -> None:
        """Whether the value has the schema, which may refer to the document."""
        wrong = sorted(self._validator(schema).iter_errors(value), key=lambda one: list(map(str, one.path)))
        assert not wrong, f"{where}: {[(list(one.path), one.message[:300]) for one in wrong[:5]]}"

    def _validator(self, schema: Mapping[str, Any]) -> Draft202012Validator:
        own = _with_absolute_references(schema)
        return Draft202012Validator(own, registry=self._registry, format_checker=FormatChecker())

    @cached_property
    def _registry(self) -> Registry[Any]:
        return Registry().with_resource(DOCUMENT, Resource(contents=self.document, specification=DRAFT202012))

    def resolved(self, one: Mapping[str, Any]) -> Mapping[str, Any]:
        """What a reference refers to, or the thing itself."""
        while "$ref" in one:
            *_, kind, name = one["$ref"].split("/")
            one = self.document["components"][kind][name]
        return one


DOCUMENT = "urn:x-openapi"


def _with_absolute_references(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: DOCUMENT + one if key == "$ref" else _with_absolute_references(one) for key, one in value.items()}
    return [_with_absolute_references(one) for one in value] if isinstance(value, list) else value


def _as_pattern(template: str) -> re.Pattern[str]:
    return re.compile("[^/]*".join(map(re.escape, _SOME.split(template))))


def _value(media_type: str, answer: testing.Result) -> Any:
    content = gzip.decompress(answer.content) if answer.headers.get("content-encoding") == "gzip" else answer.content
    return orjson.loads(content) if "json" in media_type else content.decode()
