"""Secrets at rest: only who has the key opens them, and a node with another key is told so at once."""

import dataclasses
from pathlib import Path

import pytest

from ld_server.blobs.secret import FILE
from ld_server.bootstrap import join, prepare
from ld_server.domain.errors import StoreUnavailable
from ld_server.services.sealing import Sealing, WrongSecretKey
from ld_server.settings import InvalidSetting, Settings
from relational.unit_of_work import Ledger, open_ledger
from tests.contract.test_ledger_configuration import LMT, TELL_LMT

OLD, NEW = "o" * 32, "n" * 32


def sealing(data_dir: Path, key: str = "") -> Sealing:
    return Sealing(Settings(data_dir=data_dir, secret_key=key))


def test_what_was_sealed_can_be_opened_and_does_not_look_like_it(tmp_path: Path) -> None:
    sealed = sealing(tmp_path, OLD).seal("whsec_abc")
    assert "abc" not in sealed
    assert sealing(tmp_path, OLD).opened(sealed) == "whsec_abc"
    assert sealing(tmp_path, f"{NEW}, {OLD}").opened(sealed) == "whsec_abc"
    with pytest.raises(StoreUnavailable):
        sealing(tmp_path, NEW).opened(sealed)


def test_the_secret_of_the_data_directory_seals_where_none_is_set(tmp_path: Path) -> None:
    sealed = sealing(tmp_path).seal("text")
    assert sealing(tmp_path).opened(sealed) == "text"
    assert [one.name for one in tmp_path.iterdir()] == [FILE]


def test_nothing_is_made_before_it_is_needed(tmp_path: Path) -> None:
    sealing(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("key", ["hunter2", f"{'x' * 32},hunter2"])
def test_what_could_be_guessed_is_refused_and_not_repeated(tmp_path: Path, key: str) -> None:
    with pytest.raises(InvalidSetting, match="at least 16 characters") as refused:
        sealing(tmp_path, key)
    assert "hunter2" not in str(refused.value)


def test_a_node_with_another_key_is_told_so(ledger: Ledger, tmp_path: Path) -> None:
    def settle(key: str) -> None:
        with ledger.write() as uow:
            sealing(tmp_path, key).settle(uow)

    settle(OLD)
    settle(OLD)
    settle(f"{OLD} and nothing was sealed yet")
    settle(OLD)
    with ledger.write() as uow:
        uow.webhooks.add(LMT)
    with pytest.raises(WrongSecretKey, match="LD_SECRET_KEY"):
        settle(NEW)
    settle(f"{NEW},{OLD}")
    settle(NEW)


def test_a_start_with_another_key_is_refused(sqlite_url: str, tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, database_url=sqlite_url, sparql_url="memory:")
    prepare(settings)
    (settings.data_dir / FILE).unlink()
    prepare(settings)
    ledger = open_ledger(settings.database_url)
    with ledger.write() as uow:
        uow.triggers.add(dataclasses.replace(TELL_LMT, body='{"actions":[{"config":{"sealed":"x"}}]}'))
    ledger.close()
    (settings.data_dir / FILE).unlink()
    with pytest.raises(WrongSecretKey):
        prepare(settings)


def test_a_node_that_made_up_a_key_for_a_ledger_of_others_is_refused_at_once(postgres_url: str, tmp_path: Path) -> None:
    first, second = (Settings(data_dir=tmp_path / name, database_url=postgres_url, sparql_url="memory:") for name in ("first", "second"))
    prepare(first)
    for start in (prepare, join):
        with pytest.raises(WrongSecretKey, match="set LD_SECRET_KEY to it"):
            start(second)
    shared = dataclasses.replace(second, secret_key=(first.data_dir / FILE).read_text())
    prepare(shared)
    join(shared)


def test_a_process_joins_where_nothing_is_settled_and_where_the_ledger_is_away(postgres_url: str, tmp_path: Path) -> None:
    for database in (postgres_url, "postgresql://nobody@127.0.0.1:1/nothing"):
        join(Settings(data_dir=tmp_path, database_url=database, sparql_url="memory:"))
