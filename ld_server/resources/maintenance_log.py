"""
Maintenance logs: work that was done on a unit, or that is planned. What it is in schema.org's terms follows from its kind.

An entry is never changed. Whoever was wrong writes another one, which says what it corrects.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from pyoxigraph import Literal, NamedNode, Triple

from ld_server.domain.commands import CreateMaintenanceLog
from ld_server.domain.scopes import Scope
from ld_server.rdf import vocab
from ld_server.rdf.adoption import Draft, Frame, Reference
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

    Raises ShapeViolation for another unit, or a class that another kind has.
    """
    _merge(draft, merge)
    if asset:
        _arrange_object(draft, asset)
    _arrange_agent(draft)
    _arrange_class(draft)


def _merge(draft: Draft, merge: Merge) -> None:
    for literal in [one for one in draft.remove(draft.root, vocab.SCHEMA_ORG) if isinstance(one, Literal)]:
        text, statements = merge(literal.value)
        draft.say(draft.root, vocab.SCHEMA_ORG, Literal(text, datatype=literal.datatype))
        if statements:
            said = Draft(statements, statements[0].subject)
            for property_ in (vocab.OBJECT, *FRAME.managed):
                said.remove(said.root, property_)
            said.keep(said.reachable())
            said.rename({said.root: draft.root})
            draft.add(*said)


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


def _arrange_class(draft: Draft) -> None:
    kinds = [one.value.removeprefix(vocab.RSV) for one in draft.values(draft.root, vocab.KIND) if isinstance(one, NamedNode)]
    wanted = CLASSES.get(kinds[0]) if len(kinds) == 1 else None
    if wanted is None:
        return
    said = {one.value for one in draft.values(draft.root, vocab.TYPE) if isinstance(one, NamedNode)} & set(FRAME.others)
    if vocab.REPAIR_ACTION_OF_SCHEMA in said:
        _spell_repair(draft)
        said = said - {vocab.REPAIR_ACTION_OF_SCHEMA} | {vocab.REPAIR_ACTION}
    if said - {wanted, vocab.ACTION}:
        refuse("/@type", vocab.TYPE, None, f"work of the kind {kinds[0]} is a {wanted.rpartition('/')[2].rpartition('#')[2]}")
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
