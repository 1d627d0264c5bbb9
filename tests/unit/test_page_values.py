"""Pages and tables of whatever a document may hold: nothing breaks them, and nothing in them is more than words."""

from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ld_server.http import csv
from ld_server.http.pages import words
from ld_server.http.pages.pages import Pages
from ld_server.http.pages.places import Places
from ld_server.rdf.contexts import Contexts
from ld_server.rdf.published import data_directory
from ld_server.resources import KINDS
from tests.html import Page

BASE = "http://localhost:8000"
IRI = f"{BASE}/v1/catalog/assets/asset_1"
CONTEXTS = Contexts(data_directory("contexts"), BASE)

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20) | st.sampled_from(
    ["</script>", "<!--", "javascript:alert(1)", "http://[", "//evil.example", "2027-03-01T08:00:00Z", "PT1H", "a@b", "'", '"', "{{ x }}"]
)
keys = st.sampled_from(["@id", "@value", "@list", "@type", "@language", "name", "identifier", "email", "status", "startTime"]) | texts
json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=12,
)
known = st.sampled_from([*sorted(CONTEXTS.terms), "https://example.org/ns#x", "ex:y"])


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(known, json, max_size=6))
def test_any_document_makes_a_page(members: dict[str, Any]) -> None:
    document = {**members, "@context": CONTEXTS.reference, "@id": IRI, "identifier": "asset_1", "status": "available"}
    found = Page(Pages(BASE, CONTEXTS).resource(KINDS["asset"], IRI, orjson.dumps(document).decode()))
    assert found.unclosed == []
    assert found.data == orjson.loads(orjson.dumps(document))
    assert not {one.tag for one in found.elements} & {"iframe", "object", "style", "form"}
    assert all(link.startswith(("/", "#", "http://", "https://", "mailto:")) and not link.startswith("//") for link in found.links)


@settings(max_examples=300, deadline=None)
@given(texts)
def test_any_text_can_be_had_back_from_a_table(text: str) -> None:
    (row,) = list(csv.rows([{"key": text}], ("key",)))
    assert row[0].removeprefix("'") == text
    assert row[0].lstrip(" ")[:1] not in csv.DANGEROUS - {"'"}


@pytest.mark.parametrize(
    ("iri", "href"),
    [
        (BASE, "/"),
        (f"{BASE}/v1/rent-actions/ra_1", "/v1/rent-actions/ra_1"),
        (f"{BASE}/?format=json", "/?format=json"),
        ("http://localhost:80001/x", "http://localhost:80001/x"),
        ("https://w3id.org/ld-reservations#kind", "/ns/reservations#kind"),
        ("HTTPS://example.org/x", "HTTPS://example.org/x"),
        ("javascript:alert(1)", None),
        ("data:text/html,x", None),
        ("urn:x:y", None),
        ("http:", None),
        ("http://[", None),
        ("//evil.example", None),
        ("", None),
    ],
)
def test_only_the_web_is_linked(iri: str, href: str | None) -> None:
    assert Places(BASE).href(iri) == href


@pytest.mark.parametrize(
    ("key", "label"),
    [("assetTag", "Asset tag"), ("startTime", "Start"), ("https://example.org/ns#topSpeed", "Top speed"), ("ex:maker", "Maker"), ("", "")],
)
def test_keys_are_said_in_words(key: str, label: str) -> None:
    assert words.label(key) == label


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("2027-03-01T08:00:00Z", ("Mon 1 Mar 2027,", "08:00 UTC")),
        ("2027-03-01T09:00:00+01:00", ("Mon 1 Mar 2027,", "08:00 UTC")),
        ("2027-12-31T23:59:07.5Z", ("Fri 31 Dec 2027,", "23:59:07 UTC")),
        ("2027-03-01T08:00:00", None),
        ("soon", None),
    ],
)
def test_instants_are_said_in_utc(text: str, said: tuple[str, str] | None) -> None:
    assert words.moment(text) == said


@pytest.mark.parametrize(
    ("text", "said"),
    [("PT4H", "4 hours"), ("P1DT30M", "1 day 30 minutes"), ("PT0S", "none"), ("P8D", "1 week 1 day"), ("P1M", None), ("4 hours", None)],
)
def test_lengths_of_time_are_said_in_words(text: str, said: str | None) -> None:
    assert words.length(text) == said
