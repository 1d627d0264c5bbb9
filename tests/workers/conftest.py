"""A real SPARQL server for tests of what brings graphs to it."""

from collections.abc import Iterator

import pytest

from tests.sparql_servers import OxigraphServer


@pytest.fixture
def server() -> Iterator[OxigraphServer]:
    started = OxigraphServer()
    yield started
    started.stop()
