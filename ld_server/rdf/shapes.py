"""
What the shapes say, read as a description: the properties of a resource and what their values must be.

The judge of a resource is `validation`. This is for whoever tells beforehand what is asked for, so that nobody says it twice.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TypeAlias

import pyoxigraph as ox

from ld_server.rdf import vocab

Term: TypeAlias = ox.NamedNode | ox.BlankNode | ox.Literal


@dataclass(frozen=True)
class Property:
    """
    What a shape asks of one property: everything that its property shapes say about the path together.

    `least` and `most` count the values, None is any number. `allowed` are IRIs, or the texts of literals. `classes` are those a value
    must have, `one_of` those of which it must have one. `properties` describe the values where they are nodes. `is_node` says that
    a value is an IRI. `example` is a value that fits, as text.
    """

    path: str
    order: int = 0
    least: int = 0
    most: int | None = None
    datatype: str = ""
    allowed: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()
    shortest: int | None = None
    longest: int | None = None
    lowest: int | None = None
    highest: int | None = None
    is_node: bool = False
    classes: tuple[str, ...] = ()
    one_of: tuple[str, ...] = ()
    properties: tuple["Property", ...] = ()
    message: str = ""
    example: str | None = None

    @property
    def is_required(self) -> bool:
        return self.least > 0


@dataclass(frozen=True)
class Shape:
    """
    A node shape: its name, what it describes, and its properties in their order. `choices` are properties of which one must be there.
    """

    iri: str
    name: str = ""
    description: str = ""
    properties: tuple[Property, ...] = field(default_factory=tuple)
    choices: tuple[tuple[str, ...], ...] = ()


class Shapes:
    """The shapes of `*.ttl` in a directory, and the comments of the vocabulary below it; read when they are first asked for."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def shape(self, iri: str) -> Shape:
        """A node shape by its IRI. Raises KeyError when there is none."""
        return _Reader(self._statements).shape(ox.NamedNode(iri))

    def comment(self, iri: str) -> str:
        """What the vocabulary says about a term of ours; nothing about a foreign one."""
        said = self._vocabulary.get(ox.NamedNode(iri), {}).get(vocab.COMMENT, [])
        return said[0].value if said else ""

    @cached_property
    def _statements(self) -> "Statements":
        return _statements(self._directory.glob("*.ttl"))

    @cached_property
    def _vocabulary(self) -> "Statements":
        return _statements((self._directory / "vocabulary").glob("*.ttl"))


Statements: TypeAlias = Mapping[Term, Mapping[str, list[Term]]]
"""Subject → property → values."""


def _statements(files: Iterable[Path]) -> Statements:
    found: dict[Term, dict[str, list[Term]]] = {}
    for file in sorted(files):
        for quad in ox.parse(path=str(file), format=ox.RdfFormat.TURTLE, rename_blank_nodes=True):
            found.setdefault(quad.subject, {}).setdefault(quad.predicate.value, []).append(quad.object)
    return found


class _Reader:
    """Looks things up in the statements of the shapes."""

    def __init__(self, statements: Statements) -> None:
        self._statements = statements

    def shape(self, node: ox.NamedNode) -> Shape:
        said = self._statements[node]
        return Shape(node.value, _text(said, "name"), _text(said, "description"), self._properties([node]), tuple(self._choices(node)))

    def _choices(self, node: Term) -> Iterator[tuple[str, ...]]:
        """What the property shapes ask for that count several properties together."""
        for shape in self._values(node, "property"):
            if max(self._numbers([shape], "minCount"), default=0) > 0:
                for head in self._all(self._values(shape, "path"), "alternativePath"):
                    yield tuple(one.value for one in self._list(head))

    def _properties(self, nodes: Iterable[Term]) -> tuple[Property, ...]:
        """The properties that these shapes ask for, in their order."""
        by_path: dict[str, list[Term]] = {}
        for node in nodes:
            for shape in self._values(node, "property"):
                by_path.setdefault(self._path(shape), []).append(shape)
        found = [self._property(path, shapes) for path, shapes in by_path.items() if path]
        return tuple(sorted(found, key=lambda one: one.order))

    def _path(self, shape: Term) -> str:
        """The property that a property shape is about; empty where its path has several steps."""
        path = self._values(shape, "path")[0]
        return path.value if isinstance(path, ox.NamedNode) else ""

    def _property(self, path: str, shapes: list[Term]) -> Property:
        node_shapes = [node for shape in shapes for node in self._values(shape, "node")]
        return Property(
            path=path,
            order=min(self._numbers(shapes, "order"), default=0),
            least=max(self._numbers(shapes, "minCount"), default=0),
            most=min(self._numbers(shapes, "maxCount"), default=None),
            datatype=next(self._texts(shapes, "datatype"), ""),
            allowed=next((tuple(one.value for one in self._list(head)) for head in self._all(shapes, "in")), ()),
            patterns=tuple(self._texts(shapes, "pattern")),
            shortest=max(self._numbers(shapes, "minLength"), default=None),
            longest=min(self._numbers(shapes, "maxLength"), default=None),
            lowest=max(self._numbers(shapes, "minInclusive"), default=None),
            highest=min(self._numbers(shapes, "maxInclusive"), default=None),
            is_node=vocab.SH + "IRI" in self._texts(shapes, "nodeKind"),
            classes=tuple(self._texts([*shapes, *node_shapes], "class")),
            one_of=tuple(dict.fromkeys(self._alternatives(shapes))),
            properties=self._properties([*shapes, *node_shapes]),
            message=self._most_telling(shapes),
            example=next((one.value for shape in shapes for one in self._said(shape).get(vocab.EXAMPLE, [])), None),
        )

    def _most_telling(self, shapes: list[Term]) -> str:
        """The message of the property shape that says most."""
        said = {shape: _text(self._said(shape), "message") for shape in shapes}
        return said[max(shapes, key=lambda shape: len(self._said(shape)))]

    def _alternatives(self, shapes: Iterable[Term]) -> Iterator[str]:
        """The classes of which a value must have one."""
        for head in self._all(shapes, "or"):
            yield from self._texts(self._list(head), "class")

    def _said(self, node: Term) -> Mapping[str, list[Term]]:
        return self._statements.get(node, {})

    def _values(self, node: Term, name: str) -> list[Term]:
        return self._said(node).get(vocab.SH + name, [])

    def _all(self, nodes: Iterable[Term], name: str) -> Iterator[Term]:
        return (value for node in nodes for value in self._values(node, name))

    def _texts(self, nodes: Iterable[Term], name: str) -> Iterator[str]:
        return (value.value for value in self._all(nodes, name))

    def _numbers(self, nodes: Iterable[Term], name: str) -> list[int]:
        return [int(text) for text in self._texts(nodes, name)]

    def _list(self, head: Term) -> list[Term]:
        items: list[Term] = []
        while head != ox.NamedNode(vocab.NIL):
            items += self._said(head)[vocab.FIRST]
            head = self._said(head)[vocab.REST][0]
        return items


def _text(said: Mapping[str, list[Term]], name: str) -> str:
    values = said.get(vocab.SH + name, [])
    return values[0].value if values else ""
