"""
A patch is applied to the stored document, and what comes of it is taken in as a whole, as if it had been posted.

What the server alone says stays as it is; a patch that would change it is refused by name. Setting it to the value that it
has is no change, so that a representation may be sent back with a few values altered.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jsonpatch
import jsonpointer
import orjson

from ld_server.domain.errors import MalformedBody, ShapeViolation, Stale, TooLarge, Violation
from ld_server.rdf import vocab
from ld_server.rdf.adoption import Frame
from ld_server.rdf.contexts import Contexts
from ld_server.rdf.naming import Naming
from ld_server.resources.kind import Document, Kind, is_same

MOST_OPERATIONS = 1000
"""Of one JSON Patch; each may have to look at the whole document."""

LONGEST_POINTER = 100
"""Steps of the pointers of a JSON Patch."""

Patch = Callable[[Document], Any]
"""What makes another JSON value of a document, which it leaves alone."""


# --- merge patch (RFC 7396) -------------------------------------------------------------------------------------------


def merge_patch(body: Any) -> Patch:
    """A merge patch: its values replace those of the document, `null` takes them out. Raises MalformedBody unless it is an object."""
    if not isinstance(body, dict):
        raise MalformedBody("A merge patch must be a JSON object; a list of operations is application/json-patch+json.", pointer="")
    return lambda document: merged(document, body)


def merged(target: Any, patch: Any) -> Any:
    """MergePatch(target, patch) as RFC 7396, section 2, has it."""
    if not isinstance(patch, dict):
        return patch
    kept = target if isinstance(target, dict) else {}
    changed = {key: merged(kept.get(key), value) for key, value in patch.items() if value is not None}
    return {key: value for key, value in {**kept, **changed}.items() if key not in patch or patch[key] is not None}


# --- JSON Patch (RFC 6902) --------------------------------------------------------------------------------------------


def json_patch(body: Any, largest: int) -> Patch:
    """
    A JSON Patch, by which a document may grow to `largest` bytes.

    Raises MalformedBody, with the place, for what is no list of operations. The patch raises MalformedBody when an operation
    cannot be applied, Stale when a `test` fails, TooLarge.
    """
    if not isinstance(body, list):
        raise MalformedBody("A JSON Patch must be a list of operations; an object is application/merge-patch+json.", pointer="")
    if len(body) > MOST_OPERATIONS:
        raise MalformedBody(f"A JSON Patch must have at most {MOST_OPERATIONS} operations.", limit=MOST_OPERATIONS, pointer="")
    operations = [_Operation(position, each) for position, each in enumerate(body)]
    for operation in operations:
        operation.refuse_malformed()
    return lambda document: _patched(document, operations, largest)


def _patched(document: Document, operations: list["_Operation"], largest: int) -> Any:
    value: Any = orjson.loads(orjson.dumps(document))
    for operation in operations:
        value = operation.applied(value)
        if operation.may_multiply:
            _refuse_monstrous(value, largest)
    return value


def _refuse_monstrous(value: Any, largest: int) -> None:
    """Twenty operations that copy the document into itself would make a million of it, or nest it deeper than Python can follow."""
    if len(_written(value)) > largest:
        raise TooLarge(f"The patched resource would have more than {largest} bytes.", limit=largest)


def _written(value: Any) -> bytes:
    try:
        return orjson.dumps(value)
    except TypeError:
        raise MalformedBody("The patched resource would be nested too deeply.") from None


_MEMBERS: Mapping[str, tuple[str, ...]] = {
    "add": ("path", "value"),
    "remove": ("path",),
    "replace": ("path", "value"),
    "move": ("from", "path"),
    "copy": ("from", "path"),
    "test": ("path", "value"),
}
"""Operation → what it must have (RFC 6902, section 4)."""


@dataclass(frozen=True)
class _Operation:
    """One operation, with its position in the patch."""

    position: int
    body: Any

    @property
    def may_multiply(self) -> bool:
        return "from" in _MEMBERS[self.body["op"]]

    def refuse_malformed(self) -> None:
        if not isinstance(self.body, dict):
            raise self._malformed("it is not an object")
        if not isinstance(self.body.get("op"), str) or self.body["op"] not in _MEMBERS:
            raise self._malformed(f"op must be one of {', '.join(_MEMBERS)}", "op")
        for member in _MEMBERS[self.body["op"]]:
            if member not in self.body:
                raise self._malformed(f"{member} is missing", member)
            if member != "value":
                self._refuse_no_pointer(member)

    def _refuse_no_pointer(self, member: str) -> None:
        try:
            steps = jsonpointer.JsonPointer(self.body[member]).parts
        except (jsonpointer.JsonPointerException, TypeError, AttributeError):
            raise self._malformed(f'{member} must be a JSON pointer such as "/name"', member) from None
        if len(steps) > LONGEST_POINTER:
            raise self._malformed(f"{member} must have at most {LONGEST_POINTER} steps", member)

    def applied(self, value: Any) -> Any:
        """The value after this operation, which may be the same object, changed."""
        try:
            return jsonpatch.JsonPatch([self.body]).apply(value, in_place=True)
        except jsonpatch.JsonPatchTestFailed:
            path = self.body["path"]
            raise Stale(f"Operation {self.position} tests {path!r}, which has another value.", operation=self.position, path=path) from None
        except (jsonpatch.JsonPatchException, jsonpointer.JsonPointerException):
            raise self._inapplicable() from None

    def _inapplicable(self) -> MalformedBody:
        said = f"{self.body['op']} from {self.body['from']!r} to" if "from" in _MEMBERS[self.body["op"]] else f"{self.body['op']} at"
        why = f"it cannot {said} {self.body['path']!r}, for the resource has no such place"
        return self._malformed(why, "path", path=self.body["path"])

    def _malformed(self, why: str, member: str = "", **members: Any) -> MalformedBody:
        place = f"/{self.position}/{member}" if member else f"/{self.position}"
        return MalformedBody(f"Operation {self.position} of the patch: {why}.", operation=self.position, pointer=place, **members)


# --- the patched document ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Patching:
    """Patches for a kind. `take_in` reads the bytes of a JSON-LD document as a valid one under a placeholder name."""

    kind: Kind
    naming: Naming
    contexts: Contexts
    take_in: Callable[[bytes], Document]

    def changed(self, before: Document, patch: Patch) -> Document:
        """
        The document as the patch wants it: valid, under the name of the resource, with all that only the server says.

        The same document when the patch changes nothing. Raises the refusals of the patch, ShapeViolation for what cannot be
        changed (with the place of each), and the refusals of `take_in`, whose pointers point into the patched document.
        """
        after = patch(before)
        if not isinstance(after, dict):
            raise MalformedBody("The patch leaves no JSON object.")
        self._refuse_fixed(before, after)
        if is_same(before, after):
            return before
        settled = self._settled(before, {key: value for key, value in after.items() if key not in self._managed})
        ready = self.kind.arrange_patched(before, settled)
        return self._kept(before, _renamed(self.take_in(_written(ready.document)), before["@id"], ready.parts))

    @cached_property
    def _managed(self) -> frozenset[str]:
        return frozenset(self.contexts.key(iri) for iri in self.kind.frame.managed)

    def _refuse_fixed(self, before: Document, after: Document) -> None:
        violations = list(self._fixed(before, after))
        if violations:
            said = "; ".join(one.message for one in violations)
            raise ShapeViolation(f"{said}.", violations)

    def _fixed(self, before: Document, after: Document) -> Iterator[Violation]:
        """What the patch must not change, and does."""
        for key in ("@context", "@id", *sorted(self._managed | self.kind.fixed.keys())):
            if not is_same(before.get(key), after.get(key)):
                why = self.kind.fixed.get(key, f"{key} is given by the server and cannot be changed")
                yield Violation(f"/{key}", self._iri(key), after.get(key), why)
        if lost := sorted(self._classes - _texts(after.get("@type"))):
            yield Violation("/@type", vocab.TYPE, after.get("@type"), f"@type must stay {' and '.join(lost)}")

    @cached_property
    def _classes(self) -> frozenset[str]:
        return frozenset(self.contexts.key(iri) for iri in self.kind.frame.types)

    def _iri(self, key: str) -> str:
        return next((iri for iri in self.kind.frame.managed | self.kind.frame.properties if self.contexts.key(iri) == key), "")

    def _settled(self, before: Document, after: Document) -> Document:
        """The patched document in which a reference that was changed in one of its spellings does not contradict itself."""
        said = _with_flat_keys_meant(before, after, self.kind.frame, self.contexts)
        keys = {self.contexts.key(iri) for iri in self.kind.frame.references}
        return {key: _meant(before.get(key), value) if key in keys else value for key, value in said.items()}

    def _kept(self, before: Document, taken: Document) -> Document:
        """What was taken in, and what the server says besides. Classes have no order, so they keep the one that they had."""
        same_classes = ["@type"] if _texts(before["@type"]) == _texts(taken["@type"]) else []
        return {**taken, **{key: before[key] for key in ("@context", *same_classes, *self._managed) if key in before}}


def _texts(value: Any) -> set[str]:
    return {one for one in (value if isinstance(value, list) else [value]) if isinstance(one, str)}


def _with_flat_keys_meant(before: Document, after: Document, frame: Frame, contexts: Contexts) -> Document:
    """A flat key that the patch has brought (`itemTypeId`) takes the place of the reference that it stands for, unless that is new too."""
    said = dict(after)
    for flat, meant in frame.flat.items():
        key, target = contexts.key(flat), contexts.key(meant)
        if key in said and is_same(said.get(target), before.get(target)):
            said[target] = said.pop(key)
    return said


def _meant(before: Any, after: Any) -> Any:
    """A reference of which the patch has changed the identifier alone means what that identifies."""
    if not isinstance(before, dict) or not isinstance(after, dict):
        return after
    if after.get("@id") != before.get("@id") or after.get("identifier") in (None, before.get("identifier")):
        return after
    return {key: value for key, value in after.items() if key != "@id"}


def _renamed(document: Document, iri: str, parts: Mapping[str, str]) -> Document:
    """The document under its own name, its parts under theirs: `parts` maps fragments as they came to what they are called."""
    placeholder = document["@id"]
    names = {f"{placeholder}#{came}": f"{iri}#{called}" for came, called in parts.items()}
    named = _with_names(document, names)
    renamed: Document = orjson.loads(orjson.dumps(named).replace(placeholder.encode(), iri.encode()))
    return renamed


def _with_names(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {_with_names(key, names): _with_names(one, names) for key, one in value.items()}
    if isinstance(value, list):
        return [_with_names(one, names) for one in value]
    return names.get(value, value) if isinstance(value, str) else value
