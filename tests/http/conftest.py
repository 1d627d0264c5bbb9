"""The whole application over real parts in a temporary directory, and a client that speaks to it with keys of every scope."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from falcon import testing

from ld_server.bootstrap import build
from ld_server.domain.scopes import Scope
from ld_server.http.app import create_app
from ld_server.rdf.validation import Validator
from ld_server.services import keys
from ld_server.services.parts import Parts
from ld_server.settings import Settings
from tests import factories
from tests.http.described import Description

BASE = "http://localhost:8000"
ITEM_TYPES, ASSETS, RESERVATIONS = "/v1/catalog/item-types", "/v1/catalog/assets", "/v1/rent-actions"
LD_JSON = "application/ld+json"


_DESCRIPTIONS: list[Description] = []
_VALIDATORS: list[Validator] = []


@dataclass
class Site:
    """The application, its parts, and a key for every scope under the scope's name, `reader` having none."""

    parts: Parts
    client: testing.TestClient
    keys: dict[str, str] = field(default_factory=dict)

    def ask(
        self, method: str, path: str, *, key: str | None = "admin", body: Any = None, query: str = "", **headers: str
    ) -> testing.Result:
        """
        A request with the key of that name; `body` may be bytes, or JSON terms. Underscores in header names mean dashes.

        Whatever the test is about: the answer must be one that the description of the interface has.
        """
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if key is not None:
            named["Authorization"] = f"Bearer {self.keys.get(key, key)}"
        if body is not None and not isinstance(body, bytes):
            body, named = orjson.dumps(body), {"Content-Type": "application/json", **named}
        answer = self.client.simulate_request(method, path, headers=named, body=body, query_string=query)
        self.description.check(method, path, answer)
        return answer

    @property
    def description(self) -> Description:
        """What the first of all sites says about its interface; the others are alike."""
        if not _DESCRIPTIONS:
            _DESCRIPTIONS.append(Description(self.client.simulate_get("/openapi.json").json))
        return _DESCRIPTIONS[0]

    def over(self, **changes: Any) -> "Site":
        """The same site with some of its parts exchanged."""
        parts = replace(self.parts, **changes)
        return Site(parts, testing.TestClient(create_app(parts)), self.keys)

    def get(self, path: str, **more: Any) -> testing.Result:
        return self.ask("GET", path, **more)

    def post(self, path: str, body: Any = None, **more: Any) -> testing.Result:
        return self.ask("POST", path, body=body, **more)

    def made(self, path: str, body: Mapping[str, Any]) -> str:
        """The identifier of a new resource."""
        answer = self.post(path, body)
        assert answer.status_code == 201, answer.text
        return str(answer.json["identifier"])

    def item_type(self, code: str = "TimerNode-v2", **changes: Any) -> str:
        return self.made(ITEM_TYPES, factories.item_type(code, **changes))

    def asset(self, item_type: str, **changes: Any) -> str:
        return self.made(ASSETS, factories.asset(item_type, **changes))

    def reservation(self, item_type: str, quantity: int = 1, **changes: Any) -> str:
        return self.made(RESERVATIONS, factories.reservation(item_type, quantity, **changes))

    def written(self) -> dict[str, int]:
        """How many of everything there are: what must not change when a request is refused."""
        with self.parts.ledger.read() as uow:
            kinds = {kind: uow.documents.count(kind) for kind in ("itemType", "asset", "rentAction", "attachment")}
            return {**kinds, "events": len(uow.outbox.after(0, 100_000)), "projections": uow.projections.newest()}


def problem(answer: testing.Result, slug: str, status: int) -> dict[str, Any]:
    """The problem document of a refusal, after checking that it is a whole one."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    found: dict[str, Any] = answer.json
    assert found["type"] == f"{BASE}/problems/{slug}"
    assert found["status"] == status
    assert found["title"]
    assert found["detail"].endswith((".", "?", ")"))
    assert found["correlationId"] == answer.headers["x-correlation-id"]
    assert "Accept" in answer.headers["vary"]
    assert not any(word in answer.text for word in ("Traceback", "sqlalchemy", "sqlite3", ".py"))
    return found


def with_known_shapes(parts: Parts) -> Parts:
    """The same parts with the shapes that the first of all sites has read: that takes longer than most tests, and ours are alike."""
    if parts.settings.shapes_dir or parts.settings.base_iri != BASE:
        return parts
    if not _VALIDATORS:
        _VALIDATORS.append(parts.validator)
    return replace(parts, validator=_VALIDATORS[0])


def open_site(parts: Parts) -> Site:
    """The application over these parts, with its keys."""
    parts = with_known_shapes(parts)
    site = Site(parts, testing.TestClient(create_app(parts)))
    with parts.ledger.write() as uow:
        for name in (*Scope, "reader"):
            site.keys[str(name)] = keys.new_text()
            keys.add(uow, site.keys[str(name)], str(name), [] if name == "reader" else [name], parts.now())
    return site


def with_files_on_the_disk(settings: Settings) -> Settings:
    """The same deployment with its files in its directory: links to them lead to ourselves then, which the client can follow."""
    return replace(settings, blob_url="", blob_endpoint="")


@pytest.fixture
def either_site(database_url: str, tmp_path: Path) -> Iterator[Site]:
    """The application over a ledger on each engine in turn."""
    parts = build(Settings(data_dir=tmp_path, database_url=database_url, sparql_url="memory:"))
    yield open_site(parts)
    parts.close()


@pytest.fixture
def site(settings: Settings) -> Iterator[Site]:
    parts = build(settings)
    yield open_site(parts)
    parts.close()
