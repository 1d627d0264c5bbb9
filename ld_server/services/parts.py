"""What a running process is made of. `ld_server.bootstrap` puts it together; tests may put together their own."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from ld_server.rdf.contexts import Contexts
from ld_server.rdf.naming import Naming
from ld_server.rdf.validation import Validator
from ld_server.services.sealing import Sealing
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
    sealing: Sealing
    now: Callable[[], datetime]

    def close(self) -> None:
        self.sparql.close()
        self.ledger.close()
