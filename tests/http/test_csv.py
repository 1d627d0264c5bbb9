"""Collections as tables for spreadsheets: RFC 4180, complete, harmless, and in little memory however long they are."""

import csv
import io
import itertools
import tracemalloc
from typing import Any

import orjson
import pytest
from falcon import testing
from sqlalchemy import Engine

from ld_server.http import csv as tables
from ld_server.http.paging import LARGEST_LIMIT
from ld_server.resources import KINDS
from relational.documents import Authorship, Head
from tests import factories
from tests.http.conftest import ASSETS, BASE, ITEM_TYPES, RESERVATIONS, Site, problem

CSV = "text/csv"
FORMULAS = ("=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "  =1", "＝1", "'quoted'", "=cmd|' /C calc'!A0")


def read(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode(), newline=""), strict=True))


def plain(cell: str) -> str:
    """The text of a cell as it was before it was guarded: what the documentation tells readers to do."""
    return cell.removeprefix("'")


@pytest.fixture
def fleet(site: Site) -> Site:
    item = site.item_type()
    site.asset(item, assetTag="TN-001", location="Depot A", metadata={"a": [1, None]})
    site.asset(item, assetTag="TN-002", location='Depot "B", 2nd floor', description="Line 1\r\nLine 2 – ü")
    site.reservation(item, purpose="Spring fair")
    assert site.post(f"{RESERVATIONS}/ra_1/approve").status_code == 200
    return site


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_every_collection_is_a_table_with_the_keys_as_header(fleet: Site, kind: Any) -> None:
    answer = fleet.get(kind.path, Accept=CSV)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == f'attachment; filename="{kind.path.rpartition("/")[2]}.csv"'
    assert (answer.headers["vary"], answer.headers["x-content-type-options"]) == ("Accept", "nosniff")
    assert answer.text.splitlines()[0].split(",") == ["identifier", *kind.keys, "other"]
    assert len(read(answer.content)) == fleet.get(kind.path).json["totalItems"]


def test_a_table_says_what_the_documents_say(fleet: Site) -> None:
    members = fleet.get(ASSETS).json["member"]
    for row, document in zip(read(fleet.get(ASSETS, Accept=CSV).content), members, strict=True):
        assert row["isVariantOf"] == document["isVariantOf"]["identifier"] == "itemType_1"
        for key in ("identifier", "assetTag", "serialNumber", "status", "location", "description", "createdAt"):
            assert plain(row[key]) == document.get(key, ""), key
    assert orjson.loads(read(fleet.get(ASSETS, Accept=CSV).content)[0]["metadata"]) == {"a": [1, None]}


def test_what_has_parts_is_json_with_identifiers(fleet: Site) -> None:
    (row,) = read(fleet.get(RESERVATIONS, Accept=CSV).content)
    assert (row["agent"], row["object"], row["allocations"]) == ("alice@example.org", "itemType_1", '["alloc_1"]')
    assert orjson.loads(row["lineItems"]) == [{"object": "itemType_1", "requestedQuantity": 1, "allocatedQuantity": 1}]
    assert (row["requestedQuantity"], row["isAsap"]) == ("1", "false")


def test_statements_in_other_words_stand_in_the_last_column(site: Site) -> None:
    assert (
        site.post(
            ITEM_TYPES,
            {**factories.item_type(), "brand": "ACME", "@context": [f"{BASE}/contexts/v1.jsonld", "https://schema.org"]},
            Content_Type="application/ld+json",
        ).status_code
        == 201
    )
    (row,) = read(site.get(ITEM_TYPES, Accept=CSV).content)
    assert orjson.loads(row["other"]) == {"brand": "ACME"}


def test_lines_end_as_the_standard_says(fleet: Site) -> None:
    content = fleet.get(ASSETS, Accept=CSV).content
    assert content.endswith(b"\r\n")
    assert not content.startswith(b"\xef\xbb\xbf")
    assert content.count(b"\r\n") == 1 + 2 + 1  # the header, two rows, and the break within a text
    assert b'"Depot ""B"", 2nd floor"' in content


