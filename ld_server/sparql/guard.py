"""
Which queries are let through: those that only read, and only from here.

`SERVICE` makes the store open connections for whoever asks, so it must be found wherever it stands. Asking a parser is not
enough: two parsers may read one text differently, and then the store calls what the other one took for a string. (Oxigraph
0.5.13 calls `FILTER(?a<?b)#> '''` followed by a SERVICE clause on the next line, and `service:x {…}`; rdflib 7.6 sees neither,
and refuses valid SPARQL 1.2.) So this module reads tokens only, and follows every way in which a text can be cut into tokens:
a query passes when none of them shows a SERVICE clause. The grammar is judged by the store, which answers anyway.

A parser that calls itself for what stands inside may run out of stack, and its process ends: Oxigraph 0.5.13 does at a thousand braces,
which are two kilobytes. So nesting is bounded, and so is what is joined, again in every reading.
"""

import heapq
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from urllib.parse import urljoin

from ld_server.domain.errors import InvalidParameter, QueryLimitExceeded, QueryRefused
from ld_server.sparql.port import Dataset


class Form(Enum):
    """What a query asks for (SPARQL 1.1, section 16)."""

    SELECT = "SELECT"
    ASK = "ASK"
    CONSTRUCT = "CONSTRUCT"
    DESCRIBE = "DESCRIBE"

    @property
    def gives_graph(self) -> bool:
        """Whether the answer is RDF; otherwise it is a table or a boolean."""
        return self in (Form.CONSTRUCT, Form.DESCRIBE)


@dataclass(frozen=True)
class QueryForm:
    """
    What a query asks for, and the dataset that its own FROM clauses choose, by absolute IRIs; None when it has none.

    `graphs` are those that its GRAPH clauses name, by IRIs, or by a variable as it is written.
    """

    form: Form
    dataset: Dataset | None = None
    graphs: tuple[str, ...] = ()

    def dataset_given(self, default_graphs: Sequence[str], named_graphs: Sequence[str]) -> Dataset | None:
        """
        The dataset to be used: that of the request wins over that of the query (SPARQL 1.1 Protocol, 2.1.4).

        Raises InvalidParameter for a name that is no absolute IRI.
        """
        if default_graphs or named_graphs:
            for name in (*default_graphs, *named_graphs):
                _refuse_relative(name, name)
            return Dataset(tuple(default_graphs), tuple(named_graphs))
        return self.dataset


def check(query: str) -> QueryForm:
    """
    The form of a query that may be asked.

    Raises QueryRefused for SERVICE anywhere and for updates, QueryLimitExceeded for what is nested too deep or joins too much,
    InvalidParameter for what is not a query at all.
    """
    return _remembered(query) if len(query) <= _WORTH_REMEMBERING else _check(query)


def without_graphs(query: str, hidden: Sequence[str]) -> str:
    """The same query, in which no variable of a GRAPH clause is one of the hidden graphs: a FILTER stands after each such clause."""
    told = ", ".join(f"<{name}>" for name in hidden)
    text, opened, expected, variable = "", [""], False, ""
    for kind, piece in _split(query):
        text += piece
        if kind == "mark" and piece == "{":
            opened.append(variable)
        elif piece == "}" and opened and (over := opened.pop()):
            text += f" FILTER({over} NOT IN ({told}))"
        if kind != "gap":
            variable = piece if expected and kind == "variable" else ""
            expected = piece.upper() == "GRAPH"
    return text


_WORTH_REMEMBERING = 16_384
"""Characters; longer texts are rarely asked twice."""

LONGEST = 1 << 18
"""Characters, four thousand IRIs; reading as many takes a second of processor time at worst."""

# --- tokens: SPARQL 1.1, section 19.8; names are taken generously, what is no name there cannot stand there either ----------

