"""Secrets at rest: only who has the key opens them, and a node with another key is told so at once."""

import stat
from pathlib import Path

import pytest

from ld_server.bootstrap import prepare
from ld_server.domain.errors import StoreUnavailable
from ld_server.services.sealing import FILE, Sealing, WrongSecretKey, new_key
from ld_server.settings import InvalidSetting, Settings
from relational.unit_of_work import Ledger

OLD, NEW = new_key(), new_key()


def sealing(data_dir: Path, key: str = "") -> Sealing:
    return Sealing(Settings(data_dir=data_dir, secret_key=key))


def test_what_was_sealed_can_be_opened_and_does_not_look_like_it(tmp_path: Path) -> None:
    sealed = sealing(tmp_path, OLD).seal("whsec_abc")
    assert "abc" not in sealed
    assert sealing(tmp_path, OLD).opened(sealed) == "whsec_abc"
    assert sealing(tmp_path, f"{NEW}, {OLD}").opened(sealed) == "whsec_abc"
    with pytest.raises(StoreUnavailable):
        sealing(tmp_path, NEW).opened(sealed)


def test_the_file_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    data = tmp_path / "data"
    sealed = sealing(data).seal("text")
    assert stat.S_IMODE((data / FILE).stat().st_mode) == 0o600
    assert [one.name for one in data.iterdir()] == [FILE]
    assert sealing(data).opened(sealed) == "text"


def test_nothing_is_made_before_it_is_needed(tmp_path: Path) -> None:
    sealing(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("key", ["hunter2", "A" * 43, new_key()[:-4]])
def test_what_is_no_key_is_refused_and_not_repeated(tmp_path: Path, key: str) -> None:
    with pytest.raises(InvalidSetting, match="LD_SECRET_KEY must be 32 bytes") as refused:
        sealing(tmp_path, key)
    assert key not in str(refused.value)


def test_both_alphabets_of_base64_are_taken(tmp_path: Path) -> None:
    sealed = sealing(tmp_path, OLD).seal("text")
    assert sealing(tmp_path, OLD.replace("-", "+").replace("_", "/")).opened(sealed) == "text"


def test_a_node_with_another_key_is_told_so(ledger: Ledger, tmp_path: Path) -> None:
    def settle(key: str) -> None:
        with ledger.write() as uow:
            sealing(tmp_path, key).settle(uow)

    settle(OLD)
    settle(OLD)
    with pytest.raises(WrongSecretKey, match="LD_SECRET_KEY"):
        settle(NEW)
    settle(f"{NEW},{OLD}")
    settle(NEW)


def test_a_start_with_another_key_is_refused(settings: Settings) -> None:
    prepare(settings)
    (settings.data_dir / FILE).unlink()
    with pytest.raises(WrongSecretKey):
        prepare(settings)
