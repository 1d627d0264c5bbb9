"""The history of a unit as one timeline: what became of it, what it was promised for, what was done to it, what was attached."""

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

import orjson

from ld_server.resources.asset import ASSET
from ld_server.resources.attachment import ATTACHMENT
from ld_server.resources.kind import Kind, instant, is_same, written
from ld_server.resources.maintenance_log import MAINTENANCE_LOG
from ld_server.resources.rent_action import RENT_ACTION
from ld_server.services import references
from relational.documents import Head, Revision
from relational.unit_of_work import UnitOfWork

MOST = 5_000
"""Of each sort; the newest where there are more."""

Entry = dict[str, Any]


def of_asset(uow: UnitOfWork, asset: Head) -> list[Entry]:
    """Everything that happened to a unit, the oldest first."""
    logs = uow.index.page("maintenance_logs", [("asset", "=", asset.identifier)], None, MOST, [("number", True)])
    owners = [asset.identifier, *(head.identifier for head in logs)]
    files = uow.index.page("attachments", [("owner", "in", owners), ("is_deleted", "=", False)], None, MOST, [("number", True)])
    entries = [
        *_changes(uow.documents.revisions(asset.identifier)),
        *(_work(orjson.loads(head.body)) for head in logs),
        *(_file(orjson.loads(head.body)) for head in files),
        *_promises(uow, asset.identifier),
    ]
    return sorted(entries, key=lambda entry: (instant(entry["changedAt"]), entry["about"]["@id"]))


def _entry(at: str, by: str | None, summary: str, about: Mapping[str, Any], kind: Kind) -> Entry:
    author = {"changedBy": by} if by else {}
    return {"@type": "HistoryEntry", "changedAt": at, **author, "summary": summary, "about": references.echo(dict(about), kind)}


def _changes(revisions: list[Revision]) -> Iterator[Entry]:
    documents = [(one, orjson.loads(one.body)) for one in revisions]
    for revision, document in documents[:1]:
        yield _entry(written(revision.changed_at), revision.changed_by, "Added to the catalog", document, ASSET)
    for (_, before), (revision, after) in pairwise(documents):
        yield _entry(written(revision.changed_at), revision.changed_by, _changed(before, after), after, ASSET)


def _changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    if before.get("status") != after.get("status"):
        return f"Became {after.get('status')}, was {before.get('status')}"
    keys = sorted(key for key in {*before, *after} - {"updatedAt"} if not is_same(before.get(key), after.get(key)))
    return f"Changed: {', '.join(keys)}"


def _work(log: Mapping[str, Any]) -> Entry:
    at = log.get("performedAt") or log["plannedStart"]
    outcome = f" ({log['outcome']})" if "outcome" in log else "" if "performedAt" in log else " (planned)"
    return _entry(at, log["performedBy"], f"{log['kind'].title()}: {log['summary']}{outcome}", log, MAINTENANCE_LOG)


def _file(document: Mapping[str, Any]) -> Entry:
    return _entry(document["createdAt"], document["createdBy"], f"Attached {document['fileName']}", document, ATTACHMENT)


def _promises(uow: UnitOfWork, asset: str) -> Iterator[Entry]:
    rows = uow.allocations.of_asset(asset, MOST)
    heads = uow.documents.heads(row.rent_action for row in rows)
    for row in rows:
        document = orjson.loads(heads[row.rent_action].body)
        summary = f"{_BECAME[row.status]} {written(row.allocated_from)} to {written(row.allocated_to)}"
        yield _entry(written(row.allocated_from), None, summary, document, RENT_ACTION)


_BECAME: Mapping[str, str] = {
    "allocated": "Promised for",
    "in_use": "Out, for",
    "returned": "Was out, for",
    "cancelled": "Promised and released, for",
}
"""Status of an allocation → what it means."""
