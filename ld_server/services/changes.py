"""Changes of the catalog: the next state of an item type, a unit, a stock pool or a kit template."""

from collections.abc import Mapping
from typing import Any

import orjson

from ld_server.domain.commands import ChangeCatalogEntry, Document
from ld_server.domain.status import AssetStatus
from ld_server.resources import KINDS
from ld_server.resources.asset import ASSET
from ld_server.resources.item_type import ITEM_TYPE
from ld_server.resources.kit_template import KIT_TEMPLATE
from ld_server.resources.stock_pool import STOCK_POOL
from ld_server.services import catalog, recording, risk
from ld_server.services.occasion import Occasion
from ld_server.services.opening import opened, says_the_same
from relational.documents import Head
from relational.unit_of_work import UnitOfWork

_WITHOUT_SAYING: Mapping[str, Mapping[str, Any]] = {
    ITEM_TYPE.name: {"isActive": True},
    ASSET.name: {"status": str(AssetStatus.AVAILABLE)},
    STOCK_POOL.name: {"isActive": True},
    KIT_TEMPLATE.name: {"isActive": True},
}
"""Kind → what an entry says that does not say it: the same as when it is made."""


def change_entry(uow: UnitOfWork, command: ChangeCatalogEntry, occasion: Occasion) -> Head:
    """
    Give an entry of the catalog another state; a document that says nothing new changes nothing.

    Raises NotFound, Stale, Duplicate, UnknownReference, and what `catalog.check_change` raises.
    """
    head = opened(uow, command.identifier, tuple(KINDS[name] for name in _WITHOUT_SAYING), command.expected)
    kind, before = KINDS[head.kind], orjson.loads(head.body)
    after: Document = {**_WITHOUT_SAYING[kind.name], **command.document}
    if says_the_same(before, after, occasion.naming):
        return head
    catalog.check_change(uow, kind, before, after, occasion)
    after = catalog.settled(uow, kind, after)
    changed = recording.replace(uow, kind, head, before, after, [f"catalog.{kind.name}.updated"], occasion)
    if risk.matters(kind.name, before, after):
        risk.look(uow, [changed.identifier], occasion)
    return changed
