"""How many streams and queries may hold a thread at once."""

import threading

import pytest

from ld_server.services.seats import SHORT, Seats, Sitting, most
from ld_server.settings import Settings

STREAMS = [(2, 4, 2), (8, 4, 2), (2, 2, 0), (2, 1, 0), (0, 4, 0)]
QUERIES = [(3, 4, 3), (8, 4, 3), (1, 4, 1), (3, 2, 1), (3, 1, 1)]


@pytest.mark.parametrize(("streams", "threads", "expected"), STREAMS)
def test_streams_leave_a_thread_to_queries_and_one_to_others(streams: int, threads: int, expected: int) -> None:
    assert most(Sitting.STREAM, Settings(streams=streams, web_threads=threads)) == expected


@pytest.mark.parametrize(("queries", "threads", "expected"), QUERIES)
def test_queries_leave_a_thread_to_others_where_there_are_two(queries: int, threads: int, expected: int) -> None:
    assert most(Sitting.QUERY, Settings(sparql_queries=queries, web_threads=threads)) == expected


def test_both_together_leave_a_thread() -> None:
    seats, settings = Seats(), Settings(streams=2, sparql_queries=3, web_threads=4)
    taken = [seats.take(one, settings) for one in (Sitting.STREAM, Sitting.STREAM, Sitting.STREAM, Sitting.QUERY, Sitting.QUERY)]
    assert taken == [True, True, False, True, False]
    seats.give_back(Sitting.STREAM)
    assert seats.take(Sitting.QUERY, settings)
    assert not seats.take(Sitting.STREAM, settings), "a query has its seat"


def test_a_query_waits_for_another_that_may_be_a_short_one_and_not_for_a_long_one() -> None:
    now = [0.0]
    seats, settings = Seats(clock=lambda: now[0]), Settings(sparql_queries=1, web_threads=4)
    assert seats.take(Sitting.QUERY, settings)
    threading.Timer(0.02, seats.give_back, [Sitting.QUERY]).start()
    assert seats.take(Sitting.QUERY, settings), "the first one ended in time"

    now[0] = SHORT
    asking = threading.Timer(0.02, seats.give_back, [Sitting.QUERY])
    asking.start()
    assert not seats.take(Sitting.QUERY, settings), "the second one has had its time"
    asking.join()
    assert seats.take(Sitting.QUERY, settings)
