"""No secret of a deployment, and none of its users, is told: not by its output, its processes, its answers or its ledger."""

import subprocess

import pytest
from deployment import LD_SERVER, environment, some_port, up
from processes import PATIENCE

SECRETS = {
    "LD_ADMIN_KEY": "rsv_the-first-key-of-this-deployment-0123456789",
    "LD_SECRET_KEY": "seal-0123456789-abcdefghij-seal",
    "LD_JWT_SECRET": "hmac-0123456789-abcdefghij-0123456789",
    "LD_INVENTREE_TOKEN": "inv-0123456789-token",
}
SETTINGS = {
    **SECRETS,
    "LD_LOG_LEVEL": "DEBUG",
    "LD_JWT_ISSUER": "https://issuer.example",
    "LD_JWT_AUDIENCE": "fleet",
    "LD_INVENTREE_URL": "http://127.0.0.1:1",
}
PASSWORD = "pass-0123456789-word"
WRONG = "rsv_a-key-that-somebody-mistyped-0123456789"


@pytest.fixture(scope="module")
def deployment(tmp_path_factory):
    with up(tmp_path_factory.mktemp("secrets") / "data", **SETTINGS) as deployment:
        yield deployment


def test_no_secret_is_told_anywhere(deployment):
    ask, others = deployment.client(SECRETS["LD_ADMIN_KEY"]), deployment.client(WRONG)
    told = [ask("GET", path).text for path in ("/", "/health/ready", "/v1/keys", "/v1/events", "/openapi.json", "/v1/rent-actions")]
    told += [others("GET", "/v1/rent-actions").text, others("POST", "/v1/keys", {"name": WRONG}).text]
    told += [
        ask("GET", f"/v1/rent-actions?access_token={WRONG}").text.replace(WRONG, ""),
        ask("GET", "/v1/rent-actions", X_Api_Key=WRONG).text,
    ]
    webhook = ask("POST", "/v1/webhooks", {"name": "w", "url": "https://example.org/hook"}, Idempotency_Key='"once"')
    key = ask("POST", "/v1/keys", {"name": "k", "scopes": ["planner"]})
    fresh = [one for one in (webhook.json.get("secret"), key.json.get("key")) if one]
    assert fresh
    told += [ask("GET", path).text for path in ("/v1/webhooks", "/v1/keys", "/v1/events")]
    told += [deployment.running.out, deployment.running.err, *processes(deployment)]
    told += [file.read_bytes().decode("latin-1") for file in deployment.data.glob("ledger.db*")]
    for secret in (*SECRETS.values(), WRONG, *fresh):
        assert not [text[max(0, text.index(secret) - 200) : text.index(secret)] for text in told if secret in text], secret


def processes(deployment):
    """What a list of processes shows of this deployment."""
    pids = ",".join(str(one.pid) for one in deployment.running.family())
    return [subprocess.run(["ps", "-ww", "-o", "args=", "-p", pids], capture_output=True, text=True, check=True).stdout]


AWAY = f"ld:{PASSWORD}@127.0.0.1:1"
ADDRESSES = {
    "LD_DATABASE_URL": f"postgresql+psycopg://{AWAY}/ledger",
    "LD_SPARQL_URL": f"http://{AWAY}/query",
    "LD_BLOB_URL": "s3://bucket/prefix",
    "LD_BLOB_ENDPOINT": f"http://{AWAY}",
    "LD_HUEY_URL": f"redis://{AWAY}/0",
    "LD_INVENTREE_URL": f"http://{AWAY}",
}
UNREADABLE = {
    "LD_DATABASE_URL": f"postgresql+psycopg://ld:{PASSWORD}@127.0.0.1:port/ledger",
    "LD_SPARQL_URL": f"http://ld:{PASSWORD}@127.0.0.1:port/query",
    "LD_BLOB_URL": f"s4://ld:{PASSWORD}@bucket/prefix",
    "LD_HUEY_URL": f"redis://ld:{PASSWORD}@127.0.0.1:port/0",
}


def test_no_command_tells_the_password_of_what_is_away(tmp_path):
    commands = ("check", "keys list", "rebuild graphs", "up")
    begun = [_begun(command, tmp_path / str(number), ADDRESSES) for number, command in enumerate(commands)]
    for running in begun:
        told, _ = running.communicate(timeout=PATIENCE)
        assert "cannot be reached" in told and PASSWORD not in told


def test_no_command_tells_the_password_of_an_address_that_cannot_be_read(tmp_path):
    commands = {variable: "worker" if variable == "LD_HUEY_URL" else "check" for variable in UNREADABLE}
    begun = [_begun(command, tmp_path / variable, {variable: UNREADABLE[variable]}) for variable, command in commands.items()]
    for running in begun:
        told, _ = running.communicate(timeout=PATIENCE)
        assert told and PASSWORD not in told


def _begun(command, data, settings):
    line = [*LD_SERVER, *command.split(), "--data", str(data)]
    told = environment(**settings, LD_LOG_LEVEL="DEBUG", LD_PORT=str(some_port()))
    return subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=told)
