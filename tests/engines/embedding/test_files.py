"""Files that don't do are refused at the start, in words that name the file; damaged ones are never served."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from openhearth.engines.contract import EngineSpec
from openhearth.engines.embedding import EmbeddingLauncher
from openhearth.engines.embedding.model import EmbeddingModel
from openhearth.engines.embedding.safetensors import BrokenFile, read
from openhearth.errors import EngineUnavailable
from tests.support import onnx_file, tiny_bert
from tests.support.tiny_bert import SIZE, WORDS


def load(folder: Path, **options: Any) -> None:
    EmbeddingModel(folder, threads=1, **options).check()


def header(**entry: Any) -> bytes:
    head = json.dumps({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8], **entry}}).encode()
    return len(head).to_bytes(8, "little") + head + bytes(8)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"short",
        b"\xff" * 100,
        (2**62).to_bytes(8, "little") + b"{}",
        (10).to_bytes(8, "little") + b"{}",
        (2).to_bytes(8, "little") + b"[]",
        (200_000).to_bytes(8, "little") + b"[" * 200_000,
        (4).to_bytes(8, "little") + b'"\xff\xff"',
        header(shape=[3]),
        header(shape=[-2]),
        header(shape=[2**40, 2**40]),
        header(shape=[1] * 40 + [2]),
        header(data_offsets=[4, 12]),
        header(data_offsets=[8, 0]),
        header(data_offsets=[-8, 0]),
        header(data_offsets=[0, 2**63]),
        header(data_offsets=[0]),
        header(dtype=7),
        header(shape="2"),
    ],
)
def test_a_broken_safetensors_file(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.safetensors").write_bytes(content)
    with pytest.raises(BrokenFile, match=r"model\.safetensors|'a'"):
        read(tmp_path / "model.safetensors")


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.999])
def test_a_truncated_safetensors_file(tmp_path: Path, share: float) -> None:
    path = tiny_bert.write(tmp_path) / "model.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(BrokenFile, match=r"safetensors|truncated"):
        load(tmp_path)


def without(name: str) -> dict[str, Any]:
    return {key: tensor for key, tensor in tiny_bert.weights().items() if key != name}


WORD_TABLE = "embeddings.word_embeddings.weight"


@pytest.mark.parametrize(
    ("tensors", "words"),
    [
        (without("encoder.layer.1.output.dense.bias"), r"lack 'encoder\.layer\.1\.output\.dense\.bias'"),
        ({**tiny_bert.weights(), WORD_TABLE: np.zeros((3, SIZE))}, r"shape \(3, 32\)"),
        ({**tiny_bert.weights(), "embeddings.LayerNorm.weight": np.full(SIZE, np.nan)}, "damaged"),
        ({**tiny_bert.weights(), "embeddings.LayerNorm.weight": np.full(SIZE, np.inf)}, "damaged"),
        ({**tiny_bert.weights(), "embeddings.token_type_embeddings.weight": np.zeros((0, SIZE))}, "size 0"),
        ({}, "lack"),
    ],
)
@pytest.mark.filterwarnings("ignore:invalid value encountered")
def test_weights_that_are_no_whole_bert(tmp_path: Path, tensors: dict[str, Any], words: str) -> None:
    tiny_bert.write(tmp_path, tensors)
    with pytest.raises((ValueError, IndexError), match=words):
        load(tmp_path)


def test_numbers_of_another_kind_are_missed_not_misread(tmp_path: Path) -> None:
    path = tiny_bert.write(tmp_path) / "model.safetensors"
    path.write_bytes(tiny_bert.safetensors(tiny_bert.weights(), "F64"))
    with pytest.raises(BrokenFile, match="lack"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"model_type": "t5"}, "ONNX"),
        ({"hidden_act": "relu"}, "relu"),
        ({"position_embedding_type": "relative_key"}, "relative_key"),
        ({"num_attention_heads": 5}, "heads"),
        ({"num_attention_heads": 0}, "heads"),
        ({"hidden_size": "32"}, r"config\.json"),
        ({"hidden_size": 64}, "shape"),
        ({"vocab_size": 5}, r"tokenizer\.json has 22 tokens"),
        ({"num_hidden_layers": 3}, "lack"),
    ],
)
def test_a_configuration_that_does_not_fit(tmp_path: Path, config: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        load(tiny_bert.write(tmp_path, **config))


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    (tiny_bert.write(tmp_path) / name).unlink()
    with pytest.raises((ValueError, OSError), match=name.replace(".", r"\.")):
        load(tmp_path)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "modules.json", "1_Pooling/config.json", "sentence_bert_config.json"])
@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b'"text"', b"[[[["])
def test_a_broken_text_file_is_named(tmp_path: Path, name: str, content: bytes) -> None:
    path = tiny_bert.write(tmp_path) / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    with pytest.raises(ValueError, match=path.name.replace(".", r"\.")):
        load(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("modules.json", '[{"type": "sentence_transformers.models.Dense"}]', "Dense"),
        ("1_Pooling/config.json", '{"pooling_mode_lasttoken": true}', "lasttoken"),
        ("1_Pooling/config.json", '{"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": true}', r"cls_token \+ .*mean_tokens"),
        ("1_Pooling/config.json", "{}", "no pooling"),
    ],
)
def test_what_would_be_computed_wrongly_is_refused(tmp_path: Path, name: str, content: str, words: str) -> None:
    path = tiny_bert.write(tmp_path) / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(content)
    with pytest.raises(ValueError, match=words):
        load(tmp_path)


@pytest.mark.parametrize(("option", "words"), [({"pooling": "sum"}, "mean, cls, max"), ({"weights": "torch"}, "onnx or safetensors")])
def test_options_that_do_not_exist(tmp_path: Path, option: dict[str, str], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        load(tiny_bert.write(tmp_path), **option)


TABLE = np.ones((len(WORDS), SIZE), np.float32)
SAME = [("Identity", ("looked_up",), ("hidden",))]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "model.onnx"),
        (b"not a model" * 100, "model.onnx"),
        (onnx_file.encoder(TABLE, SAME)[:-30], "."),
        (onnx_file.encoder(TABLE, SAME, inputs=("input_ids", "pixel_values")), "no text encoder.*pixel_values"),
        (onnx_file.encoder(TABLE[:, :8], SAME), "8 dimensions.* 32"),
        (onnx_file.encoder(TABLE, [("ReduceMean", ("looked_up",), ("hidden",))], output=("batch",)), "not one vector per token"),
        (onnx_file.encoder(TABLE[:7], SAME), "idx|indices"),
    ],
)
def test_an_onnx_file_that_does_not_do(tmp_path: Path, content: bytes, words: str) -> None:
    folder = tiny_bert.write(tmp_path)
    (folder / "model.onnx").write_bytes(content)
    with pytest.raises(Exception, match=words):  # onnxruntime's errors have no common parent
        load(folder)


@pytest.mark.parametrize("name", ["model.safetensors", "model.onnx", "tokenizer.json"])
async def test_the_engine_says_it_soon(tmp_path: Path, name: str) -> None:
    folder = tiny_bert.write(tmp_path / "broken")
    (folder / name).write_bytes(b"not what it should be")
    started = time.monotonic()
    with pytest.raises(EngineUnavailable, match=rf"tiny:1 ended while starting.*tiny:1 can't be loaded.*{name}"):
        await EmbeddingLauncher(tmp_path, threads=1).start(EngineSpec("tiny:1", "embedding", folder))
    assert time.monotonic() - started < 20
    assert list(tmp_path.glob("*.sock")) == []


@pytest.mark.parametrize("path", ["none", "config.json"])
async def test_a_folder_that_is_not_there_says_pull(tmp_path: Path, path: str) -> None:
    tiny_bert.write(tmp_path)
    launch: Callable[..., Any] = EmbeddingLauncher(tmp_path, threads=1).start
    with pytest.raises(EngineUnavailable, match="pull"):
        await launch(EngineSpec("tiny:1", "embedding", tmp_path / path))
