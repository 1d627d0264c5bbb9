"""The commands that look after a deployment, run where nothing else runs."""

import argparse
import os
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from ld_server import cli
from ld_server.cli import COMMANDS, REFUSALS, main
from ld_server.cli.deployment import settings_of
from ld_server.cli.upkeep import renamed
from ld_server.domain.errors import StoreUnavailable
from relational.unit_of_work import open_ledger
from tests.contract.rows import add_pool, allocation, stage
from tests.contract.test_ledger_outbox import event


@pytest.fixture(autouse=True)
def bare(monkeypatch, tmp_path):
    """No settings but the tests' own, and a SPARQL store that needs no server."""
    for name in [name for name in os.environ if name.startswith("LD_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("LD_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("LD_SPARQL_URL", "memory:")


def run(*words: str) -> int:
    return main(words)


def test_migrate_makes_the_ledger_and_prints_the_first_key_once(capsys):
    assert run("migrate") == 0
    assert re.fullmatch(r"rsv_[A-Za-z0-9_-]{43}\n", capsys.readouterr().out)
    assert run("migrate") == 0
    assert capsys.readouterr().out == ""


def test_migrate_makes_no_key_when_the_first_one_is_given(capsys, monkeypatch):
    monkeypatch.setenv("LD_ADMIN_KEY", "chosen-by-the-owner")
    assert run("migrate") == 0
    assert capsys.readouterr().out == ""
    run("keys", "list")
    listed = capsys.readouterr().out
    assert "admin" in listed and "chosen-by-the-owner" not in listed


def test_keys_are_made_listed_and_revoked(capsys):
    run("migrate")
    capsys.readouterr()
    assert run("keys", "create", "desk", "--scopes", "planner", "approver", "--expires", "2099-01-01T00:00:00Z") == 0
    made = capsys.readouterr()
    assert made.out.startswith("rsv_") and made.err.startswith("key_2 (planner, approver)")

    assert run("keys", "revoke", "key_2") == 0
    assert run("keys", "revoke", "key_2") == 1
    capsys.readouterr()
    run("keys", "list")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["id", "name", "scopes", "created", "expires", "last", "used", "state"]
    assert lines[1].split()[:3] == ["key_1", "admin", "admin"] and lines[1].split()[-1] == "valid"
    assert "planner,approver" in lines[2] and lines[2].split()[-1] == "revoked"


def test_an_unknown_scope_is_refused_with_the_known_ones(capsys):
    with pytest.raises(SystemExit) as end:
        run("keys", "create", "desk", "--scopes", "emperor")
    assert end.value.code == 2
    assert "planner" in capsys.readouterr().err


def test_the_index_is_rebuilt(capsys):
    run("migrate")
    assert run("rebuild", "index") == 0
    assert "indexed 0 documents" in capsys.readouterr().out


def test_counters_that_are_wrong_are_named_and_counted_again(capsys, tmp_path):
    run("migrate")
    ledger = open_ledger(f"sqlite:///{tmp_path}/data/ledger.db")
    stage(ledger, assets=0)
    with ledger.write() as uow:
        uow.allocations.add([allocation(1, None, stock_pool=add_pool(uow, "pool_1"), quantity=4)])
    with ledger.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE counters SET started = 3 WHERE started = 4")
    ledger.close()
    capsys.readouterr()
    run("check")
    assert "BAD  counters     1 stock pools are counted wrong (pool_1)" in capsys.readouterr().out
    assert run("rebuild", "counters") == 0
    assert "counted the promises of 1 stock pools" in capsys.readouterr().out
    run("check")
    assert "ok   counters     are what the allocations add up to" in capsys.readouterr().out


def test_check_says_what_cannot_be_reached(capsys, monkeypatch):
    run("migrate")
    monkeypatch.setenv("LD_SPARQL_URL", "http://127.0.0.1:9/query")
    capsys.readouterr()
    assert run("check") == 1
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("ok   ledger") for line in lines)
    assert any(line.startswith("BAD  SPARQL store") for line in lines)


def test_check_says_what_waits_and_who_is_at_it(capsys, tmp_path):
    run("migrate")
    ledger = open_ledger(f"sqlite:///{tmp_path}/data/ledger.db")
    stage(ledger, assets=1)
    long_ago = datetime.now(UTC) - timedelta(minutes=5)
    with ledger.write() as uow:
        uow.projections.enqueue_all(long_ago)
        uow.leases.acquire("relay", "worker-7", datetime.now(UTC), 60)
        uow.outbox.add(replace(event(1), occurred_at=long_ago))
    ledger.close()
    capsys.readouterr()
    assert run("check") == 1
    lines = capsys.readouterr().out.splitlines()
    projection, relay = (next(line for line in lines if f"  {part} " in line) for part in ("projection", "relay"))
    assert projection.startswith("BAD  projection") and "since" in projection and projection.endswith("(no worker is at work)")
    assert relay.startswith("BAD  relay        1 events wait for the relay, the oldest since") and relay.endswith("(worker-7 is at it)")
    assert any(line.startswith("ok   deliveries   nothing waits") for line in lines)


def test_rebase_refuses_names_the_data_was_not_made_for(capsys):
    run("migrate")
    assert run("rebase", "--from", "http://elsewhere.example", "--to", "http://new.example") == 2
    assert "made for http://localhost:8000, not for http://elsewhere.example" in capsys.readouterr().err


def test_rebase_refuses_a_target_that_is_no_iri(capsys):
    run("migrate")
    assert run("rebase", "--from", "http://localhost:8000", "--to", "new.example") == 2
    assert "LD_BASE_IRI must be an absolute http or https IRI" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("http://old", "http://new"),
        ("http://old/v1/x", "http://new/v1/x"),
        ("http://old#x", "http://new#x"),
        ("http://older/v1/x", "http://older/v1/x"),
        ("see http://old/v1/x", "see http://old/v1/x"),
        ({"@id": "http://old/a", "n": 1, "l": ["http://old/b", None]}, {"@id": "http://new/a", "n": 1, "l": ["http://new/b", None]}),
    ],
)
def test_names_are_moved_and_other_text_is_not(before, after):
    assert renamed(before, "http://old", "http://new") == after


