"""The newcomer's road: start, paste what the greeting says, book a unit, and find it again in every syntax and by SPARQL."""

import json
import subprocess

import pyoxigraph
import pytest
from deployment import environment, up
from processes import eventually

from ld_server.cli.upkeep import QUESTIONS
from tests.stacks import embedded, variables

FORMATS = {
    "text/turtle": pyoxigraph.RdfFormat.TURTLE,
    "application/n-triples": pyoxigraph.RdfFormat.N_TRIPLES,
    "application/rdf+xml": pyoxigraph.RdfFormat.RDF_XML,
}


@pytest.fixture(scope="module")
def deployment(stack, tmp_path_factory):
    """On each stack in turn; the embedded one is what `up` makes by itself."""
    place = tmp_path_factory.mktemp("story")
    with stack(place) as told, up(place / "data", **({} if stack.func is embedded else variables(told))) as running:
        yield running


@pytest.fixture(scope="module")
def client(deployment):
    return deployment.client()


@pytest.fixture(scope="module")
def booked(client):
    """Two cameras, a reservation for one of them posted as JSON-LD, approved."""
    kind = client.create("/v1/catalog/item-types", {"code": "finish-camera", "name": "Finish line camera", "kind": "serialized"})
    assets = [client.create("/v1/catalog/assets", {"itemTypeId": kind["identifier"], "assetTag": f"FC-{n}"}) for n in (1, 2)]
    reservation = client.create(
        "/v1/rent-actions",
        {
            "@context": "https://schema.org",
            "@type": "RentAction",
            "agent": {"@type": "Person", "identifier": "alice", "name": "Alice"},
            "object": {"@id": kind["@id"]},
            "requestedQuantity": 1,
            "startTime": "2027-03-01T09:00:00Z",
            "endTime": "2027-03-03T18:00:00Z",
        },
        Content_Type="application/ld+json",
    )
    approved = client("POST", f"/v1/rent-actions/{reservation['identifier']}/approve", {})
    assert approved.status == 200, approved.text
    return {"kind": kind, "assets": assets, "reservation": approved.json}


def test_the_lines_of_the_greeting_work_when_pasted(deployment):
    create, show, ask = deployment.curl_lines
    made, listed, asked = (_paste(line) for line in (create, show, ask))
    assert '"identifier":"itemType_' in made
    listing = pyoxigraph.parse(listed, pyoxigraph.RdfFormat.TURTLE)
    names = [quad.object.value for quad in listing if quad.predicate.value == "http://schema.org/name"]
    assert "Timer node, second version" in names
    assert "Timer node, second version" in asked


def _paste(line: str) -> str:
    pasted = subprocess.run(["bash", "-c", line], capture_output=True, text=True, env=environment(), check=True)
    assert pasted.stderr == ""
    return pasted.stdout


def test_approval_gives_a_concrete_unit(booked):
    reservation = booked["reservation"]
    assert reservation["status"] == "approved"
    assert reservation["allocations"][0]["asset"]["identifier"] in {asset["identifier"] for asset in booked["assets"]}


@pytest.mark.parametrize("media_type", FORMATS)
def test_the_reservation_reads_the_same_in_every_rdf_syntax(booked, client, media_type):
    path = booked["reservation"]["@id"]
    answer = client("GET", path, Accept=media_type)
    assert answer.status == 200 and answer.headers["Content-Type"].startswith(media_type)
    expected = pyoxigraph.parse(client("GET", path, Accept="application/n-triples").body, pyoxigraph.RdfFormat.N_TRIPLES)
    assert _canonical(pyoxigraph.parse(answer.body, FORMATS[media_type])) == _canonical(expected)


def _canonical(quads) -> set[str]:
    dataset = pyoxigraph.Dataset(quads)
    dataset.canonicalize(pyoxigraph.CanonicalizationAlgorithm.UNSTABLE)
    return {str(quad) for quad in dataset}


@pytest.mark.parametrize("media_type", ["application/ld+json", "application/json"])
def test_the_reservation_reads_as_json(booked, client, media_type):
    answer = client("GET", booked["reservation"]["@id"], Accept=media_type)
    assert answer.headers["Content-Type"].startswith(media_type)
    assert answer.json == booked["reservation"]


