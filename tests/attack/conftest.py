"""The whole application over real parts, once for each file of attacks: what is refused leaves nothing behind."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from ld_server.bootstrap import build
from ld_server.settings import Settings
from tests.http.conftest import Site, open_site


@pytest.fixture(scope="module")
def fleet(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site with an item type, a unit of it and a reservation."""
    directory = tmp_path_factory.mktemp("attacked")
    ledger = shutil.copy(sqlite_template, directory / "ledger.db")
    parts = build(Settings(data_dir=directory, database_url=f"sqlite:///{ledger}", sparql_url="memory:"))
    site = open_site(parts)
    item = site.item_type()
    site.asset(item)
    site.reservation(item)
    yield site
    parts.close()
