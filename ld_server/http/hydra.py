"""The description of the interface in Hydra's terms: the classes, what can be said of each, and what can be done with each."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ld_server.http.errors import TITLES, problem_of
from ld_server.http.links import API_DOCUMENTATION
from ld_server.http.operation import Described, Interface, Operation
from ld_server.rdf import vocab
from ld_server.rdf.contexts import Contexts
from ld_server.rdf.shapes import Property, Shapes
from ld_server.resources import KINDS
from ld_server.resources.kind import Kind

Json = dict[str, Any]

_LINKS = (
    "entrypoint", "expects", "returns", "property", "object", "subject", "variableRepresentation",
)  # fmt: skip
_WORDS = (
    "ApiDocumentation", "Class", "SupportedProperty", "Operation", "Status", "Link", "IriTemplate", "IriTemplateMapping", "title",
    "description", "method", "statusCode", "required", "readable", "writeable", "template", "variable", "expectsHeader",
)  # fmt: skip
_SETS = ("supportedClass", "supportedProperty", "supportedOperation", "possibleStatus", "mapping", "memberAssertion", "search")

CONTEXT: Json = {
    "hydra": vocab.HYDRA,
    "rdfs": vocab.RDFS,
    "subClassOf": {"@id": "rdfs:subClassOf", "@type": "@id"},
    **{word: f"hydra:{word}" for word in _WORDS},
    **{word: {"@id": f"hydra:{word}", "@type": "@id"} for word in _LINKS},
    **{word: {"@id": f"hydra:{word}", "@container": "@set"} for word in _SETS},
}
"""The words of Hydra that are used here."""


@dataclass(frozen=True)
class ApiDocumentation:
    """The document of a deployment. `interface` is what can be asked of it."""

    interface: Interface
    base_iri: str
    shapes: Shapes
    contexts: Contexts

    @property
    def iri(self) -> str:
        return self.base_iri + API_DOCUMENTATION

    def document(self) -> Json:
        """The whole document, as JSON-LD with its own context."""
        return {
            "@context": CONTEXT,
            "@id": self.iri,
            "@type": "ApiDocumentation",
            "title": "ld-reservations",
            "description": "Reservations for fleet equipment, served as linked data.",
            "entrypoint": f"{self.base_iri}/",
            "supportedClass": [self._entry_point(), *self._classes()],
        }

    def _classes(self) -> Iterable[Json]:
        for kind in KINDS.values():
            yield self._class(kind)
            yield self._collection(kind)

    def _entry_point(self) -> Json:
        properties = [self._link(f"{kind.name}s", kind.path.rpartition("/")[2], self._at(kind.path)) for kind in KINDS.values()]
        return {
            "@id": vocab.ENTRY_POINT,
            "@type": "Class",
            "title": "entry point",
            "supportedProperty": properties,
            "supportedOperation": [self._operation(one) for one in self._at("/")],
        }

    def _class(self, kind: Kind) -> Json:
        shape = self.shapes.shape(kind.frame.shape)
        item = f"{kind.path}/{{identifier}}"
        below = {one.route.template for one in self.interface if one.route.template.startswith(item + "/")}
        names = {template: template.removeprefix(item + "/") for template in sorted(below)}
        links = [self._link(f"{kind.name}-{_in_words(name)}", name, self._at(template)) for template, name in names.items()]
        return {
            "@id": class_of(kind),
            "@type": "Class",
            "title": kind.frame.name,
            "description": shape.description,
            "supportedProperty": [*self._properties(kind, shape.properties), *links],
            "supportedOperation": [self._operation(one) for one in self._at(item)],
        }

    def _properties(self, kind: Kind, properties: Iterable[Property]) -> Iterable[Json]:
        known = kind.frame.properties | kind.frame.managed | vocab.GENERAL_PROPERTIES
        return (self._property(kind, one) for one in properties if one.path in known)

    def _property(self, kind: Kind, one: Property) -> Json:
        return {
            "@type": "SupportedProperty",
            "title": self.contexts.key(one.path),
            "description": self.shapes.comment(one.path) or one.message,
            "property": one.path,
            "required": one.is_required,
            "readable": True,
            "writeable": one.path not in kind.frame.managed,
        }

    def _link(self, fragment: str, title: str, operations: Iterable[Described]) -> Json:
        """A property that leads to something with operations of its own."""
        offered = [self._operation(one) for one in operations]
        link = {"@id": f"{self.iri}#{fragment}", "@type": "Link", "title": title, "supportedOperation": offered}
        return {"@type": "SupportedProperty", "title": title, "property": link}

    def _collection(self, kind: Kind) -> Json:
        operations = list(self._at(kind.path))
        variables = [each for one in operations if one.method == "GET" for each in one.operation.parameters if each.where == "query"]
        names = ",".join(each.name for each in variables)
        return {
            "@id": f"{self.iri}#{kind.name}Collection",
            "@type": "Class",
            "subClassOf": vocab.HYDRA + "Collection",
            "title": f"every {kind.frame.name}",
            "memberAssertion": [{"property": vocab.TYPE, "object": class_of(kind)}],
            "search": [
                {
                    "@type": "IriTemplate",
                    "template": f"{self.base_iri}{kind.path}{{?{names}}}",
                    "variableRepresentation": vocab.HYDRA + "BasicRepresentation",
                    "mapping": [_mapping(each.name, each.description) for each in variables],
                }
            ],
            "supportedOperation": [self._operation(one) for one in operations],
        }

    def _at(self, template: str) -> Iterable[Described]:
        return (one for one in self.interface if one.route.template == template)

    def _operation(self, one: Described) -> Json:
        operation = one.operation
        expects, returns = self._meant(operation.expects), self._meant(operation.returns)
        return {
            "@type": "Operation",
            "method": one.method,
            "title": operation.summary,
            **({"expects": expects} if expects else {}),
            **({"returns": returns} if returns else {}),
            "expectsHeader": [each.name for each in operation.parameters if each.where == "header"],
            "possibleStatus": [*_successes(operation), *_refusals(operation)],
        }

    def _meant(self, name: str) -> str:
        """The class that a name in the table of operations means."""
        return class_of(KINDS[name]) if name in KINDS else f"{vocab.HYDRA}{name}" if name else ""


def _in_words(path: str) -> str:
    """A path as it may stand in a fragment: `revisions-number` for `revisions/{number}`."""
    return "-".join(re.findall(r"[A-Za-z]+", path))


def class_of(kind: Kind) -> str:
    """The class that tells the kind from the others: its last one, as `KitTemplate` for what is a product too."""
    return kind.frame.types[-1]


def _mapping(name: str, description: str) -> Json:
    return {"@type": "IriTemplateMapping", "variable": name, "required": False, "description": description}


def _successes(operation: Operation) -> Iterable[Json]:
    return ({"@type": "Status", "statusCode": one.status, "title": one.meaning} for one in operation.answers)


def _refusals(operation: Operation) -> Iterable[Mapping[str, Any]]:
    slugs = dict.fromkeys(problem_of(refusal).slug for refusal in operation.refusals)
    rows = (TITLES[slug] for slug in slugs)
    return ({"@type": "Status", "statusCode": problem.status, "title": title} for title, problem in rows)
