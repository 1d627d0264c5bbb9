"""What data there is, in VoID's terms: for crawlers, and for whoever finds a dataset before a document."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ld_server.http.hydra import class_of
from ld_server.rdf import vocab
from ld_server.resources import KINDS

Json = dict[str, Any]

PATH = "/.well-known/void"

FEATURES = ("JSON-LD", "Turtle", "N-Triples", "N-Quads", "TriG", "RDF_XML")
"""The syntaxes, by the names that W3C gives them under http://www.w3.org/ns/formats/."""

_IRIS = (
    "sparqlEndpoint", "dataDump", "vocabulary", "feature", "exampleResource", "rootResource", "class", "uriLookupEndpoint",
)  # fmt: skip

CONTEXT: Json = {
    "void": vocab.VOID,
    "dcterms": vocab.DCTERMS,
    "foaf": vocab.FOAF,
    "Dataset": "void:Dataset",
    "DatasetDescription": "void:DatasetDescription",
    "title": "dcterms:title",
    "description": "dcterms:description",
    "topic": {"@id": "foaf:primaryTopic", "@type": "@id"},
    "uriSpace": "void:uriSpace",
    "entities": "void:entities",
    "classPartition": {"@id": "void:classPartition", "@container": "@set"},
    **{word: {"@id": f"void:{word}", "@type": "@id"} for word in _IRIS},
}


@dataclass(frozen=True)
class Count:
    """How many resources of a kind there are, and the IRI of one of them, if there is one."""

    entities: int
    example: str | None


def description(base_iri: str, counts: Mapping[str, Count]) -> Json:
    """The description of a deployment's data. `counts` by the name of the kind."""
    here = base_iri + PATH
    examples: Sequence[str] = [count.example for count in counts.values() if count.example]
    return {
        "@context": CONTEXT,
        "@id": here,
        "@type": "DatasetDescription",
        "title": "What data there is",
        "topic": {
            "@id": f"{here}#dataset",
            "@type": "Dataset",
            "title": "ld-reservations",
            "description": "Fleet equipment and its reservations. A key is needed to read the resources and to query them.",
            "uriSpace": f"{base_iri}/v1/",
            "rootResource": f"{base_iri}/",
            "sparqlEndpoint": f"{base_iri}/v1/sparql",
            "dataDump": f"{base_iri}/v1/export",
            "vocabulary": [vocab.SCHEMA, vocab.RSV],
            "feature": [vocab.FORMATS + name for name in FEATURES],
            "exampleResource": examples,
            "entities": sum(count.entities for count in counts.values()),
            "classPartition": [{"class": class_of(KINDS[name]), "entities": count.entities} for name, count in counts.items()],
        },
    }
