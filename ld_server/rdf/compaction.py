"""
PyLD, behind one door: compaction, expansion and flattening under our own contexts, which it never has to fetch.

What is said as our own documents say it is compacted by a table (`rdf.shorthand`), at a twentieth of the cost.

PyLD keeps processed contexts in module-level caches that are not safe between threads, so one thread at a time works here; with
the interpreter's own lock nothing is lost by that.
"""

import threading
from typing import Any

from pyld import FrozenDocumentLoader, jsonld

from ld_server.rdf.shorthand import Shorthand, Unusual

Json = dict[str, Any]


class Compaction:
    """Our context in PyLD's hands: processed once, then found by its name."""

    def __init__(self, name: str, definitions: list[Json]) -> None:
        """`name` is an IRI under which PyLD remembers the processed context; other definitions need another name."""
        self._lock = threading.Lock()
        self._name = name
        self._shorthand = Shorthand(definitions)
        self._loader = FrozenDocumentLoader({name: {"@context": definitions}})
        self._options = {"documentLoader": self._load}

    def compact(self, tree: Json) -> Json:
        """The expanded node in our terms; what it says of `@context`, if anything, is for the caller to replace."""
        try:
            return self._shorthand.compacted(tree)
        except Unusual:
            return self.compact_by_reference(tree)

    def compact_by_reference(self, tree: Json) -> Json:
        """The same in PyLD's words alone."""
        with self._lock:
            compacted: Json = jsonld.compact([tree], self._name, {**self._options, "skipExpansion": True, "graph": False})
        return compacted

    def expand(self, document: Json) -> list[Any]:
        """The expanded form of a document; its context must be inline."""
        with self._lock:
            expanded: list[Any] = jsonld.expand(document, self._options)
        return expanded

    def flatten(self, document: Json) -> Any:
        """The flattened form of a document, without a context."""
        with self._lock:
            return jsonld.flatten(document, None, self._options)

    def _load(self, url: str, options: Any) -> Any:
        return {**self._loader(url, options), "tag": "static"}
