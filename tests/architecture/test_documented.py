"""What must be documented is documented: settings, commands and make targets."""

import dataclasses
import re
from pathlib import Path

import pytest

from ld_server.cli import COMMANDS, parser
from ld_server.domain.events import EVENTS
from ld_server.domain.filters import OPERATORS
from ld_server.domain.triggers import ACTION_TYPES, INTERNAL_HANDLERS, JOB_TYPES
from ld_server.http.app import ROUTES
from ld_server.services.meters import COUNTERS, HISTOGRAMS
from ld_server.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = dataclasses.fields(Settings)
TARGETS = re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)


@pytest.fixture(scope="module")
def documentation() -> str:
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return "\n".join(page.read_text(encoding="utf-8") for page in pages)


@pytest.mark.parametrize("variable", [one.metadata["variable"] for one in SETTINGS])
def test_every_setting_is_documented(variable, documentation):
    assert f"`{variable}`" in documentation


def test_no_setting_is_documented_that_does_not_exist(documentation):
    known = {one.metadata["variable"] for one in SETTINGS} | {"LD_KEY"}
    assert set(re.findall(r"\bLD_[A-Z_]+\b", documentation)) <= known


@pytest.mark.parametrize("words", [command.words for command in COMMANDS])
def test_every_command_is_documented(words, documentation):
    assert f"ld-server {words}" in documentation


def test_no_command_is_documented_that_does_not_exist(documentation):
    words = {command.words for command in COMMANDS}
    known = words | {one.split()[0] for one in words}
    for first, second in re.findall(r"\bld-server ([a-z]+)(?: ([a-z]+))?", documentation):
        assert first in known or f"{first} {second}" in known, f"ld-server {first} {second} is documented and does not exist"


@pytest.mark.parametrize("target", TARGETS)
def test_every_make_target_is_documented(target, documentation):
    assert target == "help" or f"make {target}" in documentation


def test_the_targets_that_newcomers_look_for_are_there():
    assert {"up", "test", "lint", "bench", "demo"} <= set(TARGETS)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.words)
def test_every_command_says_what_it_does(command, capsys):
    with pytest.raises(SystemExit) as end:
        parser().parse_args([*command.words.split(), "--help"])
    assert end.value.code == 0
    assert " ".join(command.sentence.split()) in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("one", SETTINGS, ids=lambda one: one.metadata["variable"])
def test_every_setting_has_a_sentence(one):
    assert one.metadata["sentence"].endswith(".") and one.metadata["variable"].startswith("LD_")


@pytest.mark.parametrize("one", [one for one in SETTINGS if re.search("TOKEN|SECRET|_KEY$|PASSWORD", one.metadata["variable"])])
def test_what_opens_something_is_secret(one):
    assert one.metadata["secret"], one.metadata["variable"]


@pytest.mark.parametrize("template", sorted({route.template for route in ROUTES if "/revisions" not in route.template}))
def test_every_address_is_documented(template, documentation):
    written = template.replace("{identifier}", "{id}")
    assert f"`{written}`" in documentation or f"`{written.replace('{name}', '{slug}')}`" in documentation


TOLD = {
    **EVENTS,
    **JOB_TYPES,
    **INTERNAL_HANDLERS,
    **{name: one.meaning for name, one in OPERATORS.items() if name},
    **{name: one.meaning for name, one in ACTION_TYPES.items()},
}


METERS = {**{f"{one.name}_total": one for one in COUNTERS}, **{one.name: one for one in HISTOGRAMS}}


@pytest.mark.parametrize("name", METERS)
def test_everything_that_is_counted_is_documented_in_its_own_words(name):
    assert f"| `{name}` | {METERS[name].meaning} |" in (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", TOLD)
def test_every_event_job_handler_operator_and_action_is_documented_in_its_own_words(name):
    rows = (ROOT / "docs" / "triggers.md").read_text(encoding="utf-8").splitlines()
    assert any(row.startswith(f"| `{name}` |") and row.endswith(f"| {TOLD[name]} |") for row in rows)


@pytest.mark.parametrize("name", ACTION_TYPES)
def test_every_member_of_an_action_is_documented(name):
    rows = (ROOT / "docs" / "triggers.md").read_text(encoding="utf-8").splitlines()
    row = next(one for one in rows if one.startswith(f"| `{name}` |"))
    assert all(f"`{member}`" in row for member in ACTION_TYPES[name].members)
