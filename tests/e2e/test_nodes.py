"""Two web servers and two workers, with directories of their own, over one Postgres, SPARQL server, queue and S3 are one deployment."""

import subprocess
import urllib.request
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from deployment import LD_SERVER, Answer, Client, environment, settled, some_port
from processes import PATIENCE, Running, eventually, kill
from sqlalchemy import text
from standardwebhooks import Webhook

from relational.unit_of_work import Ledger, open_ledger
from tests.receivers import Receiver, receiving
from tests.stacks import scaled, variables

KEY = "rsv_nodes_012345678901234567890123456789012"
SHARED = "a secret that all nodes of a deployment have"
RESERVATIONS = "/v1/rent-actions"
SCHEDULED_AT = datetime(2026, 11, 1, 2, tzinfo=UTC)
PDF = b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\ntrailer\n<<>>\n%%EOF\n"


@dataclass
class Nodes:
    """Web servers a and b, workers by name, and what all of them are told."""

    place: Path
    told: dict[str, str]
    ledger: Ledger
    clients: tuple[Client, Client]
    workers: dict[str, Running]
    running: ExitStack

    def start(self, node: str, *words: str, **settings: str) -> Running:
        told = {**self.told, "LD_DATA_DIR": str(self.place / node), **settings}
        return self.running.enter_context(
            Running([*LD_SERVER, *words], self.place / f"{node}-{words[0]}", environment(**told), cwd=self.place)
        )

    def run(self, node: str, *words: str, **settings: str) -> "subprocess.CompletedProcess[str]":
        told = environment(**{**self.told, "LD_DATA_DIR": str(self.place / node), **settings})
        return subprocess.run([*LD_SERVER, *words], capture_output=True, text=True, env=told, check=False)

    def start_worker(self, node: str, name: str) -> None:
        self.workers[name] = self.start(node, "worker", "--name", name)

    def leader(self, of: str) -> str:
        """The worker that has a lease."""
        with self.ledger.engine.connect() as connection:
            return str(connection.execute(text("SELECT owner FROM leases WHERE name = :name"), {"name": of}).scalar())

    def everywhere(self, method: str, path: str, **more: Any) -> list[Answer]:
        return [client(method, path, **more) for client in self.clients]


