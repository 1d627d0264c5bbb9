"""The queries that have a name give the numbers of the ledger on a Virtuoso, too."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from ld_server.sparql.store import open_store
from tests.http.conftest import Site, site  # noqa: F401
from tests.http.test_queries import *  # noqa: F403
from tests.virtuoso.servers import VirtuosoServer


@pytest.fixture(scope="module")
def depot(lived: Site, virtuoso: VirtuosoServer) -> Iterator[Site]:
    """The depot with its graphs in a Virtuoso."""
    settings = replace(lived.parts.settings, sparql_url=virtuoso.url)
    store = open_store(settings)
    store.clear()
    store.replace({name: lived.parts.sparql.triples(name) for name in lived.parts.sparql.graph_names()})
    yield lived.over(settings=settings, sparql=store)
    store.close()
