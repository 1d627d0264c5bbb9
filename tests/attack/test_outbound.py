"""
Nothing leaves but to what is configured: Python tells of every name that is looked up and every connection that is made in this process,
whichever library makes it, while representative requests are answered and the workers do what they leave to do.
"""

import base64
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from shutil import which
from threading import Thread
from typing import Any

import pytest

from ld_server.bootstrap import build
from ld_server.cli import main
from ld_server.http.app import ROUTES
from ld_server.rdf.formats import FORMATS
from ld_server.settings import InvalidSetting
from tests import factories
from tests.attack.test_bodies import HARMLESS, NOWHERE, REFUSED
from tests.http.conftest import ITEM_TYPES, Site
from workers.jobs import JOBS
from workers.projector import Projector
from workers.relay import Relay


class Ear:
    """Hears where this process goes while it listens. A hook of the interpreter cannot be taken out again, so there is one."""

    def __init__(self) -> None:
        self.heard: list[str] | None = None
        sys.addaudithook(self._note)

    def _note(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.heard is None or not event.startswith("socket."):
            return
        if event in ("socket.getaddrinfo", "socket.gethostbyname"):
            self.heard.append(str(arguments[0]))
        elif event in ("socket.connect", "socket.sendto"):
            self.heard.append(str(arguments[1]))


_EAR = Ear()


@pytest.fixture
def heard() -> Iterator[list[str]]:
    """Where this process has gone since the test began."""
    _EAR.heard = []
    yield _EAR.heard
    _EAR.heard = None


def test_the_ear_hears(heard: list[str]) -> None:
    with socket.socket() as one:
        one.connect_ex(("127.0.0.1", 1))
    assert heard == ["('127.0.0.1', 1)"]


def test_no_request_to_read_leaves(fleet: Site, heard: list[str]) -> None:
    for route in ROUTES:
        if "GET" in route.needs:
            path = route.template.format(identifier=_some(route.template), name="v1", number="1", allocation="alloc_1")
            for accepted in ("application/ld+json", "text/html", "application/rdf+xml"):
                assert fleet.get(path, Accept=accepted).status_code < 500
    assert heard == []


def _some(template: str) -> str:
    found = {"item-types": "itemType_1", "rent-actions": "ra_1", "assets": "asset_1"}
    return next((one for segment, one in found.items() if f"/{segment}/" in template), "x_1")


def test_no_body_makes_us_leave(fleet: Site, heard: list[str]) -> None:
    rows = [row[:3] for row in (*REFUSED, *HARMLESS) if len(row[2]) < 10_000]
    assert len(rows) > 50
    for _, media_type, body in rows:
        for path in (ITEM_TYPES, "/v1/rent-actions", "/v1/assets/asset_1/maintenance-logs"):
            assert fleet.post(path, body, Content_Type=media_type).status_code < 500
    log = {
        "kind": "repair",
        "summary": "S",
        "performedAt": "2027-03-01T08:00:00Z",
        "schemaOrg": {"@context": NOWHERE, "@type": "RepairAction"},
    }
    assert fleet.post("/v1/assets/asset_1/maintenance-logs", log).status_code < 500
    for patch in ({"@context": NOWHERE}, {"description": {"@context": NOWHERE}}):
        assert fleet.ask("PATCH", f"{ITEM_TYPES}/itemType_1", body=patch).status_code < 500
    assert heard == []


QUERIES = [
    f"SELECT * {{ SERVICE <{NOWHERE}> {{ ?s ?p ?o }} }}",
    f"SELECT * {{ SERVICE SILENT <{NOWHERE}> {{ ?s ?p ?o }} }}",
    f"SELECT * {{ BIND(<{NOWHERE}> AS ?x) SERVICE ?x {{ ?s ?p ?o }} }}",
    f"SELECT * {{ FILTER EXISTS {{ SERVICE <{NOWHERE}> {{ ?s ?p ?o }} }} }}",
    f"SELECT * FROM <{NOWHERE}> {{ ?s ?p ?o }}",
    f"SELECT * FROM NAMED <{NOWHERE}> {{ GRAPH ?g {{ ?s ?p ?o }} }}",
    f"SELECT * {{ GRAPH <{NOWHERE}> {{ ?s ?p ?o }} }}",
    f"DESCRIBE <{NOWHERE}>",
    f"LOAD <{NOWHERE}>",
    f"LOAD SILENT <{NOWHERE}> INTO GRAPH <urn:x>",
]


@pytest.mark.parametrize("query", QUERIES)
def test_no_query_leaves(fleet: Site, heard: list[str], query: str) -> None:
    Projector(fleet.parts, "ear").run_once(fleet.parts.now())
    answer = fleet.post("/v1/sparql", query.encode(), Content_Type="application/sparql-query")
    assert answer.status_code in (200, 400), answer.text
    assert answer.status_code == 400 or NOWHERE not in answer.text.replace(query, "") or "boolean" in answer.text
    assert heard == []


def test_what_is_registered_is_looked_up_and_nothing_else_happens(fleet: Site, heard: list[str]) -> None:
    assert fleet.post("/v1/webhooks", {"url": "https://hooks.invalid/in"}).status_code == 201
    assert set(heard) == {"hooks.invalid"}
    heard.clear()
    route = {"type": "route", "config": {"url": "amqps://ld:word@mq.invalid/fleet", "queue": "q"}}
    trigger = {"name": "T", "eventTypes": ["*"], "actions": [route]}
    assert fleet.post("/v1/triggers", trigger).status_code == 201
    assert set(heard) == {"mq.invalid"}


def test_changes_and_the_work_that_follows_them_stay_here(fleet: Site, heard: list[str]) -> None:
    fleet.asset("itemType_1", serialNumber="SN-0002")
    made = fleet.made(
        "/v1/rent-actions", factories.reservation("itemType_1", startTime="2028-03-01T08:00:00Z", endTime="2028-03-02T08:00:00Z")
    )
    assert fleet.post(f"/v1/rent-actions/{made}/approve").status_code == 200
    now = fleet.parts.now()
    for worker in (Relay(fleet.parts, "ear"), Projector(fleet.parts, "ear")):
        assert worker.run_once(now) > 0
    assert heard == []


@pytest.mark.parametrize("job", JOBS)
def test_no_job_leaves(fleet: Site, heard: list[str], job: str) -> None:
    with suppress(ValueError):  # where nothing is configured to be submitted to
        JOBS[job](fleet.parts, {"createBuildRequests": True, "includePending": True}, fleet.parts.now())
    assert heard == []


# --- what an operator brings ------------------------------------------------------------------------------------------

SHAPES = {
    "an import": f"<urn:x:s> a sh:NodeShape ; <http://www.w3.org/2002/07/owl#imports> <{NOWHERE}> .",
    "an import of the file": f"<> a <http://www.w3.org/2002/07/owl#Ontology> ; <http://www.w3.org/2002/07/owl#imports> <{NOWHERE}> .",
    "a graph of shapes": f"ex:S a sh:NodeShape ; sh:targetClass ex:C ; sh:nodeKind sh:IRI . <> sh:shapesGraph <{NOWHERE}> .",
    "a graph of shapes of a shape": f"ex:S a sh:NodeShape ; sh:targetClass ex:C ; sh:shapesGraph <{NOWHERE}> ; sh:nodeKind sh:IRI .",
    "a script": f'ex:S a sh:NodeShape ; sh:targetClass ex:C ; sh:js [ sh:jsLibrary [ sh:jsLibraryURL "{NOWHERE}" ] ] .',
    "a query": f'ex:S a sh:NodeShape ; sh:targetClass ex:C ; sh:sparql [ sh:select "SELECT $this {{ SERVICE <{NOWHERE}> {{}} }}" ] .',
    "a context": f'ex:S a sh:NodeShape ; sh:targetClass ex:C ; sh:in ( "{NOWHERE}" ) ; <urn:x:context> <{NOWHERE}> .',
    "a type": f"ex:S a sh:NodeShape ; sh:targetClass <{NOWHERE}C> ; sh:class <{NOWHERE}D> ; sh:node <{NOWHERE}S> .",
}
HEAD = "@prefix sh: <http://www.w3.org/ns/shacl#> . @prefix ex: <http://ex.example/> .\n"


@pytest.mark.parametrize("shape", SHAPES)
def test_no_shape_of_an_operator_makes_us_leave(fleet: Site, heard: list[str], tmp_path: Path, shape: str) -> None:
    (tmp_path / "one.ttl").write_text(HEAD + SHAPES[shape])
    try:
        parts = build(replace(fleet.parts.settings, shapes_dir=str(tmp_path)))
    except InvalidSetting:
        assert heard == []
        return
    fleet.over(validator=parts.validator).post(ITEM_TYPES, {**factories.item_type("shaped"), "@type": ["Product", f"{NOWHERE}C"]})
    parts.close()
    assert heard == []


EXTENSIONS = {media_type: form.extension for form in FORMATS for media_type in form.media_types}
FILES = {row[1]: row[2] for row in (*REFUSED, *HARMLESS) if NOWHERE.encode() in row[2]}
"""One of the corpus in each syntax that may name something elsewhere."""


@pytest.mark.parametrize("media_type", FILES)
def test_no_file_that_is_loaded_makes_us_leave(
    fleet: Site, heard: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, media_type: str
) -> None:
    for variable, value in {"LD_DATABASE_URL": fleet.parts.settings.database_url, "LD_SPARQL_URL": "memory:"}.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.chdir(tmp_path)
    file = tmp_path / f"one.{EXTENSIONS[media_type]}"
    file.write_bytes(FILES[media_type])
    data = str(fleet.parts.settings.data_dir)
    assert main(["load", str(file), "--type", "itemType", "--processes", "0", "--data", data]) in (0, 1)
    assert heard == []


# --- tokens -----------------------------------------------------------------------------------------------------------


class Issuer(BaseHTTPRequestHandler):
    """Sends whoever wants keys elsewhere."""

    def do_GET(self) -> None:
        self.send_response(302)
        self.send_header("Location", NOWHERE)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Tests are quiet."""


HEADERS: list[dict[str, Any]] = [
    {"jku": NOWHERE}, {"x5u": NOWHERE}, {"kid": NOWHERE}, {"kid": f"../../..{NOWHERE}"}, {"jwk": {"kty": "oct", "k": "YQ", "x5u": NOWHERE}},
    {"jku": NOWHERE, "x5u": NOWHERE, "crit": ["jku"]},
]  # fmt: skip


def encoded(part: Any) -> str:
    """A part of a token."""
    return base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")


def test_no_token_makes_us_leave_but_to_the_keys_that_an_operator_has_named(fleet: Site, heard: list[str], tmp_path: Path) -> None:
    (tmp_path / "keys.json").write_text(json.dumps({"keys": [{"kty": "oct", "k": "YQ", "kid": "1", "x5u": NOWHERE, "jku": NOWHERE}]}))
    claims = {"iss": NOWHERE, "aud": NOWHERE, "sub": NOWHERE, "exp": 9_999_999_999}
    named = {"jwt_issuer": NOWHERE, "jwt_audience": NOWHERE}
    with HTTPServer(("127.0.0.1", 0), Issuer) as issuer:
        Thread(target=issuer.serve_forever, args=(0.02,), daemon=True).start()
        keys = f"http://127.0.0.1:{issuer.server_port}/keys"
        heard.clear()
        for source, ways in ((str(tmp_path / "keys.json"), set()), (keys, {str(("127.0.0.1", issuer.server_port))})):
            site = fleet.over(settings=replace(fleet.parts.settings, jwt_jwks=source, **named))  # type: ignore[arg-type]
            for header in HEADERS:
                token = ".".join(map(encoded, ({"alg": "RS256", "typ": "JWT", **header}, claims, "signature")))
                assert site.get("/v1/rent-actions", key=token).status_code in (401, 503)
            assert {one for one in heard if one != "127.0.0.1"} == ways
        issuer.shutdown()


# --- without any network ----------------------------------------------------------------------------------------------


def may_have_a_network_of_its_own() -> bool:
    """Whether a process may be started that has no way out (Linux, where users may make namespaces)."""
    program = which("unshare")
    return program is not None and subprocess.run([program, "-rn", "true"], capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not may_have_a_network_of_its_own(), reason="the kernel lets nobody make a network namespace here")
def test_all_of_this_goes_as_well_where_there_is_no_network() -> None:
    """Not even loopback is up there: every route is read, and changes are made and worked on, without a way to anywhere."""
    inside = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", "-k", "no_request or changes"]
    done = subprocess.run(["unshare", "-rn", *inside, __file__], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:]


# --- brokers ----------------------------------------------------------------------------------------------------------

BROKERS = ["redis://127.0.0.1/0", "amqp://localhost/", "amqp://u:word@169.254.169.254/", "redis://[::1]:6379/", "sqs://10.0.0.1/",
           "redis://2130706433/", "redis://1.1.1.1/0;redis://127.0.0.1/0", "amqp://1.1.1.1\\@127.0.0.1/"]  # fmt: skip


@pytest.mark.parametrize("url", BROKERS)
def test_a_broker_inside_is_refused_when_it_is_registered(fleet: Site, url: str) -> None:
    trigger = {"name": "T", "eventTypes": ["*"], "actions": [{"type": "route", "config": {"url": url, "queue": "q"}}]}
    answer = fleet.post("/v1/triggers", trigger)
    assert answer.status_code == 422, answer.text
    assert answer.json["violations"][0]["pointer"] == "/actions/0/config/url"
    assert "word" not in answer.text.replace("password", "")
