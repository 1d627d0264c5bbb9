"""
Adoption: a posted graph becomes a resource of ours.

Whatever the syntax was, what comes out is one graph in one spelling: schema.org under `http:`, our own terms under our own
names, a root with a name of ours, references that are IRIs of resources, times in UTC. Nothing here looks at a store.
"""

import difflib
import sys
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeAlias

from pyoxigraph import BlankNode, Literal, NamedNode, Triple

from ld_server.domain.errors import MalformedBody, ShapeViolation, TooLarge, UnknownReference, UnknownTerm, Violation
from ld_server.rdf import vocab
from ld_server.rdf.contexts import Contexts
from ld_server.rdf.naming import Naming
from ld_server.rdf.tracing import token

Node: TypeAlias = NamedNode | BlankNode | Triple
Term: TypeAlias = Node | Literal

RDF_TYPE = NamedNode(vocab.TYPE)


@dataclass(frozen=True)
class Reference:
    """A property whose values are resources of ours: prefix of the identifier → classes that a reference carries."""

    targets: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Frame:
    """
    How a posted graph becomes one kind of resource.

    `types`: classes of the root, the first one is the principal; `others`: classes that it may have instead, or besides.
    `properties`: what may be said of the root, of our own terms. `parts`: properties whose values are parts of the resource, each with
    what may be said of them. `references`: properties that point at other resources. `flat`: the seed's flat keys and the property each
    stands for. `managed`: what the server alone says; taken out of a posted graph, so that a representation can be posted back.
    `arrange`: the last word of the kind.
    """

    name: str
    prefix: str
    types: tuple[str, ...]
    shape: str
    properties: frozenset[str]
    managed: frozenset[str] = frozenset()
    parts: Mapping[str, frozenset[str]] = field(default_factory=dict)
    references: Mapping[str, Reference] = field(default_factory=dict)
    flat: Mapping[str, str] = field(default_factory=dict)
    arrange: Callable[["Draft"], None] = lambda draft: None
    others: tuple[str, ...] = ()


class Draft:
    """A graph under adoption: the statements by subject, in the order in which they came."""

    def __init__(self, triples: Iterable[Triple], root: Node, pointers: dict[str, str] | None = None) -> None:
        self.root = root
        self.pointers: dict[str, str] = pointers if pointers is not None else {}
        self.origins: dict[Node, Node] = {}
        """Node → the node that stood in its place when the graph came, for every node that was renamed."""
        self.elsewhere: dict[str, str] = {}
        """Property of the root → JSON pointer of the value in which it was said, where that is not the root itself."""
        self._statements: dict[Node, dict[Triple, None]] = {}
        self._pointed_at: Counter[Term] | None = None
        self.add(*triples)

    def __iter__(self) -> Iterator[Triple]:
        return (triple for group in list(self._statements.values()) for triple in list(group))

    def add(self, *triples: Triple) -> None:
        self._pointed_at = None
        for triple in triples:
            self._statements.setdefault(triple.subject, {})[triple] = None

    def say(self, subject: Node, predicate: str, value: Term) -> None:
        self.add(Triple(subject, NamedNode(predicate), value))

    def of(self, subject: Term) -> list[Triple]:
        """What is said about the node."""
        return list(self._statements.get(subject, ())) if not isinstance(subject, Literal) else []

    def values(self, subject: Term, predicate: str) -> list[Term]:
        return [triple.object for triple in self.of(subject) if triple.predicate.value == predicate]

    def remove(self, subject: Node, predicate: str) -> list[Term]:
        """Takes the statements out and gives their values."""
        values = self.values(subject, predicate)
        for triple in [one for one in self.of(subject) if one.predicate.value == predicate]:
            del self._statements[subject][triple]
        return values

    def leave_out(self, subject: Node, predicates: Container[str]) -> None:
        """Takes out what is said of the node by any of these properties."""
        self._pointed_at = None
        self._statements[subject] = {one: None for one in self._statements.get(subject, ()) if one.predicate.value not in predicates}

    def replace(self, triple: Triple, value: Term) -> None:
        """Gives the statement another value, in its place."""
        new = Triple(triple.subject, triple.predicate, value)
        group = self._statements[triple.subject]
        self._statements[triple.subject] = dict.fromkeys(new if one == triple else one for one in group)

    def forget(self, subject: Node) -> None:
        """Takes out everything that is said about the node."""
        self._statements.pop(subject, None)

    def rename(self, names: Mapping[Node, Node]) -> None:
        """Every node that has a new name in `names` gets it, wherever it stands."""
        triples = [Triple(names.get(t.subject, t.subject), t.predicate, _renamed(t.object, names)) for t in self]
        self.root = names.get(self.root, self.root)
        self.origins |= {new: self.origins.pop(old, old) for old, new in names.items()}
        self._statements = {}
        self.add(*triples)

    def times_pointed_at(self, node: Term) -> int:
        """How many statements have the node as their value."""
        if self._pointed_at is None:
            self._pointed_at = Counter(triple.object for triple in self)
        return self._pointed_at[node]

    def reachable(self, start: Node | None = None) -> dict[Term, tuple[Term, str] | None]:
        """
        The nodes to which a way of statements leads from the root, or from another node, the nearest first. Each with the node before
        it on the way and the property that leads on.
        """
        found: dict[Term, tuple[Term, str] | None] = {start or self.root: None}
        for node in (ahead := list(found)):
            for triple in self.of(node):
                if triple.object not in found and not isinstance(triple.object, Literal):
                    found[triple.object] = (node, triple.predicate.value)
                    ahead.append(triple.object)
        return found

    def keep(self, nodes: Container[Term]) -> None:
        """Forgets every node that is not among these."""
        for node in [one for one in self._statements if one not in nodes]:
            self.forget(node)


