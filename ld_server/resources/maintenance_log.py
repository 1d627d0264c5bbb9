"""
Maintenance logs: work that was done on a unit, or that is planned. What it is in schema.org's terms follows from its kind.

An entry is never changed. Whoever was wrong writes another one, which says what it corrects.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NoReturn

from pyoxigraph import BlankNode, Literal, NamedNode, Triple

from ld_server.domain.commands import CreateMaintenanceLog
from ld_server.domain.scopes import Scope
from ld_server.rdf import vocab
from ld_server.rdf.adoption import Draft, Frame, Reference, Term
from ld_server.resources.kind import Document, Filter, Kind, Sort, findable, identifier_of, instant, stamps, text_search
from ld_server.resources.parts import part, refuse

KEYS = (
    "kind", "summary", "object", "performedAt", "performedBy", "agent", "outcome", "nextAction", "actionStatus", "details",
    "plannedStart", "plannedEnd", "corrects", "endangers", "schemaOrg", "metadata", "createdBy", "createdAt", "updatedAt",
)  # fmt: skip

CLASSES: Mapping[str, str] = {
    "inspection": vocab.CHECK_ACTION,
    "repair": vocab.REPAIR_ACTION,
    "update": vocab.UPDATE_ACTION,
    "clean": vocab.ACTION,
    "refurb": vocab.REPAIR_ACTION,
    "qa": vocab.CHECK_ACTION,
    "other": vocab.ACTION,
}
"""The seed's kind → the class that such work has besides MaintenanceLog."""

OUTCOMES = ("pass", "fail", "n_a")

Merge = Callable[[str], tuple[str, Sequence[Triple]]]
"""JSON-LD as text → the text as it is kept, and the statements of its resource, about a node that stands first."""


def _nothing(text: str) -> tuple[str, Sequence[Triple]]:
    return text, ()


def arrange(draft: Draft, asset: str = "", merge: Merge = _nothing) -> None:
    """
    Merges what is said in `schemaOrg`, puts the unit there whose log it is (`asset` is its IRI), and gives the class of the kind.

    Raises ShapeViolation for another unit, a class that another kind has, or an action that says otherwise than the entry.
    """
    _merge(draft, asset, merge)
    if asset:
        _arrange_object(draft, asset)
    _arrange_agent(draft)
    _arrange_class(draft)


def _merge(draft: Draft, asset: str, merge: Merge) -> None:
    for literal in [one for one in draft.remove(draft.root, vocab.SCHEMA_ORG) if isinstance(one, Literal)]:
        text, statements = merge(literal.value)
        draft.say(draft.root, vocab.SCHEMA_ORG, Literal(text, datatype=literal.datatype))
        if statements:
            _merge_action(draft, Draft(statements, statements[0].subject), asset)


def _merge_action(draft: Draft, said: Draft, asset: str) -> None:
    _refuse_contradictions(draft, said, asset)
    for property_ in (vocab.OBJECT, *FRAME.managed):
        said.remove(said.root, property_)
    said.keep(said.reachable())
    said.rename({said.root: draft.root})
    if said.values(said.root, vocab.AGENT):
        draft.remove(draft.root, vocab.AGENT)
        draft.keep(draft.reachable())
    told = {one.predicate.value for one in draft.of(draft.root)}
    draft.elsewhere |= dict.fromkeys({one.predicate.value for one in said.of(said.root)} - told, IN_SCHEMA_ORG)
    draft.add(*said)


IN_SCHEMA_ORG = "/schemaOrg"


# --- an action may say more than the entry, and nothing else ----------------------------------------------------------


def _refuse_contradictions(draft: Draft, said: Draft, asset: str) -> None:
    """Raises ShapeViolation for the first thing that the action says otherwise than the entry."""
    _refuse_another_class(draft, said)
    for value in said.values(said.root, vocab.OBJECT):
        if not _may_be(_identity(said, value), asset):
            _contradicts(vocab.OBJECT, "the object of schemaOrg must be the unit in whose log this is written")
    for value in said.values(said.root, vocab.ACTION_STATUS):
        if _last_part(_text_of(value)) != action_status(*_done(draft)):
            _contradicts(vocab.ACTION_STATUS, f"the entry has the actionStatus {action_status(*_done(draft))}; schemaOrg says otherwise")
    for property_ in FRAME.properties:
        own, other = draft.values(draft.root, property_), said.values(said.root, property_)
        if property_ != vocab.OBJECT and own and {_identity(said, one) for one in other} - {_identity(draft, one) for one in own}:
            _contradicts(property_, f"schemaOrg says another {_last_part(property_)} than the entry")


