"""What a running process is made of. `ld_server.bootstrap` puts it together; tests may put together their own."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from threading import Event

from ld_server.blobs.store import BlobStore
from ld_server.rdf.contexts import Contexts
from ld_server.rdf.naming import Naming
from ld_server.rdf.validation import Validator
from ld_server.services.meters import Meters
from ld_server.services.sealing import Sealing
from ld_server.services.seats import Seats
from ld_server.settings import Settings
from ld_server.sparql.store import SparqlStore
from relational.unit_of_work import Ledger


@dataclass(frozen=True)
class Parts:
    """The stores, the names and the clock. `now` gives the current instant in UTC."""

    settings: Settings
    ledger: Ledger
    naming: Naming
    contexts: Contexts
    validator: Validator
    sparql: SparqlStore
    blobs: BlobStore
    sealing: Sealing
    meters: Meters
    now: Callable[[], datetime]
    ending: Event = field(default_factory=Event)
    """Set when the process is about to end: what would go on by itself ends, too."""
    seats: Seats = field(default_factory=Seats)

    def close(self) -> None:
        self.ending.set()
        self.blobs.close()
        self.sparql.close()
        self.ledger.close()
        self.meters.close()