def given(**words: object) -> argparse.Namespace:
    return argparse.Namespace(**words)


def test_without_a_base_iri_resources_are_named_by_the_port():
    assert settings_of(given(port=8123), {"LD_DATA_DIR": "/nowhere"}).base_iri == "http://localhost:8123"


def test_arguments_win_over_the_environment_and_the_clients_key_is_no_setting():
    settings = settings_of(given(port=1, workers=3, host=None, data=None), {"LD_PORT": "2", "LD_KEY": "x", "LD_BASE_IRI": "http://b"})
    assert (settings.port, settings.web_workers, settings.host, settings.base_iri) == (1, 3, "127.0.0.1", "http://b")


def test_a_command_that_is_not_there_is_refused(capsys):
    with pytest.raises(SystemExit) as end:
        run("levitate")
    assert end.value.code == 2


@pytest.mark.parametrize("port", ["0", "65536", "-1", "http"])
def test_a_port_that_is_none_is_refused(port):
    with pytest.raises(SystemExit) as end:
        run("up", "--port", port)
    assert end.value.code == 2


def test_every_command_has_words_of_its_own():
    words = [command.words for command in COMMANDS]
    assert len(words) == len(set(words))


def test_a_refusal_is_one_line_and_an_exit_status(capsys, monkeypatch):
    def refuse(arguments: argparse.Namespace) -> int:
        raise StoreUnavailable("The ledger cannot be reached now.")

    monkeypatch.setattr(cli, "COMMANDS", (cli.Command("try", "Tries.", refuse),))
    assert run("try") == 1
    assert capsys.readouterr().err == "ld-server: The ledger cannot be reached now.\n"
    assert set(REFUSALS.values()) == {1, 2}
