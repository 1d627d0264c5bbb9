"""
What schemathesis makes of the description of the interface: each operation with every value at the edges of what is described, and beyond
them. No answer is a 5xx, each is one that is described (status, headers, type, schema), what breaks the description is refused, and nothing
that asks for a key is told without one or with a wrong one.

Where the same endpoints serve several kinds, one of them is gone through and the others with their examples. By hand, `FUZZ=100` goes
through all, and adds as many random requests to each operation, and walks in which one answer leads to the next request.
"""

import gzip
import re
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from schemathesis.engine import Status, from_schema
from schemathesis.engine.events import EngineEvent, NonFatalError, ScenarioFinished
from schemathesis.transport.wsgi import WSGITransport

from ld_server.bootstrap import build
from ld_server.rdf.formats import FORMATS
from ld_server.settings import Settings
from tests import factories
from tests.attack.examples import FACTOR
from tests.http.conftest import Site, open_site
from workers.projector import Projector

PHASES = {"examples": True, "coverage": True, "fuzzing": FACTOR > 1, "stateful": FACTOR > 1}
REFUSED = ["400", "401", "403", "404", "405", "406", "409", "410", "412", "413", "415", "422", "429"]
"""How what is not as described is refused."""
WELL_FORMED = ["2xx", "3xx", *(status for status in REFUSED if status not in ("405", "406", "415"))]
"""What a request gets that has the form that is described: it may still ask for what cannot be, but not in a wrong way."""

PLACES = {
    "item-types": "itemType_1", "stock-pools": "pool_1", "kit-templates": "kit_1", "rent-actions": "ra_1", "demand-signals": "demand_1",
    "build-requests": "build_1", "maintenance-logs": "log_1", "catalog/assets": "asset_1", "v1/assets": "asset_1", "triggers": "trig_1",
    "webhooks": "hook_1", "keys": "1", "queries": "utilisation",
}  # fmt: skip
"""What is there under which address."""

ALIKE = {"application/ld+json", "application/merge-patch+json", *(one.media_type for one in FORMATS if not one.json)}
SERVED_ALIKE = re.compile(
    "[A-Z]+ /v1/(catalog/(assets|stock-pools|kit-templates)|planning/(demand-signals|build-requests|snapshots))(/.*)?"
)
"""Operations that the same endpoints serve for other kinds, too: here their examples will do."""


