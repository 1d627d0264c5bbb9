"""The way in: read → portions → adopt → check → document. Everything here happens before a transaction opens."""

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from pyoxigraph import BlankNode, NamedNode, Triple

from ld_server.domain.errors import MalformedBody, Refusal, Report, ResourcesRefused, ShapeViolation, TooLarge, Violation
from ld_server.rdf import adoption, codecs, representation, vocab
from ld_server.rdf.adoption import Adopted, Portion
from ld_server.rdf.codecs import Limits
from ld_server.rdf.contexts import Contexts
from ld_server.rdf.formats import Format
from ld_server.rdf.naming import Naming
from ld_server.rdf.validation import Validator
from ld_server.rdf.whereabouts import Whereabouts
from ld_server.resources.kind import Document, Kind

Remark = Callable[[Violation], object]
"""Takes what a shape says of a resource without refusing it."""


def take_in(
    body: bytes,
    form: Format,
    kind: Kind,
    naming: Naming,
    contexts: Contexts,
    validator: Validator,
    limits: Limits,
    remark: Remark = lambda _: None,
) -> Document:
    """
    What was posted, as a valid document of the kind, under a placeholder name.

    Relative IRIs are resolved against the collection's address, so that `<>` in Turtle is the new resource.
    Raises the refusals of `codecs.read`, `adoption.adopt` and `Validator.check`, in the words of who sent it.
    """
    arrivals = take_in_all(body, form, kind, naming, contexts, validator, limits)
    if len(arrivals.resources) > 1:
        raise MalformedBody(f"The body describes {len(arrivals.resources)} resources; one is wanted.", found=len(arrivals.resources))
    try:
        document = arrivals.only()
    except Refusal as refusal:
        raise arrivals.in_their_words(refusal) from None
    for one in arrivals.remarks:
        remark(one)
    return document


