"""A model server that costs almost nothing: the backend that the front benchmark puts behind every gateway.

python benchmarks/backend.py PORT      answers POST /v1/chat/completions with 100 tokens, streamed or whole, and GET /v1/models
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

TOKENS = 100
_HEAD = {"id": "chatcmpl-bench", "created": 1, "model": "bench"}
_USAGE = {"prompt_tokens": 10, "completion_tokens": TOKENS, "total_tokens": TOKENS + 10}
WHOLE = json.dumps(
    {
        **_HEAD,
        "object": "chat.completion",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "word " * TOKENS}, "finish_reason": "stop", "logprobs": None}],
        "usage": _USAGE,
    }
).encode()
MODELS = json.dumps({"object": "list", "data": [{"id": "bench", "object": "model", "created": 1, "owned_by": "bench"}]}).encode()


def _chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}
    return b"data: " + json.dumps({**_HEAD, "object": "chat.completion.chunk", "choices": [choice]}).encode() + b"\n\n"


EVENTS = [_chunk({"role": "assistant", "content": ""}), *[_chunk({"content": "word "})] * TOKENS, _chunk({}, "stop")]
USAGE_EVENT = b"data: " + json.dumps({**_HEAD, "object": "chat.completion.chunk", "choices": [], "usage": _USAGE}).encode() + b"\n\n"
STREAM = b"".join(EVENTS) + USAGE_EVENT + b"data: [DONE]\n\n"


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        return
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    streams = scope["method"] == "POST" and b'"stream": true' in body.replace(b'"stream":true', b'"stream": true')
    payload, kind = (MODELS, b"application/json") if scope["method"] == "GET" else (WHOLE, b"application/json")
    if streams:
        payload, kind = STREAM, b"text/event-stream"
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind)]})
    if not streams:
        await send({"type": "http.response.body", "body": payload})
        return
    # In four pieces, as an engine's tokens come in bursts.
    quarter = len(payload) // 4 + 1
    for start in range(0, len(payload), quarter):
        await send({"type": "http.response.body", "body": payload[start : start + quarter], "more_body": True})
        await asyncio.sleep(0)
    await send({"type": "http.response.body", "body": b""})


def main() -> None:
    from granian.constants import Interfaces
    from granian.server.embed import Server

    # The backlog is also how many connections it takes: with the usual 128 the gateways' kept ones shut others out.
    server = Server(app, port=int(sys.argv[1]), interface=Interfaces.ASGINL, websockets=False, log_enabled=False, backlog=4096)
    asyncio.run(server.serve())


if __name__ == "__main__":
    main()
