"""The one table of RDF syntaxes: what can be read, what can be written, under which names."""

from dataclasses import dataclass

from pyoxigraph import RdfFormat


@dataclass(frozen=True)
class Format:
    """
    A syntax. `media_types[0]` is the name it is served under, the others are accepted too. `quads` syntaxes
    carry the name of the graph (the resource's IRI). `json` bodies get the default context when they bring none.
    """

    key: str
    media_types: tuple[str, ...]
    extension: str
    rdf: RdfFormat
    json: bool = False
    quads: bool = False
    utf8: bool = False
    """The registration of the type has a charset parameter that is worth sending."""

    @property
    def media_type(self) -> str:
        return self.media_types[0]


JSON_LD = Format("jsonld", ("application/ld+json",), "jsonld", RdfFormat.JSON_LD, json=True)
JSON = Format("json", ("application/json",), "json", RdfFormat.JSON_LD, json=True)
TURTLE = Format("turtle", ("text/turtle", "application/x-turtle"), "ttl", RdfFormat.TURTLE, utf8=True)
N_TRIPLES = Format("ntriples", ("application/n-triples",), "nt", RdfFormat.N_TRIPLES)
N_QUADS = Format("nquads", ("application/n-quads",), "nq", RdfFormat.N_QUADS, quads=True)
TRIG = Format("trig", ("application/trig",), "trig", RdfFormat.TRIG, quads=True)
RDF_XML = Format("rdfxml", ("application/rdf+xml",), "rdf", RdfFormat.RDF_XML)

FORMATS = (JSON_LD, JSON, TURTLE, N_TRIPLES, N_QUADS, TRIG, RDF_XML)
"""In the order of preference when a client has none."""

BY_MEDIA_TYPE = {media_type: form for form in FORMATS for media_type in form.media_types}