@pytest.fixture(scope="module")
def nodes(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    place, postgres = tmp_path_factory.mktemp("nodes"), request.getfixturevalue("postgres_server")
    queue = postgres.new_database(template="template0")
    with scaled(request.getfixturevalue, place) as standing, ExitStack() as running:
        told = {**variables(standing), "LD_HUEY_URL": postgres.url(queue), "LD_SECRET_KEY": SHARED, "LD_ADMIN_KEY": KEY}
        told |= {
            "LD_BASE_IRI": "http://fleet.example.org",
            "LD_WEBHOOK_ALLOW": "127.0.0.1",
            "LD_PROJECTOR_LEASE": "2",
            "LD_RELAY_LEASE": "2",
        }
        ports = {"a": str(some_port()), "b": str(some_port())}
        clients = tuple(Client(f"http://127.0.0.1:{port}", KEY) for port in ports.values())
        nodes = Nodes(place, told, open_ledger(standing["database_url"]), clients, {}, running)  # type: ignore[arg-type]
        migrated = nodes.run("a", "migrate")
        assert migrated.returncode == 0, migrated.stderr
        for node, port in ports.items():
            nodes.start(node, "web", LD_PORT=port)
            nodes.start_worker(node, f"worker {node}")
        for client in clients:
            settled(lambda client=client: client("GET", "/health/ready").status == 200, "a node that is ready")
        yield nodes
        nodes.ledger.close()
    postgres.drop(queue)


@pytest.fixture(scope="module")
def cable(nodes: Nodes) -> str:
    """Stock to reserve, made at one node and enlarged at the other."""
    made = nodes.clients[0].create("/v1/catalog/item-types", {"code": "CABLE", "name": "Cable", "kind": "fungible"})
    nodes.clients[1].create("/v1/catalog/stock-pools", {"itemTypeId": made["identifier"], "quantityTotal": 100})
    return str(made["identifier"])


def reservation(item: str, **more: Any) -> dict[str, Any]:
    window = {"startTime": "2027-03-01T08:00:00Z", "endTime": "2027-03-02T08:00:00Z"}
    return {"agent": "alice", "object": item, "requestedQuantity": 1, **window, **more}


@pytest.mark.parametrize("command", ["web", "worker", "migrate"])
def test_a_node_without_the_shared_secret_does_not_start(nodes: Nodes, command: str) -> None:
    refused = nodes.run("c", command, LD_SECRET_KEY="", LD_PORT=str(some_port()))
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "another secret key" in refused.stderr and "set LD_SECRET_KEY" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1


def test_what_is_written_at_one_node_is_found_by_sparql_at_the_other(nodes: Nodes, cable: str) -> None:
    for number in range(6):
        writer, reader = nodes.clients[number % 2], nodes.clients[(number + 1) % 2]
        made = writer.create(RESERVATIONS, reservation(cable, purpose=f"across nodes {number}"))
        assert reader.ask(f"SELECT ?p WHERE {{ <{made['@id']}> ?p 'across nodes {number}' }}")


def test_a_request_sent_to_both_nodes_under_one_key_is_carried_out_once(nodes: Nodes, cable: str) -> None:
    together = Barrier(6)

    def ask(number: int) -> Answer:
        client = nodes.clients[number % 2]
        together.wait(PATIENCE)
        while (answer := client("POST", RESERVATIONS, reservation(cable, externalRef="twice"), Idempotency_Key="at-both")).status == 409:
            pass
        return answer

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(ask, range(6)))
    assert {(one.status, one.json["identifier"]) for one in answers} == {(201, answers[0].json["identifier"])}
    assert nodes.clients[0]("GET", f"{RESERVATIONS}?externalRef=twice").json["totalItems"] == 1


def test_everybody_is_told_everything_once_and_in_order_with_a_secret_that_each_node_can_open(nodes: Nodes, cable: str) -> None:
    with receiving() as receiver:
        webhook = nodes.clients[0].create("/v1/webhooks", {"name": "Desk", "url": receiver.url})
        told = {"name": "Tell", "eventTypes": ["rentAction.*"], "actions": [{"type": "webhook", "webhookId": webhook["identifier"]}]}
        nodes.clients[1].create("/v1/triggers", told)
        with ThreadPoolExecutor(4) as pool:
            lives = list(pool.map(lambda number: life(nodes, cable, number), range(8)))
        expected = events_of(nodes, lives)
        assert receiver.wait_for(len(expected), PATIENCE), deliveries_of(nodes)
        Webhook(webhook["secret"]).verify(receiver.got[-1].body, dict(receiver.got[-1].headers))
        assert Counter(receiver.ids) == Counter(expected)
        assert in_order(receiver)


def life(nodes: Nodes, cable: str, number: int) -> str:
    """A reservation whose steps are taken at one node and the other; its identifier."""
    made = nodes.clients[number % 2].create(RESERVATIONS, reservation(cable))["identifier"]
    for turn, step in enumerate(("approve", "release-allocations", "cancel")):
        answer = nodes.clients[(number + turn + 1) % 2]("POST", f"{RESERVATIONS}/{made}/{step}", {})
        assert answer.status == 200, answer.text
    return str(made)


def deliveries_of(nodes: Nodes) -> list[tuple[str, Any]]:
    """What became of each delivery that did not arrive at once, with its attempts."""
    with nodes.ledger.read() as uow:
        late = [one for one in uow.deliveries.page(None, 1000, {}) if one.status != "delivered" or one.attempts > 1]
        return [(one.status, uow.deliveries.attempts(one.identifier)) for one in late]