@pytest.fixture(scope="module")
def fleet(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site with one of everything, where nobody asks too often."""
    directory = tmp_path_factory.mktemp("described")
    ledger = shutil.copy(sqlite_template, directory / "ledger.db")
    told = {"rate_limit": 0, "rate_limit_address": 0, "failed_keys": 0, "webhook_allow": "192.0.2.7"}
    parts = build(Settings(data_dir=directory, database_url=f"sqlite:///{ledger}", sparql_url="memory:", **told))
    yield _furnished(open_site(parts))
    parts.close()


def _furnished(site: Site) -> Site:
    item = site.item_type()
    unit = site.asset(item)
    site.made("/v1/catalog/stock-pools", factories.stock_pool(site.item_type("Cable", kind="fungible")))
    site.made("/v1/catalog/kit-templates", factories.kit_template((item, 2)))
    site.reservation(item)
    site.made("/v1/planning/demand-signals", factories.demand_signal(item))
    site.made("/v1/planning/build-requests", factories.build_request(item))
    site.made(f"/v1/assets/{unit}/maintenance-logs", {"kind": "repair", "summary": "New lens", "performedAt": "2027-01-01T08:00:00Z"})
    hook = site.made("/v1/webhooks", {"name": "Ghent", "url": "https://192.0.2.7/hook"})
    actions = [{"type": "webhook", "webhookId": hook}]
    site.made("/v1/triggers", {"name": "All", "source": "event", "eventTypes": ["*"], "actions": actions})
    return site


def test_every_operation_holds_what_is_described(fleet: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(WSGITransport, "send", _without_a_network(WSGITransport.send))
    document = _simple(fleet.client.simulate_get("/openapi.json").json)
    if FACTOR == 1:
        _in_brief(document)
    schema = schemathesis.openapi.from_dict(document, config=_config(fleet, document))
    schema.app = _application(fleet)
    seen = list(from_schema(schema.exclude(method="HEAD")).execute())
    assert sum(len(one.recorder.interactions) for one in seen if isinstance(one, ScenarioFinished)) > 5000
    wrong = list(_wrong(seen))
    assert not wrong, "\n\n".join(wrong)


def _config(site: Site, document: dict[str, Any]) -> schemathesis.Config:
    key = site.keys["admin"]
    checks = {
        "negative_data_rejection": {"expected-statuses": REFUSED},
        "positive_data_acceptance": {"expected-statuses": WELL_FORMED},
    }
    options = {"include-method": "OPTIONS", "checks": {"negative_data_rejection": {"enabled": False}}}
    alike = [name for path, methods in document["paths"].items() for name in _names(path, methods) if SERVED_ALIKE.fullmatch(name)]
    examples_alone = {"include-name": alike, "phases": {"coverage": {"enabled": False}}}
    return schemathesis.Config.from_dict(
        {
            "auth": {"openapi": {"bearer": {"bearer": key}, "apiKey": {"api_key": key}, "basic": {"username": "x", "password": key}}},
            "generation": {"deterministic": FACTOR == 1, "max-examples": FACTOR},
            "phases": {name: {"enabled": is_on} for name, is_on in PHASES.items()},
            "checks": checks,
            "operations": [options, *([examples_alone] if FACTOR == 1 else []), *_places(document)],
            "continue-on-failure": True,
        }
    )


def _places(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """For each address with a name in it, one that leads to something; but for what takes it away, which is refused for other reasons."""
    for path, methods in document["paths"].items():
        found = next((name for place, name in PLACES.items() if f"/{place}/{{" in path), None)
        if found:
            parameter = path.partition("{")[2].partition("}")[0]
            names = [name for name in _names(path, methods) if not name.startswith("DELETE")]
            yield {"include-name": names, "parameters": {f"path.{parameter}": found, "header.If-Match": "*"}}


def _names(path: str, methods: Iterable[str]) -> list[str]:
    return [f"{method.upper()} {path}" for method in methods if method in ("get", "post", "patch", "delete")]


def _in_brief(document: dict[str, Any]) -> None:
    """Leaves out bodies in media types for which nothing is described that is not described for JSON."""
    for operation in (one for methods in document["paths"].values() for one in methods.values() if isinstance(one, dict)):
        content = operation.get("requestBody", {}).get("content", {})
        for media_type in ALIKE & content.keys() if "application/json" in content else ():
            del content[media_type]


def _simple(schema: Any) -> Any:
    """
    The same with one type in each place, and without what must be contained: schemathesis cannot do with several of them. What the
    description says in words, that a parameter may be without a value, is said of each.
    """
    if isinstance(schema, list):
        return [_simple(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("in") == "query":
        schema = {"allowEmptyValue": True, **schema}
    whole = {key: _simple(one) for key, one in schema.items() if key != "contains"}
    if not isinstance(whole.get("type"), list):
        return whole
    return {**{key: one for key, one in whole.items() if key != "type"}, "anyOf": [{"type": one} for one in whole["type"]]}


def _application(site: Site) -> Any:
    """The site as its clients see it: they unpack what is compressed, and a worker brings what is written into the SPARQL store."""
    projector = Projector(site.parts, "test")

    def application(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        if environ["PATH_INFO"].startswith(("/v1/sparql", "/v1/queries")):
            projector.run_once(site.parts.now())
        told: list[Any] = []
        body = b"".join(site.client.app(environ, lambda *line: told.extend(line)))
        start(*told[:2])
        return [gzip.decompress(body) if ("content-encoding", "gzip") in told[1] else body]

    return application


def _without_a_network(send: Any) -> Any:
    """Without what schemathesis tells its client for WSGI about connections, of which it has none."""
    return lambda self, case, *, max_redirects=None, verify=None, cert=None, **more: send(self, case, **more)


def _wrong(seen: Iterable[EngineEvent]) -> Iterator[str]:
    """What has failed, with the request that shows it."""
    for one in seen:
        if isinstance(one, NonFatalError):
            yield f"{one.label}: {one.info}"
        if isinstance(one, ScenarioFinished):
            failed = [(case, check) for case, checks in one.recorder.checks.items() for check in checks if check.status is Status.FAILURE]
            for case, check in failed:
                failure = check.failure_info.failure
                yield f"{failure.title}: {failure.message}\n{one.recorder.cases[case].value.as_curl_command()}"
