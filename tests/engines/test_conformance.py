"""What every generating engine must do, the fake one and the real one alike; and what every child process must, embedding ones too.

What engines that embed must do stands in `test_embedding_conformance`.
"""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import psutil
import pytest

from openhearth.engines.contract import EngineSpec
from openhearth.engines.embedding import EmbeddingLauncher
from openhearth.engines.fake import FakeLauncher
from openhearth.engines.llama import Defaults, LlamaLauncher
from openhearth.engines.running import RunningChild
from openhearth.errors import ContextLengthExceeded, EngineFailed, EngineTimeout, InvalidRequest
from tests.support import tiny_bert

CONTEXT = 1024


@pytest.fixture(params=["fake", pytest.param("llama", marks=pytest.mark.real)])
async def engine(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[RunningChild]:
    running = await start(request.param, tmp_path)
    yield running
    await running.stop()
    assert not running.alive
    assert list(tmp_path.glob("*.sock")) == []


@pytest.fixture(params=["fake", "embedding", pytest.param("llama", marks=pytest.mark.real)])
async def process(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[RunningChild]:
    running = await start(request.param, tmp_path)
    yield running
    await running.stop()
    assert list(tmp_path.glob("*.sock")) == []


async def start(kind: str, folder: Path, stall_timeout_s: float = 30) -> RunningChild:
    if kind == "embedding":
        tiny = EngineSpec("tiny:1", "embedding", tiny_bert.write(folder / "model"))
        return await EmbeddingLauncher(folder, threads=1, stall_timeout_s=stall_timeout_s).start(tiny)
    if kind == "fake":
        spec = EngineSpec("fake:chat", "fake", options={"slots": 2, "context": CONTEXT})
        return await FakeLauncher(folder, stall_timeout_s=stall_timeout_s).start(spec)
    from tests.support.pulled import smollm2

    launcher = LlamaLauncher(folder, Defaults(slots=2, threads=1, context=CONTEXT), stall_timeout_s=stall_timeout_s)
    return await launcher.start(EngineSpec("smollm2:135m", "llama", smollm2()))


async def events(engine: RunningChild, path: str, body: dict[str, Any]) -> list[Any]:
    async with aclosing(engine.client.stream(path, json.dumps({**body, "stream": True}).encode())) as stream:
        return [json.loads(payload) async for burst in stream for payload in burst]


async def post(engine: RunningChild, path: str, body: dict[str, Any]) -> Any:
    return json.loads(await engine.client.post(path, json.dumps(body).encode()))


def chat(text: str, **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}], "temperature": 0, "seed": 1, **more}


async def test_properties(engine: RunningChild) -> None:
    properties = engine.properties
    assert (properties.slots, properties.context) == (2, CONTEXT)
    assert {"chat", "completion", "tokenize"} <= properties.capabilities
    assert properties.vocabulary
    assert properties.vocabulary > 40_000
    assert engine.resident_bytes() > 10_000_000


async def test_chat_streams_deltas_a_finish_and_usage(engine: RunningChild) -> None:
    got = await events(engine, "/v1/chat/completions", chat("Say hello.", max_tokens=5, stream_options={"include_usage": True}))
    assert got[0]["choices"][0]["delta"] == {"role": "assistant", "content": None}
    assert [event["choices"][0]["finish_reason"] for event in got[:-1]][-1] in {"stop", "length"}
    assert got[-1]["choices"] == []
    assert 0 < got[-1]["usage"]["completion_tokens"] <= 5


async def test_completion_streams_text_with_log_probabilities(engine: RunningChild) -> None:
    got = await events(engine, "/v1/completions", {"prompt": "The river", "max_tokens": 3, "logprobs": 2, "temperature": 0})
    entries = [entry for event in got for choice in event["choices"] for entry in (choice["logprobs"] or {}).get("content", ())]
    assert len(entries) == 3
    assert all(entry["logprob"] <= 0 and len(entry["top_logprobs"]) == 2 for entry in entries)


async def test_the_same_request_gives_the_same_answer(engine: RunningChild) -> None:
    first, second = [
        await events(engine, "/v1/completions", {"prompt": "Once", "max_tokens": 8, "temperature": 0, "seed": 7}) for _ in range(2)
    ]
    assert [event["choices"][0]["text"] for event in first] == [event["choices"][0]["text"] for event in second]


async def test_tokens_there_and_back(engine: RunningChild) -> None:
    text = "The river runs, naïvely: 42 times."
    ids = (await post(engine, "/tokenize", {"content": text}))["tokens"]
    assert all(0 <= number < (engine.properties.vocabulary or 0) for number in ids)
    assert (await post(engine, "/detokenize", {"tokens": ids}))["content"] == text


