"""
How resources are named: an identifier is a prefix and a number (`ra_12`), its IRI a path under the base IRI.

Parts of a resource are named by fragments of its IRI (`…/ra_12#line-1`), so that no blank node is needed for
what the service itself talks about.
"""

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

_IDENTIFIER = re.compile(r"([A-Za-z]+)_([1-9][0-9]{0,17})\Z")


@dataclass(frozen=True)
class Naming:
    """
    Names under `base_iri` (no slash at the end). `paths` maps the prefix of identifiers to the path of their
    collection: `{"ra": "/v1/rent-actions"}`.
    """

    base_iri: str
    paths: Mapping[str, str]

    def collection(self, prefix: str) -> str:
        """The IRI of the collection in which identifiers of this prefix live."""
        return self.base_iri + self.paths[prefix]

    def iri(self, identifier: str) -> str:
        """The IRI of a resource. Raises ValueError when it is not an identifier of ours."""
        parsed = self.parse(identifier)
        if parsed is None:
            raise ValueError(f"{identifier!r} is not an identifier")
        return f"{self.base_iri}{self.paths[parsed[0]]}/{identifier}"

    def parse(self, identifier: str) -> tuple[str, int] | None:
        """The prefix and the number of an identifier, or None when it is none of ours."""
        match = _IDENTIFIER.match(identifier)
        if match is None or match[1] not in self.paths:
            return None
        return match[1], int(match[2])

    def identifier(self, iri: str) -> str | None:
        """
        The identifier that an IRI means, or None.

        Taken are the resource's own IRI, and any IRI under the base whose last segment is an identifier: that is
        what a bare `"itemType_7"` becomes when it is resolved as a relative IRI. Fragments name parts, not resources.
        """
        if not iri.startswith(self.base_iri + "/"):
            return None
        candidate = iri.rsplit("/", 1)[1]
        return candidate if self.parse(candidate) else None

    def owner(self, iri: str) -> str | None:
        """The identifier of the resource that the IRI, with or without a fragment, belongs to, or None."""
        return self.identifier(iri.partition("#")[0])

    def placeholder(self, prefix: str) -> str:
        """An IRI nobody can guess, which stands for a new resource until its number is drawn."""
        return f"{self.collection(prefix)}/new-{uuid.uuid4().hex}"
