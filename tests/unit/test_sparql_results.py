"""Answers of a store that are too long are refused before they take memory."""

import tracemalloc

import orjson
import pytest

from ld_server.domain.errors import QueryLimitExceeded
from ld_server.sparql import results
from ld_server.sparql.port import Limits

ROWS = Limits(rows=1000, octets=1 << 30)


def table(rows: list[dict[str, object]]) -> bytes:
    return orjson.dumps({"head": {"vars": ["x"]}, "results": {"bindings": rows}})


@pytest.mark.parametrize("row", [{}, {"x": {"type": "literal", "value": '"},{\\'}}])
def test_too_many_rows_are_refused_in_no_more_memory_than_they_came_in(row: dict[str, object]) -> None:
    body = table([row] * 100_000)
    tracemalloc.start()
    with pytest.raises(QueryLimitExceeded, match="more than 1000 rows"):
        results.finished(body, results.JSON, results.JSON, ROWS)
    assert tracemalloc.get_traced_memory()[1] < 100_000
    tracemalloc.stop()


@pytest.mark.parametrize("text", ["},{" * 5000, '"},{"' * 5000, "\\\\},{" * 5000])
def test_what_looks_like_many_rows_within_a_text_is_one(text: str) -> None:
    body = table([{"x": {"type": "literal", "value": text}}] * 2)
    assert results.finished(body, results.JSON, results.JSON, ROWS).body == body


def test_as_many_rows_as_allowed_are_taken() -> None:
    assert results.finished(table([{}] * 1000), results.JSON, results.JSON, ROWS)
    with pytest.raises(QueryLimitExceeded):
        results.finished(table([{}] * 1001), results.JSON, results.JSON, ROWS)
