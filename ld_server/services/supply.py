"""What units are promised from: assets, which are told apart, and stock pools, whose units are not."""

from collections.abc import Mapping
from typing import Any

from ld_server.resources.asset import ASSET
from ld_server.resources.kind import Kind
from ld_server.resources.stock_pool import STOCK_POOL
from ld_server.services.occasion import Occasion

SOURCES: Mapping[str, Kind] = {kind.prefix: kind for kind in (ASSET, STOCK_POOL)}
"""Prefix of its identifier → the kind of thing that units are promised from."""


def kind_of(source: str) -> Kind:
    """What kind of thing a claim comes from: an asset, or a stock pool."""
    return SOURCES[source.partition("_")[0]]


def echo(source: str, label: str, occasion: Occasion) -> dict[str, Any]:
    """How an asset or a stock pool is shown where units of it are promised."""
    return {"@id": occasion.naming.iri(source), "@type": kind_of(source).subject_type, "identifier": source, "name": label}
