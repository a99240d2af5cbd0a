"""What is llama.cpp's own when it embeds: slots that its batches can't be divided by, and inputs as long as the context in all of them."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from openhearth.engines.contract import EngineSpec
from openhearth.engines.llama import Defaults, LlamaLauncher
from openhearth.engines.running import RunningChild
from openhearth.errors import ContextLengthExceeded
from tests.support.pulled import smollm2

pytestmark = pytest.mark.real
SLOTS, CONTEXT = 3, 100
ALIKE = 0.999
"""A quantised model rounds otherwise in a batch of another shape: 0.9997 was seen."""


async def vector(engine: RunningChild, text: str) -> Any:
    reply = json.loads(await engine.client.post("/v1/embeddings", json.dumps({"input": text}).encode()))
    return np.array(reply["data"][0]["embedding"])


@pytest.mark.parametrize("pooling", ["mean", "cls", "last"])
async def test_every_slot_can_embed_a_whole_context_at_once(tmp_path: Path, pooling: str) -> None:
    spec = EngineSpec("smollm2:embed", "llama", smollm2(), {"embedding": True, "pooling": pooling})
    engine = await LlamaLauncher(tmp_path, Defaults(slots=SLOTS, threads=1, context=CONTEXT)).start(spec)
    try:
        assert (engine.properties.slots, engine.properties.context) == (SLOTS, CONTEXT)
        texts = ["light", "the river", *(" ".join([word] * (CONTEXT - 2)) for word in ("wind", "slow", "river"))]
        alone = [await vector(engine, text) for text in texts]
        together = await asyncio.gather(*(vector(engine, text) for text in texts * 2))
        for text, one, same in zip(texts * 2, alone * 2, together, strict=True):
            assert one @ same > ALIKE, text
        with pytest.raises(ContextLengthExceeded, match=rf"{CONTEXT} tokens.*1\d\d tokens"):
            await vector(engine, " ".join(["wind"] * (CONTEXT + 2)))
    finally:
        await engine.stop()
