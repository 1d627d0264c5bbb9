"""The actions that bring an event somewhere. Those that only decide or change something are in `ld_server.services.dispatch`."""

from collections.abc import Awaitable, Callable, Mapping

from workers.actions import internal, route, webhook
from workers.actions.job import Job, Means, Outcome

Send = Callable[[Job, Means], Awaitable[Outcome]]

ACTIONS: Mapping[str, Send] = {
    "webhook": webhook.send,
    "route": route.send,
    "invoke_internal": internal.send,
}
"""Type of action → what carries it out."""