@dataclass(frozen=True)
class Adopted:
    """
    A graph in our spelling. `root` is the IRI of the resource, for a new one a placeholder.
    `pointers`: IRI of the root and of each part → JSON pointer of the place where it stands in our document.
    `origins`: a node that has another name here than it came with → the node that it was.
    `elsewhere`: property of the root → JSON pointer of the value in which it was said, where that is not the root itself.
    """

    root: str
    triples: tuple[Triple, ...]
    pointers: Mapping[str, str]
    origins: Mapping[Node, Node] = field(default_factory=dict)
    elsewhere: Mapping[str, str] = field(default_factory=dict)

    def pointer(self, node: str, path: str, contexts: Contexts) -> str:
        """The JSON pointer of a property of a node in our document, of the node itself where `path` is ""; `_:…` is a blank node."""
        draft = Draft(self.triples, NamedNode(self.root), dict(self.pointers))
        draft.elsewhere.update(self.elsewhere)
        found = BlankNode(node[2:]) if node.startswith("_:") else NamedNode(node)
        return _place_of_key(draft, found, path, contexts) if path else _place(draft, found, contexts)


@dataclass(frozen=True)
class Portion:
    """The statements of a body that tell of one resource, in our spelling of terms. `root` is its node, by the name it came with."""

    root: Node
    triples: tuple[Triple, ...]


def portions(triples: Iterable[Triple], frame: Frame, contexts: Contexts, most: int = sys.maxsize, deepest: int = 32) -> list[Portion]:
    """
    The posted statements, resource by resource, in the order in which they came; what several of them lead to is in each.

    A page of a collection counts as its members. Raises MalformedBody (no resource, statements that hang loose, or nodes within nodes
    on more than `deepest` levels), and TooLarge when the portions have more than `most` statements together.
    """
    spelled = _spelled(triples, contexts)
    tops = _roots(spelled, frame)
    draft = Draft(spelled, tops[0])
    told = [draft.reachable(top) for top in tops]
    _refuse_loose_ends(draft, set().union(*told))
    _refuse_depth(draft, told, deepest)
    if sum(len(draft.of(node)) for nodes in told for node in nodes) > most:
        raise TooLarge(f"The resources of the body share so much that they have more than {most} statements.", limit=most)
    return [Portion(root, tuple(one for node in nodes for one in draft.of(node))) for root, nodes in zip(tops, told, strict=True)]


def roots(triples: Iterable[Triple], frame: Frame, contexts: Contexts) -> list[Node]:
    """The nodes for which `portions` makes portions of these statements. Raises MalformedBody when there is none."""
    return _roots(_spelled(triples, contexts), frame)


def adopt(triples: Iterable[Triple], frame: Frame, naming: Naming, contexts: Contexts) -> Adopted:
    """
    The posted statements as a resource of the frame's kind, under a placeholder name.

    Raises MalformedBody (no resource, several, or statements that hang loose) and the refusals of `adopt_portion`.
    """
    found = portions(triples, frame, contexts)
    if len(found) > 1:
        raise MalformedBody(f"The body describes {len(found)} resources; post one at a time.", found=len(found))
    return adopt_portion(found[0], frame, naming, contexts)


