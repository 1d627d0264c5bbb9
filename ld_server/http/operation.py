"""What can be said of an operation, that is a method of a route: the words in which the table of `operations` is written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from ld_server.domain.errors import Refusal
from ld_server.http.route import Route
from ld_server.http.schemas import Json


@dataclass(frozen=True)
class Parameter:
    """Something a request may say: in its `query`, in a `header`, or in its `path`."""

    name: str
    where: str
    description: str
    schema: Json = field(default_factory=lambda: {"type": "string"})
    is_required: bool = False


@dataclass(frozen=True)
class Manner:
    """Parameters and refusals that come together."""

    parameters: tuple[Parameter, ...] = ()
    refusals: tuple[type[Refusal], ...] = ()


@dataclass(frozen=True)
class Content:
    """A body: media type → JSON Schema, with examples by name for the JSON ones."""

    schemas: Mapping[str, Json]
    examples: Mapping[str, Any] = field(default_factory=dict)
    is_required: bool = True


@dataclass(frozen=True)
class Answer:
    """A success: its status, what it means, what it holds, and the headers that are special about it."""

    status: int
    meaning: str
    content: Mapping[str, Json] = field(default_factory=dict)
    headers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Operation:
    """A method of a route. `name` is unique among all, `group` puts those together that belong together."""

    name: str
    group: str
    summary: str
    answers: tuple[Answer, ...]
    manners: tuple[Manner, ...] = ()
    body: Content | None = None
    expects: str = ""
    """The name of the kind that is sent, where it is one."""
    returns: str = ""
    """The name of the kind that is answered."""

    @property
    def parameters(self) -> list[Parameter]:
        """What the request may say, each once."""
        return list({(one.name, one.where): one for manner in self.manners for one in manner.parameters}.values())

    @property
    def refusals(self) -> list[type[Refusal]]:
        """The ways in which the request can be refused, each once."""
        return list(dict.fromkeys(one for manner in self.manners for one in manner.refusals))


@dataclass(frozen=True)
class Described:
    """A method of a route with its description."""

    route: Route
    method: str
    operation: Operation


Interface: TypeAlias = Sequence[Described]
"""Everything that can be asked of the server; HEAD and OPTIONS, which go with the rest, are not spelled out."""
