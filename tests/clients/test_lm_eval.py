"""EleutherAI's evaluation harness over `/v1/completions`: its log-likelihoods must be the engine's own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from openhearth.engines.contract import EngineClient, EngineSpec
from openhearth.engines.llama import Defaults, LlamaLauncher
from tests.support.foreign import environment, run
from tests.support.gguf_tokenizer import write_tokenizer
from tests.support.serving import RunningServer

pytestmark = pytest.mark.real
TASK = Path(__file__).parent / "lm_eval_task"
PER_TOKEN = 0.2
"""What batching alone may change in one log-probability of these quantised weights."""


@pytest.fixture(scope="module")
def gguf(real_server: RunningServer) -> Path:
    return next((real_server.data_dir / "models").rglob("*.gguf")).resolve()


@pytest.fixture(scope="module")
def samples(real_server: RunningServer, gguf: Path, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What the harness wrote down of each document."""
    folder = tmp_path_factory.mktemp("lm-eval")
    tokenizer = write_tokenizer(gguf, folder / "tokenizer")
    task = (TASK / "openhearth_sentiment.yaml").read_text().replace("DATA", str(TASK / "sentiment.jsonl"))
    (folder / "openhearth_sentiment.yaml").write_text(task)
    python = environment("lm-eval", ["lm-eval[api]==0.4.13", "transformers==5.23.0"])
    model = f"model=smollm2:135m,base_url={real_server.base_url}/completions,tokenizer={tokenizer},tokenizer_backend=huggingface"
    arguments = ["--model", "local-completions", "--model_args", model, "--tasks", "openhearth_sentiment", "--include_path", str(folder)]
    environ = {**real_server.environ, "HOME": str(folder), "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
    run(python, "-m", "lm_eval", *arguments, "--output_path", str(folder / "out"), "--log_samples", environ=environ)
    (written,) = (folder / "out").rglob("samples_*.jsonl")
    return [json.loads(line) for line in written.read_text().splitlines()]


async def log_likelihood(client: EngineClient, context: str, continuation: str) -> tuple[float, int]:
    """The engine's own, from the whole distribution after each prefix, evaluated in one batch; and how many tokens it sums over."""
    before, whole = [await tokens(client, text) for text in (context, context + continuation)]
    (letter,) = await tokens(client, "a")  # the engine reports no distribution where it answers with a part of a character
    total = 0.0
    for at in range(len(before), len(whole)):
        body = {"prompt": whole[:at], "n_predict": 1, "n_probs": 2**20, "cache_prompt": False, "logit_bias": [[letter, 100]]}
        answer = json.loads(await client.post("/completion", json.dumps(body).encode()))
        total += next(e["logprob"] for e in answer["completion_probabilities"][0]["top_logprobs"] if e["id"] == whole[at])
    return total, len(whole) - len(before)


async def tokens(client: EngineClient, text: str) -> list[int]:
    found: list[int] = json.loads(await client.post("/tokenize", json.dumps({"content": text}).encode()))["tokens"]
    return found


async def test_its_log_likelihoods_are_the_engines_own(samples: list[dict[str, Any]], gguf: Path, tmp_path: Path) -> None:
    assert len(samples) == 4
    engine = await LlamaLauncher(tmp_path, Defaults(slots=1, threads=1, context=512)).start(EngineSpec("reference", "llama", gguf))
    apart = []
    try:
        for sample in samples:
            for arguments, ((told, _greedy),) in zip(sample["arguments"].values(), sample["resps"], strict=True):
                expected, count = await log_likelihood(engine.client, arguments["arg_0"], arguments["arg_1"])
                apart.append(abs(float(told) - expected) / count)
    finally:
        await engine.stop()
    assert len(apart) == 8
    assert max(apart) < PER_TOKEN
    assert sum(apart) / len(apart) < PER_TOKEN / 2


def test_it_tells_likely_from_unlikely(samples: list[dict[str, Any]]) -> None:
    """The values belong to the texts: no two continuations of a document are equally likely, and none is certain."""
    for sample in samples:
        (first, _), (second, _) = (resp[0] for resp in sample["resps"])
        assert float(first) != float(second)
        assert float(first) < 0 > float(second)