def adopt_portion(portion: Portion, frame: Frame, naming: Naming, contexts: Contexts) -> Adopted:
    """
    One of the posted resources as one of the frame's kind, under a placeholder name.

    Raises UnknownTerm, UnknownReference, ShapeViolation (another class than the kind's).
    """
    draft = Draft(portion.triples, portion.root)
    _take_out_managed(draft, frame)
    _name_root(draft, frame, naming)
    _resolve_flat_keys(draft, frame)
    _resolve_references(draft, frame, naming, contexts)
    _refuse_words_about_others(draft, frame, naming, contexts)
    draft.pointers[_iri(draft.root)] = ""
    frame.arrange(draft)
    _refuse_unknown_terms(draft, frame, contexts)
    return Adopted(_iri(draft.root), tuple(draft), draft.pointers, draft.origins, draft.elsewhere)


# --- one spelling -----------------------------------------------------------------------------------------------------


def _spelled(triples: Iterable[Triple], contexts: Contexts) -> list[Triple]:
    return _without_pages([_spell(triple, contexts) for triple in triples])


def _spell(triple: Triple, contexts: Contexts) -> Triple:
    predicate = NamedNode(spelled_iri(triple.predicate.value, contexts))
    return Triple(_spell_node(triple.subject), predicate, _spell_value(predicate.value, triple.object, contexts))


def spelled_iri(iri: str, contexts: Contexts) -> str:
    """
    The one spelling of the IRI of a property.

    A key of ours that was read with schema.org's context alone (as in the envelope of the specification) is still ours.
    """
    return contexts.meant_by_schema.get(_canonical(iri), _canonical(iri))


def _canonical(iri: str) -> str:
    return vocab.SCHEMA + iri.removeprefix(vocab.SCHEMA_HTTPS) if iri.startswith(vocab.SCHEMA_HTTPS) else iri


def _spell_node(node: Node) -> Node:
    return NamedNode(_canonical(node.value)) if isinstance(node, NamedNode) else node


def _spell_value(predicate: str, value: Term, contexts: Contexts) -> Term:
    if not isinstance(value, Literal):
        return _spell_node(value)
    coercion = contexts.coercions.get(predicate)
    if coercion is None or value.language is not None or value.datatype.value not in _PLAIN_TYPES | {coercion}:
        return value
    if coercion == "@vocab":
        return NamedNode(contexts.vocabularies[predicate] + value.value) if _is_word(value.value) else value
    return _utc(value.value) if coercion == vocab.DATE_TIME else Literal(value.value, datatype=NamedNode(coercion))


_PLAIN_TYPES = {vocab.STRING, vocab.SCHEMA + "DateTime", vocab.SCHEMA + "Date", vocab.SCHEMA + "Duration"}


def _is_word(text: str) -> bool:
    return text.isascii() and text.replace("_", "").isalnum()


def _utc(text: str) -> Literal:
    """The instant in UTC, `Z`; a text that is no instant with a zone stays as it is, for the shapes to refuse."""
    try:
        moment = datetime.fromisoformat(text) if "T" in text else None
    except ValueError:
        moment = None
    if moment is not None and moment.tzinfo is not None:
        text = _written(moment) or text
    return Literal(text, datatype=NamedNode(vocab.DATE_TIME))


def _written(moment: datetime) -> str | None:
    try:
        return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
    except OverflowError:
        return None


# --- the root ---------------------------------------------------------------------------------------------------------


def _roots(triples: list[Triple], frame: Frame) -> list[Node]:
    """The nodes that the graph is about: those of the kind's class at which nobody points, or else all at which nobody points."""
    subjects = dict.fromkeys(triple.subject for triple in triples)
    referred = {t.object for t in triples if t.predicate.value in frame.references}
    typed = {t.subject for t in triples if t.predicate == RDF_TYPE and _iri(t.object) == frame.types[0]} - referred
    pointed_at = {t.object for t in triples if t.subject != t.object}
    for candidates in ([one for one in subjects if one in typed], list(subjects)):
        roots = [one for one in candidates if one not in pointed_at] or (candidates if len(candidates) == 1 else [])
        if roots:
            return roots
    raise MalformedBody(f"The body describes no {frame.name}: no node stands at the top.")


