"""A BERT encoder in plain numpy: token ids -> one vector per token. Knows nothing of pooling, text or files.

Sequences of a batch lie end to end without padding; only attention looks at them one by one. So a sequence's vectors do not depend on
its neighbours, and nothing is computed for padding. Layout and formulas: Devlin et al. 2018, as in the published checkpoints.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from openhearth.engines.embedding.safetensors import BrokenFile

if TYPE_CHECKING:
    import numpy as np

    Tensor = np.ndarray[tuple[int, ...], np.dtype[np.float32]]

ROWS_AT_ONCE = 128
"""Rows of the widest layer handled together, so that its intermediate values stay in the processor's cache."""


class BertConfig(msgspec.Struct, frozen=True):
    """What is needed of `config.json`."""

    model_type: str
    hidden_size: int
    num_attention_heads: int
    num_hidden_layers: int
    max_position_embeddings: int
    vocab_size: int
    hidden_act: str = "gelu"
    layer_norm_eps: float = 1e-12
    position_embedding_type: str = "absolute"

    def check(self) -> None:
        """Raises ValueError for an architecture that this file does not compute."""
        if self.model_type != "bert":
            raise ValueError(f"Only BERT encoders run from safetensors, this is '{self.model_type}'; use its ONNX file.")
        if self.hidden_act != "gelu" or self.position_embedding_type != "absolute":
            raise ValueError(f"A BERT with {self.hidden_act} and {self.position_embedding_type} positions is not supported.")
        if self.num_attention_heads < 1 or self.hidden_size % self.num_attention_heads:
            raise ValueError("config.json: the hidden size is no multiple of the attention heads.")


@dataclass(frozen=True)
class _Linear:
    weight: Tensor
    bias: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        y = x @ self.weight
        y += self.bias
        return y


@dataclass(frozen=True)
class _Norm:
    weight: Tensor
    bias: Tensor
    epsilon: float

    def __call__(self, x: Tensor) -> Tensor:
        """In place."""
        import numpy as np

        x -= x.mean(axis=-1, keepdims=True)
        x /= np.sqrt(np.einsum("...i,...i->...", x, x)[..., None] / x.shape[-1] + self.epsilon)
        x *= self.weight
        x += self.bias
        return x


@dataclass(frozen=True)
class _Layer:
    qkv: _Linear
    attended: _Linear
    attended_norm: _Norm
    widen: _Linear
    narrow: _Linear
    norm: _Norm


class Bert:
    """The encoder with its weights. Raises BrokenFile if tensors are missing or of another shape than the configuration says."""

    def __init__(self, config: BertConfig, tensors: Mapping[str, Tensor], threads: int = 1) -> None:
        config.check()
        self.config = config
        self._threads = ThreadPoolExecutor(threads, "bert")
        self._shares = threads
        self._weights = _Weights(config, tensors)
        self._words = self._weights.get("embeddings.word_embeddings.weight", config.vocab_size, config.hidden_size)
        self._positions = self._weights.get("embeddings.position_embeddings.weight", config.max_position_embeddings, config.hidden_size)
        self._types = self._weights.get("embeddings.token_type_embeddings.weight", None, config.hidden_size)
        self._norm = self._weights.norm("embeddings.LayerNorm")
        self._layers = [self._weights.layer(f"encoder.layer.{number}.") for number in range(config.num_hidden_layers)]

    def __call__(self, sequences: Sequence[Sequence[int]]) -> list[Tensor]:
        """One matrix (tokens x hidden size) per sequence. Each thread computes a share of them."""
        if self._shares == 1 or len(sequences) == 1:
            return self._compute(sequences)
        shares = shared(sequences, self._shares)
        return [matrix for matrices in self._threads.map(self._compute, shares) for matrix in matrices]

    def _compute(self, sequences: Sequence[Sequence[int]]) -> list[Tensor]:
        import numpy as np

        ends = np.cumsum([len(sequence) for sequence in sequences])
        spans = [slice(int(end) - len(sequence), int(end)) for sequence, end in zip(sequences, ends, strict=True)]
        ids = np.concatenate([np.asarray(sequence, np.int64) for sequence in sequences])
        positions = np.concatenate([np.arange(len(sequence)) for sequence in sequences])
        x = self._norm(self._words[ids] + self._positions[positions] + self._types[0])
        for layer in self._layers:
            x = self._apply(layer, x, spans)
        return [x[span] for span in spans]

    def _apply(self, layer: _Layer, x: Tensor, spans: list[slice]) -> Tensor:
        import numpy as np

        qkv = layer.qkv(x)
        mixed = np.empty_like(x)
        for span in spans:
            mixed[span] = self._attend(qkv[span])
        x = layer.attended_norm(layer.attended(mixed) + x)
        wide = np.empty_like(x)
        for begin in range(0, len(x), ROWS_AT_ONCE):
            rows = slice(begin, begin + ROWS_AT_ONCE)
            wide[rows] = layer.narrow(gelu(layer.widen(x[rows])))
        return layer.norm(wide + x)

    def _attend(self, qkv: Tensor) -> Tensor:
        """Softmax attention within one sequence, all heads at once. The queries' scale lies in the weights."""
        import numpy as np

        heads = self.config.num_attention_heads
        length = len(qkv)
        query, key, value = qkv.reshape(length, 3, heads, -1).transpose(1, 2, 0, 3)
        scores = query @ key.transpose(0, 2, 1)
        scores -= scores.max(axis=-1, keepdims=True)
        np.exp(scores, out=scores)
        scores /= scores.sum(axis=-1, keepdims=True)
        mixed = (scores @ value).transpose(1, 0, 2).reshape(length, -1)
        return mixed.astype(np.float32, copy=False)


