"""What the service asks of a SPARQL store. Every backend keeps the same promises; tests/contract/test_sparql_store.py holds them to it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from pyoxigraph import Triple

from ld_server.settings import Settings


@dataclass(frozen=True)
class Answer:
    """What a query gave: the media type that was asked for, and the serialised result."""

    media_type: str
    body: bytes


@dataclass(frozen=True)
class Limits:
    """The most that one query may answer: rows (or triples) and bytes."""

    rows: int
    octets: int


def limits_of(settings: Settings) -> Limits:
    """The limits of a deployment."""
    return Limits(settings.sparql_max_rows, settings.sparql_max_bytes)


@dataclass(frozen=True)
class Dataset:
    """What a query sees: the merge of `default` as its default graph, and `named` by GRAPH (SPARQL 1.1, section 13)."""

    default: tuple[str, ...]
    named: tuple[str, ...]


class SparqlStore(Protocol):
    """
    A set of named graphs that answers SPARQL queries.

    A query that brings no dataset sees the union of all named graphs as its default graph, each triple once. Nothing is ever
    fetched from elsewhere. Every method raises StoreUnavailable when the store cannot be reached.
    """

    def replace(self, graphs: Mapping[str, Sequence[Triple]]) -> None:
        """
        Each named graph becomes exactly these triples; an empty one is dropped.

        All or nothing where the backend has transactions. Blank nodes stay inside their graph, even when two graphs use the same label.
        Raises ValueError for a name that is no absolute IRI.
        """

    def fill(self, graphs: Mapping[str, Sequence[Triple]]) -> None:
        """
        The same for many graphs of which most are new: those come in bulk where the backend can.

        Each graph is whole at every moment, but not all of them are there at once.
        """

    def query(
        self, query: str, accept: str, *, default_graphs: Sequence[str] = (), named_graphs: Sequence[str] = (), timeout: float
    ) -> Answer:
        """
        The result of a query, in the media type `accept` (one of results.MEDIA_TYPES, which must suit the form of the query).

        `default_graphs` and `named_graphs` are the dataset of the request and win over the one in the query (SPARQL 1.1 Protocol, 2.1.4).
        `timeout` is in seconds. Raises QueryRefused for what guard.check refuses, InvalidParameter with the parser's words for a
        syntax error, QueryLimitExceeded when it takes too long or answers too much.
        """

    def graph_names(self) -> Iterator[str]:
        """The IRIs of all graphs that hold a triple."""

    def triples(self, graph: str) -> list[Triple]:
        """All triples of one graph; none when there is no such graph."""

    def contents(self, graphs: Sequence[str]) -> dict[str, list[Triple]]:
        """All triples of several graphs, by their names; those that there are not are left out."""

    def clear(self) -> None:
        """Drop everything the store holds, also what others have put there."""

    def ping(self) -> None:
        """Return when the store answers."""

    def close(self) -> None:
        """Give connections back. A closed store must not be used."""
