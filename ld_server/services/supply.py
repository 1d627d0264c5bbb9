"""What there is to promise: units that are told apart, and quantities in stock pools. An item type has one or the other."""

from collections.abc import Mapping
from typing import Any

from ld_server.domain.allocation import Supply
from ld_server.domain.capacity import Capacity, Rule
from ld_server.domain.window import Window
from ld_server.resources.asset import ASSET
from ld_server.resources.kind import Kind
from ld_server.resources.stock_pool import STOCK_POOL
from ld_server.services.occasion import Occasion
from relational.unit_of_work import UnitOfWork

SOURCES: Mapping[str, Kind] = {kind.prefix: kind for kind in (ASSET, STOCK_POOL)}
"""Prefix of its identifier → the kind of thing that units are promised from."""


def free(uow: UnitOfWork, item_type: str, window: Window, limit: int) -> list[Supply]:
    """Units that nothing blocks in the window: at most `limit` assets, or what each pool has left. Sure while the item type is held."""
    units = uow.allocations.free_assets(item_type, window.start, window.end, limit)
    if units:
        return [Supply(unit.identifier, unit.label) for unit in units]
    pools = uow.allocations.free_pools(item_type, window.start, window.end)
    return [Supply(pool.identifier, pool.label, pool.quantity) for pool in pools]


def capacity(uow: UnitOfWork, item_type: str, window: Window) -> Capacity:
    """How many units there are at all, and how many of them are taken in the window."""
    assets, stock = uow.allocations.total_assets(item_type), uow.allocations.total_stock(item_type)
    left = sum(pool.quantity for pool in uow.allocations.free_pools(item_type, window.start, window.end))
    reserved = uow.allocations.busy_assets(item_type, window.start, window.end) + stock - left
    return Capacity(assets + stock, reserved, reserved, Rule.OVERLAP, max(0, assets + stock - reserved))


def kind_of(source: str) -> Kind:
    """What kind of thing a claim comes from: an asset, or a stock pool."""
    return SOURCES[source.partition("_")[0]]


def echo(source: str, label: str, occasion: Occasion) -> dict[str, Any]:
    """How an asset or a stock pool is shown where units of it are promised."""
    return {"@id": occasion.naming.iri(source), "@type": kind_of(source).subject_type, "identifier": source, "name": label}
