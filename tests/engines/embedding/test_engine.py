"""The engine as a process: what it answers and refuses, and what it does for clients that leave."""

from __future__ import annotations

import asyncio
import base64
import json
import struct
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import pytest_asyncio

from openhearth.engines.contract import EngineSpec
from openhearth.engines.embedding import EmbeddingLauncher
from openhearth.engines.embedding.model import EmbeddingModel
from openhearth.engines.running import RunningChild
from openhearth.errors import ContextLengthExceeded, EngineFailed, InvalidRequest
from tests.support import tiny_bert
from tests.support.tiny_bert import CLS, CONTEXT, SEP, SIZE, WORDS

pytestmark = pytest.mark.asyncio(loop_scope="module")
PATH = "/v1/embeddings"
GREAT: dict[str, Any] = {"input": ["a " * (CONTEXT - 2)] * 10_000}
"""Some seconds' work."""


@asynccontextmanager
async def started(folder: Path) -> AsyncIterator[RunningChild]:
    spec = EngineSpec("tiny:1", "embedding", tiny_bert.write(folder / "model"), {"slots": 5})
    running = await EmbeddingLauncher(folder, threads=2).start(spec)
    yield running
    await running.stop()
    assert list(folder.glob("*.sock")) == []


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningChild]:
    async with started(tmp_path_factory.mktemp("engine")) as running:
        yield running


async def post(engine: RunningChild, path: str = PATH, **body: Any) -> Any:
    return json.loads(await engine.client.post(path, json.dumps(body).encode()))


async def test_properties(engine: RunningChild) -> None:
    properties = engine.properties
    assert (properties.slots, properties.context, properties.dimensions) == (5, CONTEXT, SIZE)
    assert properties.vocabulary == len(WORDS)
    assert properties.capabilities == {"embedding", "tokenize"}
    assert engine.resident_bytes() > 10_000_000


async def test_the_four_shapes_of_input_mean_the_same(engine: RunningChild) -> None:
    single, ids = await post(engine, input="the river"), await post(engine, input=[4, 6])
    several, lists = await post(engine, input=["the river"]), await post(engine, input=[[4, 6]])
    assert single == ids == several == lists
    assert single["usage"] == {"prompt_tokens": 4, "total_tokens": 4}
    assert (single["model"], single["object"]) == ("tiny:1", "list")


async def test_vectors_are_those_of_the_model(engine: RunningChild, tmp_path: Path) -> None:
    folder = tiny_bert.write(tmp_path)
    texts = ["the old bridge", "wind", "a boat turns", "the old bridge"]
    data = (await post(engine, input=texts))["data"]
    model = EmbeddingModel(folder, threads=1)
    assert [one["index"] for one in data] == [0, 1, 2, 3]
    np.testing.assert_allclose([one["embedding"] for one in data], model.embed([model.tokenize(text) for text in texts]), atol=1e-6)


async def test_base64_holds_exactly_the_same_floats(engine: RunningChild) -> None:
    plain, packed = await post(engine, input="wind"), await post(engine, input="wind", encoding_format="base64")
    raw = base64.b64decode(packed["data"][0]["embedding"])
    assert list(struct.unpack(f"<{SIZE}f", raw)) == plain["data"][0]["embedding"]


async def test_requests_side_by_side_get_their_own(engine: RunningChild) -> None:
    texts = [f"{a} {b}" for a in WORDS[4:14] for b in WORDS[4:14]]
    alone = (await post(engine, input=texts))["data"]
    together = await asyncio.gather(*(post(engine, input=text) for text in texts))
    np.testing.assert_allclose(
        [reply["data"][0]["embedding"] for reply in together], [one["embedding"] for one in alone], atol=1e-6
    )  # fmt: skip


@pytest.mark.parametrize("given", ["boat " * (CONTEXT - 1), [["river"] * 3, None], ["wind", "boat " * 100], [4] * (CONTEXT - 1)])
async def test_too_long_is_refused_with_both_numbers_and_never_cut(engine: RunningChild, given: Any) -> None:
    if given[-1] is None:
        given = [[4] * 3, [4] * 98]
    with pytest.raises(ContextLengthExceeded, match=rf"{CONTEXT} tokens.*(49|100|102) tokens"):
        await post(engine, input=given)


async def test_a_text_that_just_fits_is_embedded(engine: RunningChild) -> None:
    reply = await post(engine, input="boat " * (CONTEXT - 2))
    assert reply["usage"]["prompt_tokens"] == CONTEXT


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"input": ""},
        {"input": []},
        {"input": [""]},
        {"input": [[]]},
        {"input": ["a", 4]},
        {"input": [4, "a"]},
        {"input": [[4], "a"]},
        {"input": ["a", [4]]},
        {"input": [True]},
        {"input": [[4.5]]},
        {"input": [-1]},
        {"input": [len(WORDS)]},
        {"input": [2**70]},
        {"input": "a", "encoding_format": "hex"},
        {"input": "a", "dimensions": 8},
        {"input": "a", "unheard_of": 1},
    ],
)
async def test_what_it_can_not_do_is_refused(engine: RunningChild, body: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        await post(engine, **body)


async def test_tokenize(engine: RunningChild) -> None:
    assert await post(engine, "/tokenize", content="the river") == {"tokens": [4, 6]}
    assert await post(engine, "/tokenize", content="the river", add_special=True) == {"tokens": [CLS, 4, 6, SEP]}
    pieces = await post(engine, "/tokenize", content="the sea", with_pieces=True)
    assert pieces == {"tokens": [{"id": 4, "piece": "the"}, {"id": 1, "piece": "[UNK]"}]}


async def test_who_leaves_frees_it_for_others(engine: RunningChild) -> None:
    """Long work is asked for and left; it must stop at once, and a small request be answered."""
    great = asyncio.gather(*(post(engine, **GREAT) for _ in range(10)))
    await asyncio.sleep(1.5)
    assert not great.done()
    great.cancel()
    with pytest.raises(asyncio.CancelledError):
        await great
    process = psutil.Process(engine.pid)
    until = time.monotonic() + 10
    process.cpu_percent()
    await asyncio.sleep(0.3)
    while process.cpu_percent() > 20:
        assert time.monotonic() < until, "it goes on computing for nobody"
        await asyncio.sleep(0.3)
    assert (await post(engine, input="wind"))["usage"]["prompt_tokens"] == 3


async def test_killed_in_mid_request(tmp_path: Path) -> None:
    async with started(tmp_path) as engine:
        asked = asyncio.gather(*(post(engine, **GREAT) for _ in range(5)))
        await asyncio.sleep(0.5)
        psutil.Process(engine.pid).kill()
        with pytest.raises(EngineFailed):
            await asked
        await asyncio.wait_for(engine.exited(), 2)
        assert not engine.alive
