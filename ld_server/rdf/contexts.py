"""
JSON-LD contexts, offline. A context that is named by its address is replaced by the file we publish under that address,
anything else that would have to be fetched is refused: a request never makes this server open a connection.
"""

from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import orjson

from ld_server.domain.errors import UnknownContext
from ld_server.rdf import vocab
from ld_server.rdf.compaction import Compaction

SCHEMA_ORG_ADDRESSES = tuple(
    f"{scheme}://{host}schema.org{path}"
    for scheme in ("https", "http")
    for host in ("", "www.")
    for path in ("", "/", "/docs/jsonldcontext.json", "/docs/jsonldcontext.jsonld")
)


class Contexts:
    """
    The contexts of a deployment. `directory` holds `schema.org.jsonld`, `v1.jsonld`, `events.jsonld`; ours are published under `base_iri`.

    `reference` is the value of `@context` in everything we write, `inline` the same with the definitions in place of the addresses.
    `event_reference` is that of envelopes of events.
    """

    def __init__(self, directory: Path, base_iri: str) -> None:
        self._directory = directory
        self.v1_iri = f"{base_iri}/contexts/v1.jsonld"
        self.reference: list[str] = ["https://schema.org", self.v1_iri]
        self.events_iri = f"{base_iri}/contexts/events.jsonld"
        self.event_reference: list[Any] = [self.events_iri, {"@base": f"{base_iri}/v1/events/"}]

    @cached_property
    def schema_org(self) -> dict[str, Any]:
        return self._read("schema.org.jsonld")

    @cached_property
    def v1(self) -> dict[str, Any]:
        return self._read("v1.jsonld")

    @cached_property
    def events(self) -> dict[str, Any]:
        return self._read("events.jsonld")

    @cached_property
    def inline(self) -> list[dict[str, Any]]:
        return [self.schema_org, self.v1]

    @cached_property
    def compacting(self) -> list[dict[str, Any]]:
        """The context that documents are written with: as `inline`, but keywords stay keywords (`@id`, not `id`)."""
        aliases = ("id", "type")
        return [{key: value for key, value in self.schema_org.items() if key not in aliases}, self.v1]

    @cached_property
    def compaction(self) -> Compaction:
        """PyLD with `compacting`."""
        return Compaction(f"urn:x-compacting:{self.v1_iri}", self.compacting)

    @cached_property
    def head(self) -> str:
        """How every stored document begins."""
        return orjson.dumps({"@context": self.reference}).decode()[:-1] + ","

    @cached_property
    def inline_head(self) -> str:
        """The same beginning with the definitions in place of the addresses."""
        return orjson.dumps({"@context": self.inline}).decode()[:-1] + ","

    @cached_property
    def known(self) -> Mapping[str, dict[str, Any]]:
        """Address → definition, for every context that may be named."""
        own = (self.v1_iri, self.v1_iri.removesuffix(".jsonld"))
        return {**dict.fromkeys(SCHEMA_ORG_ADDRESSES, self.schema_org), **dict.fromkeys(own, self.v1)}

    @cached_property
    def sizes(self) -> Mapping[str, int]:
        """Address → number of definitions, for every context that may be named."""
        return {address: len(definitions) for address, definitions in self.known.items()}

    @cached_property
    def scoped(self) -> frozenset[str]:
        """The keys of ours whose values are read under a context of their own."""
        return frozenset(key for key, definition in self.v1.items() if isinstance(definition, dict) and "@context" in definition)

    def named(self, address: str) -> dict[str, Any]:
        """The definition of a context that is named by its address. Raises UnknownContext."""
        try:
            return self.known[address]
        except KeyError:
            raise UnknownContext(
                f"The context {address!r} is not known here and no context is ever fetched. "
                f"Known are {self.reference[0]} and {self.v1_iri}; other terms can be defined inline.",
                context=address,
                known=self.reference,
            ) from None

    @cached_property
    def keys(self) -> Mapping[str, str]:
        """IRI of a property or class → the key that we write for it."""
        return {_expand(definition): key for key, definition in self.v1.items() if not key.startswith("@")}

    @cached_property
    def terms(self) -> frozenset[str]:
        """Every key that a plain JSON body may have."""
        return frozenset(_own_keys(self.v1))

    @cached_property
    def meant_by_schema(self) -> Mapping[str, str]:
        """schema.org's spelling of a key of ours that schema.org does not have → our own property."""
        own = {vocab.SCHEMA + key: _expand(self.v1[key]) for key in _own_keys(self.v1)}
        return {iri: term for iri, term in own.items() if iri != term}

    @cached_property
    def coercions(self) -> Mapping[str, str]:
        """Property → the datatype its plain strings have (an IRI), or `@vocab` where they are words of a vocabulary."""
        return {_expand(one): _coercion(one) for one in self.v1.values() if isinstance(one, dict) and _coercion(one)}

    @cached_property
    def vocabularies(self) -> Mapping[str, str]:
        """Property → the namespace of the words it takes."""
        words = [one for one in self.v1.values() if isinstance(one, dict) and one.get("@type") == "@vocab"]
        return {_expand(one): one["@context"]["@vocab"] for one in words}

    def key(self, iri: str) -> str:
        """The JSON key of a property: our own, or the schema.org name, or the IRI itself."""
        return self.keys.get(iri) or (iri.removeprefix(vocab.SCHEMA) if iri.startswith(vocab.SCHEMA) else iri)

    def iri(self, key: str) -> str | None:
        """The IRI that a key of ours stands for, or None."""
        return self._iris.get(key)

    @cached_property
    def _iris(self) -> Mapping[str, str]:
        return {key: iri for iri, key in self.keys.items()}

    def is_always_array(self, key: str) -> bool:
        """Whether we write the values of a key as an array even when there is one."""
        definition = self.v1.get(key)
        return isinstance(definition, dict) and definition.get("@container") == "@set"

    def _read(self, name: str) -> dict[str, Any]:
        content: dict[str, Any] = orjson.loads((self._directory / name).read_bytes())["@context"]
        return content


def _own_keys(definitions: Mapping[str, Any]) -> Iterator[str]:
    return (key for key in definitions if not key.startswith("@") and key not in vocab.PREFIXES)


def _coercion(definition: Mapping[str, Any]) -> str:
    """`@vocab`, the IRI of a datatype, or nothing."""
    declared = str(definition.get("@type", ""))
    return declared if declared == "@vocab" else _expand(declared) if declared.startswith("xsd:") else ""


def _expand(definition: Any) -> str:
    compact = definition if isinstance(definition, str) else definition["@id"]
    prefix, _, local = compact.partition(":")
    return vocab.PREFIXES[prefix] + local if prefix in vocab.PREFIXES else compact