def _without_pages(triples: list[Triple]) -> list[Triple]:
    """The statements without those about a page of a collection: its members stand at the top then."""
    pages = {one.subject for one in triples if one.predicate == RDF_TYPE and _iri(one.object) in _PAGES}
    return [one for one in triples if one.subject not in pages] if pages else triples


_PAGES = frozenset({vocab.HYDRA + "Collection", vocab.HYDRA + "PartialCollectionView"})


def _refuse_loose_ends(draft: Draft, reachable: Container[Term]) -> None:
    loose = next((triple.subject for triple in draft if triple.subject not in reachable), None)
    if loose is not None:
        raise MalformedBody(f"The statements about {loose} are not connected with the resource; nothing would lead to them.")


def _refuse_depth(draft: Draft, told: Iterable[Mapping[Term, tuple[Term, str] | None]], deepest: int) -> None:
    """Raises MalformedBody where a node is further from its root than documents are written. The length of a list is no depth."""
    for ways in told:
        depths: dict[Term, int] = {}
        for node, way in ways.items():
            depths[node] = 0 if way is None else depths[way[0]] + (way[1] != vocab.REST or not is_cell(node, draft))
        if max(depths.values()) > deepest:
            raise MalformedBody(f"The nodes are nested deeper than {deepest} levels.", limit=deepest)


def is_cell(node: Term, draft: Draft) -> bool:
    """Whether it is nothing but the place of one item in an RDF list."""
    said = [one.predicate.value for one in draft.of(node)] if isinstance(node, BlankNode) else []
    return sorted(said) == [vocab.FIRST, vocab.REST] and draft.times_pointed_at(node) == 1


def _take_out_managed(draft: Draft, frame: Frame) -> None:
    draft.leave_out(draft.root, frame.managed)
    draft.keep(draft.reachable())


def _name_root(draft: Draft, frame: Frame, naming: Naming) -> None:
    old, new = draft.root, naming.placeholder(frame.prefix)
    names: dict[Node, Node] = {old: NamedNode(new)}
    if isinstance(old, NamedNode):
        names |= {node: NamedNode(new + node.value.removeprefix(old.value)) for node in _fragments_of(old.value, draft)}
    draft.rename(names)
    _settle_types(draft, frame)


def _fragments_of(root: str, draft: Draft) -> set[NamedNode]:
    nodes = {term for triple in draft for term in (triple.subject, triple.object) if isinstance(term, NamedNode)}
    return {node for node in nodes if node.value.startswith(root + "#")}


def _settle_types(draft: Draft, frame: Frame) -> None:
    """A root without a class gets the kind's; a root of another class is refused."""
    found = {_iri(one) for one in draft.values(draft.root, vocab.TYPE)}
    _refuse_literal_types(draft)
    if found and not found & {*frame.types, *frame.others}:
        value = sorted(found)[0]
        message = f"@type must be {frame.types[0].rpartition('/')[2]}"
        raise ShapeViolation(message + ".", [Violation("/@type", vocab.TYPE, value, message)])
    for name in frame.types:
        draft.say(draft.root, vocab.TYPE, NamedNode(name))


def _refuse_literal_types(draft: Draft) -> None:
    literal = next((one.object for one in draft if one.predicate == RDF_TYPE and isinstance(one.object, Literal)), None)
    if literal is not None:
        message = "@type must be the IRI of a class"
        raise ShapeViolation(message + ".", [Violation("/@type", vocab.TYPE, literal.value, message)])


# --- references -------------------------------------------------------------------------------------------------------


def _resolve_flat_keys(draft: Draft, frame: Frame) -> None:
    for triple in draft:
        target = frame.flat.get(triple.predicate.value)
        if target is not None:
            draft.remove(triple.subject, triple.predicate.value)
            draft.say(triple.subject, target, triple.object)


def _resolve_references(draft: Draft, frame: Frame, naming: Naming, contexts: Contexts) -> None:
    """Each reference becomes the IRI of the resource it means, with its class and identifier and nothing else."""
    pointing = [triple for triple in draft if triple.predicate.value in frame.references]
    meant = [(triple, _referred(draft, triple, frame, naming, contexts)) for triple in pointing]
    for triple, _ in meant:
        if not isinstance(triple.object, Literal):
            draft.forget(triple.object)
    for triple, identifier in meant:
        _refer(draft, triple, identifier, frame.references[triple.predicate.value], naming)


