"""The graph of a resource as the SPARQL store has it: what its document says, with pseudonyms in place of what is personal."""

from typing import Any

from ld_server.rdf.personal import without_persons
from ld_server.rdf.representation import triples_of
from ld_server.services.parts import Parts


def graph_of(body: str, parts: Parts) -> list[Any]:
    """The triples of a stored document."""
    return without_persons(triples_of(body, parts.contexts), parts.sealing.pseudonym)
