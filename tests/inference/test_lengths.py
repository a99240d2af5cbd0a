"""Texts that are far too long: refused by their beginning, soon, and without a standstill for others."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import httpx
import pytest

from openhearth.inference.lengths import LONGEST_TOKEN, surely_more
from tests.support.serving import RunningServer

HUGE = 31 * 2**20
KINDS = {
    "words": "the river runs under an old bridge ",
    "one word": "a",
    "blanks": " ",
    "marks": "<|im_start|>",
    "angles": "a < b ",
    "letters of three bytes": "\u6cb3",
}


class Counter:
    """Counts as a tokenizer of tokens of one length would, and how much it was given."""

    def __init__(self, length: int) -> None:
        self.length = length
        self.seen = 0

    async def __call__(self, text: str) -> int:
        self.seen += len(text)
        return -(-len(text) // self.length)


async def test_a_text_that_may_fit_is_left_to_others() -> None:
    for text, length in (("a" * 1000, 1), ("a" * 100_000, 100), ("a" * 100_000, 90)):
        assert await surely_more(text, 1000, Counter(length)) is None


async def test_one_that_can_not_is_not_counted_to_its_end() -> None:
    counter = Counter(4)
    found = await surely_more("a" * 500_000, 1000, counter)
    assert found is not None
    assert 1000 < found <= 125_000
    assert counter.seen < 50_000


async def test_one_longer_than_any_tokens_is_not_counted_at_all() -> None:
    counter = Counter(4)
    assert await surely_more("a" * (LONGEST_TOKEN * 1000 * 2), 1000, counter) == 2000
    assert counter.seen == 0


def body(path: str, text: str) -> dict[str, Any]:
    return {
        "/chat/completions": {"model": "gpt-4o", "messages": [{"role": "user", "content": text}]},
        "/completions": {"model": "davinci", "prompt": text},
        "/edits": {"model": "gpt-4o", "instruction": "Fix it.", "input": text},
        "/embeddings": {"model": "text-embedding-3-small", "input": [text, "b"]},
    }[path]


async def refused(server: RunningServer, path: str, sent: dict[str, Any]) -> tuple[dict[str, Any], float, float]:
    """The error, how long it took, and the longest that another request took meanwhile."""
    others: list[float] = []
    async with httpx.AsyncClient(base_url=server.base_url, headers={"authorization": f"Bearer {server.key}"}, timeout=60) as http:

        async def ask() -> None:
            while True:
                began = time.perf_counter()
                assert (await http.post("/completions", json={"model": "davinci", "prompt": "[[say:x]]"})).status_code == 200
                others.append(time.perf_counter() - began)

        content = json.dumps(sent, ensure_ascii=False).encode()
        asking = asyncio.create_task(ask())
        await asyncio.sleep(0.1)
        began = time.perf_counter()
        response = await http.post(path, content=content)
        took = time.perf_counter() - began
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
    assert response.status_code == 400, response.text[:300]
    return response.json()["error"], took, max(others)


@pytest.mark.parametrize("path", ["/chat/completions", "/completions", "/edits", "/embeddings"])
@pytest.mark.parametrize("kind", KINDS)
async def test_a_body_just_below_the_limit_is_refused_soon(server: RunningServer, path: str, kind: str) -> None:
    text = KINDS[kind] * (HUGE // len(KINDS[kind].encode()))
    error, took, others = await refused(server, path, body(path, text))
    assert error["code"] == "context_length_exceeded"
    assert "at least" in error["message"]
    assert took < 8
    assert others < 5


@pytest.mark.parametrize("path", ["/chat/completions", "/completions", "/edits", "/embeddings"])
async def test_a_text_somewhat_too_long_is_refused_soon(server: RunningServer, path: str) -> None:
    error, took, _ = await refused(server, path, body(path, KINDS["words"] * 50_000))
    assert error["code"] == "context_length_exceeded"
    assert "at least" in error["message"]
    assert took < 5


async def test_more_messages_than_the_context_has_tokens(server: RunningServer) -> None:
    error, took, _ = await refused(server, "/chat/completions", {"model": "gpt-4o", "messages": [{"role": "user", "content": ""}] * 20_000})
    assert error["code"] == "context_length_exceeded"
    assert took < 5


async def test_more_messages_than_any_request_needs(server: RunningServer) -> None:
    error, took, others = await refused(
        server, "/chat/completions", {"model": "gpt-4o", "messages": [{"role": "user", "content": ""}] * 600_000}
    )
    assert error["code"] == "invalid_json"
    assert took < 8
    assert others < 5


async def test_a_tool_described_at_length(server: RunningServer) -> None:
    tool = {"type": "function", "function": {"name": "f", "description": "a < b " * 1_000_000, "parameters": {"type": "object"}}}
    error, _, _ = await refused(
        server, "/chat/completions", {"model": "gpt-4o", "messages": [{"role": "user", "content": "x"}], "tools": [tool]}
    )
    assert error["code"] == "context_length_exceeded"
