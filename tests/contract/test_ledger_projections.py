"""What waits for the projector."""

import threading

from relational.projections import Backlog
from relational.unit_of_work import Ledger
from tests.contract.rows import ALICE, BOB, TUESDAY, head


def test_every_revision_waits_until_it_is_done(ledger: Ledger) -> None:
    with ledger.write() as uow:
        uow.documents.add(head("ra_1"), ALICE)
        uow.documents.add(head("ra_2"), BOB)
        uow.documents.replace(head("ra_1", revision=2), BOB)
    with ledger.write() as uow:
        pending = uow.projections.pending(10)
        assert [identifier for _position, identifier in pending] == ["ra_1", "ra_2", "ra_1"]
        assert uow.projections.pending(2) == pending[:2]
        assert uow.projections.backlog() == Backlog(3, ALICE.at)
        uow.projections.done([position for position, _identifier in pending[:2]])
        uow.projections.done([])
        assert uow.projections.pending(10) == pending[2:]
        assert uow.projections.backlog() == Backlog(1, BOB.at)


def test_a_reader_waits_for_what_was_there_when_it_came(ledger: Ledger) -> None:
    with ledger.write() as uow:
        assert uow.projections.newest() == 0
        assert not uow.projections.waiting(0)
        uow.documents.add(head("ra_1"), ALICE)
        newest = uow.projections.newest()
    with ledger.write() as uow:
        uow.documents.add(head("ra_2"), ALICE)
        assert uow.projections.waiting(newest)
        uow.projections.done([newest])
        assert not uow.projections.waiting(newest)
        assert uow.projections.newest() > newest


def test_positions_are_never_used_again(ledger: Ledger) -> None:
    """Otherwise a projector that acknowledges late would take away what it never saw."""
    with ledger.write() as uow:
        uow.documents.add(head("ra_1"), ALICE)
        first = uow.projections.newest()
        uow.projections.done([first])
        assert uow.projections.backlog() == Backlog(0, None)
        uow.documents.add(head("ra_2"), ALICE)
        assert uow.projections.newest() > first


def test_a_rebuild_puts_every_resource_on_the_list(ledger: Ledger) -> None:
    with ledger.write() as uow:
        for identifier in ("ra_1", "asset_1", "asset_2"):
            uow.documents.add(head(identifier), ALICE)
        uow.projections.done([position for position, _identifier in uow.projections.pending(10)])
        assert uow.projections.enqueue_all(TUESDAY) == 3
        assert [identifier for _position, identifier in uow.projections.pending(10)] == ["asset_1", "asset_2", "ra_1"]
        assert uow.projections.backlog() == Backlog(3, TUESDAY)
        assert uow.projections.enqueue_all() == 3


def test_a_revision_that_commits_late_is_neither_lost_nor_acknowledged_for_another(ledger: Ledger) -> None:
    """On Postgres the slow writer draws the lower position and commits last."""
    if ledger.engine.dialect.name == "sqlite":
        with ledger.write() as uow:
            uow.documents.add(head("ra_1"), ALICE)
            uow.documents.add(head("ra_2"), ALICE)
    else:
        _commit_in_reverse(ledger)
    with ledger.read() as uow:
        assert {identifier for _position, identifier in uow.projections.pending(10)} >= {"ra_1"}


def _commit_in_reverse(ledger: Ledger) -> None:
    drawn, done = threading.Event(), threading.Event()

    def slow() -> None:
        with ledger.write() as uow:
            uow.documents.add(head("ra_1"), ALICE)
            drawn.set()
            done.wait(10)

    thread = threading.Thread(target=slow)
    thread.start()
    drawn.wait(10)
    with ledger.write() as uow:
        uow.documents.add(head("ra_2"), ALICE)
    with ledger.write() as uow:
        pending = uow.projections.pending(10)
        assert [identifier for _position, identifier in pending] == ["ra_2"]
        uow.projections.done([position for position, _identifier in pending])
    done.set()
    thread.join()
