"""The guard: no route but the public ones is reached without a key, whatever its prefix. Pure ASGI, before the router."""

from __future__ import annotations

from collections.abc import Collection

from starlette.types import ASGIApp, Receive, Scope, Send

from openhearth.accounts.keys import Keys
from openhearth.errors import AuthenticationFailed

_NO_KEY = (
    "You didn't provide an API key. Send it in an Authorization header with Bearer auth "
    "(Authorization: Bearer YOUR_KEY); `openhearth keys create` makes one on the server."
)


class Guard:
    """Puts the key's `principal` into the scope's state, or raises AuthenticationFailed."""

    def __init__(self, app: ASGIApp, keys: Keys, public: Collection[str]) -> None:
        self._app = app
        self._keys = keys
        self._public = frozenset(public)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in self._public:
            scope["state"]["principal"] = await self._keys.check(bearer_key(scope))
        await self._app(scope, receive, send)


def bearer_key(scope: Scope) -> str:
    """The key from `Authorization: Bearer` or `api-key` (Azure's clients). Raises AuthenticationFailed."""
    for name, value in scope["headers"]:
        if name == b"authorization":
            scheme, _, key = value.decode("latin-1").partition(" ")
            if scheme.lower() == "bearer" and key.strip():
                return str(key.strip())
        elif name == b"api-key" and value:
            return str(value.decode("latin-1"))
    raise AuthenticationFailed(_NO_KEY, code=None)
