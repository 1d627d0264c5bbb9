"""Entity tags: what is the same, what a list of them allows (RFC 9110, sections 8.8.3 and 13.1)."""

import pytest

from ld_server.domain.errors import InvalidParameter
from ld_server.http.negotiation import RESOURCE_OFFERS, Wanted
from ld_server.http.preconditions import content_tag, entity_tag, expected_revisions, weakly_matches
from ld_server.rdf.formats import JSON_LD, TURTLE
from ld_server.rdf.representation import EXPANDED


def test_every_representation_of_a_revision_has_its_own_tag() -> None:
    tags = {entity_tag(3, wanted) for wanted in RESOURCE_OFFERS.values()}
    assert len(tags) == len({(wanted.form, wanted.profile) for wanted in RESOURCE_OFFERS.values()})
    assert entity_tag(3, Wanted(JSON_LD)) == '"3-jsonld"'
    assert entity_tag(3, Wanted(JSON_LD, EXPANDED)) == '"3-jsonld-expanded"'


def test_a_tag_made_from_bytes_changes_with_them() -> None:
    turtle = Wanted(TURTLE)
    assert content_tag(b"a", turtle) == content_tag(b"a", turtle) != content_tag(b"b", turtle)


@pytest.mark.parametrize(
    ("header", "matches"),
    [
        ('"3-jsonld"', True),
        ('W/"3-jsonld"', True),
        ("*", True),
        (" * ", True),
        ('"1-jsonld", "3-jsonld"', True),
        ('"1-jsonld","3-jsonld",', True),
        ('"3-turtle"', False),
        ('"4-jsonld"', False),
        ('"x,y", "3-jsonld"', True),
        ("3-jsonld", False),
        ("", False),
        ('"3-jsonld', False),
        ('w/"3-jsonld"', False),
    ],
)
def test_if_none_match_is_compared_weakly(header: str, matches: bool) -> None:
    assert weakly_matches(header, '"3-jsonld"') is matches


@pytest.mark.parametrize(
    ("header", "revisions"),
    [
        (None, None),
        ("*", None),
        ('"3-jsonld"', {3}),
        ('"3-turtle"', {3}),
        ('"3-jsonld-expanded"', {3}),
        ('"3-jsonld", "12-json"', {3, 12}),
        ('W/"3-jsonld"', set()),
        ('W/"3-jsonld", "4-jsonld"', {4}),
        ('"3-html-0c5d12ab"', {3}),
        ('"3-html"', set()),
        ('"3-turtle-0c5d12ab"', {3}),
        ('"3-turtle-0c5d12"', set()),
        ('"3"', set()),
        ('"0-jsonld"', set()),
        ('"03-jsonld"', set()),
        ('"from-elsewhere"', set()),
        ('"3-jsonldx"', set()),
        ('"99999999999999999999-jsonld"', set()),
        ('""', set()),
    ],
)
def test_if_match_names_revisions(header: str | None, revisions: set[int] | None) -> None:
    assert expected_revisions(header) == (None if revisions is None else frozenset(revisions))


@pytest.mark.parametrize("header", ["", "3-jsonld", '"3-jsonld', '"3-jsonld" "4-jsonld"', "**", '"a" , b', ",", '"a blank"'])
def test_if_match_must_be_a_list_of_tags(header: str) -> None:
    with pytest.raises(InvalidParameter, match="If-Match must be"):
        expected_revisions(header)