_LETTER = r"[A-Za-z0-9_\u0080-\U0010ffff]"
_NAME = r"[A-Za-z0-9_\-.\u0080-\U0010ffff]"
_GAP = r"(?:\s++|\#[^\n\r]*+)*+"
_CODE_POINT = r"\\u[0-9A-Fa-f]{4}|\\U[0-9A-Fa-f]{8}"
_IRI = rf"<(?:[^<>\"{{}}|^`\\\x00-\x20]|{_CODE_POINT})*+>"
_VARIABLE = rf"[?$]{_LETTER}++"
_PREFIXED = rf"{_NAME}*+:(?:{_NAME}|:|%|\\.)*+"
_TOKEN = re.compile(
    rf"""
    (?P<gap>(?=[\s\#]){_GAP})
  | (?P<string>\"\"\"(?:[^"\\]|\\.|"(?!""))*+\"\"\" | '''(?:[^'\\]|\\.|'(?!''))*+''' | "(?:[^"\\\n\r]|\\.)*+" | '(?:[^'\\\n\r]|\\.)*+')
  | (?P<iri>{_IRI})
  | (?P<variable>{_VARIABLE})
  | (?P<language>@[A-Za-z]+(?:-+[A-Za-z0-9]+)*)
  | (?P<prefixed>{_PREFIXED})
  | (?P<word>{_NAME}++)
  | (?P<mark>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_SERVICE = re.compile(
    rf"service{_GAP}(?:silent{_GAP})?(?:{_VARIABLE}|<[^<>]*+>|{_PREFIXED}){_GAP}\{{",
    re.IGNORECASE,
)
"""
`SERVICE SILENT? VarOrIri {`: no other clause of the grammar looks like this. The price of reading it without any gap, as Oxigraph
does, is that a name with a prefix called `service` must not stand right before a brace (`GRAPH service:g { … }`).
"""

_WORD_SERVICE = re.compile("service", re.IGNORECASE)
_MOST_IN_ONE_TOKEN = 8
"""A name that says it more often is up to something, and would cost time that grows with its square."""

_ESCAPE = re.compile(_CODE_POINT)
_UPDATES = frozenset(["INSERT", "DELETE", "LOAD", "CLEAR", "DROP", "CREATE", "ADD", "MOVE", "COPY", "WITH"])


@lru_cache(maxsize=512)
def _remembered(query: str) -> QueryForm:
    return _check(query)


def _check(query: str) -> QueryForm:
    if len(query) > LONGEST:
        raise QueryLimitExceeded(f"The query is longer than {LONGEST} characters; ask for less at once.", limit=LONGEST)
    text = _ESCAPE.sub(_code_point, query)
    for reading in {query, text}:
        if _WORD_SERVICE.search(reading) and _calls_service(reading):
            raise QueryRefused("SERVICE is not allowed: this endpoint asks no other server.", keyword="SERVICE")
    _refuse_towers(text)
    return _Header(text).read()


def _code_point(match: re.Match[str]) -> str:
    """The character an escape means (section 19.2); what is no character stays as it is and is left to the store."""
    number = int(match[0][2:], 16)
    return chr(number) if number < 0x110000 and not 0xD800 <= number < 0xE000 else match[0]


def _calls_service(text: str) -> bool:
    """
    Whether any way of reading the text shows a SERVICE clause.

    Two tokens can be read in two ways: `<` opens an IRI or compares, and three quotes open a long string or are an empty one
    and the start of another. Every position is looked at once, so the time is linear.
    """
    ahead, seen = [0], set[int]()
    while ahead:
        position = ahead.pop()
        if position in seen or position >= len(text):
            continue
        seen.add(position)
        token = _token(text, position)
        if token.lastgroup in ("prefixed", "word") and _opens_service(text, token):
            return True
        ahead += _ends(token)
    return False


_OPENINGS = {"<": len("<"), '"""': len('""'), "'''": len("''")}
"""What can be read in two ways, and how much of it the shorter reading takes."""


def _ends(token: re.Match[str]) -> list[int]:
    """Where the next token may begin."""
    return [token.end(), *(token.start() + length for opening, length in _OPENINGS.items() if token[0].startswith(opening))]


def _opens_service(text: str, token: re.Match[str]) -> bool:
    """
    Whether a clause begins in this token, also in its middle: Oxigraph reads `true.service:x {` as three tokens.

    What follows a colon is part of a name in any reading.
    """
    end = token.end() if token.lastgroup == "word" else text.index(":", token.start())
    places = [match.start() for match in _WORD_SERVICE.finditer(text, token.start(), end)]
    return len(places) > _MOST_IN_ONE_TOKEN or any(_SERVICE.match(text, place) for place in places)


def _token(text: str, position: int) -> re.Match[str]:
    token = _TOKEN.match(text, position)
    if token is None:  # every character is a mark if it is nothing else
        raise InvalidParameter(f"The query cannot be read at character {position}.", parameter="query")
    return token


# --- how high a query is piled up ---------------------------------------------------------------------------------------------

DEEPEST = 64
"""Brackets, braces and parentheses inside one another."""

MOST_JOINED = 500
"""Clauses and operators of one query: each may stand upon all before it."""

_OPENS, _CLOSES = frozenset("{(["), frozenset("})]")
_JOINS = ("!", "|", "&&", "+", "*", "^", "-")
"""Without what stands in many IRIs: those are also read as if they were none."""
_JOINING_WORDS = frozenset(["UNION", "OPTIONAL", "MINUS", "FILTER", "BIND", "EXISTS", "LATERAL", "GRAPH", "SELECT"])
_OPENING = re.compile(r"[{(\[]")
_JOINING = re.compile(rf"[!|+*^-]|&&|{'|'.join(_JOINING_WORDS)}", re.IGNORECASE)


def _refuse_towers(text: str) -> None:
    """Raises QueryLimitExceeded for what is nested too deep or joins too much. Most texts have too little for it, however they are read."""
    if len(_OPENING.findall(text)) <= DEEPEST and len(_JOINING.findall(text)) <= MOST_JOINED:
        return
    deepest, joined = _height(text)
    if deepest > DEEPEST:
        raise QueryLimitExceeded(f"The query is nested deeper than {DEEPEST} brackets; write it flatter.", limit=DEEPEST)
    if joined > MOST_JOINED:
        raise QueryLimitExceeded(
            f"The query has more than {MOST_JOINED} clauses and operators; VALUES says many values at once.", limit=MOST_JOINED
        )


def _height(text: str) -> tuple[int, int]:
    """
    How deep a text is nested and how much it joins, in the reading that has most of it.

    Readings part at a token and meet again further on, so that positions are gone through from left to right, each once, with the most that
    any way to it has seen.
    """
    depths, joins, ahead, deepest, joined = {0: 0}, {0: 0}, [0], 0, 0
    while ahead:
        position = heapq.heappop(ahead)
        depth, joint = depths.pop(position), joins.pop(position)
        if position >= len(text) or max(deepest, depth) > DEEPEST or joint > MOST_JOINED:
            deepest, joined = max(deepest, depth), max(joined, joint)
            continue
        token = _token(text, position)
        depth, joint = max(0, depth + (token[0] in _OPENS) - (token[0] in _CLOSES)), joint + _joins(token)
        deepest = max(deepest, depth)
        for end in _ends(token):
            if end not in depths:
                heapq.heappush(ahead, end)
            depths[end], joins[end] = max(depth, depths.get(end, 0)), max(joint, joins.get(end, 0))
    return deepest, joined


def _joins(token: re.Match[str]) -> bool:
    if token.lastgroup == "mark":
        return token.string.startswith(_JOINS, token.start())
    return token.lastgroup == "word" and token[0].upper() in _JOINING_WORDS


_ABSOLUTE_IRI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\x00-\x20<>\"{}|^`\\]+")


