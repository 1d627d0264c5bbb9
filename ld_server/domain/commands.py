"""What the service can be asked to do. A command is complete: with an Occasion it is all that its handler needs to know."""

from dataclasses import dataclass
from typing import Any
from unicodedata import category

from ld_server.domain.allocation import Policy
from ld_server.domain.custody import Handover
from ld_server.domain.errors import InvalidParameter, Refusal

Document = dict[str, Any]
"""A validated resource in our compact JSON-LD. A new one has a placeholder for its IRI, and no identifier yet."""

Expected = frozenset[int] | None
"""The revisions, one of which the resource must have (`If-Match`); None when any will do."""


@dataclass(frozen=True, slots=True)
class CreateItemType:
    document: Document


@dataclass(frozen=True, slots=True)
class CreateAsset:
    document: Document


@dataclass(frozen=True, slots=True)
class CreateStockPool:
    document: Document


@dataclass(frozen=True, slots=True)
class CreateKitTemplate:
    document: Document


@dataclass(frozen=True, slots=True)
class CreateDemandSignal:
    document: Document


@dataclass(frozen=True, slots=True)
class CreateBuildRequest:
    document: Document


@dataclass(frozen=True, slots=True)
class CreateReservation:
    document: Document


@dataclass(frozen=True, slots=True)
class ChangeCatalogEntry:
    """Gives an item type, a unit, a stock pool or a kit template another state. `expected` are the revisions that `document` may follow."""

    identifier: str
    document: Document
    expected: frozenset[int]


@dataclass(frozen=True, slots=True)
class ChangeReservation:
    """Gives a reservation another state. `expected` are the revisions that `document` may follow."""

    identifier: str
    document: Document
    expected: frozenset[int]


@dataclass(frozen=True, slots=True)
class ChangeDemandSignal:
    """Gives a demand signal another state. `expected` are the revisions that `document` may follow."""

    identifier: str
    document: Document
    expected: frozenset[int]


@dataclass(frozen=True, slots=True)
class ChangeBuildRequest:
    """Gives a build request another state. `expected` are the revisions that `document` may follow."""

    identifier: str
    document: Document
    expected: frozenset[int]


@dataclass(frozen=True, slots=True)
class CancelDemandSignal:
    identifier: str
    expected: Expected = None


@dataclass(frozen=True, slots=True)
class SubmitReservation:
    identifier: str
    expected: Expected = None


@dataclass(frozen=True, slots=True)
class ApproveReservation:
    """`policy` is one of `allocation.Policy`: what to do when units are missing. Raises InvalidParameter for another."""

    identifier: str
    expected: Expected
    policy: str

    def __post_init__(self) -> None:
        _refuse_unknown_policy(self.policy)


@dataclass(frozen=True, slots=True)
class RejectReservation:
    identifier: str
    expected: Expected = None
    reason: str | None = None

    def __post_init__(self) -> None:
        _refuse_unreadable(self.reason)


@dataclass(frozen=True, slots=True)
class CancelReservation:
    identifier: str
    expected: Expected = None
    reason: str | None = None

    def __post_init__(self) -> None:
        _refuse_unreadable(self.reason)


@dataclass(frozen=True, slots=True)
class CheckOutUnits:
    """Hands units out. Without handovers: everything that is promised."""

    identifier: str
    expected: Expected = None
    handovers: tuple[Handover, ...] = ()


@dataclass(frozen=True, slots=True)
class ReturnUnits:
    """Takes units back. Without handovers: everything that is out, in good condition."""

    identifier: str
    expected: Expected = None
    handovers: tuple[Handover, ...] = ()


def _refuse_unknown_policy(policy: str) -> None:
    if policy not in list(Policy):
        raise InvalidParameter(f"allocationPolicy must be {' or '.join(Policy)}.", parameter="allocationPolicy")


