"""Importing any module builds nothing: no file, no connection, no process, no thread, no part of the service."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

IMPORT_EVERYTHING = """
import importlib, json, pkgutil, sys, threading

FORBIDDEN = {"socket.connect", "socket.bind", "sqlite3.connect", "subprocess.Popen", "os.mkdir", "os.remove", "os.rename", "os.system"}
seen = []

def listen(event, arguments):
    if event in FORBIDDEN:
        seen.append(f"{event} {arguments!r:.100}")
    if event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+"):
        seen.append(f"writes {arguments[0]}")

names = []
for package in ("ld_server", "relational", "workers"):
    module = importlib.import_module(package)
    names += [package, *(one.name for one in pkgutil.walk_packages(module.__path__, package + ".", onerror=lambda name: None))]
names = [name for name in names if not name.endswith("__main__") and ".migrations.env" not in name and ".versions" not in name]
sys.addaudithook(listen)
sys.dont_write_bytecode = True
for name in names:
    importlib.import_module(name)

PARTS = {"falcon.app.App", "sqlalchemy.engine.base.Engine", "huey.api.Huey", "relational.unit_of_work.Ledger", "pyoxigraph.Store",
         "apscheduler.schedulers.base.BaseScheduler", "ld_server.settings.Settings", "ld_server.rdf.contexts.Contexts",
         "ld_server.rdf.validation.Validator", "urllib3.poolmanager.PoolManager", "rdflib.graph.Graph"}

def kinds(value):
    return {f"{base.__module__}.{base.__qualname__}" for base in type(value).__mro__}

built = [f"{name}.{variable}" for name in names for variable, value in vars(sys.modules[name]).items() if kinds(value) & PARTS]
threads = [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()]
print(json.dumps({"modules": names, "seen": seen, "built": sorted(set(built)), "threads": threads}))
"""


@pytest.fixture(scope="module")
def witness(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """What happened while everything was imported, in a process of its own and in an empty directory."""
    place = tmp_path_factory.mktemp("empty")
    run = subprocess.run([sys.executable, "-B", "-c", IMPORT_EVERYTHING], cwd=place, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert not list(place.iterdir())
    return json.loads(run.stdout)


def test_every_module_can_be_imported_from_anywhere(witness):
    assert {"ld_server.bootstrap", "ld_server.http.app", "relational.tables", "workers.run"} <= set(witness["modules"])


def test_nothing_is_opened_written_or_started(witness):
    assert witness["seen"] == []
    assert witness["threads"] == []


def test_no_part_of_the_service_is_built(witness):
    assert witness["built"] == []