def _refuse_another_class(draft: Draft, said: Draft) -> None:
    """What schema.org or our own vocabulary calls otherwise than the kind of work does."""
    wanted = _wanted_class(draft)
    classes = {_text_of(one) for one in said.values(said.root, vocab.TYPE)}
    fitting = {*FRAME.types, vocab.ACTION, wanted, *([vocab.REPAIR_ACTION_OF_SCHEMA] if wanted == vocab.REPAIR_ACTION else [])}
    if wanted and any(one.startswith((vocab.SCHEMA, vocab.RSV)) for one in classes - fitting):
        _contradicts(vocab.TYPE, f"work of this kind is a {_last_part(wanted)}; schemaOrg must not be of another class", "@type")


def _contradicts(path: str, message: str, key: str = "") -> NoReturn:
    refuse(f"{IN_SCHEMA_ORG}/{key or _last_part(path)}", path, None, message)


def _identity(draft: Draft, value: Term) -> str | None:
    """What tells a value from others: its text, its identifier, or its name; None for a node of which neither is said."""
    said = [_text_of(one) for one in draft.values(value, vocab.IDENTIFIER)] if not isinstance(value, Literal) else []
    return said[0] if said else None if isinstance(value, BlankNode) else _text_of(value)


def _may_be(name: str | None, asset: str) -> bool:
    """Whether a name is the identifier of the unit, as it stands or at an address of ours, or there is none."""
    base, _, path = asset.partition("/v1/")
    identifier = path.rpartition("/")[2]
    return name is None or name == identifier or (name.startswith(f"{base}/") and name.rpartition("/")[2] == identifier)


def _text_of(value: Term) -> str:
    return value.value if isinstance(value, NamedNode | Literal) else str(value)


def _last_part(iri: str) -> str:
    return iri.rpartition("/")[2].rpartition("#")[2]


def _done(draft: Draft) -> tuple[bool, str]:
    """Whether the work was done, and what came of it."""
    outcomes = [_text_of(one) for one in draft.values(draft.root, vocab.OUTCOME)]
    return bool(draft.values(draft.root, vocab.PERFORMED_AT)), outcomes[0] if outcomes else ""


def action_status(is_done: bool, outcome: str) -> str:
    """What schema.org calls the state of work."""
    if not is_done:
        return "PotentialActionStatus"
    return ACTION_STATUS.get(outcome, "CompletedActionStatus")


ACTION_STATUS = {"fail": "FailedActionStatus"}
"""Outcome → what schema.org calls it; whatever else was done is completed."""


# --- the entry itself -------------------------------------------------------------------------------------------------


def _arrange_object(draft: Draft, asset: str) -> None:
    there = {one.value if isinstance(one, NamedNode) else str(one) for one in draft.values(draft.root, vocab.OBJECT)}
    if there - {asset}:
        refuse("/object", vocab.OBJECT, None, "object is the unit in whose log this is written; leave it out")
    unit = NamedNode(asset)
    draft.say(draft.root, vocab.OBJECT, unit)
    draft.say(unit, vocab.TYPE, NamedNode(vocab.INDIVIDUAL_PRODUCT))
    draft.say(unit, vocab.IDENTIFIER, Literal(asset.rpartition("/")[2]))


def _arrange_agent(draft: Draft) -> None:
    """A bare text is the identifier of a person."""
    for one in draft.values(draft.root, vocab.AGENT):
        if isinstance(one, Literal):
            draft.remove(draft.root, vocab.AGENT)
            agent = part(draft, "agent")
            draft.say(draft.root, vocab.AGENT, agent)
            draft.say(agent, vocab.TYPE, NamedNode(vocab.PERSON))
            draft.say(agent, vocab.IDENTIFIER, one)


def _wanted_class(draft: Draft) -> str:
    """The class that follows from the kind of work; empty where that is none, which the shape tells."""
    kinds = [_text_of(one).removeprefix(vocab.RSV) for one in draft.values(draft.root, vocab.KIND)]
    return CLASSES.get(kinds[0], "") if len(kinds) == 1 else ""


def _arrange_class(draft: Draft) -> None:
    wanted = _wanted_class(draft)
    if not wanted:
        return
    said = {one.value for one in draft.values(draft.root, vocab.TYPE) if isinstance(one, NamedNode)} & set(FRAME.others)
    if vocab.REPAIR_ACTION_OF_SCHEMA in said:
        _spell_repair(draft)
        said = said - {vocab.REPAIR_ACTION_OF_SCHEMA} | {vocab.REPAIR_ACTION}
    if said - {wanted, vocab.ACTION}:
        refuse("/@type", vocab.TYPE, None, f"work of this kind is a {_last_part(wanted)}")
    draft.say(draft.root, vocab.TYPE, NamedNode(wanted))


