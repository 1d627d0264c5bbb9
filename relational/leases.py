"""Leases: who may do a job that only one process does at a time."""

from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, or_

from relational import tables
from relational.upsert import upsert

_L = tables.leases.c


class Leases:
    """The gateway to leases."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def acquire(self, name: str, owner: str, now: datetime, seconds: float) -> bool:
        """Take a lease that is free or expired, or renew one's own, until `now` + `seconds`. False while another has it."""
        lease = {"name": name, "owner": owner, "expires_at": now + timedelta(seconds=seconds)}
        return upsert(self._connection, tables.leases, lease, by=["name"], where=or_(_L.owner == owner, _L.expires_at <= now))

    def release(self, name: str, owner: str) -> None:
        """Give a lease back, if it is still one's own."""
        self._connection.execute(delete(tables.leases).where(_L.name == name, _L.owner == owner))
