"""How often a SPARQL server may be asked."""

import pytest

from ld_server.domain.errors import StoreUnavailable
from ld_server.settings import Settings
from ld_server.sparql.http import MOST_THREADS, open_managed_store
from ld_server.sparql.rate_limit import RateLimit


def test_so_many_may_begin_in_a_while_and_more_when_those_are_over():
    now = [0.0]
    limit = RateLimit(3, 10.0, clock=lambda: now[0])
    for now[0] in (0.0, 1.0, 2.0):
        limit.take()

    for now[0] in (2.0, 9.9):
        with pytest.raises(StoreUnavailable, match="more often than it can bear"):
            limit.take()

    now[0] = 10.0
    limit.take()
    with pytest.raises(StoreUnavailable):
        limit.take()


def test_the_processes_of_a_web_server_share_the_threads_that_the_managed_store_has_room_for(tmp_path):
    store = open_managed_store(Settings(data_dir=tmp_path, web_workers=MOST_THREADS // 2))

    for said in ("has not been started", "has not been started", "more often than it can bear"):
        with pytest.raises(StoreUnavailable, match=said):
            store.query("ASK {}", "application/sparql-results+json", timeout=1)