def take_in_all(
    body: bytes, form: Format, kind: Kind, naming: Naming, contexts: Contexts, validator: Validator, limits: Limits
) -> "Arrivals":
    """
    Everything that was posted, resource by resource; one that is refused does not stop the others from being looked at.

    Raises the refusals of the body as a whole: those of `codecs.read` and `adoption.portions`, and TooLarge for too many resources.
    """
    base = naming.collection(kind.prefix) + "/"
    posted = codecs.read(body, form, base, contexts, limits)
    portions = adoption.portions(posted, kind.frame, contexts, limits.triples, limits.depth // 2)
    if len(portions) > limits.resources:
        detail = f"The body describes {len(portions)} resources; at most {limits.resources} are taken at once."
        raise TooLarge(detail, limit=limits.resources, found=len(portions))
    place = _Place(body, form, base, kind, contexts, limits)
    return Arrivals(place, tuple(_arrived(portion, kind, naming, contexts, validator, limits.lines) for portion in portions))


@dataclass(frozen=True)
class Arrived:
    """
    A resource as it came, and what came of it: a document, or the refusal. `adopted` is None where it did not get that far. `remarks`:
    what shapes say of it without refusing it.
    """

    portion: Portion
    adopted: Adopted | None
    outcome: Document | Refusal
    remarks: tuple[Violation, ...] = ()

    @property
    def sent_as(self) -> str:
        """The IRI by which it came; empty where it had none."""
        return self.portion.root.value if isinstance(self.portion.root, NamedNode) else ""

    def named(self, node: Any) -> Any:
        """A node of ours under the name by which it came; what came without a name is a blank node."""
        if self.adopted is None or not isinstance(node, NamedNode) or not node.value.startswith(self.adopted.root):
            return node
        if node in self.adopted.origins:
            return self.adopted.origins[node]
        root, rest = self.portion.root, node.value.removeprefix(self.adopted.root)
        return NamedNode(root.value + rest) if isinstance(root, NamedNode) else BlankNode(f"part{rest.encode().hex()}")


def _arrived(portion: Portion, kind: Kind, naming: Naming, contexts: Contexts, validator: Validator, most_lines: int) -> Arrived:
    adopted = None
    try:
        adopted = adoption.adopt_portion(portion, kind.frame, naming, contexts)
        _refuse_lines(adopted, most_lines)
        remarks = _check(adopted, kind, contexts, validator)
        return Arrived(portion, adopted, representation.document_of(adopted, kind.keys, contexts), tuple(remarks))
    except Refusal as refusal:
        return Arrived(portion, adopted, refusal)


def _refuse_lines(adopted: Adopted, most: int) -> None:
    """What a deployment takes may be less than what the shape does. Raises ShapeViolation, before any shape has been asked."""
    found = sum(one.predicate.value == vocab.LINE_ITEMS for one in adopted.triples)
    if found > most:
        said = f"a reservation has at most {most} lineItems here, not {found}"
        raise ShapeViolation(f"{said}.", [Violation("/lineItems", vocab.LINE_ITEMS, None, said)])


def _check(adopted: Adopted, kind: Kind, contexts: Contexts, validator: Validator) -> list[Violation]:
    def pointer(focus: str, path: str, value: object) -> str:
        return adopted.pointer(focus, path, contexts)

    return validator.check(adopted.triples, adopted.root, kind.frame.shape, pointer)


@dataclass(frozen=True)
class _Place:
    """The body and how it was read."""

    body: bytes
    form: Format
    base_iri: str
    kind: Kind
    contexts: Contexts
    limits: Limits

    def whereabouts(self) -> Whereabouts:
        document, outside = codecs.self_contained(self.body, self.contexts, self.limits.depth)
        return Whereabouts(document, self.base_iri, self.kind.frame, self.contexts, outside)


@dataclass(frozen=True)
class Arrivals:
    """What a body brought, in the order in which it stood there."""

    place: _Place
    resources: tuple[Arrived, ...]

    def only(self) -> Document:
        """The document of the only resource. Raises its refusal."""
        outcome = self.resources[0].outcome
        if isinstance(outcome, Refusal):
            raise outcome
        return outcome

    @property
    def remarks(self) -> list[Violation]:
        """What shapes say of the resources without refusing them, with its places in what was sent."""
        arrived = enumerate(self.resources)
        return [self._told(remark, one, index) for index, one in arrived for remark in one.remarks]

    def in_their_words(self, refusal: Refusal, index: int = 0) -> Refusal:
        """
        The refusal of one of the resources, or of several, with its places in what was sent: JSON pointers into the client's own JSON,
        names as the client gave them. What is not JSON has no pointers.
        """
        if isinstance(refusal, ResourcesRefused):
            return ResourcesRefused([self._reported(one) for one in refusal.reports], len(self.resources))
        if isinstance(refusal, ShapeViolation):
            return self._violation_in_their_words(refusal, index)
        if "pointer" not in refusal.members:
            return refusal
        told = copy(refusal)
        told.members = {**refusal.members, "pointer": self._pointer(index, refusal.members["pointer"])}
        return told

    def _reported(self, report: Report) -> Report:
        focus = self.resources[report.index].sent_as
        return Report(report.index, self._pointer(report.index, ""), focus, self.in_their_words(report.refusal, report.index))

    def _violation_in_their_words(self, refusal: ShapeViolation, index: int) -> ShapeViolation:
        arrived = self.resources[index]
        violations = [self._told(violation, arrived, index) for violation in refusal.violations]
        report = tuple(Triple(*map(arrived.named, triple)) for triple in refusal.report) if refusal.report is not None else None
        return ShapeViolation(refusal.detail, violations, report)

    def _told(self, violation: Violation, arrived: Arrived, index: int) -> Violation:
        value = _said(arrived, violation.value) if isinstance(violation.value, str) else violation.value
        return replace(violation, pointer=self._pointer(index, violation.pointer), focus=_said(arrived, violation.focus) or "", value=value)

    def _pointer(self, index: int, place: str) -> str:
        return self._whereabouts.of(index, place) if self.place.form.json else ""

    @cached_property
    def _whereabouts(self) -> Whereabouts:
        return self.place.whereabouts()


def _said(arrived: Arrived, name: str) -> str | None:
    """A name of ours as it came, any other text as it is; None for what came without a name."""
    if name.startswith("_:"):
        return None
    if arrived.adopted is None or not name.startswith(arrived.adopted.root):
        return name
    node = arrived.named(NamedNode(name))
    return node.value if isinstance(node, NamedNode) else None
