"""Whose a reservation is: of who made it, and of who is to get it."""

from sqlalchemy import Select, select, union_all

from relational import tables

_R = tables.rent_actions.c


def owned_by(owner: str) -> Select[tuple[str]]:
    """The identifiers of the reservations that somebody made, or whose agent has this identifier. Each half is read from an index."""
    both = union_all(*(select(_R.identifier).where(column == owner) for column in (_R.created_by, _R.requester))).subquery()
    return select(both.c.identifier)
