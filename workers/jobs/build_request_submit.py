"""`planning.build_request_submit`: hands build requests to the system that builds, and asks how far it is with those it has."""

import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from uuid import uuid4

import orjson

from ld_server.domain.builds import BuildStatus
from ld_server.domain.commands import ChangeBuildRequest, Document
from ld_server.domain.errors import Stale
from ld_server.resources.build_request import BUILD_REQUEST
from ld_server.resources.item_type import ITEM_TYPE
from ld_server.resources.kind import instant
from ld_server.services import builds
from ld_server.services.deliveries import occasion_of_worker
from ld_server.services.parts import Parts
from relational.documents import Head
from workers.inventree import BuildSystem, InvenTree, Order, Progress, Refused, Unreachable, Wanted

log = logging.getLogger(__name__)

LEASE = "planning.build_request_submit"
LEASE_SECONDS = 300.0
"""Longer than the three requests that placing one order takes, however slow they are; renewed before each."""

MOST_AT_ONCE = 1000
"""Build requests that one run looks at."""

AFTER: Mapping[Progress, BuildStatus] = {
    Progress.PLACED: BuildStatus.SUBMITTED,
    Progress.UNDER_WAY: BuildStatus.ACCEPTED,
    Progress.DONE: BuildStatus.FULFILLED,
    Progress.CALLED_OFF: BuildStatus.CANCELLED,
}
"""How far an order is → the state of its build request."""


def run(parts: Parts, _config: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """One run with the InvenTree of the settings. Where there is none it does nothing."""
    settings = parts.settings
    if not settings.inventree_url:
        return {"submitted": [], "failed": [], "changed": [], "waiting": [], "reason": "LD_INVENTREE_URL is not set."}
    return submit(parts, InvenTree(settings.inventree_url, settings.inventree_token, settings.webhook_timeout), now)


def submit(parts: Parts, system: BuildSystem, now: datetime) -> dict[str, Any]:
    """
    Places an order for each build request that has none, and brings those that have one to the state of their order.

    One run at a time. An order that a run before has placed without living to write it down is found, and not placed again. What the
    system does not answer is `waiting` for the next run; what it refuses has `failed`, and `metadata.failure` says why.
    """
    found: dict[str, list[str]] = {"submitted": [], "failed": [], "changed": [], "waiting": []}
    owner = uuid4().hex
    for status, work in ((BuildStatus.REQUESTED, _place), (BuildStatus.SUBMITTED, _follow), (BuildStatus.ACCEPTED, _follow)):
        for head in _heads(parts, status):
            if not _is_ours(parts, owner):
                return {**found}
            outcome = _tried(parts, system, head, work, now)
            if outcome:
                found[outcome].append(head.identifier)
    with parts.ledger.write() as uow:
        uow.leases.release(LEASE, owner)
    return {**found}


Work = Callable[[Parts, BuildSystem, Document, datetime], str]


def _heads(parts: Parts, status: BuildStatus) -> list[Head]:
    with parts.ledger.read() as uow:
        return uow.index.page(BUILD_REQUEST.table, [("status", "=", str(status))], None, MOST_AT_ONCE)


def _is_ours(parts: Parts, owner: str) -> bool:
    with parts.ledger.write() as uow:
        return uow.leases.acquire(LEASE, owner, parts.now(), LEASE_SECONDS)


def _tried(parts: Parts, system: BuildSystem, head: Head, work: Work, now: datetime) -> str:
    document: Document = {**orjson.loads(head.body), "_revision": head.revision}
    try:
        return work(parts, system, document, now)
    except Unreachable as error:
        log.warning("%s waits for %s: %s", head.identifier, system.name, error)
        return "waiting"
    except Stale:
        return "waiting"


def _place(parts: Parts, system: BuildSystem, document: Document, now: datetime) -> str:
    wanted = _wanted(parts, document)
    try:
        order = system.placed(wanted) or system.place(wanted)
    except Refused as error:
        metadata = document.get("metadata")
        told = {**(metadata if isinstance(metadata, dict) else {}), "failure": str(error)}
        _change(parts, document, {"status": str(BuildStatus.FAILED), "externalSystem": system.name, "metadata": told}, now)
        return "failed"
    said = {"externalSystem": system.name, "externalRef": order.ref}
    _change(parts, document, {"status": str(AFTER[order.progress]), **said}, now)
    return "submitted"


def _follow(parts: Parts, system: BuildSystem, document: Document, now: datetime) -> str:
    if document.get("externalSystem") != system.name or not str(document.get("externalRef", "")).isdecimal():
        return ""
    try:
        order: Order = system.order(document["externalRef"])
    except Refused as error:
        log.warning("%s is not known to %s: %s", document["identifier"], system.name, error)
        return "waiting"
    after = AFTER[order.progress]
    if after in (document["status"], BuildStatus.SUBMITTED):
        return ""
    _change(parts, document, {"status": str(after)}, now)
    return "changed"


def _wanted(parts: Parts, document: Document) -> Wanted:
    with parts.ledger.read() as uow:
        head = uow.documents.head(document["itemType"]["identifier"])
    if head is None:
        raise Unreachable(f"There is no {ITEM_TYPE.frame.name} {document['itemType']['identifier']}.")
    due = instant(document["neededBy"]).date() if "neededBy" in document else None
    return Wanted(document["identifier"], document["@id"], orjson.loads(head.body)["code"], document["quantity"], due)


def _change(parts: Parts, document: Document, said: Document, now: datetime) -> None:
    """Raises Stale where somebody has changed it meanwhile; the next run will see."""
    after = {key: value for key, value in {**document, **said}.items() if key != "_revision"}
    command = ChangeBuildRequest(document["identifier"], after, frozenset({document["_revision"]}))
    with parts.ledger.write() as uow:
        builds.change(uow, command, occasion_of_worker(parts, now))
