"""The supervisor with stand-in children: it starts them, starts them again, stops them, and never leaves one behind."""

import os
import signal
import sys
from pathlib import Path

import psutil
import pytest
from processes import Running, alive, all_gone, eventually, kill

from ld_server.supervisor.children import Child, Patience, Role, cause_of
from ld_server.supervisor.claims import Taken, check_port, claim_directory, free_port, private_directory
from ld_server.supervisor.launcher import WATCH

STAND_IN = str(Path(__file__).with_name("stand_in.py"))


@pytest.fixture(params=["kernel", "lifeline"])
def environment(request: pytest.FixtureRequest) -> dict[str, str]:
    """Both ways in which a child is bound to the supervisor's life."""
    return {**os.environ, **({WATCH: "1"} if request.param == "lifeline" else {})}


@pytest.fixture
def household(tmp_path: Path, environment: dict[str, str]):
    running: list[Running] = []

    def start(*names: str) -> Running:
        running.append(Running([sys.executable, STAND_IN, "household", str(tmp_path), *names], tmp_path / "output", environment))
        return running[-1]

    yield start
    for one in running:
        one.__exit__()


def pid_of(place: Path, name: str) -> int:
    return int(eventually(lambda: (place / f"{name}.pid").exists() and (place / f"{name}.pid").read_text(), f"a running {name}"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_stop_signal_ends_every_child_politely_and_what_others_call_goes_last(household, tmp_path, number):
    up = household("last", "one", "two")
    up.says("ready")
    family = [process.pid for process in up.family()]

    assert up.stop(number) == 0

    all_gone(family)
    assert f"stopped by {number}" in up.out
    diary = (tmp_path / "diary").read_text().splitlines()
    assert sorted(diary[:2]) == ["one left", "two left"] and diary[2:] == ["last left"]


def test_a_child_that_dies_is_started_again_and_the_others_are_left_alone(household, tmp_path):
    up = household("one", "two")
    up.says("ready")
    victim, bystander = pid_of(tmp_path, "one"), pid_of(tmp_path, "two")

    kill(victim)

    up.says("one is back")
    assert pid_of(tmp_path, "one") != victim
    assert pid_of(tmp_path, "two") == bystander and alive(bystander)
    assert "one ended" in up.err


def test_a_child_is_started_again_however_often_it_dies_once_the_service_was_ready(household, tmp_path):
    up = household("one")
    up.says("ready")
    for _ in range(6):
        victim = pid_of(tmp_path, "one")
        kill(victim)
        eventually(lambda: (tmp_path / "one.pid").exists() and pid_of(tmp_path, "one") != victim, "a new one")  # noqa: B023


def test_what_a_dead_child_had_started_is_killed_before_it_is_started_again(household, tmp_path):
    up = household("parent")
    up.says("ready")
    grandchild = pid_of(tmp_path, "grandchild")

    kill(pid_of(tmp_path, "parent"))

    all_gone([grandchild])
    up.says("parent is back")


def test_no_child_outlives_a_supervisor_that_is_killed(household, tmp_path):
    up = household("one", "two", "stubborn")
    up.says("ready")
    family = [process.pid for process in up.family()]

    kill(up.pid)

    assert len(family) >= 3
    all_gone(family)


def test_the_lifeline_ends_grandchildren_too(household, tmp_path, environment):
    if WATCH not in environment:
        return  # where the kernel binds children, a child that forks binds its own: see ld_server.wsgi
    up = household("parent")
    up.says("ready")
    grandchild = pid_of(tmp_path, "grandchild")

    kill(up.pid)

    all_gone([grandchild])


def test_a_child_that_does_not_listen_is_killed_after_the_grace(household, tmp_path):
    up = household("stubborn", "one")
    up.says("ready")
    stubborn = pid_of(tmp_path, "stubborn")

    assert up.stop() == 0
    all_gone([stubborn])
    assert "stubborn did not stop by itself and is killed" in up.err
    assert "one did not stop" not in up.err


def test_a_second_signal_does_not_wait(household, tmp_path):
    up = household("one", "two")
    up.says("ready")
    os.kill(pid_of(tmp_path, "one"), signal.SIGSTOP)  # it cannot leave, and the grace is a minute
    up.process.send_signal(signal.SIGINT)
    eventually(lambda: "two left" in _diary(tmp_path), "the polite one has left")

    assert up.stop(signal.SIGINT) == 0


def _diary(place: Path) -> str:
    return (place / "diary").read_text() if (place / "diary").exists() else ""


def test_a_child_that_cannot_start_ends_the_start_with_one_line_and_no_orphan(household, tmp_path):
    up = household("one", "broken")

    assert up.ends() == 1

    assert "broken does not start (exit status 3)" in up.err
    assert "ready" not in up.out
    all_gone([pid_of(tmp_path, "one")])


# the pure parts


def test_a_child_that_ended_by_itself_is_buried_also_when_it_is_told_to_stop():
    child = Child(Role("one", command=lambda: (sys.executable, "-c", "raise SystemExit(3)"), is_ready=lambda: True))
    child.start(0.0)
    eventually(lambda: psutil.Process(child.pid).status() == psutil.STATUS_ZOMBIE, "the end of the child")

    child.signal(signal.SIGTERM)

    assert child.buried() == 3


def test_the_pause_doubles_up_to_the_longest():
    patience = Patience(first=0.5, longest=30)
    assert [patience.pause(deaths) for deaths in (1, 2, 3, 7, 1000)] == [0.5, 1.0, 2.0, 30, 30]


def test_a_child_that_lived_a_while_starts_afresh():
    patience = Patience(forgiven_after=60)
    assert patience.deaths_in_a_row(5, lived=1) == 6
    assert patience.deaths_in_a_row(5, lived=60) == 1


@pytest.mark.parametrize(
    ("status", "words"), [(0, "exit status 0"), (3, "exit status 3"), (-9, "signal SIGKILL"), (-64, "signal SIGRTMAX")]
)
def test_an_exit_status_is_told_in_words(status, words):
    assert cause_of(status) == words


def test_the_data_directory_is_made_for_its_owner_alone_with_its_parents(tmp_path):
    place = private_directory(tmp_path / "deep" / "data")
    assert place.stat().st_mode & 0o777 == 0o700


def test_an_empty_directory_is_made_private_and_a_used_one_keeps_its_mode(tmp_path):
    empty, used = tmp_path / "empty", tmp_path / "used"
    for place in (empty, used):
        place.mkdir()
        place.chmod(0o755)
    (used / "something").touch()
    assert private_directory(empty).stat().st_mode & 0o777 == 0o700
    assert private_directory(used).stat().st_mode & 0o777 == 0o755


def test_a_claimed_directory_is_refused_with_the_holder_and_free_when_released(tmp_path):
    held = claim_directory(tmp_path)
    with pytest.raises(Taken, match=f"is in use by process {os.getpid()}"):
        claim_directory(tmp_path)
    os.close(held)
    os.close(claim_directory(tmp_path))


def test_a_data_directory_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "data").touch()
    with pytest.raises(Taken, match="cannot be used"):
        claim_directory(tmp_path / "data")


def test_a_taken_port_is_refused_and_a_free_one_is_found():
    import socket

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        with pytest.raises(Taken, match=f"port {port} is taken"):
            check_port("127.0.0.1", port)
    check_port("127.0.0.1", free_port())


def test_a_host_that_is_not_ours_is_refused():
    with pytest.raises(Taken, match=r"cannot listen on 192\.0\.2\.1:8000"):
        check_port("192.0.2.1", 8000)