def test_allocations_and_revisions_are_tables_too(fleet: Site) -> None:
    answer = fleet.get(f"{RESERVATIONS}/ra_1/allocations", Accept=CSV)
    assert answer.headers["content-disposition"] == 'attachment; filename="ra_1-allocations.csv"'
    assert [(row["identifier"], row["asset"], row["status"]) for row in read(answer.content)] == [("alloc_1", "asset_1", "allocated")]
    assert [row["revision"] for row in read(fleet.get(f"{RESERVATIONS}/ra_1/revisions", Accept=CSV).content)] == ["1", "2"]


def test_one_resource_is_no_table(fleet: Site) -> None:
    assert CSV not in problem(fleet.get(f"{RESERVATIONS}/ra_1", Accept=CSV), "not-acceptable", 406)["available"]
    problem(fleet.get(f"{RESERVATIONS}/ra_1", query="format=csv"), "invalid-parameter", 400)


def test_filters_and_order_count(fleet: Site) -> None:
    assert [row["assetTag"] for row in read(fleet.get(ASSETS, query="location=Depot+A", Accept=CSV).content)] == ["TN-001"]
    assert [row["assetTag"] for row in read(fleet.get(ASSETS, query="sort=-assetTag", Accept=CSV).content)] == ["TN-002", "TN-001"]
    problem(fleet.get(ASSETS, query="locatoin=A", Accept=CSV), "invalid-parameter", 400)


def test_an_empty_collection_is_a_header(site: Site) -> None:
    assert read(site.get(ASSETS, Accept=CSV).content) == []


def test_a_table_can_be_had_by_a_link(fleet: Site) -> None:
    assert fleet.get(ASSETS, query="format=csv").content == fleet.get(ASSETS, Accept=CSV).content


@pytest.mark.parametrize("text", FORMULAS)
def test_no_cell_is_a_formula_and_every_text_can_be_had_back(site: Site, text: str) -> None:
    site.item_type("F", name="Timer", description=text)
    (row,) = read(site.get(ITEM_TYPES, Accept=CSV).content)
    assert row["description"].startswith("'")
    assert plain(row["description"]) == site.get(f"{ITEM_TYPES}/itemType_1").json["description"]


@pytest.mark.parametrize(
    "value",
    [-1, -0.5, True, None, "x", "", "a=b", "1-2", {"identifier": "ra_1"}, ["a", {"@id": "urn:x"}], {"@value": "x", "@language": "en"}],
)
def test_what_is_no_formula_stays_as_it_is(value: Any) -> None:
    (row,) = read(b"".join(tables.table([{"key": value}], ("key",))))
    assert not row["key"].startswith("'")


def test_a_value_in_a_list_cannot_be_a_formula() -> None:
    (row,) = read(b"".join(tables.table([{"key": ["=1"]}], ("key",))))
    assert row["key"] == '["=1"]'


# --- all of it ---------------------------------------------------------------------------------------------------------


def fill(site: Site, count: int, start: int = 1) -> None:
    """So many units, written to the ledger directly."""
    site.item_type() if start == 1 else None
    template = orjson.loads(site.get(f"{ASSETS}/{site.asset('itemType_1', serialNumber='first')}").content)
    kind, now = KINDS["asset"], site.parts.now()
    with site.parts.ledger.write() as uow:
        numbers = uow.documents.next_numbers("asset", count - 1)
        for number in numbers:
            name = f"asset_{number}"
            document = {
                **template,
                "@id": f"{BASE}{ASSETS}/{name}",
                "identifier": name,
                "serialNumber": f"SN-{number:06}",
                "description": "x" * 500,
            }
            uow.documents.add(Head(name, "asset", number, 1, orjson.dumps(document).decode()), Authorship("test", now, "test"))
            uow.index.put(kind.table, kind.index_row(document))


