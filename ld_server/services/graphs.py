"""The graph of a resource as the SPARQL store has it: what its document says, with pseudonyms in place of what is personal."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ld_server.rdf.datasets import Graph, graphs_of
from ld_server.rdf.personal import without_persons
from ld_server.services.parts import Parts
from ld_server.sparql.memory import open_memory_store
from relational.documents import Head


def graphs_of_heads(heads: Sequence[Head], parts: Parts) -> dict[str, list[Any]]:
    """The name of its graph → the triples of each of these documents."""
    graphs = graphs_of([Graph(parts.naming.iri(one.identifier), one.body) for one in heads], parts.contexts)
    return {name: without_persons(triples, parts.sealing.pseudonym) for name, triples in graphs.items()}


def differing(heads: Sequence[Head], parts: Parts) -> list[str]:
    """The identifiers of those whose graph in the SPARQL store is not equal to the document. Raises StoreUnavailable."""
    identifiers = {parts.naming.iri(one.identifier): one.identifier for one in heads}
    expected = graphs_of_heads(heads, parts)
    stored = parts.sparql.contents(list(identifiers))
    unequal = [name for name in identifiers if not _same(expected.get(name, []), stored.get(name, []))]
    weighed = _weighed({name: expected.get(name, []) for name in unequal if name in stored}, parts)
    return [identifiers[name] for name in unequal if name not in weighed or not _same(weighed[name], stored[name])]


def _same(one: Sequence[Any], other: Sequence[Any]) -> bool:
    """Whether both say the same, whatever their blank nodes are called; which of these is which is not looked into."""
    left, right = set(one), set(other)
    return len(left) == len(right) and (left == right or Counter(map(_nameless, left)) == Counter(map(_nameless, right)))


def _nameless(triple: Any) -> str:
    return _LABEL.sub("_:", str(triple))


_LABEL = re.compile(r"(?<!\S)_:\S+")


def _weighed(graphs: Mapping[str, Sequence[Any]], parts: Parts) -> dict[str, list[Any]]:
    """The same graphs as Oxigraph writes them, which has its own way with some values: it drops trailing zeros of a time."""
    scale = open_memory_store(parts.settings)
    scale.fill(graphs)
    return scale.contents(list(graphs))
