"""The maintenance log of a unit: its entries, and a new one."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import falcon
import orjson

from ld_server.domain.errors import MalformedBody
from ld_server.http import links
from ld_server.http.body import READABLE
from ld_server.http.creation import create, limits_of
from ld_server.http.endpoints.resources import Collection
from ld_server.http.finding import head_of
from ld_server.http.paging import PAGE_PARAMETERS, collection_page, cut, page_of
from ld_server.http.showing import asked, may_be_listed, show_page
from ld_server.rdf import adoption, codecs
from ld_server.rdf.formats import JSON, JSON_LD, Format
from ld_server.resources.asset import ASSET
from ld_server.resources.maintenance_log import FRAME, MAINTENANCE_LOG, of_asset
from ld_server.services import history
from ld_server.services.parts import Parts

LOG_OF_ASSET = replace(MAINTENANCE_LOG, filters={name: one for name, one in MAINTENANCE_LOG.filters.items() if name != "assetId"})
"""The kind as it is listed for one unit."""


class AssetHistory:
    """`/v1/assets/{identifier}/history`: what happened to a unit, all in one."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def on_get(self, req: falcon.Request, resp: falcon.Response, identifier: str) -> None:
        """A page of it, the newest first. Entries are numbered from the oldest, so that new ones move no page."""
        may_be_listed(req)
        parameters = asked(req, PAGE_PARAMETERS)
        page = page_of(parameters, f"{identifier}_history")
        head = head_of(self._parts, ASSET, identifier)
        with self._parts.ledger.read() as uow:
            entries = list(enumerate(history.of_asset(uow, head), start=1))
        found = [one for one in reversed(entries) if page.after is None or one[0] < page.after]
        count, following = cut([number for number, _ in found[: page.limit + 1]], page, f"{identifier}_history")
        bodies = [orjson.dumps(entry).decode() for _, entry in found]
        iri = f"{self._parts.settings.base_iri}/v1/assets/{identifier}/history"
        shown = collection_page(iri, parameters, len(entries), following)
        show_page(req, resp, shown, bodies[:count], ASSET, self._parts, lambda: bodies)


class AssetLog:
    """`/v1/assets/{identifier}/maintenance-logs`."""

    accept_post = READABLE

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._links = links.of_resource(MAINTENANCE_LOG, parts.settings.base_iri)

    def on_get(self, req: falcon.Request, resp: falcon.Response, identifier: str) -> None:
        """A page of the log, filtered and sorted as the collection of all entries can be."""
        head_of(self._parts, ASSET, identifier)
        iri = f"{self._parts.settings.base_iri}/v1/assets/{identifier}/maintenance-logs"
        kind = replace(LOG_OF_ASSET, always=(("asset", "=", identifier),))
        Collection(self._parts, kind, iri).on_get(req, resp)

    def on_post(self, req: falcon.Request, resp: falcon.Response, identifier: str) -> None:
        """Writes one or many entries: 201."""
        head_of(self._parts, ASSET, identifier)
        create(req, resp, self._parts, of_asset(self._parts.naming.iri(identifier), self._merged))
        resp.set_header("Link", self._links)

    def _merged(self, text: str) -> tuple[str, Sequence[Any]]:
        """What an action of schema.org says, and how it is kept; without a context of its own it is read under ours."""
        value = orjson.loads(text)
        if not isinstance(value, dict):
            raise MalformedBody("schemaOrg must be one JSON-LD object.", pointer="/schemaOrg")
        posted = self._read(text.encode(), JSON_LD if "@context" in value else JSON)
        portions = adoption.portions(posted, FRAME, self._parts.contexts)
        if len(portions) > 1:
            raise MalformedBody(f"schemaOrg describes {len(portions)} resources; one is wanted.", pointer="/schemaOrg")
        return orjson.dumps(self._as_it_came(value)).decode(), portions[0].triples

    def _read(self, text: bytes, form: Format) -> Sequence[Any]:
        try:
            return codecs.read(text, form, self._parts.naming.collection("log") + "/", self._parts.contexts, limits_of(self._parts))
        except MalformedBody as refusal:
            raise MalformedBody(f"schemaOrg cannot be read. {refusal.detail}", pointer="/schemaOrg") from None

    def _as_it_came(self, value: dict[str, Any]) -> dict[str, Any]:
        """With the addresses of contexts in the places where the reader of the body has put their definitions."""
        if "@context" not in value:
            return value
        contexts = self._parts.contexts
        names = ((contexts.schema_org, contexts.reference[0]), (contexts.v1, contexts.v1_iri))
        found = value["@context"] if isinstance(value["@context"], list) else [value["@context"]]
        named = [next((name for definition, name in names if one == definition), one) for one in found]
        return {**value, "@context": named if isinstance(value["@context"], list) else named[0]}
