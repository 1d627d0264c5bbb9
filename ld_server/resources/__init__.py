"""The kinds of resources. A new kind is a module beside this one and a line below."""

from ld_server.resources.asset import ASSET
from ld_server.resources.item_type import ITEM_TYPE
from ld_server.resources.kind import Kind
from ld_server.resources.kit_template import KIT_TEMPLATE
from ld_server.resources.rent_action import RENT_ACTION
from ld_server.resources.stock_pool import STOCK_POOL

KINDS: dict[str, Kind] = {kind.name: kind for kind in (ITEM_TYPE, ASSET, STOCK_POOL, KIT_TEMPLATE, RENT_ACTION)}

PATHS: dict[str, str] = {kind.prefix: kind.path for kind in KINDS.values()}
"""Prefix of the identifiers → path of the collection, for Naming."""
