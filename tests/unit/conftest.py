"""What the RDF tests share: names and contexts of a deployment at http://localhost:8000."""

from dataclasses import dataclass

import orjson
import pytest
from pyoxigraph import CanonicalizationAlgorithm, Dataset, Quad

from ld_server.rdf import adoption, codecs, representation
from ld_server.rdf.contexts import Contexts
from ld_server.rdf.formats import JSON, Format
from ld_server.rdf.naming import Naming
from ld_server.rdf.published import data_directory
from ld_server.resources import KINDS, PATHS

BASE = "http://localhost:8000"


@dataclass(frozen=True)
class Reader:
    """Reads and adopts what is posted to the collection of a kind; no shapes are asked."""

    contexts: Contexts
    naming: Naming

    def adopt(self, posted, form: Format = JSON, kind: str = "rentAction"):
        body = posted if isinstance(posted, bytes) else orjson.dumps(posted)
        frame = KINDS[kind].frame
        triples = codecs.read(body, form, self.naming.collection(frame.prefix) + "/", self.contexts, codecs.Limits())
        return adoption.adopt(triples, frame, self.naming, self.contexts)

    def document(self, posted, form: Format = JSON, kind: str = "rentAction"):
        return representation.document_of(self.adopt(posted, form, kind), KINDS[kind].keys, self.contexts)


@pytest.fixture(scope="session")
def reader() -> Reader:
    return Reader(Contexts(data_directory("contexts"), BASE), Naming(BASE, PATHS))


def canonical(triples, root="http://root.example/") -> list[str]:
    """The canonical form (RDFC-1.0) of a graph whose root, and the parts named after it, are called `root`."""
    dataset = Dataset([Quad(*triple) for triple in triples])
    dataset.canonicalize(CanonicalizationAlgorithm.RDFC_1_0)
    return sorted(str(quad).replace(root, "http://root.example/") for quad in dataset)
