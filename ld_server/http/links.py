"""
Link headers (RFC 8288) that are always the same: made once, set as they are. What changes with the page (`next`) is appended to them.
"""

import re

from ld_server.rdf import vocab
from ld_server.resources.kind import Kind

API_DOCUMENTATION = "/v1/api-documentation"

_INNER_CAPITAL = re.compile(r"(?<=[a-z])(?=[A-Z])")


def of_everything(base_iri: str) -> str:
    """What every answer links to: the description of the interface in Hydra's terms."""
    return _link(base_iri + API_DOCUMENTATION, vocab.HYDRA + "apiDocumentation")


def of_resource(kind: Kind, base_iri: str) -> str:
    """What a resource links to besides: its shape, its collection (RFC 6573) and its classes (RFC 6903)."""
    links = [_link(shape_page(kind, base_iri), "describedby"), _link(base_iri + kind.path, "collection")]
    return ", ".join([*links, *(_link(type_, "type") for type_ in kind.frame.types), of_everything(base_iri)])


def of_collection(base_iri: str) -> str:
    """What a collection links to besides: its class."""
    return f"{_link(vocab.HYDRA + 'Collection', 'type')}, {of_everything(base_iri)}"


def of_entry(base_iri: str) -> str:
    """What the entry point links to besides: the descriptions for programs and for people (RFC 8631)."""
    services = [_link(f"{base_iri}/openapi.json", "service-desc"), _link(f"{base_iri}/docs", "service-doc")]
    return ", ".join([*services, of_everything(base_iri)])


def shape_page(kind: Kind, base_iri: str) -> str:
    """Where the shape of the kind is published: `RentAction` is in `rent-action`."""
    local = kind.frame.shape.removeprefix(vocab.SHAPES)
    return f"{base_iri}/shapes/{_INNER_CAPITAL.sub('-', local).lower()}"


def _link(target: str, relation: str) -> str:
    return f'<{target}>; rel="{relation}"'
