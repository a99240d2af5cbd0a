"""A BERT small enough for a test, with random weights, as the files that an embedding engine is given."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

TEXT = "the a river boat bridge light water wind slow fast old new red blue runs falls waits turns"
WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", *TEXT.split())
CLS, SEP = 2, 3
SIZE, HEADS, LAYERS, WIDE, CONTEXT = 32, 4, 2, 64, 48
CONFIG = {
    "model_type": "bert",
    "hidden_size": SIZE,
    "num_attention_heads": HEADS,
    "num_hidden_layers": LAYERS,
    "intermediate_size": WIDE,
    "max_position_embeddings": CONTEXT,
    "vocab_size": len(WORDS),
}

Array = np.ndarray[Any, np.dtype[Any]]


def weights(seed: int = 1) -> dict[str, Array]:
    """Tensors by their names in published checkpoints."""
    random = np.random.default_rng(seed)
    tensors: dict[str, Array] = {}

    def linear(name: str, outputs: int, inputs: int) -> None:
        tensors[f"{name}.weight"] = random.normal(0, inputs**-0.5, (outputs, inputs))
        tensors[f"{name}.bias"] = random.normal(0, 0.1, outputs)

    def norm(name: str) -> None:
        tensors[f"{name}.weight"] = random.normal(1, 0.1, SIZE)
        tensors[f"{name}.bias"] = random.normal(0, 0.1, SIZE)

    for table, rows in (("word", len(WORDS)), ("position", CONTEXT), ("token_type", 2)):
        tensors[f"embeddings.{table}_embeddings.weight"] = random.normal(0, 1, (rows, SIZE))
    norm("embeddings.LayerNorm")
    for layer in (f"encoder.layer.{number}" for number in range(LAYERS)):
        for part in ("query", "key", "value"):
            linear(f"{layer}.attention.self.{part}", SIZE, SIZE)
        linear(f"{layer}.attention.output.dense", SIZE, SIZE)
        norm(f"{layer}.attention.output.LayerNorm")
        linear(f"{layer}.intermediate.dense", WIDE, SIZE)
        linear(f"{layer}.output.dense", SIZE, WIDE)
        norm(f"{layer}.output.LayerNorm")
    return tensors


def safetensors(tensors: Mapping[str, Array], kind: str = "F32") -> bytes:
    """The file's bytes; `kind` is the format's name of a number's type."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    body = b""
    for name, tensor in tensors.items():
        stored = _stored(tensor, kind)
        header[name] = {"dtype": kind, "shape": list(tensor.shape), "data_offsets": [len(body), len(body) + len(stored)]}
        body += stored
    head = json.dumps(header).encode()
    return len(head).to_bytes(8, "little") + head + body


def _stored(tensor: Array, kind: str) -> bytes:
    if kind == "BF16":
        return bytes((tensor.astype("<f4").view("<u4") >> 16).astype("<u2").tobytes())
    return bytes(tensor.astype({"F32": "<f4", "F16": "<f2", "F64": "<f8"}[kind]).tobytes())


def write(folder: Path, tensors: Mapping[str, Array] | None = None, **config: Any) -> Path:
    """A whole folder: configuration, tokenizer, safetensors."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    tokenizer = Tokenizer(models.WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", special_tokens=[("[CLS]", CLS), ("[SEP]", SEP)])
    # As in published files: somebody's training cut at 8 tokens, which must not cut a client's text.
    tokenizer.enable_truncation(8)
    tokenizer.enable_padding(length=8)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "config.json").write_text(json.dumps({**CONFIG, **config}), encoding="utf-8")
    (folder / "model.safetensors").write_bytes(safetensors(weights() if tensors is None else tensors))
    return folder
