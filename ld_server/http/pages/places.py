"""Where an IRI leads when somebody clicks on it."""

from dataclasses import dataclass
from functools import cached_property
from urllib.parse import urlsplit

from ld_server.rdf import vocab


@dataclass(frozen=True)
class Places:
    """
    Links of a deployment under `base_iri`.

    What is ours is linked by its path, so that the pages work behind whatever address the browser reached them by; our
    own terms lead to the page that describes them. Only `http` and `https` are ever linked.
    """

    base_iri: str

    @cached_property
    def root(self) -> str:
        """The path of the base IRI, without a slash at the end."""
        return urlsplit(self.base_iri).path

    def href(self, iri: str) -> str | None:
        """The address to link to, or None for what a browser should not follow."""
        if self.is_ours(iri):
            return self.root + (iri.removeprefix(self.base_iri) or "/")
        if iri.startswith(vocab.RSV):
            return f"{self.root}/ns/reservations#{iri.removeprefix(vocab.RSV)}"
        return iri if _is_web(iri) else None

    def is_ours(self, iri: str) -> bool:
        """Whether this server answers for it."""
        rest = iri.removeprefix(self.base_iri)
        return iri.startswith(self.base_iri) and (not rest or rest[0] in "/?#")

    def path(self, path: str) -> str:
        """The link to a path of this server."""
        return self.root + path


def _is_web(iri: str) -> bool:
    try:
        parts = urlsplit(iri)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.netloc)