async def test_the_template_renders_roles(engine: RunningChild) -> None:
    messages = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi."}]
    prompt = (await post(engine, "/apply-template", {"messages": messages}))["prompt"]
    assert prompt.index("Be kind.") < prompt.index("Hi.") < prompt.rindex("assistant")


async def test_a_schema_is_kept(engine: RunningChild) -> None:
    schema = {
        "type": "object",
        "properties": {"ok": {"type": "boolean"}, "colour": {"enum": ["red", "blue"]}},
        "required": ["ok", "colour"],
        "additionalProperties": False,
    }
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema, "strict": True}}
    got = await events(engine, "/v1/chat/completions", chat("Answer.", max_tokens=60, response_format=wanted))
    answer = json.loads("".join(event["choices"][0]["delta"].get("content") or "" for event in got))
    assert set(answer) == {"ok", "colour"}
    assert answer["colour"] in {"red", "blue"}


async def test_a_token_can_be_forced_and_its_raw_log_probability_read(engine: RunningChild) -> None:
    prompt, (forced, *_) = [(await post(engine, "/tokenize", {"content": text}))["tokens"] for text in ("The river runs", " under")]
    got = await post(
        engine,
        "/completion",
        {"prompt": prompt, "n_predict": 1, "n_probs": 1, "logit_bias": [[forced, 100]], "cache_prompt": True, "temperature": 0},
    )
    (entry,) = got["completion_probabilities"]
    assert entry["id"] == forced
    assert -25 < entry["logprob"] < 0


async def test_too_long_a_prompt_is_refused_with_both_numbers(engine: RunningChild) -> None:
    with pytest.raises(ContextLengthExceeded, match=r"1024 tokens.*\d{4}"):
        await events(engine, "/v1/chat/completions", chat("river " * 1500))


async def test_leaving_frees_the_slot_within_a_second(engine: RunningChild) -> None:
    """Both slots are left in mid-answer; the next two answers must not wait for them."""
    body = json.dumps({**chat("Tell a story. [[tokens:500]] [[delay_ms:20]]", max_tokens=900, ignore_eos=True), "stream": True}).encode()

    async def leave() -> None:
        async with aclosing(engine.client.stream("/v1/chat/completions", body)) as stream:
            async for _ in stream:
                return

    await asyncio.gather(leave(), leave())
    started = time.perf_counter()
    await asyncio.gather(*(events(engine, "/v1/completions", {"prompt": "Hi", "max_tokens": 1}) for _ in range(2)))
    assert time.perf_counter() - started < 1


async def test_killed_in_mid_stream(engine: RunningChild) -> None:
    body = json.dumps({**chat("Tell a story. [[tokens:500]] [[delay_ms:20]]", max_tokens=900), "stream": True}).encode()
    with pytest.raises(EngineFailed):  # noqa: PT012 - it breaks in the middle
        async for _ in engine.client.stream("/v1/chat/completions", body):
            psutil.Process(engine.pid).kill()
    await asyncio.wait_for(engine.exited(), 2)
    assert not engine.alive
    assert engine.resident_bytes() == 0


@pytest.mark.parametrize("kind", ["fake", "embedding"])
async def test_a_hung_process_is_a_timeout(kind: str, tmp_path: Path) -> None:
    engine = await start(kind, tmp_path, stall_timeout_s=0.5)
    psutil.Process(engine.pid).suspend()
    with pytest.raises(EngineTimeout):
        await post(engine, "/tokenize", {"content": "Hi"})
    await asyncio.wait_for(engine.stop(), 10)
    assert not psutil.pid_exists(engine.pid)


async def test_the_socket_wants_the_key(process: RunningChild, tmp_path: Path) -> None:
    from openhearth.engines.client import HttpClient

    (socket,) = tmp_path.glob("*.sock")
    stranger = HttpClient(path=socket, key="wrong")
    with pytest.raises((EngineFailed, InvalidRequest)):
        await stranger.post("/tokenize", b'{"content": "Hi"}')
    await stranger.close()
    assert "tokens" in await post(process, "/tokenize", {"content": "Hi"})
    assert psutil.Process(process.pid).net_connections("tcp") == []


async def test_its_secrets_are_not_in_its_arguments(process: RunningChild) -> None:
    shown = " ".join(psutil.Process(process.pid).cmdline())
    assert shown.endswith(("openhearth.engines.fake", "openhearth.engines.llama", "openhearth.engines.embedding"))


async def test_it_ends_politely_when_told(process: RunningChild) -> None:
    started = time.perf_counter()
    await process.stop()
    assert await process.exited() in {0, -signal.SIGTERM}
    assert "Fatal" not in process.last_words
    assert time.perf_counter() - started < 1
