"""Counters follow from the allocations: compared with them, and counted anew from them."""

from relational.unit_of_work import Ledger


def differing(ledger: Ledger) -> list[str]:
    """The stock pools whose counters are not what their allocations add up to, as of one moment."""
    with ledger.read() as uow:
        return [pool for pools in uow.counters.pools().values() for pool in uow.counters.differing(pools)]


def rebuild(ledger: Ledger) -> int:
    """Count the promises of every stock pool anew, one item type at a time: whoever writes waits for no more. Gives the number of pools."""
    with ledger.read() as uow:
        pools_of = uow.counters.pools()
    for item_type, pools in pools_of.items():
        with ledger.write() as uow:
            uow.allocations.hold([item_type])
            uow.counters.rebuild(pools)
    return sum(map(len, pools_of.values()))
