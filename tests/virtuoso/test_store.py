"""What every SPARQL store promises, on a Virtuoso."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from ld_server.settings import Settings
from ld_server.sparql.store import SparqlStore, open_store
from tests.contract.test_sparql_store import *  # noqa: F403
from tests.contract.test_sparql_store import LIMITS


@pytest.fixture
def backend(request: pytest.FixtureRequest) -> str:
    return "virtuoso"


@pytest.fixture
def store(backend: str, settings: Settings) -> Iterator[SparqlStore]:
    opened = open_store(replace(settings, sparql_max_rows=LIMITS.rows, sparql_max_bytes=LIMITS.octets))
    yield opened
    opened.clear()
    opened.close()
