"""What a route is: a path, what makes its endpoint, and what each of its methods asks for."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from ld_server.http.authentication import Needed
from ld_server.services.parts import Parts

PUBLIC = None


@dataclass(frozen=True)
class Route:
    """A path, what makes its endpoint, and what each of its methods asks for. HEAD goes with GET; OPTIONS is public."""

    template: str
    endpoint: Callable[[Parts], object]
    needs: Mapping[str, Needed]

    @property
    def methods(self) -> list[str]:
        """Every method that the route takes."""
        return sorted({*self.needs, "OPTIONS"} | ({"HEAD"} if "GET" in self.needs else set()))

    @property
    def maker(self) -> Any:
        """The class or function that makes the endpoint, without what this route binds to it."""
        return self.endpoint.func if isinstance(self.endpoint, partial) else self.endpoint

    @property
    def bound(self) -> Mapping[str, Any]:
        """What this route binds to it, as the kind of a collection."""
        return self.endpoint.keywords if isinstance(self.endpoint, partial) else {}