@dataclass(frozen=True, slots=True)
class NamedUnit:
    """An asset that is to be promised, where it was named (a JSON pointer), and the line that it is for; None for any that needs it."""

    asset: str
    pointer: str
    line: str | None = None


@dataclass(frozen=True, slots=True)
class AllocateUnits:
    """Tries again for what is missing. Of the named units each must be among those that the reservation has then."""

    identifier: str
    expected: Expected
    policy: str
    named: tuple[NamedUnit, ...] = ()

    def __post_init__(self) -> None:
        _refuse_unknown_policy(self.policy)


@dataclass(frozen=True, slots=True)
class ReleaseAllocations:
    """Gives units back before they went out: all that are promised, or those of some allocations."""

    identifier: str
    expected: Expected = None
    allocations: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class SwapAllocation:
    """Gives an allocation another unit: the named asset, or any that is free."""

    identifier: str
    allocation: str
    expected: Expected = None
    asset: str | None = None


@dataclass(frozen=True, slots=True)
class FulfillReservation:
    """Ends a reservation of which nothing is out."""

    identifier: str
    expected: Expected = None


@dataclass(frozen=True, slots=True)
class AnnouncedFile:
    """What is said of a file before anybody has looked at it. `checksum` is its SHA-256 in hex, None where nobody says it."""

    owner: str
    file_name: str
    content_type: str
    byte_size: int
    checksum: str | None = None
    metadata: Any = None


@dataclass(frozen=True, slots=True)
class StoredFile:
    """
    What was found in a file that is in its store under `key`. `width` and `height` are those of a picture that could be read.

    `checksum` is that of the bytes that are kept, which have changed when `lost_position` says so.
    """

    provider: str
    key: str
    byte_size: int
    checksum: str
    width: int | None = None
    height: int | None = None
    taken_at: str | None = None
    lost_position: bool = False


@dataclass(frozen=True, slots=True)
class AddAttachment:
    """Makes an attachment of a stored file. `number` is that of its draft, None when there was none."""

    said: AnnouncedFile
    stored: StoredFile
    number: int | None = None


@dataclass(frozen=True, slots=True)
class DeleteAttachment:
    identifier: str
    expected: Expected = None


@dataclass(frozen=True, slots=True)
class CreateMaintenanceLog:
    document: Document


Creation = (
    CreateItemType
    | CreateAsset
    | CreateStockPool
    | CreateKitTemplate
    | CreateReservation
    | CreateMaintenanceLog
    | CreateDemandSignal
    | CreateBuildRequest
)
Change = ChangeCatalogEntry | ChangeReservation | ChangeDemandSignal | CancelDemandSignal | ChangeBuildRequest
ReservationStep = (
    SubmitReservation
    | ApproveReservation
    | RejectReservation
    | CancelReservation
    | AllocateUnits
    | ReleaseAllocations
    | SwapAllocation
    | CheckOutUnits
    | ReturnUnits
    | FulfillReservation
)
AttachmentCommand = AddAttachment | DeleteAttachment
Command = Creation | Change | ReservationStep | AttachmentCommand


@dataclass(frozen=True, slots=True)
class CreateMany:
    """
    Several creations, all of them or none. An entry may be the refusal of what should have been one: nothing is created then, but the
    others are tried, so that everything that is wrong is told at once.
    """

    creations: tuple[Creation | Refusal, ...]


LONGEST_REASON = 2_000
"""Characters."""

_UNREADABLE = ("Cc", "Cs")
"""Control characters, and halves of characters."""


def _refuse_unreadable(reason: str | None) -> None:
    """Raises InvalidParameter for a reason that is too long, or that has control characters other than line breaks and tabs."""
    if reason is None:
        return
    if len(reason) > LONGEST_REASON or any(category(character) in _UNREADABLE and character not in "\n\r\t" for character in reason):
        raise InvalidParameter(f"reason must be a readable text of at most {LONGEST_REASON} characters.", parameter="reason")
