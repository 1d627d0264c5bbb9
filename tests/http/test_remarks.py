"""What shapes of the operator say as a warning: it refuses nothing, and whoever wrote the resource is told."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ld_server.bootstrap import build
from ld_server.settings import Settings
from tests import factories
from tests.http.conftest import ITEM_TYPES, Site, open_site, problem

SHAPES = """
@prefix sh: <http://www.w3.org/ns/shacl#> . @prefix schema: <http://schema.org/> . @prefix ex: <http://ex.example/> .
ex:Colour a sh:NodeShape ; sh:targetClass schema:Product ;
  sh:property [ sh:path schema:name ; sh:pattern "node" ; sh:severity sh:Warning ; sh:message 'a name should say "node" — für alle' ] ,
              [ sh:path schema:description ; sh:minCount 1 ; sh:severity sh:Info ; sh:message "a description would help" ] .
"""
UNNAMED = '299 ld-server "/name: a name should say \\"node\\" \\\\u2014 f\\\\xfcr alle"'
UNDESCRIBED = '299 ld-server "/description: a description would help"'


@pytest.fixture
def site(settings: Settings, tmp_path: Path) -> Iterator[Site]:
    directory = tmp_path / "shapes"
    directory.mkdir()
    (directory / "colour.ttl").write_text(SHAPES, encoding="utf-8")
    parts = build(replace(settings, shapes_dir=str(directory)))
    yield open_site(parts)
    parts.close()


@pytest.mark.parametrize("query", ["", "validate=only"])
def test_a_warning_refuses_nothing_and_is_told(site: Site, query: str) -> None:
    answer = site.post(ITEM_TYPES, factories.item_type(name="Cable"), query=query)
    assert answer.status_code == (200 if query else 201), answer.text
    assert answer.headers["warning"] == f"{UNDESCRIBED}, {UNNAMED}"


def test_what_is_as_it_should_be_is_not_warned_of(site: Site) -> None:
    answer = site.post(ITEM_TYPES, factories.item_type(name="Timer node", description="Counts laps"))
    assert answer.status_code == 201 and "warning" not in answer.headers


def test_of_many_it_is_told_which(site: Site) -> None:
    fine = factories.item_type("A", name="Timer node", description="Counts laps")
    answer = site.post(ITEM_TYPES, [fine, factories.item_type("B", name="A node")])
    assert answer.status_code == 201
    assert answer.headers["warning"] == '299 ld-server "/1/description: a description would help"'


def test_a_patch_is_told_too(site: Site) -> None:
    item = site.item_type(name="A node", description="Counts laps")
    answer = site.ask("PATCH", f"{ITEM_TYPES}/{item}", body={"description": None})
    assert answer.status_code == 200
    assert answer.headers["warning"] == UNDESCRIBED


def test_a_repeated_request_is_told_again(site: Site) -> None:
    one, again = (site.post(ITEM_TYPES, factories.item_type(name="A node"), Idempotency_Key="k") for _ in range(2))
    assert again.headers["idempotency-replayed"] == "true"
    assert one.headers["warning"] == again.headers["warning"] == UNDESCRIBED


def test_what_is_refused_is_refused_without_the_warnings(site: Site) -> None:
    found = problem(site.post(ITEM_TYPES, factories.item_type(name="Cable", kind="magic")), "shape-violation", 422)
    assert [one["pointer"] for one in found["violations"]] == ["/kind"]


def test_very_many_warnings_do_not_burst_the_header(site: Site) -> None:
    answer = site.post(ITEM_TYPES, [factories.item_type(f"T-{number}", name="Cable") for number in range(30)])
    assert answer.status_code == 201 and answer.headers["warning"].count("299 ld-server") == 20
