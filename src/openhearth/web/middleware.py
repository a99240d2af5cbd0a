"""The outermost layer: request id, OpenAI's headers, timing, and every error rendered in OpenAI's envelope. Pure ASGI."""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from openhearth.web.failures import as_error
from openhearth.wire import envelope
from openhearth.wire.ids import request_id

OPENAI_VERSION = b"2020-10-01"
_CLIENT_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}")

Observer = Callable[[Scope, int, float], None]
"""Told of every finished request: scope, status (499: the client left), seconds."""


class RequestContext:
    """Puts `request_id` into the scope's state, headers onto the answer, and turns exceptions into replies."""

    def __init__(self, app: ASGIApp, observe: Observer) -> None:
        self._app = app
        self._observe = observe

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        state = scope.setdefault("state", {})
        # The state may be shared with the lifespan's; a request must not write into another's.
        scope["state"] = state = {**state, "request_id": request_id()}
        status = 0

        def send_with_headers(message: Message) -> Awaitable[None]:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), *_headers(scope, started)]
            return send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        except Exception as error:
            state["error"] = failure = as_error(error)
            if status:
                raise failure from None
            body = envelope.render(failure)
            await send_with_headers(
                {
                    "type": "http.response.start",
                    "status": failure.status,
                    "headers": [
                        (b"content-type", b"application/json"),
                        (b"content-length", str(len(body)).encode()),
                        *((k.encode("latin-1"), v.encode("latin-1")) for k, v in failure.headers.items()),
                    ],
                }
            )
            await send({"type": "http.response.body", "body": body})
        finally:
            self._observe(scope, status or 499, time.perf_counter() - started)


def _headers(scope: Scope, started: float) -> list[tuple[bytes, bytes]]:
    elapsed_ms = max(1, round((time.perf_counter() - started) * 1000))
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in scope["state"].get("notices", {}).items()]
    headers += [
        (b"x-request-id", scope["state"]["request_id"].encode()),
        (b"openai-processing-ms", str(elapsed_ms).encode()),
        (b"openai-version", OPENAI_VERSION),
    ]
    for name, value in scope["headers"]:
        if name == b"x-client-request-id" and _CLIENT_ID.fullmatch(value):
            headers.append((b"x-client-request-id", value))
    return headers
