"""Documents reach a Virtuoso, once and in their newest state, whatever dies on the way."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from ld_server.bootstrap import build
from ld_server.settings import Settings
from tests.virtuoso.servers import VirtuosoServer
from tests.workers.test_projector import *  # noqa: F403
from tests.workers.test_projector import Fleet


@pytest.fixture
def fleet(settings: Settings, database_url: str) -> Iterator[Fleet]:
    parts = build(replace(settings, database_url=database_url, projector_batch=10))
    yield Fleet(parts)
    parts.close()


@pytest.fixture
def sparql_url(settings: Settings, virtuoso: VirtuosoServer) -> str:
    return virtuoso.url