def _spell_repair(draft: Draft) -> None:
    """schema.org has no RepairAction; whoever writes so with its context alone means ours."""
    for one in draft.remove(draft.root, vocab.TYPE):
        is_theirs = isinstance(one, NamedNode) and one.value == vocab.REPAIR_ACTION_OF_SCHEMA
        draft.say(draft.root, vocab.TYPE, NamedNode(vocab.REPAIR_ACTION) if is_theirs else one)


FRAME = Frame(
    name="maintenance log",
    prefix="log",
    types=(vocab.MAINTENANCE_LOG,),
    shape=vocab.SHAPES + "MaintenanceLog",
    properties=frozenset(
        (
            vocab.KIND, vocab.SUMMARY, vocab.OBJECT, vocab.PERFORMED_AT, vocab.PERFORMED_BY, vocab.AGENT, vocab.DETAILS, vocab.OUTCOME,
            vocab.NEXT_ACTION, vocab.PLANNED_START, vocab.PLANNED_END, vocab.CORRECTS, vocab.SCHEMA_ORG, vocab.START_TIME,
            vocab.END_TIME, vocab.METADATA,
        )
    ),
    managed=frozenset(
        (
            vocab.IDENTIFIER, vocab.ACTION_STATUS, vocab.ENDANGERS, vocab.CREATED_BY, vocab.DATE_CREATED, vocab.DATE_MODIFIED,
        )
    ),
    references={
        vocab.OBJECT: Reference({"asset": (vocab.INDIVIDUAL_PRODUCT,)}),
        vocab.CORRECTS: Reference({"log": (vocab.MAINTENANCE_LOG,)}),
        vocab.ENDANGERS: Reference({"ra": (vocab.RENT_ACTION,)}),
    },
    flat={vocab.ASSET_ID: vocab.OBJECT},
    arrange=arrange,
    others=(vocab.REPAIR_ACTION, vocab.UPDATE_ACTION, vocab.CHECK_ACTION, vocab.ACTION, vocab.REPAIR_ACTION_OF_SCHEMA),
)  # fmt: skip


def index_row(document: Document) -> dict[str, Any]:
    """The typed columns of `maintenance_logs`."""
    return {
        "identifier": document["identifier"],
        "asset": document["object"]["identifier"],
        "kind": document["kind"],
        "outcome": document.get("outcome"),
        "performed_by": document["performedBy"],
        "performed_at": _instant(document, "performedAt"),
        "planned_start": _instant(document, "plannedStart"),
        "planned_end": _instant(document, "plannedEnd"),
        "corrects": document["corrects"]["identifier"] if "corrects" in document else None,
        "search_text": findable(document["summary"], document["performedBy"]),
        **stamps(document),
    }


def _instant(document: Document, key: str) -> Any:
    return instant(document[key]) if key in document else None


MAINTENANCE_LOG = Kind(
    name="maintenanceLog",
    prefix="log",
    path="/v1/maintenance-logs",
    subject_type="MaintenanceLog",
    table="maintenance_logs",
    frame=FRAME,
    to_create=CreateMaintenanceLog,
    index_row=index_row,
    label=lambda document: str(document["summary"]),
    create_scope=Scope.TECHNICIAN,
    keys=KEYS,
    columns=("summary", "kind", "object", "performedAt", "performedBy", "outcome", "nextAction", "plannedEnd"),
    filters={
        "assetId": Filter("asset", read=identifier_of("asset"), description="Work on this unit."),
        "kind": Filter("kind", description="Kind of work.", allowed=tuple(CLASSES)),
        "outcome": Filter("outcome", description="What came of it.", allowed=OUTCOMES),
        "performedBy": Filter("performed_by", description="Who did it."),
        "from": Filter("performed_at", ">=", instant, "Work that was done at this instant or later."),
        "to": Filter("performed_at", "<=", instant, "Work that was done at this instant or earlier."),
        "q": text_search("summary and performedBy"),
    },
    sorts={
        "performedAt": Sort("performed_at", instant),
        "plannedStart": Sort("planned_start", instant),
        "createdAt": Sort("created_at", instant),
        "updatedAt": Sort("updated_at", instant),
    },
    is_posted=False,
    is_patched=False,
)


def of_asset(asset: str, merge: Merge) -> Kind:
    """The kind as it is posted to the log of one unit, whose IRI is `asset`."""
    from_there = partial(arrange, asset=asset, merge=merge)
    return replace(MAINTENANCE_LOG, frame=replace(FRAME, arrange=from_there))
