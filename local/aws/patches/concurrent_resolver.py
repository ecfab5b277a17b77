"""Gap of a single process: the resolver of Powertools serves one invocation at a time.

On AWS a function's process has one invocation at a time, so the resolver keeps the current event on its class and the
route's arguments on itself. Here many invocations share the process, and would answer with each other's bookings.
"""

import threading
from typing import Any

from aws_lambda_powertools.event_handler.api_gateway import ApiGatewayResolver

from local.aws.patches.patching import replace, replaces

_resolving = threading.local()


class _EventOfThisThread:
    """What every router has as its current event."""

    def __getattr__(self, name: str) -> Any:
        return getattr(_resolving.event, name)


@replaces(ApiGatewayResolver, "_to_proxy_event")
def _to_proxy_event(self: Any, event: Any) -> Any:
    _resolving.event, _resolving.context = _to_proxy_event.original(self, event), {}
    return _EventOfThisThread()


def _route_context(_: Any) -> dict[str, Any]:
    if not hasattr(_resolving, "context"):
        _resolving.context = {}
    context: dict[str, Any] = _resolving.context
    return context


replace(ApiGatewayResolver, "context", property(_route_context, lambda _, __: None))
