"""`/v1/export`: the whole dataset, or a part of it, as one stream from one consistent point, and from where the next one goes on."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, cast
from urllib.parse import urlencode

import falcon
import orjson

from ld_server.domain.scopes import Scope, allows
from ld_server.http.encoding import GZIP, gzipped, takes_gzip
from ld_server.http.negotiation import FORMAT, HTML, Choice, Wanted
from ld_server.http.pages.pages import PAGE_HEADERS
from ld_server.http.showing import asked, chosen, pages_of
from ld_server.rdf import datasets, vocab
from ld_server.rdf.datasets import Graph
from ld_server.rdf.formats import FORMATS, Format
from ld_server.rdf.personal import document_without_persons
from ld_server.services import exporting
from ld_server.services.exporting import Export as Content
from ld_server.services.parts import Parts

PATH = "/v1/export"
PARAMETERS = ("type", "since", "until", "location")

OFFERS: Mapping[str, Choice] = {
    **{form.media_type: Wanted(form) for form in FORMATS},
    **{alias: Wanted(form) for form in FORMATS for alias in form.media_types[1:]},
    HTML.media_type: HTML,
}
"""What the dataset is offered as. JSON-LD is compacted: other forms would want all of it at once."""

NEXT = vocab.RSV + "nextExport"
"""The relation of the link to the next export. Not `next`: whoever follows that until there is none would never end."""


class Export:
    """The endpoint."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._iri = parts.settings.base_iri + PATH

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """The dataset as the client likes it, read while it is sent; for a browser a page that leads to it in each syntax."""
        choice = chosen(req, OFFERS)
        parameters = asked(req, PARAMETERS)
        wanted = wanted_of(parameters)
        resp.set_header("Vary", "Accept, Accept-Encoding")
        resp.set_header("Cache-Control", "no-store")
        resp.content_type = choice.content_type
        if isinstance(choice, Wanted):
            content = Content(self._parts.ledger, wanted, self._parts.naming, is_listed=req.method != "HEAD")
            self._send(req, resp, content, choice.form, parameters)
        else:
            resp.set_headers(dict(PAGE_HEADERS))
            resp.data = self._page(parameters)

    def _send(self, req: falcon.Request, resp: falcon.Response, content: Content, form: Format, parameters: Mapping[str, str]) -> None:
        resp.set_header("Content-Disposition", f'attachment; filename="export.{form.extension}"')
        if "until" not in parameters:
            following = {**{name: value for name, value in parameters.items() if name != "since"}, "since": content.following}
            resp.append_link(f"{self._iri}?{urlencode(following)}", NEXT)
        pieces = self._pieces(content, form, allows(req.context.principal.scopes, Scope.PERSONAL))
        if takes_gzip(req.get_header("Accept-Encoding") or ""):
            resp.set_header("Content-Encoding", GZIP)
            pieces = gzipped(pieces)
        resp.stream = cast(Any, pieces)

    def _pieces(self, content: Content, form: Format, with_persons: bool) -> Iterator[bytes]:
        told = _as_it_is if with_persons else partial(document_without_persons, hide=self._parts.sealing.pseudonym)
        graphs = ([Graph(one.iri, told(one.body)) for one in batch] for batch in content.batches())
        return datasets.written(graphs, form, self._parts.contexts)

    def _page(self, parameters: Mapping[str, str]) -> bytes:
        addresses = [f"{self._iri}?{urlencode({**parameters, FORMAT: form.key})}" for form in FORMATS]
        document = {
            "@context": {
                "Dataset": f"{vocab.VOID}Dataset",
                "dataDump": {"@id": f"{vocab.VOID}dataDump", "@type": "@id"},
                "title": f"{vocab.DCTERMS}title",
            },
            "@id": self._iri,
            "@type": "Dataset",
            "title": "Everything that there is, as one file" if not parameters else "A part of what there is, as one file",
            "dataDump": addresses,
        }
        return (
            pages_of(self._parts)
            .published("answer", self._iri, orjson.dumps(document).decode(), "", tuple(form.key for form in FORMATS))
            .encode()
        )


def _as_it_is(body: str) -> str:
    return body


def wanted_of(parameters: Mapping[str, str]) -> exporting.Wanted:
    """What these parameters ask for. Raises InvalidParameter."""
    return exporting.Wanted(
        kinds=exporting.kinds_of(parameters["type"]) if "type" in parameters else exporting.EVERYTHING.kinds,
        since=exporting.place_of(parameters["since"], "since") if "since" in parameters else None,
        until=exporting.place_of(parameters["until"], "until") if "until" in parameters else None,
        location=parameters.get("location"),
    )
