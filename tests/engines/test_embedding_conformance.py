"""What every engine that embeds must do: the fake one, BERT encoders, and llama.cpp."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_asyncio

from openhearth.engines.contract import EngineSpec
from openhearth.engines.embedding import EmbeddingLauncher
from openhearth.engines.fake import FakeLauncher
from openhearth.engines.llama import Defaults, LlamaLauncher
from openhearth.engines.running import RunningChild
from openhearth.errors import ContextLengthExceeded
from tests.support import tiny_bert

pytestmark = pytest.mark.asyncio(loop_scope="module")
CONTEXT = tiny_bert.CONTEXT
ALIKE = 0.999
"""A quantised model rounds otherwise in a batch of another shape: 0.9997 was seen."""


async def start(kind: str, folder: Path) -> RunningChild:
    if kind == "fake":
        return await FakeLauncher(folder).start(EngineSpec("fake:embed", "fake", options={"task": "embedding", "context": CONTEXT}))
    if kind == "embedding":
        return await EmbeddingLauncher(folder, threads=1).start(EngineSpec("tiny:1", "embedding", tiny_bert.write(folder / "model")))
    from tests.support.pulled import smollm2

    # Any model gives vectors of its last layer; these mean little, but their shapes and limits are llama.cpp's.
    spec = EngineSpec("smollm2:embed", "llama", smollm2(), {"embedding": True, "pooling": "mean"})
    return await LlamaLauncher(folder, Defaults(slots=2, threads=1, context=512)).start(spec)


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["fake", "embedding", pytest.param("llama", marks=pytest.mark.real)])
async def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningChild]:
    running = await start(request.param, tmp_path_factory.mktemp("engine"))
    yield running
    await running.stop()


async def embed(engine: RunningChild, given: Any, **more: Any) -> Any:
    return json.loads(await engine.client.post("/v1/embeddings", json.dumps({"input": given, **more}).encode()))


def vectors(reply: Any) -> Any:
    assert [one["index"] for one in reply["data"]] == list(range(len(reply["data"])))
    return np.array([one["embedding"] for one in reply["data"]])


async def test_it_says_what_it_can(engine: RunningChild) -> None:
    assert {"embedding", "tokenize"} <= engine.properties.capabilities
    assert engine.properties.dimensions
    assert engine.properties.vocabulary


async def test_vectors_have_its_dimensions_and_length_one(engine: RunningChild) -> None:
    rows = vectors(await embed(engine, ["the river", "a boat", "light wind"]))
    assert rows.shape == (3, engine.properties.dimensions)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-4)
    assert not np.allclose(rows[0], rows[1])


async def test_a_text_has_the_same_vector_among_others(engine: RunningChild) -> None:
    alone = vectors(await embed(engine, "the river"))[0]
    among = vectors(await embed(engine, ["a boat turns", "the river", "wind " * 20]))[1]
    together = await asyncio.gather(*(embed(engine, text) for text in ["light", "the river", "slow " * 30]))
    assert alone @ among > ALIKE
    assert alone @ vectors(together[1])[0] > ALIKE


async def test_texts_of_all_lengths_have_their_own_vectors_whoever_is_beside_them(engine: RunningChild) -> None:
    texts = ["light", "the river", "a boat turns", "slow " * 9, "The old town lies by the river, where it rains. " * 2]
    alone = {text: vectors(await embed(engine, text))[0] for text in texts}
    for pair in itertools.permutations(texts, 2):
        for text, vector in zip(pair, vectors(await embed(engine, list(pair))), strict=True):
            assert alone[text] @ vector > ALIKE, f"{text!r} in {pair}"
    for first in range(len(texts)):
        order = (texts[first:] + texts[:first]) * 2
        for text, reply in zip(order, await asyncio.gather(*(embed(engine, text) for text in order)), strict=True):
            assert alone[text] @ vectors(reply)[0] > ALIKE, f"{text!r} among {order}"


async def test_base64_is_the_same_numbers(engine: RunningChild) -> None:
    plain = vectors(await embed(engine, "the river"))
    packed = (await embed(engine, "the river", encoding_format="base64"))["data"][0]["embedding"]
    np.testing.assert_allclose(np.frombuffer(base64.b64decode(packed), "<f4"), plain[0], atol=1e-6)


async def test_token_ids_mean_their_text(engine: RunningChild) -> None:
    ids = json.loads(await engine.client.post("/tokenize", b'{"content": "the river"}'))["tokens"]
    by_text, by_ids, by_lists = [await embed(engine, given) for given in ("the river", ids, [ids])]
    assert vectors(by_text)[0] @ vectors(by_ids)[0] > 0.9999
    assert vectors(by_text)[0] @ vectors(by_lists)[0] > 0.9999
    assert by_text["usage"] == by_ids["usage"] == by_lists["usage"]
    assert by_text["usage"]["prompt_tokens"] == by_text["usage"]["total_tokens"] >= len(ids)


@pytest.mark.parametrize("times", [1.2, 4, 40])
async def test_too_long_is_refused_with_both_numbers(engine: RunningChild, times: float) -> None:
    context = engine.properties.context or 0
    words = int(context * times)
    with pytest.raises(ContextLengthExceeded, match=rf"{context} tokens.*{str(words)[:-1]}\d tokens"):
        await embed(engine, ["the river", " ".join(["wind"] * words)])


async def test_the_whole_context_can_be_used(engine: RunningChild) -> None:
    context = engine.properties.context or 0
    reply = await embed(engine, " ".join(["wind"] * (context - 2)))
    assert context - 2 <= reply["usage"]["prompt_tokens"] <= context
