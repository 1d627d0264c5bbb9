"""The way in: read → adopt → check → document. Everything here happens before a transaction opens."""

from ld_server.rdf import adoption, codecs, representation
from ld_server.rdf.codecs import Limits
from ld_server.rdf.contexts import Contexts
from ld_server.rdf.formats import Format
from ld_server.rdf.naming import Naming
from ld_server.rdf.validation import Validator
from ld_server.resources.kind import Document, Kind


def take_in(body: bytes, form: Format, kind: Kind, naming: Naming, contexts: Contexts, validator: Validator, limits: Limits) -> Document:
    """
    What was posted, as a valid document of the kind, under a placeholder name.

    Relative IRIs are resolved against the collection's address, so that `<>` in Turtle is the new resource.
    Raises the refusals of `codecs.read`, `adoption.adopt` and `Validator.check`.
    """
    base = naming.collection(kind.prefix) + "/"
    posted = codecs.read(body, form, base, contexts, limits)
    adopted = adoption.adopt(posted, kind.frame, naming, contexts)

    def pointer(focus: str, path: str, value: object) -> str:
        return f"{adopted.pointers.get(focus, '')}/{contexts.key(path) if path else ''}".rstrip("/")

    validator.check(adopted.triples, adopted.root, kind.frame.shape, pointer)
    return representation.document_of(adopted, kind.keys, contexts)
