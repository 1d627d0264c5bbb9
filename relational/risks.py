"""Risks: which promises are in danger, and which units are out beyond their time."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, func, select

from ld_server.domain.risk import Danger, Reason
from relational import tables
from relational.dangers import PROMISED, blocks, dangers_of_pools, dangers_of_units, every_danger, pools_of, together
from relational.index import number_of

_IN_USE = tables.allocations.c
_OUT_OF = select(func.coalesce(func.sum(_IN_USE.quantity), 0)).where(_IN_USE.status == "in_use", blocks(tables.allocations))


class Risks:
    """The gateway to risks."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def every(self, now: datetime) -> list[Danger]:
        """Everything that endangers a promise, by reservation, allocation, and time."""
        return self._read([every_danger(now)])

    def of(self, rent_action: str, now: datetime) -> list[Danger]:
        """What endangers the promises of a reservation, by allocation and time."""
        own = PROMISED.rent_action == rent_action
        return self._read([*dangers_of_units(now, own), *dangers_of_pools(now, pools_of(rent_action), own)])

    def through(self, sources: Iterable[str], now: datetime) -> list[Danger]:
        """What endangers the promises of these units and stock pools, by reservation, allocation and time."""
        every = sorted(set(sources))
        assets = [number_of(one) for one in every if one.startswith("asset_")]
        pools = [one for one in every if not one.startswith("asset_")]
        units = dangers_of_units(now, PROMISED.asset_number.in_(assets)) if assets else []
        quantities = dangers_of_pools(now, pools, PROMISED.stock_pool.in_(pools)) if pools else []
        return self._read([*units, *quantities])

    def out_of(self, stock_pool: str) -> int:
        """How many units of a pool are out."""
        return int(self._connection.execute(_OUT_OF.where(_IN_USE.stock_pool == stock_pool)).scalar_one())

    def _read(self, queries: Sequence[Select[Any]]) -> list[Danger]:
        if not queries:
            return []
        rows = self._connection.execute(together(*queries)).mappings()
        return sorted((Danger(**{**row, "reason": Reason(row["reason"])}) for row in rows), key=_place)


def _place(danger: Danger) -> tuple[int, int, float]:
    return number_of(danger.rent_action), danger.number, danger.since.timestamp() if danger.since else 0.0