def test_sparql_sees_what_was_just_written(client, booked):
    for number in range(5):
        code = f"fresh-{number}"
        client.create("/v1/catalog/item-types", {"code": code, "name": f"Fresh {number}", "kind": "serialized"})
        assert client.ask(f'SELECT ?type WHERE {{ ?type <http://schema.org/sku> "{code}" }}')


def test_sparql_finds_the_reservation_with_its_unit(client, booked):
    rows = client.ask(
        "SELECT ?action ?asset WHERE { ?action a <http://schema.org/RentAction> . ?asset a <http://schema.org/IndividualProduct> }"
    )
    assert booked["reservation"]["@id"] in {row["action"] for row in rows}
    assert booked["reservation"]["allocations"][0]["asset"]["@id"] in {row["asset"] for row in rows}


def test_resources_are_named_where_they_can_be_read(booked, deployment):
    assert booked["reservation"]["@id"].startswith(deployment.address + "/v1/rent-actions/ra_")


def test_everything_in_the_data_directory_is_for_its_owner_alone(deployment, booked):
    paths = [deployment.data, *deployment.data.rglob("*")]
    open_ones = [str(path) for path in paths if not path.is_symlink() and path.stat().st_mode & 0o077]
    assert open_ones == []
    assert not (deployment.data / "first-key").exists()


def test_no_key_is_on_a_command_line_or_in_the_log(deployment, booked):
    lines = [" ".join(process.cmdline()) for process in deployment.running.family()]
    assert not [line for line in lines if deployment.new_key in line]
    assert deployment.new_key not in deployment.running.err


def test_the_log_is_one_json_object_a_line(deployment, client):
    client("GET", "/v1/rent-actions/ra_999999", X_Correlation_Id="look-for-me")
    deployment.running.says("look-for-me")
    line = next(line for line in deployment.running.err.splitlines() if "look-for-me" in line)
    told = json.loads(line)
    assert told["status"] == 404 and told["path"] == "/v1/rent-actions/ra_999999" and told["at"]


def test_a_key_made_beside_the_running_service_works_until_it_is_revoked(deployment, client):
    made = deployment.command("keys", "create", "reader", "--scopes", "analyst")
    key, identifier = made.stdout.strip(), made.stderr.split()[0]
    reader = deployment.client(key)
    assert reader("GET", "/v1/rent-actions").status == 200
    assert reader("POST", "/v1/catalog/item-types", {"code": "x", "name": "X", "kind": "kit"}).status == 403

    assert deployment.command("keys", "revoke", identifier).returncode == 0
    eventually(lambda: reader("GET", "/v1/rent-actions").status == 401, "the revocation is noticed")
    assert f"{identifier}  reader  analyst" in deployment.command("keys", "list").stdout


def test_check_finds_every_store_in_step(deployment, booked, client):
    client.ask("SELECT * WHERE { ?s ?p ?o } LIMIT 1")  # waits for the projector
    told = deployment.command("check")
    assert told.returncode == 0, told.stdout + told.stderr
    assert [line.split()[0] for line in told.stdout.splitlines()] == ["ok"] * len(QUESTIONS)


def test_graphs_can_be_rebuilt_while_the_service_runs(deployment, booked, client):
    rebuilt = deployment.command("rebuild", "graphs")
    assert rebuilt.returncode == 0, rebuilt.stderr
    rows = client.ask("SELECT ?action WHERE { ?action a <http://schema.org/RentAction> }")
    assert booked["reservation"]["@id"] in {row["action"] for row in rows}
    assert deployment.command("check").returncode == 0


def test_the_index_can_be_rebuilt_while_the_service_runs(deployment, booked, client):
    rebuilt = deployment.command("rebuild", "index")
    assert rebuilt.returncode == 0, rebuilt.stderr
    assert client("GET", "/v1/catalog/item-types?code=finish-camera").json["totalItems"] == 1


def test_the_service_tells_that_it_is_ready(client):
    answer = client("GET", "/health/ready")
    assert answer.status == 200, answer.text
