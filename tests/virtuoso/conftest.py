"""
What the tests of the SPARQL store, the projector, the endpoint and the queries stand on here: `make test-virtuoso`.

The modules beside this one take the tests of others as they are, and give them a Virtuoso.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ld_server.settings import Settings
from ld_server.sparql.store import open_store
from tests.virtuoso.differences import DIFFERENCES
from tests.virtuoso.servers import VirtuosoServer


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skips by its name, with the reason, what Virtuoso does otherwise."""
    for item in items:
        for name, reason in DIFFERENCES.items():
            if item.name == name or item.name.startswith(f"{name}["):
                item.add_marker(pytest.mark.skip(reason=f"Virtuoso 7.2.5: {reason}"))


@pytest.fixture(scope="session")
def virtuoso(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VirtuosoServer]:
    server = VirtuosoServer(tmp_path_factory.mktemp("virtuoso"))
    yield server
    server.stop()


@pytest.fixture
def settings(virtuoso: VirtuosoServer, sqlite_url: str, tmp_path: Path) -> Settings:
    """A deployment in a temporary directory with nothing in it."""
    told = Settings(data_dir=tmp_path, database_url=sqlite_url, sparql_url=virtuoso.url)
    store = open_store(told)
    store.clear()
    store.close()
    return told
