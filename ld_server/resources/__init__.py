"""The kinds of resources. A new kind is a module beside this one and a line below."""

from ld_server.resources.asset import ASSET
from ld_server.resources.attachment import ATTACHMENT
from ld_server.resources.build_request import BUILD_REQUEST
from ld_server.resources.demand_signal import DEMAND_SIGNAL
from ld_server.resources.item_type import ITEM_TYPE
from ld_server.resources.kind import Kind
from ld_server.resources.kit_template import KIT_TEMPLATE
from ld_server.resources.maintenance_log import MAINTENANCE_LOG
from ld_server.resources.rent_action import RENT_ACTION
from ld_server.resources.stock_pool import STOCK_POOL
from ld_server.resources.supply_snapshot import SUPPLY_SNAPSHOT

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        ITEM_TYPE,
        ASSET,
        STOCK_POOL,
        KIT_TEMPLATE,
        RENT_ACTION,
        MAINTENANCE_LOG,
        ATTACHMENT,
        DEMAND_SIGNAL,
        BUILD_REQUEST,
        SUPPLY_SNAPSHOT,
    )
}

POSTED: dict[str, Kind] = {name: kind for name, kind in KINDS.items() if kind.is_posted}
PATCHED: dict[str, Kind] = {name: kind for name, kind in KINDS.items() if kind.is_patched}
"""Those of which a graph can be posted, and those to which a patch can be sent."""

PATHS: dict[str, str] = {kind.prefix: kind.path for kind in KINDS.values()}
"""Prefix of the identifiers → path of the collection, for Naming."""
