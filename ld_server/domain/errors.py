"""
Every way in which the service says no.

One class per refusal. The first line of its docstring is the public title of the problem (RFC 9457);
`ld_server.http.errors` holds the one table that gives each class its slug and its status.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any


class Refusal(Exception):
    """
    The request was refused

    `detail` is a sentence for the person who sent the request. `members` are further members of the
    problem document, in JSON terms.
    """

    def __init__(self, detail: str, **members: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.members = members

    @classmethod
    def title(cls) -> str:
        """The public title of this refusal: the first line of its docstring."""
        lines = (cls.__doc__ or "").strip().splitlines()
        return lines[0].strip()


class MalformedRequest(Refusal):
    """The request cannot be read"""


class MalformedBody(Refusal):
    """The body cannot be read"""


class UnknownContext(Refusal):
    """The JSON-LD context is not known here"""


class InvalidParameter(Refusal):
    """A parameter has a value that cannot be used"""


class QueryRefused(Refusal):
    """The SPARQL query is not allowed here"""


class QueryLimitExceeded(Refusal):
    """The SPARQL query is more than this server answers"""


class Unauthenticated(Refusal):
    """A valid key is needed"""


class Forbidden(Refusal):
    """The key does not allow this"""


class OwnReservation(Refusal):
    """Somebody else has to approve this"""


class LinkRefused(Refusal):
    """The link is not valid, or no longer"""


class NotFound(Refusal):
    """There is nothing here"""


class Gone(Refusal):
    """The resource was deleted"""


class NoLongerKept(Refusal):
    """What was asked for is no longer kept"""


class MethodNotAllowed(Refusal):
    """The method is not allowed here"""


class NotAcceptable(Refusal):
    """None of the accepted media types can be produced"""


class TransitionRefused(Refusal):
    """This step cannot be taken now"""


class InsufficientAvailability(Refusal):
    """There are not enough units in this window"""


class Duplicate(Refusal):
    """Another resource has this value already"""


class NotUploaded(Refusal):
    """The file has not been uploaded yet"""


class InUse(Refusal):
    """The resource is in use, and cannot be changed in this way"""


class NotDeliverable(Refusal):
    """Nothing can be sent there now"""


class IdempotencyInProgress(Refusal):
    """The first request with this key is still running"""


class Stale(Refusal):
    """The resource has changed since it was read"""


class TooLarge(Refusal):
    """The body is too large"""


class UnsupportedMediaType(Refusal):
    """The body's media type cannot be read"""


class RangeNotSatisfiable(Refusal):
    """The file has no such range"""


class ContentRefused(Refusal):
    """The file is not what it was said to be, or cannot be taken"""


class UnknownReference(Refusal):
    """A referenced resource does not exist"""


class UnknownTerm(Refusal):
    """A term is not known"""


class IdempotencyMismatch(Refusal):
    """The key was used for another request"""


@dataclass(frozen=True)
class Report:
    """
    Why one of several resources was refused. `index` counts them from 0, `pointer` is a JSON pointer to it in what the client sent,
    `focus` its name there; both are empty where it cannot be told.
    """

    index: int
    pointer: str
    focus: str
    refusal: Refusal


class ResourcesRefused(Refusal):
    """Some of the resources were refused, and none was created"""

    def __init__(self, reports: Sequence[Report], of: int) -> None:
        first = reports[0]
        which = f"{len(reports)} of {of} resources were refused" if len(reports) > 1 else f"1 of {of} resources was refused"
        super().__init__(f"{which}, and nothing was created. Resource {first.index}: {first.refusal.detail}")
        self.reports = tuple(reports)


class RateLimited(Refusal):
    """Too many requests"""

    def __init__(self, detail: str, *, retry_after: int = 1, **members: Any) -> None:
        super().__init__(detail, **members)
        self.retry_after = retry_after


class StoreUnavailable(Refusal):
    """
    A store cannot be reached now

    `is_passing`: nothing was written, and the same may work at once if it is begun anew. `is_unknown`: whether it was written cannot be
    told; the problem says so by the member `outcome`.
    """

    def __init__(self, detail: str, *, retry_after: int = 5, is_passing: bool = False, is_unknown: bool = False, **members: Any) -> None:
        super().__init__(detail, **members, **({"outcome": "unknown"} if is_unknown else {}))
        self.retry_after = retry_after
        self.is_passing = is_passing
        self.is_unknown = is_unknown


@dataclass(frozen=True)
class Violation:
    """
    One wrong value. `pointer` is a JSON pointer (RFC 6901) into what the client sent, where it can be told;
    `path` is the IRI of the property, `value` the offending value in JSON terms or None. `focus` is the name of the node whose
    value it is, where it has one.
    """

    pointer: str
    path: str
    value: Any
    message: str
    focus: str = ""


class ShapeViolation(Refusal):
    """The resource does not have the shape that is asked for"""

    def __init__(self, detail: str, violations: Sequence[Violation], report: Any = None) -> None:
        super().__init__(detail, violations=[asdict(violation) for violation in violations])
        self.violations = tuple(violations)
        self.report = report
        """The SHACL validation report as RDF triples (pyoxigraph), or None when no shape was asked."""
