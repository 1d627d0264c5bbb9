"""`/v1/sparql` over a Virtuoso."""

from tests.http.conftest import site  # noqa: F401
from tests.http.test_sparql_endpoint import *  # noqa: F403