def events_of(nodes: Nodes, subjects: list[str]) -> list[str]:
    with nodes.ledger.read() as uow:
        entries = [one.entry for one in uow.outbox.after(0, 10_000)]
    return [one.id for one in entries if one.subject_id in subjects and one.type.startswith("rentAction.")]


def in_order(receiver: Receiver) -> bool:
    """Whether the events of each subject came by their sequence."""
    came = [(got.json["subject"]["id"], got.json["meta"]["sequence"]) for got in receiver.got]
    return sorted(came) == sorted(came, key=lambda one: one[0])


def test_a_time_that_is_due_is_run_once_by_two_workers(nodes: Nodes) -> None:
    nightly = {
        "name": "Nightly",
        "source": "schedule",
        "schedule": {"type": "cron", "expr": "0 2 1 1 *"},
        "jobType": "maintenance.overdue_scan",
    }
    triggers = [nodes.clients[0].create("/v1/triggers", {**nightly, "name": f"Nightly {number}"})["identifier"] for number in range(6)]
    with nodes.ledger.write() as uow:
        for trigger in triggers:
            uow.triggers.set_next_run(trigger, SCHEDULED_AT)

    def runs() -> list[dict[str, Any]]:
        found = [nodes.clients[1]("GET", f"/v1/triggers/{trigger}/runs").json["member"] for trigger in triggers]
        return [run for several in found for run in several]

    eventually(lambda: len([run for run in runs() if run["status"] == "completed"]) == len(triggers), f"a run of each: {runs()}")
    assert {run["dueAt"] for run in runs()} == {"2026-11-01T02:00:00Z"}


def test_when_a_worker_dies_the_other_takes_over_everything(nodes: Nodes, cable: str) -> None:
    leader = nodes.leader("projector")
    assert leader in nodes.workers
    kill(nodes.workers[leader].pid)
    made = nodes.clients[0].create(RESERVATIONS, reservation(cable, purpose="after a death"))
    assert nodes.clients[1].ask(f"SELECT ?p WHERE {{ <{made['@id']}> ?p 'after a death' }}")
    (other,) = set(nodes.workers) - {leader}
    assert nodes.leader("projector") == other
    eventually(lambda: nodes.leader("relay") == other, "the relay is taken over")


def test_a_file_that_is_sent_at_one_node_is_had_from_the_other(nodes: Nodes, cable: str) -> None:
    first, second = nodes.clients
    said = {"ownerKind": "item_type", "ownerId": cable, "fileName": "manual.pdf", "contentType": "application/pdf"}
    said |= {"byteSize": len(PDF), "checksum": sha256(PDF).hexdigest()}
    draft = first.create("/v1/attachments/initiate", said)
    sent = urllib.request.Request(draft["uploadUrl"], PDF, draft["uploadHeaders"], method=draft["uploadMethod"])
    urllib.request.urlopen(sent, timeout=PATIENCE).close()
    done = second("POST", "/v1/attachments/complete", {"identifier": draft["identifier"]})
    assert done.status == 200, done.text
    link = first("GET", f"/v1/attachments/{draft['identifier']}").json["downloadUrl"]
    with urllib.request.urlopen(link, timeout=PATIENCE) as answer:
        assert answer.read() == PDF


def test_a_key_that_is_revoked_at_one_node_opens_no_other(nodes: Nodes) -> None:
    made = nodes.run("a", "keys", "create", "desk", "--scopes", "planner")
    visitors = [Client(client.address, made.stdout.strip()) for client in nodes.clients]
    assert [visitor("GET", RESERVATIONS).status for visitor in visitors] == [200, 200]
    assert nodes.run("b", "keys", "revoke", made.stderr.split()[0]).returncode == 0
    for visitor in visitors:
        eventually(lambda visitor=visitor: visitor("GET", RESERVATIONS).status == 401, "the revocation is noticed")
