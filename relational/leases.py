"""Leases: who may do a job that only one process does at a time."""

from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, or_, select

from relational import tables
from relational.upsert import INSERT

_L = tables.leases.c

MUCH_LATER = 10
"""Clocks of nodes may differ by this many times the length of a lease; the lease of another is not taken away for less."""


class Leases:
    """The gateway to leases."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def acquire(self, name: str, owner: str, now: datetime, seconds: float) -> bool:
        """
        Take a lease that is free or expired, or renew one's own, until `now` + `seconds`. False while another has it.

        One that ends much later than any could that is given now was given by a clock that has been set back since: it counts as expired.
        """
        lasting = timedelta(seconds=seconds)
        lease = {"name": name, "owner": owner, "expires_at": now + lasting}
        is_free = or_(_L.owner == owner, _L.expires_at <= now, _L.expires_at > now + MUCH_LATER * lasting)
        write = INSERT[self._connection.dialect.name](tables.leases).values(lease)
        write = write.on_conflict_do_update(index_elements=["name"], set_=lease, where=is_free)
        return self._connection.execute(write.returning(_L.owner)).first() is not None

    def holder(self, name: str, now: datetime) -> str | None:
        """Who has a lease now, or None."""
        return self._connection.execute(select(_L.owner).where(_L.name == name, _L.expires_at > now)).scalar()

    def release(self, name: str, owner: str) -> None:
        """Give a lease back, if it is still one's own."""
        self._connection.execute(delete(tables.leases).where(_L.name == name, _L.owner == owner))