def _refer(draft: Draft, triple: Triple, identifier: str, reference: Reference, naming: Naming) -> None:
    target = NamedNode(naming.iri(identifier))
    draft.replace(triple, target)
    for name in reference.targets[identifier.partition("_")[0]]:
        draft.say(target, vocab.TYPE, NamedNode(name))
    draft.say(target, vocab.IDENTIFIER, Literal(identifier))


def _referred(draft: Draft, triple: Triple, frame: Frame, naming: Naming, contexts: Contexts) -> str:
    """The identifier of the resource that the triple points at. Raises UnknownReference when it can be none."""
    field_name = contexts.key(triple.predicate.value)
    targets = frame.references[triple.predicate.value].targets
    identifier = _meant(draft, triple.object, naming)
    parsed = naming.parse(identifier) if identifier else None
    if identifier is None or parsed is None or parsed[0] not in targets:
        wanted = " or ".join(f"{prefix}_7" for prefix in targets)
        detail = f"{field_name} must name a resource of this server, such as {wanted}, not {_shown(draft, triple.object)}."
        raise UnknownReference(detail, field=field_name, pointer=f"{_place(draft, triple.subject, contexts)}/{field_name}")
    _refuse_foreign_statements(draft, triple, contexts)
    return identifier


def _meant(draft: Draft, value: Term, naming: Naming) -> str | None:
    """The identifier that a value means: its own text, its IRI, or the identifier that is said of it."""
    if isinstance(value, Literal):
        return value.value if naming.parse(value.value) else naming.identifier(value.value)
    if isinstance(value, NamedNode):
        return naming.identifier(value.value)
    said = [one.value for one in draft.values(value, vocab.IDENTIFIER) if isinstance(one, Literal)]
    return said[0] if len(said) == 1 else None


def _refuse_foreign_statements(draft: Draft, pointing: Triple, contexts: Contexts) -> None:
    """Only what a reference echoes may be said of another resource; the rest belongs into that one."""
    foreign = [t.predicate.value for t in draft.of(pointing.object) if t.predicate.value not in _ECHOED]
    if foreign:
        field_name = contexts.key(pointing.predicate.value)
        message = f"{field_name} may only be referred to here; {foreign[0]} belongs into that resource itself"
        place = f"{_place(draft, pointing.subject, contexts)}/{field_name}"
        raise ShapeViolation(message + ".", [Violation(place, foreign[0], None, message)])


def _refuse_words_about_others(draft: Draft, frame: Frame, naming: Naming, contexts: Contexts) -> None:
    """
    What a graph says of another resource of ours would be said of it in the SPARQL store, too, where all graphs are one: it is refused,
    and forgotten where it is no more than what a reference echoes.
    """
    root, referred = _iri(draft.root), {one.object for one in draft if one.predicate.value in frame.references}
    others = {one.subject for one in draft if isinstance(one.subject, NamedNode) and one.subject not in referred}
    for other in others:
        if other.value.partition("#")[0] == root or naming.owner(other.value) is None:
            continue
        foreign = [one.predicate.value for one in draft.of(other) if one.predicate.value not in _ECHOED]
        if foreign:
            message = f"{other.value} may only be referred to here; {foreign[0]} belongs into that resource itself"
            raise ShapeViolation(message + ".", [Violation(_place(draft, other, contexts), foreign[0], None, message)])
        draft.forget(other)


_ECHOED = frozenset({vocab.TYPE, vocab.IDENTIFIER, vocab.NAME})


def _shown(draft: Draft, value: Term) -> str:
    if isinstance(value, BlankNode):
        said = [str(one) for one in draft.values(value, vocab.IDENTIFIER)]
        return f"a node with the identifier {said[0]}" if said else "a node without an identifier"
    return repr(_iri(value) if not isinstance(value, Literal) else value.value)


# --- terms ------------------------------------------------------------------------------------------------------------


def _refuse_unknown_terms(draft: Draft, frame: Frame, contexts: Contexts) -> None:
    allowed_at = {part: properties for predicate, properties in frame.parts.items() for part in draft.values(draft.root, predicate)}
    allowed_at[draft.root] = frame.properties | frame.managed
    foreign = {value for triple in draft if triple.predicate.value in frame.references for value in [triple.object]}
    for triple in draft:
        if triple.subject not in foreign:
            own = allowed_at.get(triple.subject, frozenset())
            _refuse_unknown_property(triple, own, draft, frame, contexts)
            _refuse_unknown_class(triple, draft, frame, contexts)


