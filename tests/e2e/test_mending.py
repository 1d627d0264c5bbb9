"""What dies is started again, and nothing outlives the supervisor, however it ends."""

from deployment import codes, settled, some_port, up
from processes import all_gone, eventually, kill

ITEM_TYPE = {"name": "Start gate", "kind": "serialized"}


def test_no_process_outlives_a_killed_supervisor_and_the_next_start_works(tmp_path):
    data, port = tmp_path / "data", some_port()
    with up(data, port) as first:
        key = first.new_key
        first.client().create("/v1/catalog/item-types", {**ITEM_TYPE, "code": "before-the-crash"})
        family = [process.pid for process in first.running.family()]

        kill(first.running.pid)

        all_gone(family)
    with up(data, port) as second:
        client = second.client(key)
        assert "before-the-crash" in codes(client)


def test_every_part_that_is_killed_is_started_again(tmp_path):
    with up(tmp_path / "data") as deployment:
        client = deployment.client()
        for name in ("sparql", "worker", "web"):
            victim = deployment.part(name)
            others = {other: deployment.part(other).pid for other in ("sparql", "worker", "web") if other != name}

            kill(victim.pid)

            eventually(lambda: deployment.part(name).pid != victim.pid, f"a new {name}")  # noqa: B023
            deployment.running.says(f"{name} is back")
            made = {**ITEM_TYPE, "code": f"after-{name}"}
            settled(lambda: client.create("/v1/catalog/item-types", made) or True, "a write after the kill")  # noqa: B023
            settled(lambda: f"after-{name}" in codes(client), "SPARQL sees the write after the kill")  # noqa: B023
            assert {other: deployment.part(other).pid for other in others} == others


def test_a_web_process_that_is_killed_is_replaced_by_its_master(tmp_path):
    with up(tmp_path / "data") as deployment:
        master = deployment.part("web")
        (process,) = master.children()

        kill(process.pid)

        eventually(lambda: [child.pid for child in master.children()] not in ([], [process.pid]), "another web process")
        assert settled(lambda: deployment.client()("GET", "/health/live").status == 200, "it serves")
        assert deployment.part("web").pid == master.pid


def test_web_processes_end_when_their_master_is_killed(tmp_path):
    with up(tmp_path / "data") as deployment:
        master = deployment.part("web")
        (process,) = master.children()
        kill(master.pid)
        all_gone([process.pid])


def test_a_part_that_cannot_start_ends_the_start_and_keeps_the_first_key_for_the_next(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    (data / "graphs").mkdir()
    (data / "graphs" / "CURRENT").write_text("nonsense")
    with up(data, wait=False) as broken:
        assert broken.running.ends() == 1
        assert "sparql does not start" in broken.running.err
        assert broken.new_key is None
    (data / "graphs" / "CURRENT").unlink()
    with up(data) as mended:
        assert mended.client()("GET", "/v1/rent-actions").status == 200
