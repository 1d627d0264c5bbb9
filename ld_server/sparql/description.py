"""What the endpoint says about itself (SPARQL 1.1 Service Description), in one place with the features it describes."""

from string import Template

from ld_server.rdf import vocab

TURTLE = Template(
    f"""
@prefix sd: <{vocab.SD}> .
@prefix formats: <http://www.w3.org/ns/formats/> .

<$endpoint> a sd:Service ;
    sd:endpoint <$endpoint> ;
    sd:supportedLanguage sd:SPARQL11Query ;
    sd:feature sd:UnionDefaultGraph ;
    sd:resultFormat formats:SPARQL_Results_JSON, formats:SPARQL_Results_XML, formats:SPARQL_Results_CSV, formats:SPARQL_Results_TSV,
        formats:JSON-LD, formats:Turtle, formats:N-Triples, formats:N-Quads, formats:TriG, formats:RDF_XML ;
    sd:defaultDataset [ a sd:Dataset ; sd:defaultGraph [ a sd:Graph ] ] .
"""
)


def description(endpoint: str) -> bytes:
    """The description, in Turtle. `endpoint` is the IRI of the endpoint."""
    return TURTLE.substitute(endpoint=endpoint).encode()
