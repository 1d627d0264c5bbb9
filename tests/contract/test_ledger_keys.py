"""API keys."""

import dataclasses

import pytest
from sqlalchemy.exc import IntegrityError

from relational.keys import KeyRow
from relational.unit_of_work import Ledger
from tests.contract.rows import MONDAY, TUESDAY, WEDNESDAY

ADMIN = KeyRow("key_2", "first admin", "hash-2", ("admin",), MONDAY)
PLANNER = KeyRow("key_10", "planner of Ghent", "hash-10", ("planner", "approver"), MONDAY, expires_at=WEDNESDAY)


@pytest.fixture
def keyring(ledger: Ledger) -> Ledger:
    with ledger.write() as uow:
        uow.keys.add(PLANNER)
        uow.keys.add(ADMIN)
    return ledger


def test_keys_are_found_by_hash_and_listed_by_number(keyring: Ledger) -> None:
    with keyring.read() as uow:
        assert uow.keys.by_hash("hash-10") == PLANNER
        assert uow.keys.by_hash("hash-3") is None
        assert uow.keys.all() == [ADMIN, PLANNER]


def test_a_key_is_revoked_once_and_stays_in_the_books(keyring: Ledger) -> None:
    with keyring.write() as uow:
        assert uow.keys.revoke("key_10", TUESDAY)
        assert not uow.keys.revoke("key_10", WEDNESDAY)
        assert not uow.keys.revoke("key_99", TUESDAY)
        assert uow.keys.by_hash("hash-10") == dataclasses.replace(PLANNER, revoked_at=TUESDAY)
        assert uow.keys.by_hash("hash-2") == ADMIN


def test_a_key_remembers_when_it_was_used(keyring: Ledger) -> None:
    with keyring.write() as uow:
        uow.keys.touch("key_2", TUESDAY)
        assert uow.keys.by_hash("hash-2") == dataclasses.replace(ADMIN, last_used_at=TUESDAY)


def test_a_key_without_scopes_has_none(ledger: Ledger) -> None:
    with ledger.write() as uow:
        uow.keys.add(dataclasses.replace(ADMIN, scopes=()))
        assert [key.scopes for key in uow.keys.all()] == [()]


def test_no_two_keys_have_the_same_hash(keyring: Ledger) -> None:
    with pytest.raises(IntegrityError), keyring.write() as uow:
        uow.keys.add(dataclasses.replace(ADMIN, identifier="key_3"))
