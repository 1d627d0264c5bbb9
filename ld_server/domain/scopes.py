"""What a key may do (CONTRACT 5)."""

from collections.abc import Mapping, Set
from enum import StrEnum


class Scope(StrEnum):
    """A right that a key carries. Any valid key may read resources and events, unless it is a requester's and nothing else."""

    PLANNER = "planner"
    APPROVER = "approver"
    ALLOCATOR = "allocator"
    CATALOG_ADMIN = "catalog_admin"
    TECHNICIAN = "technician"
    ANALYST = "analyst"
    PERSONAL = "personal"
    REQUESTER = "requester"
    ADMIN = "admin"


MEANINGS: Mapping[Scope, str] = {
    Scope.PLANNER: "create, edit and submit reservations, demand signals and build requests",
    Scope.APPROVER: "approve, reject and cancel reservations",
    Scope.ALLOCATOR: "allocate, release, check out and return units",
    Scope.CATALOG_ADMIN: "change the catalog",
    Scope.TECHNICIAN: "write maintenance logs and attachments",
    Scope.ANALYST: "query with SPARQL and export",
    Scope.PERSONAL: "see in answers of SPARQL and in exports who people are",
    Scope.REQUESTER: "make reservations, and see and change its own alone",
    Scope.ADMIN: "everything, triggers, webhooks and keys included",
}


def allows(held: Set[Scope], needed: Scope | None) -> bool:
    """Whether a key with these scopes may do what needs `needed`; None is what any valid key may do."""
    return needed is None or needed in held or Scope.ADMIN in held


def reads_all(held: Set[Scope]) -> bool:
    """Whether a key with these scopes reads what any key may: not the one of a requester, unless it has a wider scope besides."""
    return Scope.REQUESTER not in held or bool(held - {Scope.REQUESTER, Scope.PERSONAL})
