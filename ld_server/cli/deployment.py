"""Which deployment a command is about: the environment, the arguments that override it, and what was recorded at first start."""

import argparse
import dataclasses
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from ld_server.bootstrap import BASE_IRI_FACT
from ld_server.domain.errors import StoreUnavailable
from ld_server.settings import Settings
from ld_server.supervisor.banner import CLIENT_KEY
from relational.unit_of_work import open_ledger

Arguments = Callable[[argparse.ArgumentParser], None]


def data_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", metavar="DIR", type=Path, help="data directory (LD_DATA_DIR, ./data)")


def web_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", help="address to listen on (LD_HOST, 127.0.0.1)")
    parser.add_argument("--port", type=port_number, metavar="N", help="port to listen on (LD_PORT, 8000)")
    parser.add_argument("--workers", type=int, metavar="N", help="number of web server processes (LD_WEB_WORKERS, 2)")
    parser.add_argument("--server", choices=("gunicorn", "granian"), help="which web server (LD_SERVER, gunicorn)")


def port_number(text: str) -> int:
    """Raises ValueError for what is no port."""
    if not 0 < int(text) < 65_536:
        raise ValueError
    return int(text)


def settings_of(given: argparse.Namespace, environment: Mapping[str, str] | None = None) -> Settings:
    """
    The settings of a command. Raises InvalidSetting.

    Without LD_BASE_IRI, the base IRI is the one recorded at first start, or else localhost with the port that is listened on.
    """
    variables = {**(os.environ if environment is None else environment)}
    variables.pop(CLIENT_KEY, None)
    overrides = {field: getattr(given, name, None) for name, field in _OVERRIDES.items()}
    settings = Settings.from_environment(variables, **overrides)
    if variables.get("LD_BASE_IRI"):
        return settings
    return dataclasses.replace(settings, base_iri=recorded_base(settings) or f"http://localhost:{settings.port}")


_OVERRIDES = {"data": "data_dir", "host": "host", "port": "port", "workers": "web_workers", "server": "server"}


def recorded_base(settings: Settings) -> str | None:
    """The base IRI this deployment was first started with, or None when nothing is known of it."""
    if not settings.data_dir.exists() and settings.database_url.startswith("sqlite"):
        return None
    ledger = open_ledger(settings.database_url, pool_size=1)
    try:
        with ledger.read() as uow:
            return uow.facts.get(BASE_IRI_FACT)
    except StoreUnavailable:  # no ledger, no tables, no connection: whoever needs them next will say so
        return None
    finally:
        ledger.close()