@pytest.fixture
def large(either_site: Site) -> Site:
    fill(either_site, 2 * LARGEST_LIMIT + 5)
    return either_site


def test_without_a_limit_a_table_has_every_page(large: Site) -> None:
    rows = read(large.get(ASSETS, Accept=CSV).content)
    assert [row["identifier"] for row in rows] == [f"asset_{number}" for number in range(1, 2 * LARGEST_LIMIT + 6)]


def test_with_a_limit_a_table_has_one_page(large: Site) -> None:
    answer = large.get(ASSETS, query="limit=3", Accept=CSV)
    assert [row["identifier"] for row in read(answer.content)] == ["asset_1", "asset_2", "asset_3"]
    assert 'rel="next"' in answer.headers["link"] or "next" in answer.headers["link"]
    assert large.get(ASSETS, query="limit=3", Accept=CSV, If_None_Match=answer.headers["etag"]).status_code == 304
    following = large.get(ASSETS, query="limit=3").json["view"]["next"].partition("?")[2]
    assert [row["identifier"] for row in read(large.get(ASSETS, query=following, Accept=CSV).content)] == ["asset_4", "asset_5", "asset_6"]


@pytest.mark.parametrize("query", ["", "sort=-updatedAt", "sort=location,-serialNumber&status=available"])
def test_a_table_is_what_was_there_at_one_moment_whatever_is_written_meanwhile(either_site: Site, query: str) -> None:
    fill(either_site, LARGEST_LIMIT + 200)
    before = either_site.get(ASSETS, query=query, Accept=CSV).content
    chunks = streamed(either_site, ASSETS, query)
    beginning = list(itertools.islice(chunks, 2))
    either_site.asset("itemType_1", serialNumber="SN-000500b")
    for number in (1, 50, 700, LARGEST_LIMIT + 100, LARGEST_LIMIT + 200):
        change = {"location": "moved", "status": "retired", "serialNumber": f"AA-{number}"}
        answer = either_site.ask("PATCH", f"{ASSETS}/asset_{number}", body=change, Content_Type="application/merge-patch+json")
        assert answer.status_code == 200
    assert b"".join([*beginning, *chunks]) == before
    assert either_site.get(ASSETS, query=query, Accept=CSV).content != before


def test_a_slow_reader_keeps_no_transaction_open(either_site: Site) -> None:
    fill(either_site, LARGEST_LIMIT + 200)
    chunks = streamed(either_site, ASSETS)
    next(chunks), next(chunks)
    assert open_transactions(either_site.parts.ledger.engine) == 0
    assert len(list(chunks)) > 1


def open_transactions(engine: Engine) -> int:
    """On SQLite: whether anyone still needs what the write-ahead log has."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT", sqlite_begin="SELECT 1") as connection:
        if engine.dialect.name == "sqlite":
            return int(connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()[0])
        others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle in transaction'"
        return int(connection.exec_driver_sql(others).scalar_one())


def test_head_reads_no_more_than_the_first_page(large: Site) -> None:
    answer = large.ask("HEAD", ASSETS, Accept=CSV)
    assert (answer.status_code, answer.content, answer.headers["content-type"]) == (200, b"", "text/csv; charset=utf-8")


def test_twenty_thousand_rows_pass_through_little_memory(site: Site) -> None:
    fill(site, 20_000)
    chunks = streamed(site, ASSETS)
    next(chunks)
    tracemalloc.start()
    length, rows = 0, 0
    for chunk in chunks:
        length, rows = length + len(chunk), rows + chunk.count(b"\r\n")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert rows == 20_000
    assert length > 10_000_000
    assert peak < 8_000_000


def streamed(site: Site, path: str, query: str = "") -> Any:
    """The chunks of a table as a web server takes them, one by one."""
    environ = testing.create_environ(path, query_string=query, headers={"Accept": CSV, "X-Api-Key": site.keys["reader"]})
    return iter(site.client.app(environ, testing.StartResponseMock()))
