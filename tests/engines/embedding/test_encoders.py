"""The encoders compute what BERT's formulas say, and for each sequence the same whoever its neighbours are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from openhearth.engines.embedding.bert import gelu, shared
from openhearth.engines.embedding.model import EmbeddingModel
from openhearth.engines.embedding.onnx_encoder import OnnxEncoder, groups
from openhearth.engines.embedding.safetensors import read
from tests.support import onnx_file, tiny_bert
from tests.support.tiny_bert import CLS, CONTEXT, HEADS, LAYERS, SEP, SIZE, WORDS

SEQUENCES = [[2, 5, 6, 3], [2, 7, 3], [2, *range(4, 20), 3], [2, 9, 9, 9, 3], [2, 4, 3]]
Array = np.ndarray[Any, np.dtype[Any]]


def formula(tensors: dict[str, Array], ids: Sequence[int]) -> Array:
    """BERT for one sequence, as in its paper, a step per line and in double precision: tokens x size."""

    def linear(name: str, x: Array) -> Array:
        result: Array = x @ tensors[f"{name}.weight"].T + tensors[f"{name}.bias"]
        return result

    def norm(name: str, x: Array) -> Array:
        scaled = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-12)
        result: Array = scaled * tensors[f"{name}.weight"] + tensors[f"{name}.bias"]
        return result

    tables = [tensors[f"embeddings.{table}_embeddings.weight"] for table in ("word", "position", "token_type")]
    x = norm("embeddings.LayerNorm", tables[0][ids] + tables[1][: len(ids)] + tables[2][0])
    for layer in (f"encoder.layer.{number}" for number in range(LAYERS)):
        query, key, value = (linear(f"{layer}.attention.self.{part}", x) for part in ("query", "key", "value"))
        heads = []
        for head in range(HEADS):
            part = slice(head * SIZE // HEADS, (head + 1) * SIZE // HEADS)
            weights = np.exp(query[:, part] @ key[:, part].T / math.sqrt(SIZE // HEADS))
            heads.append(weights / weights.sum(-1, keepdims=True) @ value[:, part])
        x = norm(f"{layer}.attention.output.LayerNorm", linear(f"{layer}.attention.output.dense", np.hstack(heads)) + x)
        wide = linear(f"{layer}.intermediate.dense", x)
        wide = wide * (1 + np.vectorize(math.erf)(wide / math.sqrt(2))) / 2
        x = norm(f"{layer}.output.LayerNorm", linear(f"{layer}.output.dense", wide) + x)
    return x


@pytest.mark.parametrize("threads", [1, 3])
def test_it_computes_what_the_formulas_say(tmp_path: Path, threads: int) -> None:
    model = EmbeddingModel(tiny_bert.write(tmp_path), threads=threads)
    rows = model.embed(SEQUENCES)
    assert rows.dtype == np.dtype("<f4")
    for sequence, row in zip(SEQUENCES, rows, strict=True):
        mean = formula(tiny_bert.weights(), sequence).mean(axis=0)
        np.testing.assert_allclose(row, mean / np.linalg.norm(mean), atol=3e-6)


@pytest.mark.parametrize(("pooling", "pooled"), [("cls", lambda x: x[0]), ("max", lambda x: x.max(0)), ("mean", lambda x: x.mean(0))])
def test_pooling_can_be_told(tmp_path: Path, pooling: str, pooled: Any) -> None:
    vector = pooled(formula(tiny_bert.weights(), SEQUENCES[0]))
    found = EmbeddingModel(tiny_bert.write(tmp_path), threads=1, pooling=pooling).embed([SEQUENCES[0]])[0]
    np.testing.assert_allclose(found, vector / np.linalg.norm(vector), atol=3e-6)


def test_pooling_is_what_the_folder_says(tmp_path: Path) -> None:
    folder = tiny_bert.write(tmp_path)
    told = EmbeddingModel(folder, threads=1, pooling="cls").embed(SEQUENCES)
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text('{"word_embedding_dimension": 32, "pooling_mode_cls_token": true}')
    np.testing.assert_array_equal(EmbeddingModel(folder, threads=1).embed(SEQUENCES), told)


@pytest.mark.parametrize(("kind", "near"), [("F32", 1e-7), ("F16", 3e-3), ("BF16", 3e-2)])
def test_stored_numbers_of_half_the_size(tmp_path: Path, kind: str, near: float) -> None:
    folder = tiny_bert.write(tmp_path)
    whole = EmbeddingModel(folder, threads=1).embed(SEQUENCES)
    (folder / "model.safetensors").write_bytes(tiny_bert.safetensors(tiny_bert.weights(), kind))
    np.testing.assert_allclose(EmbeddingModel(folder, threads=1).embed(SEQUENCES), whole, atol=near)


def test_tensors_are_read_as_they_were_written(tmp_path: Path) -> None:
    tensors = {"a": np.arange(6.0).reshape(2, 3), "b": np.array(2.5)}
    (tmp_path / "x").write_bytes(tiny_bert.safetensors(tensors))
    found = read(tmp_path / "x")
    assert {name: tensor.tolist() for name, tensor in found.items()} == {name: tensor.tolist() for name, tensor in tensors.items()}


@pytest.mark.parametrize("threads", [1, 2])
def test_vectors_do_not_depend_on_neighbours(tmp_path: Path, threads: int) -> None:
    model = EmbeddingModel(tiny_bert.write(tmp_path), threads=threads)
    alone = np.concatenate([model.embed([sequence]) for sequence in SEQUENCES])
    np.testing.assert_allclose(model.embed(SEQUENCES), alone, atol=1e-6)
    np.testing.assert_allclose(model.embed(SEQUENCES[::-1])[::-1], alone, atol=1e-6)


WORD_TABLE = np.random.default_rng(3).normal(0, 1, (len(WORDS), SIZE)).astype(np.float32)
QUANTISED = [
    ("DynamicQuantizeLinear", ("looked_up",), ("whole", "scale", "zero")),
    ("DequantizeLinear", ("whole", "scale", "zero"), ("hidden",)),
]


def test_an_onnx_file_runs_padded(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(onnx_file.encoder(WORD_TABLE, [("Identity", ("looked_up",), ("hidden",))]))
    encoder = OnnxEncoder(tmp_path / "model.onnx", 1)
    for sequence, hidden in zip(SEQUENCES, encoder(SEQUENCES), strict=True):
        np.testing.assert_array_equal(hidden, WORD_TABLE[sequence])


def test_an_onnx_file_that_mixes_neighbours_runs_them_one_by_one(tmp_path: Path) -> None:
    """Quantised by the range of the whole run: beside an extreme word every other vector would change."""
    table = WORD_TABLE.copy()
    table[19] *= 50
    (tmp_path / "model.onnx").write_bytes(onnx_file.encoder(table, QUANTISED))
    encoder = OnnxEncoder(tmp_path / "model.onnx", 1)
    pair = [[2, 5, 6, 3], [2, 19, 19, 3]]
    np.testing.assert_array_equal(encoder(pair)[0], encoder(pair[:1])[0])
    np.testing.assert_allclose(encoder(pair)[0], table[pair[0]], atol=0.02)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_shares_are_whole_and_even(count: int) -> None:
    sequences = [[1] * (1 + number % 7) for number in range(40)]
    shares = shared(sequences, count)
    assert [sequence for share in shares for sequence in share] == sequences
    assert len(shares) == count
    tokens = [sum(map(len, share)) for share in shares]
    assert max(tokens) - min(tokens) <= 14


def test_one_sequence_is_one_share() -> None:
    assert shared([[1, 2, 3]], 4) == [[[1, 2, 3]]]


def test_groups_hold_everything_once_and_pad_little() -> None:
    lengths = [5, 200, 6, 5, 7, 190, 30]
    found = list(groups(lengths))
    assert sorted(number for group in found for number in group) == list(range(len(lengths)))
    for group in found:
        assert max(lengths[number] for number in group) * len(group) <= 1.25 * sum(lengths[number] for number in group)


def test_gelu_is_within_the_formulas_error() -> None:
    x = np.linspace(-8, 8, 4001, dtype=np.float32)
    exact = x.astype(float) * (1 + np.vectorize(math.erf)(x.astype(float) / math.sqrt(2))) / 2
    np.testing.assert_allclose(gelu(x.copy()), exact, atol=2e-6)


class TestTokens:
    def test_a_text_is_framed_and_never_cut(self, tmp_path: Path) -> None:
        model = EmbeddingModel(tiny_bert.write(tmp_path), threads=1)
        assert model.tokenize("the river") == [CLS, 4, 6, SEP]
        assert model.tokenize("the river", special=False) == [4, 6]
        assert len(model.tokenize("boat " * 100)) == 102

    def test_ids_are_framed_unless_they_are(self, tmp_path: Path) -> None:
        model = EmbeddingModel(tiny_bert.write(tmp_path), threads=1)
        assert model.framed([4, 6]) == model.framed([CLS, 4, 6, SEP]) == [CLS, 4, 6, SEP]
        with pytest.raises(ValueError, match=rf"{len(WORDS)} is not in this model's vocabulary of {len(WORDS)}"):
            model.framed([4, len(WORDS)])

    def test_a_frame_may_be_an_end_only(self, tmp_path: Path) -> None:
        from tokenizers import Tokenizer, processors

        folder = tiny_bert.write(tmp_path)
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        tokenizer.post_processor = processors.TemplateProcessing("$A [SEP]", special_tokens=[("[SEP]", SEP)])
        tokenizer.save(str(folder / "tokenizer.json"))
        model = EmbeddingModel(folder, threads=1)
        assert model.framed([4]) == model.framed([4, SEP]) == [4, SEP]

    @pytest.mark.parametrize(("files", "context"), [({}, CONTEXT), ({"sentence_bert_config.json": '{"max_seq_length": 20}'}, 20)])
    def test_the_context_is_what_the_model_was_made_for(self, tmp_path: Path, files: dict[str, str], context: int) -> None:
        folder = tiny_bert.write(tmp_path)
        for name, text in files.items():
            (folder / name).write_text(text)
        assert EmbeddingModel(folder, threads=1).context == context

    def test_positions_that_robertas_kind_never_uses_do_not_count(self, tmp_path: Path) -> None:
        folder = tiny_bert.write(tmp_path, model_type="roberta")
        (folder / "model.onnx").write_bytes(onnx_file.encoder(WORD_TABLE, [("Identity", ("looked_up",), ("hidden",))]))
        assert EmbeddingModel(folder, threads=1).context == CONTEXT - 2
