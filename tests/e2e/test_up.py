"""`ld-server up` as a whole: it stops cleanly, finds everything again, keeps its names and refuses clearly."""

import json
import signal
import socket
import subprocess
import urllib.request

import pytest
from deployment import LD_SERVER, codes, environment, some_port, up
from processes import all_gone

ITEM_TYPE = {"name": "Start gate", "kind": "serialized"}


def test_ctrl_c_stops_every_child_and_a_second_start_finds_everything_again(tmp_path):
    data, port = tmp_path / "data", some_port()
    with up(data, port) as first:
        client, key = first.client(), first.new_key
        made = client.create("/v1/catalog/item-types", {**ITEM_TYPE, "code": "kept"})
        family = [process.pid for process in first.running.family()]

        assert first.running.stop(signal.SIGINT) == 0

        assert len(family) >= 4  # SPARQL store, web server with a process of its own, worker
        all_gone(family)
        assert "Stopped." in first.banner
        assert "did not stop by itself" not in first.running.err

    with up(data, port) as second:
        assert second.new_key is None
        client = second.client(key)
        assert client("GET", made["@id"]).json == made
        assert "kept" in codes(client)
        for line, expected in zip(second.curl_lines, ("itemType_2", "Start gate", "Start gate"), strict=True):
            pasted = subprocess.run(["bash", "-c", line], capture_output=True, text=True, env=environment(LD_KEY=key), check=True)
            assert expected in pasted.stdout and "problems/" not in pasted.stdout


def test_granian_serves_the_same_and_stops_while_a_stream_is_open(tmp_path):
    with up(tmp_path / "data", LD_SERVER="granian", LD_WEB_WORKERS="2") as deployment:
        client = deployment.client()
        made = client.create("/v1/catalog/item-types", {**ITEM_TYPE, "code": "fast"})
        answer = client("GET", made["@id"], Accept="text/turtle")
        assert (answer.status, answer.headers["Content-Type"], answer.headers["Server"]) == (200, "text/turtle; charset=utf-8", "granian")
        assert client("POST", "/v1/catalog/item-types", b"{").status == 400
        family = [process.pid for process in deployment.running.family()]
        stream = urllib.request.Request(f"{deployment.address}/v1/events")
        stream.headers |= {"Authorization": f"Bearer {client.key}", "Accept": "text/event-stream"}
        with urllib.request.urlopen(stream) as events:
            assert events.readline().startswith(b"retry:")
            assert deployment.running.stop() == 0
        all_gone(family)
        assert "did not stop by itself" not in deployment.running.err


def refusal(*words: str, **settings: str) -> str:
    """The one line with which a command refuses, with exit status 2."""
    ended = subprocess.run([*LD_SERVER, *words], capture_output=True, text=True, env=environment(**settings), check=False)
    assert ended.returncode == 2, ended.stderr
    assert ended.stdout == "" and len(ended.stderr.splitlines()) == 1, ended.stderr
    return ended.stderr


def test_a_port_that_is_taken_is_refused_before_anything_is_started(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert f"port {port} is taken" in refusal("up", "--port", str(port), "--data", str(tmp_path / "data"))
    assert not (tmp_path / "data" / "ledger.db").exists()


def test_a_data_directory_in_use_and_a_rebase_of_it_are_refused(tmp_path):
    with up(tmp_path / "data") as deployment:
        data = str(deployment.data)
        in_use = f"data directory {data} is in use by process {deployment.running.pid}"
        assert in_use in refusal("up", "--port", str(some_port()), "--data", data)
        assert in_use in refusal("rebase", "--data", data, "--from", deployment.address, "--to", "https://other.example")
        assert deployment.client()("GET", "/health/live").status == 200


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"LD_SPARQL_URL": "memory:"}, "LD_SPARQL_URL=memory:"),
        ({"LD_PROT": "8000"}, "unknown setting LD_PROT"),
        ({"LD_PORT": "eight"}, "LD_PORT must be a whole number"),
        ({"LD_LOG_LEVEL": "CHATTY"}, "LD_LOG_LEVEL must be one of CRITICAL"),
        ({"LD_HUEY_URL": "amqp://localhost"}, "LD_HUEY_URL must start with one of sqlite:"),
        ({"LD_HUEY_URL": "redis://localhost:port/0"}, "LD_HUEY_URL: the port must be a number"),
        ({"LD_DATABASE_URL": "postgresql://localhost:port/ledger"}, "LD_DATABASE_URL is not a database URL"),
        ({"LD_SPARQL_URL": "gopher://localhost"}, "LD_SPARQL_URL must start with one of memory:"),
        ({"LD_HOST": "192.0.2.1"}, "cannot listen on 192.0.2.1"),
    ],
)
def test_settings_that_cannot_work_are_refused_in_one_line(tmp_path, settings, words):
    assert words in refusal("up", "--data", str(tmp_path / "data"), **{"LD_PORT": str(some_port()), **settings})


def test_a_base_iri_that_is_not_the_recorded_one_is_refused_until_the_data_is_renamed(tmp_path):
    data, port = tmp_path / "data", some_port()
    with up(data, port) as before:
        key, old = before.new_key, before.address
        made = before.client().create("/v1/catalog/item-types", {**ITEM_TYPE, "code": "renamed"})
        before.client().create("/v1/catalog/assets", {"itemTypeId": made["identifier"], "assetTag": "SG-1"})
        codes(before.client())
        before.running.stop()
    new = f"http://127.0.0.1:{port}"

    advice = refusal("up", "--port", str(port), "--data", str(data), LD_BASE_IRI=new)
    assert f"ld-server rebase --from {old} --to {new}" in advice
    command = [*LD_SERVER, "rebase", "--from", old, "--to", new, "--data", str(data)]
    renamed = subprocess.run(command, capture_output=True, text=True, env=environment(), check=True)
    assert "renamed 2 resources" in renamed.stdout

    with up(data, port, LD_BASE_IRI=new) as after:
        client = after.client(key)
        document = client("GET", f"/v1/catalog/item-types/{made['identifier']}").json
        assert document == json.loads(json.dumps(made).replace(old, new))
        subjects = {row["s"] for row in client.ask("SELECT DISTINCT ?s WHERE { GRAPH ?g { ?s ?p ?o } }")}
        assert document["@id"] in subjects and not [subject for subject in subjects if subject.startswith(old)]


def test_another_port_keeps_the_recorded_names(tmp_path):
    with up(tmp_path / "data") as first:
        key, old = first.new_key, first.address
        made = first.client().create("/v1/catalog/item-types", {**ITEM_TYPE, "code": "named-once"})
        first.running.stop()
    with up(tmp_path / "data") as second:
        assert second.port != first.port
        assert made["@id"].startswith(old)
        assert second.client(key)("GET", made["@id"].replace(old, second.address)).json == made


def test_the_demonstration_has_a_fleet_with_approved_reservations(tmp_path):
    with up(tmp_path / "data", command="demo") as deployment:
        client = deployment.client()
        assert client("GET", "/v1/catalog/assets?limit=1").json["totalItems"] == 23
        for others, count in (("stock-pools", 4), ("kit-templates", 2)):
            assert client("GET", f"/v1/catalog/{others}").json["totalItems"] == count
        reservations = client("GET", "/v1/rent-actions").json["member"]
        assert {one["status"] for one in reservations} == {"approved", "pending", "rejected"}
        key = deployment.new_key
        deployment.running.stop()
    with up(tmp_path / "data", command="demo") as again:
        assert "the catalog is not empty" in again.running.err
        assert again.client(key)("GET", "/v1/catalog/assets?limit=1").json["totalItems"] == 23
