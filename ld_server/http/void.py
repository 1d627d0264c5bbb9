"""What data there is, in VoID's terms: for crawlers, and for whoever finds a dataset before a document."""

from typing import Any

from ld_server.http.hydra import class_of
from ld_server.rdf import vocab
from ld_server.resources import KINDS

Json = dict[str, Any]

PATH = "/.well-known/void"

FEATURES = ("JSON-LD", "Turtle", "N-Triples", "N-Quads", "TriG", "RDF_XML")
"""The syntaxes, by the names that W3C gives them under http://www.w3.org/ns/formats/."""

_IRIS = ("sparqlEndpoint", "dataDump", "vocabulary", "feature", "rootResource", "class")

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
    "classPartition": {"@id": "void:classPartition", "@container": "@set"},
    **{word: {"@id": f"void:{word}", "@type": "@id"} for word in _IRIS},
}


def description(base_iri: str) -> Json:
    """The description of a deployment's data: of what kinds it is. How much there is of each is for those who may read it."""
    here = base_iri + PATH
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
            "classPartition": [{"class": class_of(kind)} for kind in KINDS.values()],
        },
    }
