"""What dies is started again, and nothing outlives the supervisor, however it ends."""

from deployment import Client, codes, settled, some_port, up
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
    garble(data / "graphs")
    with up(data, wait=False) as broken:
        assert broken.running.ends() == 1
        assert "sparql does not start" in broken.running.err
        assert f"its files in {data / 'graphs'} are broken, ld-server rebuild graphs --afresh" in broken.running.err
        assert broken.new_key is None
        told = broken.command("rebuild", "graphs", "--afresh")
        assert told.returncode == 0, told.stderr
        assert "the next start of ld-server up fills the SPARQL store" in told.stdout
    assert [one.name for one in data.glob("graphs*")] == [told.stderr.split()[10].removesuffix(";").rpartition("/")[2]]
    with up(data) as mended:
        assert mended.client()("GET", "/v1/rent-actions").status == 200


def test_graphs_whose_files_are_garbled_are_set_aside_by_a_command_and_filled_again_while_everything_runs(tmp_path):
    with up(tmp_path / "data") as deployment:
        client = deployment.client()
        for number in range(60):
            client.create("/v1/catalog/item-types", {**ITEM_TYPE, "code": f"type-{number}"})
        assert len(codes(client)) == 60

        garble(deployment.data / "graphs")
        kill(deployment.part("sparql").pid)

        deployment.running.says("rebuild graphs --afresh sets them aside")
        ready = client("GET", "/health/ready")
        assert (ready.status, "SPARQL" in ready.text) == (503, True)
        checked = deployment.command("check")
        assert "BAD  SPARQL store" in checked.stdout
        assert "rebuild graphs --afresh" in checked.stdout
        client.create("/v1/catalog/item-types", {**ITEM_TYPE, "code": "written-meanwhile"})

        told = deployment.command("rebuild", "graphs", "--afresh")

        assert told.returncode == 0, told.stderr
        assert told.stdout == "the SPARQL store holds the graphs of 61 documents\n"
        assert len(codes(client)) == 61
        assert deployment.command("check").returncode == 0
        assert len(list(deployment.data.glob("graphs.broken-*"))) == 1


def test_a_store_that_answers_and_has_lost_graphs_is_told_and_mended_by_a_command(tmp_path):
    with up(tmp_path / "data") as deployment:
        client = deployment.client()
        lost, garbled = (client.create("/v1/catalog/item-types", {**ITEM_TYPE, "code": code}) for code in ("lost", "garbled"))
        assert codes(client) == {"lost", "garbled"}
        server = Client((deployment.data / "run" / "sparql-url").read_text().strip(), None)
        code = f"<{garbled['@id']}> <http://schema.org/sku> 'garbled'"
        update = f"DROP GRAPH <{lost['@id']}> ; DELETE DATA {{ GRAPH <{garbled['@id']}> {{ {code} }} }}"
        assert server("POST", "/update", update.encode(), Content_Type="application/sparql-update").status == 204

        checked = deployment.command("check")
        assert "2 differ from their documents (itemType_1, itemType_2); ld-server rebuild graphs makes them equal" in checked.stdout
        assert deployment.command("rebuild", "graphs").returncode == 0
        assert deployment.command("check").returncode == 0


def garble(files):
    """Makes the files of a store such that it cannot be opened."""
    files.mkdir(parents=True, exist_ok=True)
    (files / "CURRENT").write_text("nonsense")
    for manifest in files.glob("MANIFEST-*"):
        manifest.write_bytes(b"\0" * 100)
