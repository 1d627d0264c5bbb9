"""The door to SPARQL: which backend a URL means."""

from collections.abc import Callable
from urllib.parse import urlsplit

from ld_server.settings import InvalidSetting, Settings
from ld_server.sparql.http import open_managed_store, open_remote_store, open_virtuoso_store
from ld_server.sparql.memory import open_memory_store
from ld_server.sparql.port import Answer, Limits, SparqlStore

__all__ = ["BACKENDS", "Answer", "Limits", "SparqlStore", "open_store"]

BACKENDS: dict[str, Callable[[Settings], SparqlStore]] = {
    "memory": open_memory_store,
    "managed": open_managed_store,
    "http": open_remote_store,
    "https": open_remote_store,
    "virtuoso+http": open_virtuoso_store,
    "virtuoso+https": open_virtuoso_store,
}
"""The scheme of LD_SPARQL_URL, and what opens it."""


def open_store(settings: Settings) -> SparqlStore:
    """
    The SPARQL store of this deployment. Nothing is connected yet: a store that is down is met at its first use.

    Raises InvalidSetting for a URL that no backend speaks.
    """
    scheme = urlsplit(settings.sparql_url).scheme
    if scheme not in BACKENDS:
        raise InvalidSetting(f"LD_SPARQL_URL must start with one of {', '.join(name + ':' for name in BACKENDS)}")
    return BACKENDS[scheme](settings)
