from ld_server.settings import Settings
from ld_server.sparql.port import SparqlStore
def open_memory_store(settings: Settings) -> SparqlStore: raise NotImplementedError
