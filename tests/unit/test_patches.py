"""Patches as JSON: what RFC 7396 and RFC 6902 say, and what is refused with its place."""

import copy
from typing import Any

import pytest

from ld_server.domain.errors import MalformedBody, Stale, TooLarge
from ld_server.resources.kind import is_same
from ld_server.resources.patching import LONGEST_POINTER, MOST_OPERATIONS, json_patch, merge_patch, merged

LARGEST = 100_000

RFC_7396 = [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    (["a", "b"], ["c", "d"], ["c", "d"]),
    ({"a": "b"}, ["c"], ["c"]),
    ({"a": "foo"}, None, None),
    ({"a": "foo"}, "bar", "bar"),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
]
"""The examples of RFC 7396, appendix A."""


@pytest.mark.parametrize(("target", "patch", "result"), RFC_7396)
def test_a_merge_patch_does_what_the_standard_says(target: Any, patch: Any, result: Any) -> None:
    before = copy.deepcopy(target)
    assert merged(target, patch) == result
    assert target == before


@pytest.mark.parametrize("body", [[], "text", 5, None, True])
def test_a_merge_patch_of_a_resource_is_an_object(body: Any) -> None:
    with pytest.raises(MalformedBody, match="must be a JSON object"):
        merge_patch(body)


OPERATIONS = [
    ({"op": "add", "path": "/b", "value": 2}, {"a": [1], "b": 2}),
    ({"op": "add", "path": "/a/-", "value": 2}, {"a": [1, 2]}),
    ({"op": "add", "path": "/a/0", "value": 0}, {"a": [0, 1]}),
    ({"op": "remove", "path": "/a/0"}, {"a": []}),
    ({"op": "replace", "path": "/a", "value": None}, {"a": None}),
    ({"op": "move", "from": "/a", "path": "/b"}, {"b": [1]}),
    ({"op": "copy", "from": "/a/0", "path": "/b"}, {"a": [1], "b": 1}),
    ({"op": "test", "path": "/a", "value": [1]}, {"a": [1]}),
    ({"op": "test", "path": "/a/0", "value": 1.0, "note": "other members are ignored"}, {"a": [1]}),
    ({"op": "replace", "path": "", "value": {"c": 3}}, {"c": 3}),
]


@pytest.mark.parametrize(("operation", "result"), OPERATIONS, ids=lambda one: str(one.get("op", "")) if isinstance(one, dict) else "")
def test_an_operation_does_what_the_standard_says(operation: Any, result: Any) -> None:
    document = {"a": [1]}
    assert json_patch([operation], LARGEST)(document) == result
    assert document == {"a": [1]}


def test_operations_follow_one_another() -> None:
    patch = json_patch([{"op": "add", "path": "/b", "value": []}, {"op": "move", "from": "/a", "path": "/b/-"}], LARGEST)
    assert patch({"a": 1}) == {"b": [1]}


MALFORMED = [
    ({}, ""),
    ("text", ""),
    ([5], "/0"),
    ([{}], "/0/op"),
    ([{"op": "append", "path": "/a", "value": "x"}], "/0/op"),
    ([{"op": ["add"], "path": "/a"}], "/0/op"),
    ([{"op": "remove"}], "/0/path"),
    ([{"op": "remove", "path": "a"}], "/0/path"),
    ([{"op": "remove", "path": "/~2"}], "/0/path"),
    ([{"op": "remove", "path": 5}], "/0/path"),
    ([{"op": "remove", "path": None}], "/0/path"),
    ([{"op": "remove", "path": ["/a"]}], "/0/path"),
    ([{"op": "add", "path": "/a"}], "/0/value"),
    ([{"op": "test", "path": "/a", "value": 1}, {"op": "copy", "path": "/a"}], "/1/from"),
    ([{"op": "move", "path": "/a", "from": "b"}], "/0/from"),
    ([{"op": "test", "path": "/a", "value": 1}] * (MOST_OPERATIONS + 1), ""),
]


