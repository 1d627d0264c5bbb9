"""Links that open without a key, keys, and passwords within addresses are in no log, no count and no answer, however much is logged."""

import logging
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import urlsplit

import pytest
from falcon import testing

from ld_server.bootstrap import build
from ld_server.cli.logs import Lines
from ld_server.http.app import create_app
from ld_server.settings import Settings
from tests.http.conftest import Site, with_files_on_the_disk, with_known_shapes

PASSWORD = "pass-0123456789-word"
WRONG = "rsv_a-key-that-somebody-mistyped-0123456789"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return with_files_on_the_disk(settings)


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """Everything that is logged, as it is written, with tracebacks."""
    caplog.handler.setFormatter(Lines())
    with caplog.at_level(logging.DEBUG):
        yield caplog


def test_a_signed_link_is_in_no_log_and_no_count(site: Site, log: pytest.LogCaptureFixture) -> None:
    owner = {"ownerKind": "itemType", "ownerId": site.item_type()}
    wanted = {**owner, "fileName": "a.txt", "contentType": "text/plain", "byteSize": 2, "checksum": "0" * 64}
    begun = site.post("/v1/attachments/initiate", wanted)
    assert begun.status_code == 201, begun.text
    link = urlsplit(begun.json["uploadUrl"])
    assert "signature=" in link.query
    for query in (link.query, link.query.replace("signature=", "signature=x"), f"{link.query}&{link.query}"):
        for method in ("PUT", "GET"):
            site.client.simulate_request(method, link.path, query_string=query, body=b"hi", headers={"Content-Type": "text/plain"})
    signature = link.query.partition("signature=")[2].partition("&")[0]
    assert link.path in log.text, "there is a line for each request"
    assert signature not in log.text
    assert signature not in site.get("/metrics").text


def test_a_key_is_in_no_log_however_it_is_brought(site: Site, log: pytest.LogCaptureFixture) -> None:
    for key in (site.keys["admin"], WRONG):
        ways = [{"Authorization": f"Bearer {key}"}, {"Authorization": f"Nonsense {key}"}, {"X-Api-Key": key}, {"Cookie": f"key={key}"}]
        answers = [site.client.simulate_get("/v1/rent-actions", headers=headers) for headers in ways]
        answers.append(site.client.simulate_get("/v1/rent-actions", query_string=f"access_token={key}&after={key}"))
        assert key not in "".join(str(answer.headers) for answer in answers)
        assert key not in log.text
    assert log.text.count("/v1/rent-actions") >= 10


AWAY = f"ld:{PASSWORD}@127.0.0.1:1"
ADDRESSES = {
    "sparql_url": f"http://{AWAY}/query",
    "sparql_update_url": f"http://{AWAY}/update",
    "blob_url": "s3://bucket/prefix",
    "blob_endpoint": f"http://{AWAY}",
    "huey_url": f"redis://{AWAY}/0",
    "inventree_url": f"http://{AWAY}",
    "jwt_jwks": f"http://{AWAY}/jwks",
    "jwt_issuer": "https://issuer.example",
    "jwt_audience": "fleet",
}
TOKEN = "eyJhbGciOiJSUzI1NiIsImtpZCI6IjEifQ.eyJzdWIiOiJhIn0.c2lnbmF0dXJl"


@pytest.mark.parametrize("is_ledger_away", [False, True])
def test_a_password_within_an_address_is_told_to_nobody_where_what_it_leads_to_is_away(
    site: Site, log: pytest.LogCaptureFixture, is_ledger_away: bool
) -> None:
    ledger = {"database_url": f"postgresql+psycopg://{AWAY}/ledger"} if is_ledger_away else {}
    broken = replace(site.parts.settings, **ADDRESSES, **ledger)  # type: ignore[arg-type]
    parts = with_known_shapes(build(broken))
    client, told = testing.TestClient(create_app(parts)), [repr(broken)]
    for path in ("/health/ready", "/v1/rent-actions", "/v1/sparql?query=ASK%7B%7D", "/metrics"):
        for key in (site.keys["admin"], TOKEN):
            answer = client.simulate_get(path, headers={"Authorization": f"Bearer {key}"})
            told += [answer.text, repr(answer.headers)]
    parts.close()
    assert "503" in log.text
    assert not [one for one in (log.text, *told) if PASSWORD in one or TOKEN in one]
