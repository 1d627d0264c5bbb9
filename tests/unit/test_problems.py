"""The table of problems is complete, says what CONTRACT 4 says, and names nothing twice."""

import inspect

import pytest

from ld_server.domain import errors
from ld_server.domain.errors import Refusal
from ld_server.http.errors import FROM_FALCON, HEADERS, INTERNAL, PROBLEMS, TITLES, as_json, problem_of

REFUSALS = {one for _, one in inspect.getmembers(errors, inspect.isclass) if issubclass(one, Refusal) and one is not Refusal}

CONTRACT = {
    400: "malformed-request malformed-body unknown-context invalid-parameter query-refused query-limit-exceeded",
    401: "unauthenticated",
    403: "forbidden own-reservation link-refused",
    404: "not-found",
    405: "method-not-allowed",
    406: "not-acceptable",
    409: "transition-refused insufficient-availability duplicate in-use idempotency-in-progress not-uploaded not-deliverable",
    410: "gone no-longer-kept",
    412: "precondition-failed",
    413: "payload-too-large",
    415: "unsupported-media-type",
    416: "range-not-satisfiable",
    422: "shape-violation unknown-reference unknown-term idempotency-mismatch resources-refused content-refused",
    429: "rate-limited",
    503: "store-unavailable",
}


def test_every_refusal_of_the_domain_has_a_row() -> None:
    assert set(PROBLEMS) == REFUSALS


def test_slugs_and_statuses_are_those_of_the_contract() -> None:
    expected = {slug: status for status, slugs in CONTRACT.items() for slug in slugs.split()}
    assert {problem.slug: problem.status for problem in PROBLEMS.values()} == expected


def test_every_problem_has_a_page_with_a_title_and_an_advice() -> None:
    assert set(TITLES) == {problem.slug for problem in PROBLEMS.values()} | {INTERNAL.slug}
    for title, problem in TITLES.values():
        assert title
        assert problem.advice.endswith(".")


def test_titles_are_told_apart() -> None:
    assert len({title for title, _ in TITLES.values()}) == len(TITLES)


def test_what_falcon_raises_becomes_a_refusal_of_the_same_status() -> None:
    assert {status: PROBLEMS[kind].status for status, kind in FROM_FALCON.items()} == {status: status for status in FROM_FALCON}


def test_headers_belong_to_refusals() -> None:
    assert set(HEADERS) <= REFUSALS


def test_a_refusal_below_another_has_its_row() -> None:
    class TooDeep(errors.MalformedBody):
        """The body is nested too deeply"""

    assert problem_of(TooDeep) is PROBLEMS[errors.MalformedBody]
    assert problem_of(Refusal) is INTERNAL


@pytest.mark.parametrize("value", [1, 2**70, {"when": object}, "\u00e9", [None, 1.5]])
def test_any_value_can_be_told(value: object) -> None:
    assert as_json({"value": value}).startswith(b'{"value":')
