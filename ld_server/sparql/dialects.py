"""
How servers are asked that do not do as the SPARQL 1.1 Protocol says.

Virtuoso (7.2.5 was tried) is one. Its default graph repeats a triple for each graph that holds it, so the union is kept in a graph of our
own. With that as the default graph, it finds `GRAPH <name>` only where the request names it, too, while `GRAPH ?name` reaches everything,
also the graphs that it keeps for itself. It answers ASK with a table, and durations as seconds. Its functions `bif:` and `sql:` reach the
network and its tables. Where it gives up, or answers no more rows, it says so in a header.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlsplit, urlunsplit

from pyoxigraph import NamedNode

from ld_server.domain.errors import QueryLimitExceeded, QueryRefused, StoreUnavailable
from ld_server.sparql import results
from ld_server.sparql.guard import without_graphs
from ld_server.sparql.port import Dataset

Parameters = tuple[tuple[str, str], ...]
"""Parameters of the SPARQL Protocol."""

UNION = NamedNode("urn:ld-reservations:union")
"""The graph that is the union of all others, in servers that keep none."""


@dataclass(frozen=True)
class Reply:
    """What came back. Names of headers are in small letters."""

    status: int
    media_type: str
    body: bytes
    headers: Mapping[str, str]

    def excuse(self) -> str:
        """What the server says about a failure, without the query that Virtuoso says after it."""
        return self.body[:500].decode("utf-8", "replace").partition("\n\nSPARQL query:")[0].strip()


class Standard:
    """A server that does as the specifications say."""

    tables = f"{results.JSON}, {results.XML};q=0.5"
    """The media types of tables that are asked for."""
    union: NamedNode | None = None
    """The graph that is kept equal to the union; None where that is the default graph, or the server's own business."""
    by_digest = False
    """Whether the user of a URL answers challenges; otherwise name and password are sent."""

    def refuse(self, query: str, is_told_twice: bool) -> None:
        """
        Raises QueryRefused for what only this server understands, or does not understand.

        `is_told_twice` says that the request chooses a dataset, and so does the query.
        """

    def asked(self, query: str, dataset: Dataset | None, graphs: Sequence[str], seconds: float) -> Parameters:
        """What is sent to have a query answered over a dataset. `graphs` are those that its GRAPH clauses name, and variables there."""
        return (("query", query), *_named(dataset))

    def understood(self, reply: Reply) -> Reply:
        """
        An answer as other servers would have given it.

        Raises QueryLimitExceeded for one that is not whole, StoreUnavailable for that of a server that has another dialect.
        """
        if reply.headers.get("server", "").startswith("Virtuoso"):
            raise StoreUnavailable("The SPARQL store is a Virtuoso: LD_SPARQL_URL has to begin with virtuoso+http: or virtuoso+https:.")
        return reply

    def emptying(self, names: Callable[[], Iterable[str]]) -> Iterator[str]:
        """The updates after which the server has nothing more. `names` gives those of its graphs."""
        yield "DROP ALL"


class Virtuoso(Standard):
    """See the first lines of this module."""

    tables = results.XML  # its JSON calls literals what they were called in a draft
    union = UNION
    by_digest = True

    def refuse(self, query: str, is_told_twice: bool) -> None:
        if is_told_twice:
            raise QueryRefused("The SPARQL store cannot pass over FROM where the request chooses graphs, too.", keyword="FROM")
        if _BUILT_IN.search(query):
            raise QueryRefused("Names that begin with bif: or sql: are not allowed: they reach beyond the data.", keyword="bif:")

    def asked(self, query: str, dataset: Dataset | None, graphs: Sequence[str], seconds: float) -> Parameters:
        patience = ("timeout", str(max(1, round(seconds * 1000))))
        if dataset is not None:
            return (("query", query), *_named(Dataset(dataset.default or (NOTHING,), dataset.named or (NOTHING,))), patience)
        constants = tuple(name for name in graphs if name[:1] not in "?$")
        if constants and len(constants) < len(graphs):
            raise QueryRefused("The SPARQL store cannot follow GRAPH with a name and with a variable in one query.", keyword="GRAPH")
        text = without_graphs(query, (UNION.value, *_OF_THE_SERVER)) if graphs and not constants else query
        return (("query", text), *_named(Dataset((UNION.value,), constants)), patience)

    def understood(self, reply: Reply) -> Reply:
        if "x-sql-state" in reply.headers:
            raise results.took_too_long()
        if "x-sparql-maxrows" in reply.headers:
            raise QueryLimitExceeded("The answer has more rows than the SPARQL store gives; add a LIMIT or ask for less.")
        body = reply.body
        for pattern, replacement in _MENDED:
            body = pattern.sub(replacement, body)
        return replace(reply, body=body)

    def emptying(self, names: Callable[[], Iterable[str]]) -> Iterator[str]:
        return (f"DROP SILENT GRAPH {name}" for name in (*map(NamedNode, names()), UNION))


NOTHING = "urn:ld-reservations:nothing"
"""A graph that does not exist: a dataset without graphs of a kind names it, or else all of them would be reached."""

_OF_THE_SERVER = (
    "http://www.openlinksw.com/schemas/virtrdf#",
    "http://www.w3.org/ns/ldp#",
    "http://www.w3.org/2002/07/owl#",
    "http://localuriqaserver/sparql",
    "urn:activitystreams-owl:map",
    "urn:core:services:sparql",
)
"""Graphs that Virtuoso has made for itself (7.2.5 and later ones)."""

_BUILT_IN = re.compile(r"(?:bif|sql):|\\u", re.IGNORECASE)
"""Anywhere, whatever it is there: a text can be cut into tokens in several ways. Escapes could hide it."""

_DURATION = rb"http://www.w3.org/2001/XMLSchema#duration"
_RETVAL = rb'<variable name="__ASK_RETVAL"/>\s*</head>\s*<results[^>]*>\s*'
_ROW = rb'<result>\s*<binding name="__ASK_RETVAL"><literal[^>]*>%s</literal></binding>\s*</result>\s*'
_MENDED = (
    (re.compile(rb'"(-?)(\d+(?:\.\d+)?)"\^\^<' + _DURATION + rb">"), rb'"\1PT\2S"^^<' + _DURATION + rb">"),
    (re.compile(rb'(<literal datatype="' + _DURATION + rb'">-?)(\d+(?:\.\d+)?)(?=</literal>)'), rb"\1PT\2S"),
    (re.compile(_RETVAL + _ROW % rb"1" + rb"</results>"), rb"</head><boolean>true</boolean>"),
    (re.compile(_RETVAL + rb"(?:" + _ROW % rb"0" + rb")?</results>"), rb"</head><boolean>false</boolean>"),
    (re.compile(rb"\A# Empty (?:NT|TURTLE)\s*\Z"), b""),
)
"""What is written otherwise than the specifications say, and how they would write it. No literal can have it like this."""

STANDARD, VIRTUOSO = Standard(), Virtuoso()


def graph_store_beside(url: str) -> str:
    """Where a Virtuoso takes graphs whose SPARQL endpoint is at `url`: in an update it takes neither blank nodes nor durations."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc, parts.path.replace("/sparql", "/sparql-graph-crud", 1), "", ""))


def _named(dataset: Dataset | None) -> Parameters:
    if dataset is None:
        return ()
    default = (("default-graph-uri", name) for name in dataset.default)
    named = (("named-graph-uri", name) for name in dataset.named)
    return (*default, *named)