def _refuse_relative(iri: str, said: str) -> None:
    if not _ABSOLUTE_IRI.fullmatch(iri):
        raise InvalidParameter(f"A graph is named by an absolute IRI, not by {said[:80]!r}.")


class _Header:
    """Reads what stands before the pattern of a query: base, prefixes, form and dataset clauses."""

    def __init__(self, text: str) -> None:
        self._tokens = ((kind, token) for kind, token in _split(text) if kind != "gap")
        self._base = ""
        self._prefixes: dict[str, str] = {}

    def read(self) -> QueryForm:
        form = self._form()
        default: list[str] = []
        named: list[str] = []
        graphs: dict[str, None] = {}
        for word in self._words():
            if word == "FROM":
                self._dataset_clause(default, named)
            elif word == "GRAPH":
                kind, text = token = next(self._tokens, ("", ""))
                graphs[text if kind == "variable" else self._resolved(token)] = None
        return QueryForm(form, Dataset(tuple(default), tuple(named)) if default or named else None, tuple(graphs))

    def _form(self) -> Form:
        for word in self._words():
            if word in Form.__members__:
                return Form[word]
            if word in _UPDATES:
                raise QueryRefused(f"{word} is not allowed: this endpoint only reads.", keyword=word)
            if word not in self._declarations:
                raise InvalidParameter(
                    f"A query cannot begin with {word[:40]}; SELECT, ASK, CONSTRUCT or DESCRIBE is needed.", parameter="query"
                )
            self._declarations[word](self)
        raise InvalidParameter("There is no query: SELECT, ASK, CONSTRUCT or DESCRIBE is needed.", parameter="query")

    def _words(self) -> Iterator[str]:
        return (text.upper() for kind, text in self._tokens if kind == "word")

    def _declare_base(self) -> None:
        self._base = self._resolved(next(self._tokens, ("", "")))

    def _declare_prefix(self) -> None:
        _, name = next(self._tokens, ("", ""))
        self._prefixes[name] = self._resolved(next(self._tokens, ("", "")))

    def _declare_version(self) -> None:
        next(self._tokens, None)

    _declarations = {"BASE": _declare_base, "PREFIX": _declare_prefix, "VERSION": _declare_version}  # noqa: RUF012 (a constant)

    def _dataset_clause(self, default: list[str], named: list[str]) -> None:
        token = next(self._tokens, ("", ""))
        chosen = default
        if token[1].upper() == "NAMED":
            token, chosen = next(self._tokens, ("", "")), named
        iri = self._resolved(token)
        _refuse_relative(iri, token[1])
        chosen.append(iri)

    def _resolved(self, token: tuple[str, str]) -> str:
        """The IRI a token means, as far as base and prefixes tell; empty when it means none."""
        kind, text = token
        if kind == "iri":
            return urljoin(self._base, text[1:-1]) if self._base else text[1:-1]
        start, _, local = text.partition(":")
        return self._prefixes[start + ":"] + local.replace("\\", "") if start + ":" in self._prefixes else ""


def _split(text: str) -> Iterator[tuple[str, str]]:
    """The tokens of a text, and what is between them, each with its kind."""
    position = 0
    while position < len(text):
        token = _token(text, position)
        position = token.end()
        yield str(token.lastgroup), token[0]
