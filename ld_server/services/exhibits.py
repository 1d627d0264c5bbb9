"""What people want to see beside a resource: the files that are attached to it, and the entries of a log that tell of it."""

from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from ld_server.domain.commands import Document
from ld_server.resources.asset import ASSET
from ld_server.resources.attachment import ATTACHMENT
from ld_server.resources.kind import Kind
from ld_server.resources.maintenance_log import MAINTENANCE_LOG
from relational.documents import Head
from relational.unit_of_work import UnitOfWork

MOST_ENTRIES = 30
MOST_FILES = 90
"""Shown at once, those of the entries included; where there are more, the newest."""

TELLS_OF: Mapping[str, str] = {ASSET.name: "asset", MAINTENANCE_LOG.name: "corrects"}
"""Kind → the column by which entries of a log tell of it: whose log they are in, or which entry they correct."""


@dataclass(frozen=True)
class Exhibits:
    """Documents of files and of entries, those that were written last first. `tag` is another one when any of them is."""

    files: tuple[Document, ...] = ()
    entries: tuple[Document, ...] = ()
    has_more_files: bool = False
    has_more_entries: bool = False
    tag: str = ""


def beside(uow: UnitOfWork, kind: Kind, identifier: str) -> Exhibits:
    """What there is beside a resource, in one look at the log and one at the files of the resource and of these entries."""
    column = TELLS_OF.get(kind.name)
    log = uow.index.page(MAINTENANCE_LOG.table, [(column, "=", identifier)], None, MOST_ENTRIES + 1, _LAST_FIRST) if column else []
    owners = [identifier, *(head.identifier for head in log[:MOST_ENTRIES])]
    files = uow.index.page(ATTACHMENT.table, [("owner", "in", owners), *ATTACHMENT.always], None, MOST_FILES + 1, _LAST_FIRST)
    return Exhibits(
        files=_documents(files[:MOST_FILES]),
        entries=_documents(log[:MOST_ENTRIES]),
        has_more_files=len(files) > MOST_FILES,
        has_more_entries=len(log) > MOST_ENTRIES,
        tag=" ".join(f"{head.identifier}/{head.revision}" for head in (*log, *files)),
    )


_LAST_FIRST = (("number", True),)


def _documents(heads: list[Head]) -> tuple[Document, ...]:
    return tuple(orjson.loads(head.body) for head in heads)