@pytest.mark.parametrize(("body", "place"), MALFORMED)
def test_what_is_no_patch_is_refused_with_its_place(body: Any, place: str) -> None:
    with pytest.raises(MalformedBody) as refused:
        json_patch(body, LARGEST)
    assert refused.value.members["pointer"] == place


INAPPLICABLE = [
    {"op": "remove", "path": "/b"},
    {"op": "remove", "path": ""},
    {"op": "remove", "path": "/a/1"},
    {"op": "remove", "path": "/a/-"},
    {"op": "remove", "path": "/a/00"},
    {"op": "replace", "path": "/b", "value": 1},
    {"op": "replace", "path": "/a/-", "value": 1},
    {"op": "add", "path": "/a/5", "value": 1},
    {"op": "add", "path": "/b/c", "value": 1},
    {"op": "add", "path": "/a/x", "value": 1},
    {"op": "add", "path": "/a/0/x", "value": 1},
    {"op": "add", "path": "/t/0", "value": 1},
    {"op": "move", "from": "/b", "path": "/c"},
    {"op": "move", "from": "/a", "path": "/a/0"},
    {"op": "copy", "from": "/b", "path": "/c"},
    {"op": "copy", "from": "/a/-", "path": "/c"},
]


@pytest.mark.parametrize("operation", INAPPLICABLE, ids=str)
def test_a_place_that_does_not_exist_is_named(operation: Any) -> None:
    patch = json_patch([{"op": "test", "path": "/a", "value": [1]}, operation], LARGEST)
    with pytest.raises(MalformedBody) as refused:
        patch({"a": [1], "t": "text"})
    assert refused.value.members["operation"] == 1
    assert refused.value.members["pointer"].startswith("/1")
    assert operation.get("from", operation["path"]) in refused.value.detail


@pytest.mark.parametrize(("path", "value"), [("/a", 1), ("/a", "true"), ("/b", None), ("/a/b", None), ("/c/0", 1), ("", {})])
def test_a_test_that_fails_says_that_the_state_is_another_one(path: str, value: Any) -> None:
    with pytest.raises(Stale) as refused:
        json_patch([{"op": "test", "path": path, "value": value}], LARGEST)({"a": True, "c": []})
    assert refused.value.members == {"operation": 0, "path": path}


def test_copying_a_document_into_itself_again_and_again_comes_to_an_end() -> None:
    bomb = [{"op": "copy", "from": "", "path": f"/x{number}"} for number in range(40)]
    with pytest.raises(TooLarge, match=str(LARGEST)):
        json_patch(bomb, LARGEST)({"a": "some text"})


@pytest.mark.parametrize("op", ["copy", "move"])
def test_nesting_a_document_in_itself_again_and_again_comes_to_an_end(op: str) -> None:
    path = "/x" * LONGEST_POINTER
    deep = [{"op": "add", "path": path[: 2 * steps], "value": {}} for steps in range(1, LONGEST_POINTER + 1)]
    bomb = [{"op": op, "from": "/x", "path": "/y"}, {"op": "add", "path": "/x", "value": {}}, {"op": op, "from": "/y", "path": "/x/x"}]
    with pytest.raises(MalformedBody, match="too deeply"):
        json_patch([*deep, *bomb * 200], LARGEST)({})


def test_a_pointer_has_an_end() -> None:
    with pytest.raises(MalformedBody, match="at most 100 steps"):
        json_patch([{"op": "remove", "path": "/x" * (LONGEST_POINTER + 1)}], LARGEST)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True),
        ({"a": 1}, {"a": True}, False),
        ([1, 2], [2, 1], False),
        (1, 1.0, False),
        (None, 0, False),
    ],
)
def test_values_are_the_same_when_they_are_written_the_same(one: Any, other: Any, same: bool) -> None:
    assert is_same(one, other) is same
