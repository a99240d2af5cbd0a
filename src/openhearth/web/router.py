"""The route table as one ASGI application. Starlette matches paths; unknown ones answer in OpenAI's envelope."""

from __future__ import annotations

from collections.abc import Iterable

from starlette.routing import Route, Router
from starlette.types import Receive, Scope, Send

from openhearth.errors import MethodNotAllowed, NotFound
from openhearth.web.endpoint import Endpoint, EndpointApp
from openhearth.wire.absent import absent

_VERSION = "/v1"

LONGEST_SHOWN = 200


class MethodTable:
    """The endpoints of one path, by method. HEAD is answered where GET is; the server drops the body."""

    def __init__(self, by_method: dict[str, EndpointApp]) -> None:
        self._by_method = by_method

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        app = self._by_method.get(method)
        if app is None:
            if withdrawn := absent(scope["path"]):
                raise withdrawn
            allowed = ", ".join(sorted(self._by_method))
            raise MethodNotAllowed(f"Not allowed to {_asked(scope, ' on ')}; allowed: {allowed}.", headers={"allow": allowed})
        scope["endpoint"] = app.endpoint
        await app(scope, receive, send)


class Unmatched:
    """What no route matches. Clients of openai 0.11 and before add `/v1` themselves, so a doubled one counts once."""

    router: Router

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        if path.startswith(f"{_VERSION}{_VERSION}/") and not path.startswith(_VERSION * 3):
            scope["path"] = path.removeprefix(_VERSION)
            await self.router(scope, receive, send)
            return
        raise absent(path) or NotFound(f"Unknown request URL: {_asked(scope, ' ')}. Check the URL for typos; /openapi.json lists all.")


def _asked(scope: Scope, between: str) -> str:
    return f"{scope['method'][:LONGEST_SHOWN]}{between}{scope['path'][:LONGEST_SHOWN]}"


def make_router(endpoints: Iterable[Endpoint], *, max_body: int, body_timeout_s: float) -> Router:
    """Build the router; paths keep the order of their first endpoints, so put the hot ones first and the greedy ones last."""
    by_path: dict[str, dict[str, EndpointApp]] = {}
    for e in endpoints:
        by_path.setdefault(e.path, {})[e.method] = EndpointApp(e, max_body=max_body, body_timeout_s=body_timeout_s)
    routes = [Route(path, MethodTable(table)) for path, table in by_path.items()]
    unmatched = Unmatched()
    unmatched.router = Router(routes, default=unmatched, redirect_slashes=False)
    return unmatched.router
