"""The real MiniLM: both kinds of file give the same meaning, and the vectors mean something."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from openhearth.engines.contract import EngineSpec
from openhearth.engines.embedding import EmbeddingLauncher
from openhearth.engines.embedding.model import EmbeddingModel
from openhearth.errors import ContextLengthExceeded
from tests.support.minilm import CONTEXT, DIMENSIONS, minilm

pytestmark = pytest.mark.real
TEXTS = (
    "A man is eating food.",
    "Someone has a meal.",
    "The quarterly report shows rising interest rates.",
    "Banks charge more for loans this year.",
    "Der Fluss fließt unter der alten Brücke.",
    "def add(a, b): return a + b",
    "🙂 ok",
    "word " * 200,
)


@pytest.fixture(scope="module", params=["onnx", "safetensors"])
def model(request: pytest.FixtureRequest) -> EmbeddingModel:
    return EmbeddingModel(minilm(), threads=2, weights=request.param)


def embedded(model: EmbeddingModel, texts: tuple[str, ...] = TEXTS) -> Any:
    return model.embed([model.tokenize(text) for text in texts])


def test_int8_and_whole_numbers_agree() -> None:
    onnx, whole = (embedded(EmbeddingModel(minilm(), threads=1, weights=kind)) for kind in ("onnx", "safetensors"))
    assert (onnx * whole).sum(axis=1).min() > 0.98


def test_it_is_the_published_model(model: EmbeddingModel) -> None:
    assert (model.dimensions, model.context, model.vocabulary) == (DIMENSIONS, CONTEXT, 30522)
    assert model.tokenize("Hello World!") == [101, 7592, 2088, 999, 102]


def test_vectors_do_not_depend_on_neighbours(model: EmbeddingModel) -> None:
    alone = np.concatenate([embedded(model, (text,)) for text in TEXTS])
    np.testing.assert_allclose(embedded(model), alone, atol=1e-5)


def test_what_means_the_same_is_near(model: EmbeddingModel) -> None:
    rows = embedded(model)
    near = rows @ rows.T
    assert near[0, 1] > 0.5 > 0.2 > near[0, 2]
    assert near[2, 3] > near[2, 0]
    np.testing.assert_allclose(np.diag(near), 1, atol=1e-5)


async def test_the_engine(tmp_path: Path) -> None:
    engine = await EmbeddingLauncher(tmp_path, threads=1).start(EngineSpec("minilm:l6", "embedding", minilm()))
    try:
        assert (engine.properties.context, engine.properties.dimensions) == (CONTEXT, DIMENSIONS)
        bodies = [json.dumps({"input": text}).encode() for text in TEXTS]
        replies = [json.loads(reply) for reply in await asyncio.gather(*(engine.client.post("/v1/embeddings", body) for body in bodies))]
        rows = embedded(EmbeddingModel(minilm(), threads=1))
        np.testing.assert_allclose([reply["data"][0]["embedding"] for reply in replies], rows, atol=1e-5)
        with pytest.raises(ContextLengthExceeded, match=r"256 tokens.*302 tokens"):
            await engine.client.post("/v1/embeddings", json.dumps({"input": "word " * 300}).encode())
    finally:
        await engine.stop()
