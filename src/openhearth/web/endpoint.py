"""An endpoint: what a route accepts and answers, and the ASGI adapter that runs its handler.

A handler is `async (Call) -> Reply | Stream`. The adapter reads the body within bounds, runs the handler while it listens for the
client to leave (then the handler is cancelled, wherever it is), and writes the answer. Errors pass through to the middleware; an
error inside a stream that has begun becomes an error event.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import msgspec
from starlette.types import Receive, Scope, Send

from openhearth.errors import InvalidRequest, OpenHearthError
from openhearth.web.body import read_body
from openhearth.web.failures import as_error
from openhearth.web.leaving import ClientGone, UnlessClientLeaves
from openhearth.wire import envelope, sse
from openhearth.wire.decoding import convert, decode

T = TypeVar("T")
JSON = (b"content-type", b"application/json")
EVENT_STREAM = (b"content-type", b"text/event-stream; charset=utf-8")


@dataclass(frozen=True, slots=True)
class Reply:
    """One whole answer. `body` is JSON bytes unless `content_type` says otherwise."""

    body: bytes
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: bytes = b"application/json"


@dataclass(frozen=True, slots=True)
class Stream:
    """Server-sent events: each item is written at once. Closed (`aclose`) when the client leaves."""

    chunks: AsyncIterator[bytes]
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Call:
    """One request as a handler sees it."""

    scope: Scope
    body: bytes

    @property
    def principal(self) -> Any:
        """Who asks (`accounts.principal.Principal`), set by the guard."""
        return self.scope["state"]["principal"]

    @property
    def request_id(self) -> str:
        return str(self.scope["state"]["request_id"])

    def path(self, name: str) -> str:
        """A part of the path, e.g. `call.path("model")`. Raises InvalidRequest for one that no name can be."""
        value = str(self.scope["path_params"][name])
        # Neither can be looked for: PostgreSQL keeps no NUL, and half a surrogate pair is no text.
        if "\0" in value or (not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value)):
            raise InvalidRequest(f"'{name}' in the path contains what is not text.", param=name, code="invalid_text")
        return value

    def json(self, schema: type[T]) -> T:
        """The body, validated. Raises InvalidRequest."""
        return decode(self.body, schema)

    def query(self, schema: type[T]) -> T:
        """The query string, validated; repeated and `name[]` keys become lists, `name[key]` a mapping."""
        return convert(parse_query(self.scope["query_string"]), schema, strict=False)


Handler = Callable[[Call], Awaitable[Reply | Stream]]


@dataclass(frozen=True)
class Endpoint:
    """A row of the route table; `/openapi.json` is made from it."""

    method: str
    path: str
    handler: Handler
    summary: str
    request: type | None = None
    response: Any = None
    query: type | None = None
    streams: bool = False
    """Whether it can answer with server-sent events."""
    tag: str = ""
    permission: str | None = None
    """What the sender must be allowed (`accounts.permissions`): in the path's `{project_id}`; without one, the use of projects in the
    request's own, management in the organization."""
    somewhere: bool = False
    """It's enough to have the permission in any project: the handler shows what the sender may see."""
    login: bool = False
    """For people in a session about themselves: keys are refused, whatever they may do."""
    public: bool = False
    """Answers without a key: health and login only."""
    deprecated: bool = False
    page: bool = False
    """For browsers: answers with HTML, and isn't part of the documented API."""


def json_reply(value: Any, status: int = 200) -> Reply:
    """A struct or plain value as a JSON reply."""
    return Reply(msgspec.json.encode(value), status)


def parse_query(raw: bytes) -> dict[str, Any]:
    """`a=1&b[]=2&b[]=3&m[k]=v` -> `{"a": "1", "b": ["2", "3"], "m": {"k": "v"}}`, all strings still."""
    try:
        pairs = parse_qsl(raw.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=200)
    except (UnicodeDecodeError, ValueError):
        raise InvalidRequest("The query string is not valid percent-encoded UTF-8.") from None
    values: dict[str, Any] = {}
    for key, value in pairs:
        _put(values, key, value)
    return values


def _put(values: dict[str, Any], key: str, value: str) -> None:
    if "\0" in key or "\0" in value:
        raise InvalidRequest("The query string contains a NUL character.", code="invalid_text")
    name, bracket, rest = key.partition("[")
    if not bracket or not rest.endswith("]"):
        if key in values:
            raise InvalidRequest(f"Query parameter '{key}' is given twice.", param=key)
        values[key] = value
        return
    inner = rest[:-1]
    kept = values.setdefault(name, {} if inner else [])
    if isinstance(kept, dict) and inner:
        kept[inner] = value
    elif isinstance(kept, list) and not inner:
        kept.append(value)
    else:
        raise InvalidRequest(f"Query parameter '{name}' is given in two shapes.", param=name)


class EndpointApp:
    """One endpoint as an ASGI application."""

    def __init__(self, endpoint: Endpoint, *, max_body: int, body_timeout_s: float) -> None:
        self.endpoint = endpoint
        self._max_body = max_body
        self._body_timeout_s = body_timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            body = await read_body(scope, receive, self._max_body, self._body_timeout_s)
            async with UnlessClientLeaves(receive):
                await self._answer(Call(scope, body), send)
        except ClientGone:
            scope["state"]["client_gone"] = True

    async def _answer(self, call: Call, send: Send) -> None:
        if self.endpoint.permission is not None and self.endpoint.somewhere:
            call.principal.require_somewhere(self.endpoint.permission)
        elif self.endpoint.permission is not None:
            call.principal.require(self.endpoint.permission, call.scope["path_params"].get("project_id"))
        if self.endpoint.login:
            call.principal.require_login()
        answer = await self.endpoint.handler(call)
        if isinstance(answer, Reply):
            await _send_reply(answer, send)
        else:
            await _send_stream(answer, call, send)


async def _send_reply(reply: Reply, send: Send) -> None:
    headers = [(b"content-type", reply.content_type), (b"content-length", str(len(reply.body)).encode())]
    headers += [(k.encode("latin-1"), v.encode("latin-1")) for k, v in reply.headers.items()]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})


async def _send_stream(stream: Stream, call: Call, send: Send) -> None:
    try:
        # The first chunk is awaited before the status is sent, so that what fails early is a clean error reply.
        first = await anext(stream.chunks, b"")
        headers = [EVENT_STREAM, (b"cache-control", b"no-cache")]
        headers += [(k.encode("latin-1"), v.encode("latin-1")) for k, v in stream.headers.items()]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": first, "more_body": True})
        try:
            async for chunk in stream.chunks:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        except Exception as error:
            failure = as_error(error)
            call.scope["state"]["error"] = failure
            await send(_error_event(failure))
        await send({"type": "http.response.body", "body": b""})
    finally:
        aclose = getattr(stream.chunks, "aclose", None)
        if aclose is not None:
            await aclose()


def _error_event(error: OpenHearthError) -> dict[str, Any]:
    return {"type": "http.response.body", "body": sse.event(envelope.render(error)), "more_body": True}
