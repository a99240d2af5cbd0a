"""The largest schemas that are taken, in the real engine: they keep nobody waiting for long."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import httpx
import pytest

from tests.inference.chat.test_formats import object_of, schema
from tests.support.serving import RunningServer

WIDE: dict[str, Any] = {
    "5000 properties": object_of(5_000),
    "500 optional properties": object_of(500, required=0),
    "an enum of 500": {"type": "array", "minItems": 20, "items": {"enum": [f"value number {n}" for n in range(500)]}},
}


@pytest.mark.real
@pytest.mark.parametrize("kind", WIDE)
async def test_others_are_answered_meanwhile(real_server: RunningServer, kind: str) -> None:
    others: list[float] = []
    headers = {"authorization": f"Bearer {real_server.key}"}
    async with httpx.AsyncClient(base_url=real_server.base_url, headers=headers, timeout=120) as http:

        async def ask() -> None:
            while True:
                began = time.perf_counter()
                assert (await http.post("/completions", json={"model": "davinci", "prompt": "hi", "max_tokens": 1})).status_code == 200
                others.append(time.perf_counter() - began)

        await http.post("/completions", json={"model": "davinci", "prompt": "warm", "max_tokens": 1})
        asking = asyncio.create_task(ask())
        await asyncio.sleep(0.1)
        body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "x"}], "max_tokens": 20}
        reply = await http.post("/chat/completions", json={**body, "response_format": schema(WIDE[kind], strict=False)})
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
    assert reply.status_code == 200, reply.text
    assert max(others) < 5
