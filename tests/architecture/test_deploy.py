"""What lies in `deploy/` goes with what is here: settings exist, commands exist, files are where they are copied from."""

import configparser
import dataclasses
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from ld_server.cli import COMMANDS
from ld_server.http.throttle import proxies_of
from ld_server.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
KNOWN = {str(one.metadata["variable"]) for one in dataclasses.fields(Settings)}
WORDS = {command.words for command in COMMANDS}
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SERVICES = COMPOSE["services"]


def unit(path: Path) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(path)
    return parser


@pytest.mark.parametrize("path", [path for path in DEPLOY.rglob("*") if path.is_file()], ids=lambda path: path.name)
def test_every_setting_that_is_named_is_one(path):
    named = set(re.findall(r"\bLD_[A-Z_]+\b", path.read_text()))
    assert named <= KNOWN, named - KNOWN


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_units_start_commands_that_exist(path):
    service = unit(path)["Service"]
    for name in ("ExecStart", "ExecStartPre"):
        if name in service:
            program, _, words = service[name].partition(" ")
            assert program == "/opt/ld-reservations/bin/ld-server" and words in WORDS


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_units_run_as_nobody_in_particular_and_see_little(path):
    service = unit(path)["Service"]
    assert service["User"] == "reservations"
    assert (service["ProtectSystem"], service["NoNewPrivileges"], service["CapabilityBoundingSet"]) == ("strict", "yes", "")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd here")
@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_systemd_finds_nothing_wrong_with_units(path):
    said = subprocess.run(["systemd-analyze", "verify", str(path)], capture_output=True, text=True, check=False).stderr
    complaints = [line for line in said.splitlines() if path.name in line and "is not executable" not in line and "not found" not in line]
    assert complaints == []


def test_the_image_copies_what_is_here_and_all_that_the_package_is_built_from():
    copied = {word for line in _instructions("COPY") if "--from" not in line for word in line.split()[:-1]}
    assert all((ROOT / one).exists() for one in copied)
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert {"pyproject.toml", "constraints.txt", "README.md", *wheel["packages"], *wheel["force-include"]} == copied


def test_the_image_runs_the_command_as_somebody_without_rights():
    assert _instructions("ENTRYPOINT") == ['["ld-server"]']
    assert _instructions("CMD") == ['["up"]']
    assert _instructions("USER")[-1] != "root"


def _instructions(name: str) -> list[str]:
    lines = re.sub(r"\\\n\s*", "", (DEPLOY / "Dockerfile").read_text()).splitlines()
    return [line.removeprefix(f"{name} ") for line in lines if line.startswith(f"{name} ")]


def test_the_parts_of_the_stack_run_commands_that_exist():
    ours = [service for service in SERVICES.values() if service.get("image") == "ld-reservations" and "entrypoint" not in service]
    assert {" ".join(service["command"]) for service in ours} == {"migrate", "web", "worker"} <= WORDS


def test_the_stack_is_the_scaled_one():
    settings = Settings(
        **{_field(name): _filled(value) for name, value in SERVICES["web"]["environment"].items() if name.startswith("LD_")}
    )
    assert settings.database_url.startswith("postgresql+psycopg://")
    assert settings.sparql_url.startswith("http://sparql:") and settings.huey_url.startswith("postgresql://")
    assert settings.blob_url.startswith("s3://") and settings.secret_key
    assert SERVICES["web"]["deploy"]["replicas"] == SERVICES["worker"]["deploy"]["replicas"] == 2


def test_only_the_proxy_and_the_links_to_attachments_can_be_reached_from_outside():
    assert {name: service["ports"] for name, service in SERVICES.items() if "ports" in service} == {
        "proxy": ["8000:8000"],
        "s3": ["127.0.0.1:9000:9000"],
    }


def test_whoever_asks_is_known_by_the_address_that_the_proxy_saw():
    """Headers of the server count in a location that sets none of its own; what a client says of its address is overwritten."""
    server, *locations = (DEPLOY / "nginx.conf").read_text().split("    location ")
    assert "proxy_set_header X-Forwarded-For $remote_addr;" in server
    assert not [one for one in locations if "proxy_set_header" in one]
    assert all(
        one.is_private for one in proxies_of(Settings(trusted_proxies=_filled(SERVICES["web"]["environment"]["LD_TRUSTED_PROXIES"])))
    )


@pytest.mark.skipif(shutil.which("nginx") is None, reason="there is no nginx here")
def test_nginx_finds_nothing_wrong_with_its_file(tmp_path):
    (tmp_path / "nginx.conf").write_text(f"pid {tmp_path}/pid; events {{}} http {{ include {DEPLOY}/nginx.conf; }}")
    told = subprocess.run(["nginx", "-t", "-c", str(tmp_path / "nginx.conf"), "-e", "stderr"], capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
    assert "[warn]" not in told.stderr


def test_nothing_waits_for_a_part_that_is_not_there():
    for service in SERVICES.values():
        assert set(service.get("depends_on", ())) <= SERVICES.keys()
        volumes = {mount.partition(":")[0] for mount in service.get("volumes", ()) if not mount.startswith(".")}
        assert volumes <= COMPOSE["volumes"].keys()


def _field(variable: str) -> str:
    return next(one.name for one in dataclasses.fields(Settings) if one.metadata["variable"] == variable)


def _filled(value: str) -> str:
    """The value with what compose fills in: the default, or a word."""
    return re.sub(r"\$\{\w+(?::-([^}]*)|:\?[^}]*)?\}", lambda found: found[1] or "word", value)