def _refuse_unknown_property(triple: Triple, own: frozenset[str], draft: Draft, frame: Frame, contexts: Contexts) -> None:
    iri = triple.predicate.value
    if iri in own or iri in vocab.GENERAL_PROPERTIES or not iri.startswith((vocab.SCHEMA, vocab.RSV)):
        return
    key = contexts.key(iri).removeprefix(vocab.RSV)
    candidates = [contexts.key(one) for one in own | vocab.GENERAL_PROPERTIES]
    place = f"{_place(draft, triple.subject, contexts)}{_aside(draft, triple.subject, iri)}"
    raise UnknownTerm(
        f"{key} is not a known property of {_whose(triple.subject, draft, frame)}.{_suggestion(key, candidates)}",
        pointer=f"{place}/{key}",
        term=iri,
        suggestion=_nearest(key, candidates),
    )


def _whose(subject: Node, draft: Draft, frame: Frame) -> str:
    return f"{_article(frame.name)} {frame.name}" if subject == draft.root else f"this part of {_article(frame.name)} {frame.name}"


def _article(noun: str) -> str:
    return "an" if noun[0] in "aeiou" else "a"


def _refuse_unknown_class(triple: Triple, draft: Draft, frame: Frame, contexts: Contexts) -> None:
    iri = _iri(triple.object)
    own = _OWN_CLASSES.union(frame.types, frame.others)
    if triple.predicate != RDF_TYPE or not iri.startswith((vocab.SCHEMA, vocab.RSV)) or iri in own:
        return
    if iri not in vocab.CLASSES:
        candidates = [contexts.key(one) for one in vocab.CLASSES]
        key = contexts.key(iri)
        place = f"{_place(draft, triple.subject, contexts)}/@type"
        raise UnknownTerm(
            f"{key} is not a known class.{_suggestion(key, candidates)}", pointer=place, term=iri, suggestion=_nearest(key, candidates)
        )


_OWN_CLASSES = frozenset({vocab.LINE_ITEM, vocab.ALLOCATION, vocab.KIT_COMPONENT, vocab.UNAVAILABILITY})


def _suggestion(key: str, candidates: Iterable[str]) -> str:
    nearest = _nearest(key, candidates)
    return f" Did you mean {nearest}?" if nearest else ""


def _nearest(key: str, candidates: Iterable[str]) -> str | None:
    folded = {one.casefold(): one for one in sorted(candidates)}
    close = difflib.get_close_matches(key.casefold(), folded, n=1, cutoff=0.6)
    return folded[close[0]] if close else None


def _place(draft: Draft, node: Term, contexts: Contexts) -> str:
    """The JSON pointer at which a node stands in our document: where its part does, or at the end of the way that leads to it."""
    ways = {} if _iri(node) in draft.pointers else draft.reachable()
    steps: list[str] = []
    while _iri(node) not in draft.pointers and (way := ways.get(node)) is not None:
        steps.append(_step(draft, *way, node, contexts))
        node = way[0]
    return draft.pointers.get(_iri(node), "") + "".join(reversed(steps))


def _step(draft: Draft, subject: Term, predicate: str, value: Term, contexts: Contexts) -> str:
    key, values = contexts.key(predicate), draft.values(subject, predicate)
    position = f"/{values.index(value)}" if len(values) > 1 or contexts.is_always_array(key) else ""
    return f"{_aside(draft, subject, predicate)}/{token(key)}{position}"


def _place_of_key(draft: Draft, node: Term, predicate: str, contexts: Contexts) -> str:
    return f"{_place(draft, node, contexts)}{_aside(draft, node, predicate)}/{token(contexts.key(predicate))}"


def _aside(draft: Draft, subject: Term, predicate: str) -> str:
    """The way from a node to the value in which a property of it was said, where that is not the node itself."""
    return draft.elsewhere.get(predicate, "") if subject == draft.root else ""


def _iri(term: Term) -> str:
    return term.value if isinstance(term, NamedNode) else str(term)


def _renamed(term: Term, names: Mapping[Node, Node]) -> Term:
    return term if isinstance(term, Literal) else names.get(term, term)
