"""
Brings events to the triggers that wait for them: one delivery for each action that sends, and exactly one.

How far it has come is written in the transaction that writes the deliveries, and only where it was written last; so whatever dies, and
whoever else believes to be the relay, no event is left out and none is taken twice. A lease keeps the others from trying in vain.
"""

from collections.abc import Callable
from datetime import datetime

from ld_server.services.dispatch import RELAYED, relayed
from ld_server.services.meters import EVENTS_RELAYED
from ld_server.services.parts import Parts
from workers.leading import Leader, Pace


class Relay(Leader):
    """
    One relay of a deployment. `owner` is a name for leases that no other process has; `when_new` is called after deliveries were written.
    """

    name = "relay"
    doing = "the relay"

    def __init__(self, parts: Parts, owner: str, when_new: Callable[[], object] = lambda: None) -> None:
        settings = parts.settings
        super().__init__(parts, owner, Pace(settings.relay_lease, settings.relay_interval, settings.relay_batch))
        self._when_new = when_new

    def run_once(self, now: datetime) -> int:
        """
        Brings at most one batch of events to their triggers; how many events that were. Nothing while another relay leads.

        Raises StoreUnavailable when the ledger cannot be reached; the events come next time then.
        """
        if not self._leads(now) or not self._something_new():
            return 0
        with self._parts.ledger.write() as uow:
            uow.outbox.number()
        events, deliveries = self._bring(now)
        self._parts.meters.count(EVENTS_RELAYED, amount=events)
        if deliveries:
            self._when_new()
        return events

    def _bring(self, now: datetime) -> tuple[int, int]:
        """
        Events and deliveries of one batch.

        Events are read before triggers: what was enabled in between sees nothing that happened before.
        """
        with self._parts.ledger.write() as uow:
            mark = uow.facts.locked(RELAYED, "0")
            events = uow.outbox.since(int(mark), self._parts.settings.relay_batch)
            if not events:
                return 0, 0
            deliveries = relayed(uow, events, uow.triggers.listening(), now)
            uow.facts.set(RELAYED, str(events[-1].sequence))
        return len(events), deliveries

    def _something_new(self) -> bool:
        with self._parts.ledger.read() as uow:
            return uow.outbox.has_unnumbered() or uow.outbox.newest() > int(uow.facts.get(RELAYED) or 0)
