"""
Replacing named graphs, as the text of one SPARQL 1.1 Update request.

A request is "a sequence of operations, ideally atomic" (SPARQL 1.1 Update, section 2.2); Oxigraph makes it one transaction.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from pyoxigraph import BlankNode, NamedNode, Triple


def replacement(graphs: Mapping[str, Sequence[Triple]]) -> str:
    """Each graph becomes exactly its triples. Raises ValueError for a name that is no absolute IRI."""
    drops = [f"DROP SILENT GRAPH {NamedNode(name)}" for name in graphs]
    return _request([*drops, *_insertion(graphs)])


def mirrored_replacement(graphs: Mapping[str, Sequence[Triple]]) -> str:
    """
    As `replacement`, and the default graph follows: it holds every triple that some named graph holds.

    For stores whose own default graph is not the union. A triple leaves it with the last graph that holds it.
    """
    drops = [operation for name in graphs for operation in (_unmirror(NamedNode(name)), f"DROP SILENT GRAPH {NamedNode(name)}")]
    mirrors = [f"INSERT {{ ?s ?p ?o }} WHERE {{ GRAPH {NamedNode(name)} {{ ?s ?p ?o }} }}" for name, triples in graphs.items() if triples]
    return _request([*drops, *_insertion(graphs), *mirrors])


def _request(operations: Sequence[str]) -> str:
    return " ;\n".join(operations)


def _unmirror(name: NamedNode) -> str:
    elsewhere = f"GRAPH ?other {{ ?s ?p ?o }} FILTER(?other != {name})"
    return f"DELETE {{ ?s ?p ?o }} WHERE {{ GRAPH {name} {{ ?s ?p ?o }} FILTER NOT EXISTS {{ {elsewhere} }} }}"


def _insertion(graphs: Mapping[str, Sequence[Triple]]) -> list[str]:
    """One operation for all graphs, or none: a label of a blank node must not occur in two operations (section 19.6)."""
    blocks = [_block(number, name, triples) for number, (name, triples) in enumerate(graphs.items()) if triples]
    return [f"INSERT DATA {{ {' '.join(blocks)} }}"] if blocks else []


def _block(number: int, name: str, triples: Sequence[Triple]) -> str:
    labels: dict[str, str] = {}
    lines = [f"{_term(one.subject, number, labels)} {one.predicate} {_term(one.object, number, labels)} ." for one in triples]
    return f"GRAPH {NamedNode(name)} {{\n" + "\n".join(lines) + "\n}"


def _term(term: Any, number: int, labels: dict[str, str]) -> str:
    """A term as SPARQL writes it; blank nodes get a label that no other graph of the request has."""
    if isinstance(term, BlankNode):
        return labels.setdefault(term.value, f"_:g{number}b{len(labels)}")
    return str(term)
