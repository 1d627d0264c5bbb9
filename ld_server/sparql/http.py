from ld_server.settings import Settings
from ld_server.sparql.port import SparqlStore
def open_managed_store(settings: Settings) -> SparqlStore: raise NotImplementedError
def open_remote_store(settings: Settings) -> SparqlStore: raise NotImplementedError
