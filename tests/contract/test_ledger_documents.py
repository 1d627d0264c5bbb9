"""Documents: heads, revisions, numbers."""

import threading

import pytest

from ld_server.domain.errors import Stale
from relational.documents import Head, HistoryEntry, Revision
from relational.tables import KINDS
from relational.unit_of_work import Ledger
from tests.contract.rows import ALICE, BOB, head


@pytest.mark.parametrize("kind", KINDS)
def test_numbers_rise_per_kind(ledger: Ledger, kind: str) -> None:
    with ledger.write() as uow:
        assert [uow.documents.next_number(kind) for _ in range(3)] == [1, 2, 3]
        assert uow.documents.next_numbers(kind, 4) == [4, 5, 6, 7]
    with ledger.write() as uow:
        assert uow.documents.next_number(kind) == 8


def test_what_has_no_numbers_gets_none(ledger: Ledger) -> None:
    with ledger.write() as uow, pytest.raises(ValueError, match="unicorn"):
        uow.documents.next_number("unicorn")


def test_nobody_gets_a_number_that_another_has(ledger: Ledger) -> None:
    drawn: list[int] = []
    barrier = threading.Barrier(6)

    def draw() -> None:
        barrier.wait()
        for _ in range(10):
            with ledger.write() as uow:
                drawn.append(uow.documents.next_number("asset"))

    threads = [threading.Thread(target=draw) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(drawn) == list(range(1, 61))


def test_a_new_document_has_its_first_revision_and_waits_for_the_projector(ledger: Ledger) -> None:
    with ledger.write() as uow:
        uow.documents.add(head("asset_7", body='{"status":"available"}'), ALICE)
    with ledger.read() as uow:
        assert uow.documents.head("asset_7") == Head("asset_7", "asset", 7, 1, '{"status":"available"}')
        assert uow.documents.revisions("asset_7") == [
            Revision("asset_7", 1, '{"status":"available"}', "alice", ALICE.at, "correlation-1"),
        ]
        assert [identifier for _position, identifier in uow.projections.pending(10)] == ["asset_7"]


def test_a_change_makes_the_next_revision_and_keeps_the_old_one(ledger: Ledger) -> None:
    with ledger.write() as uow:
        uow.documents.add(head("asset_7", body="one"), ALICE)
    with ledger.write() as uow:
        assert uow.documents.locked("asset_7") == head("asset_7", body="one")
        uow.documents.replace(head("asset_7", revision=2, body="two"), BOB)
    with ledger.read() as uow:
        assert uow.documents.head("asset_7") == head("asset_7", revision=2, body="two")
        assert [(one.revision, one.body, one.changed_by) for one in uow.documents.revisions("asset_7")] == [
            (1, "one", "alice"),
            (2, "two", "bob"),
        ]
        assert uow.documents.revision("asset_7", 1) == Revision("asset_7", 1, "one", "alice", ALICE.at, "correlation-1")
        assert uow.documents.revision("asset_7", 3) is None
        assert len(uow.projections.pending(10)) == 2


def test_the_history_is_read_page_by_page_without_the_documents(ledger: Ledger) -> None:
    with ledger.write() as uow:
        uow.documents.add(head("asset_7"), ALICE)
        uow.documents.add(head("asset_8"), ALICE)
        for revision in (2, 3):
            uow.documents.replace(head("asset_7", revision=revision), BOB)
    with ledger.read() as uow:
        entries = [HistoryEntry(1, "alice", ALICE.at, "correlation-1"), *(HistoryEntry(n, "bob", BOB.at, "correlation-2") for n in (2, 3))]
        assert uow.documents.history("asset_7", 0, 10) == entries
        assert uow.documents.history("asset_7", 0, 2) == entries[:2]
        assert uow.documents.history("asset_7", 2, 10) == entries[2:]
        assert uow.documents.history("asset_7", 10**17, 10) == uow.documents.history("asset_9", 0, 10) == []


@pytest.mark.parametrize(("identifier", "revision"), [("asset_7", 1), ("asset_7", 3), ("asset_8", 2)])
def test_a_change_on_another_revision_is_stale_and_writes_nothing(ledger: Ledger, identifier: str, revision: int) -> None:
    with ledger.write() as uow:
        uow.documents.add(head("asset_7"), ALICE)
    with ledger.write() as uow:
        with pytest.raises(Stale, match=identifier):
            uow.documents.replace(head(identifier, revision=revision, body="lost"), BOB)
        assert uow.documents.head("asset_7") == head("asset_7")
        assert len(uow.documents.revisions(identifier)) == (identifier == "asset_7")
        assert len(uow.projections.pending(10)) == 1


def test_of_two_changes_at_once_one_is_stale(ledger: Ledger) -> None:
    with ledger.write() as uow:
        uow.documents.add(head("asset_7"), ALICE)
    barrier, outcomes = threading.Barrier(2), []

    def change() -> None:
        barrier.wait()
        try:
            with ledger.write() as uow:
                uow.documents.replace(head("asset_7", revision=2), BOB)
            outcomes.append("changed")
        except Stale:
            outcomes.append("stale")

    threads = [threading.Thread(target=change) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["changed", "stale"]


def test_what_is_not_there_is_none(ledger: Ledger) -> None:
    with ledger.write() as uow:
        assert uow.documents.head("asset_1") is None
        assert uow.documents.locked("asset_1") is None
        assert uow.documents.revisions("asset_1") == []
    assert ledger.head("asset_1") is None


def test_heads_gives_those_that_exist(ledger: Ledger) -> None:
    with ledger.write() as uow:
        for identifier in ("asset_1", "asset_2", "itemType_1"):
            uow.documents.add(head(identifier), ALICE)
        assert uow.documents.heads(["asset_2", "itemType_1", "asset_9", "asset_2"]) == {
            "asset_2": head("asset_2"),
            "itemType_1": head("itemType_1"),
        }
        assert uow.documents.heads([]) == {}


def test_each_walks_by_kind_and_number_whatever_the_batch(ledger: Ledger) -> None:
    with ledger.write() as uow:
        for identifier in ("itemType_1", "asset_10", "asset_9", "ra_2", "asset_100"):
            uow.documents.add(head(identifier), ALICE)
        walk = ["asset_9", "asset_10", "asset_100", "itemType_1", "ra_2"]
        for batch in (1, 2, 3, 500):
            assert [one.identifier for one in uow.documents.each(batch=batch)] == walk
            assert [one.identifier for one in uow.documents.each("asset", batch=batch)] == walk[:3]
        assert (uow.documents.count("asset"), uow.documents.count("rentAction"), uow.documents.count("key")) == (3, 1, 0)


def test_the_hot_path_sees_what_is_committed_and_nothing_else(ledger: Ledger) -> None:
    with ledger.write() as uow:
        uow.documents.add(head("ra_1", body="first"), ALICE)
        assert ledger.head("ra_1") is None
    assert ledger.head("ra_1") == head("ra_1", body="first")
    with ledger.write() as uow:
        uow.documents.replace(head("ra_1", revision=2, body="second"), BOB)
        assert ledger.head("ra_1") == head("ra_1", body="first")
    assert ledger.head("ra_1") == head("ra_1", revision=2, body="second")


def test_bodies_come_back_as_they_were(ledger: Ledger) -> None:
    body = '{"name":"Grüße 🎭 \\u0000 %s :name","note":"' + "x" * 300_000 + '"}'
    with ledger.write() as uow:
        uow.documents.add(head("ra_1", body=body), ALICE)
    stored = ledger.head("ra_1")
    assert stored is not None
    assert stored.body == body