class _Weights:
    """Takes tensors out of the file by name and checks their shapes."""

    def __init__(self, config: BertConfig, tensors: Mapping[str, Tensor]) -> None:
        self._config = config
        self._tensors = tensors
        self._prefix = "" if "embeddings.word_embeddings.weight" in tensors else "bert."

    def get(self, name: str, *shape: int | None) -> Tensor:
        tensor = self._tensors.get(self._prefix + name)
        if tensor is None:
            raise BrokenFile(f"The model's weights lack {name!r}.")
        if len(shape) != tensor.ndim or any(want not in (None, have) for want, have in zip(shape, tensor.shape, strict=True)):
            raise BrokenFile(f"Tensor {name!r} has the shape {tensor.shape}, not {shape}.")
        return tensor

    def linear(self, name: str, inputs: int | None, outputs: int | None) -> _Linear:
        import numpy as np

        weight = np.ascontiguousarray(self.get(f"{name}.weight", outputs, inputs).T)
        return _Linear(weight, np.array(self.get(f"{name}.bias", weight.shape[1])))

    def norm(self, name: str) -> _Norm:
        import numpy as np

        size = self._config.hidden_size
        weight, bias = self.get(f"{name}.weight", size), self.get(f"{name}.bias", size)
        return _Norm(np.array(weight), np.array(bias), self._config.layer_norm_eps)

    def layer(self, prefix: str) -> _Layer:
        size = self._config.hidden_size
        return _Layer(
            self._qkv(prefix + "attention.self."),
            self.linear(prefix + "attention.output.dense", size, size),
            self.norm(prefix + "attention.output.LayerNorm"),
            self.linear(prefix + "intermediate.dense", size, None),
            self.linear(prefix + "output.dense", None, size),
            self.norm(prefix + "output.LayerNorm"),
        )

    def _qkv(self, prefix: str) -> _Linear:
        import numpy as np

        size = self._config.hidden_size
        query, key, value = (self.linear(prefix + name, size, size) for name in ("query", "key", "value"))
        scale = np.float32((size // self._config.num_attention_heads) ** -0.5)
        weight = np.concatenate([query.weight * scale, key.weight, value.weight], axis=1)
        return _Linear(weight, np.concatenate([query.bias * scale, key.bias, value.bias]))


def shared(sequences: Sequence[Sequence[int]], count: int) -> list[Sequence[Sequence[int]]]:
    """Neighbouring sequences in at most `count` shares of about the same number of tokens."""
    share = sum(map(len, sequences)) / count
    shares: list[list[Sequence[int]]] = [[]]
    tokens = 0
    for sequence in sequences:
        if shares[-1] and tokens + len(sequence) / 2 > share * len(shares):
            shares.append([])
        shares[-1].append(sequence)
        tokens += len(sequence)
    return list(shares)


def gelu(x: Tensor) -> Tensor:
    """x * Phi(x), in place. The error function is formula 7.1.26 of Abramowitz and Stegun, within 1.5e-7."""
    import numpy as np

    z = np.abs(x)
    z *= np.float32(2**-0.5)
    t = 1 / (1 + np.float32(0.3275911) * z)
    tail = np.float32(1.061405429) * t
    for coefficient in (-1.453152027, 1.421413741, -0.284496736, 0.254829592):
        tail += np.float32(coefficient)
        tail *= t
    z *= z
    tail *= np.exp(-z)
    # tail is 1 - erf(|x|/sqrt 2), so Phi is 1 - tail/2 right of zero and tail/2 left of it.
    tail *= np.float32(0.5)
    x *= np.where(x >= 0, 1 - tail, tail)
    return x
