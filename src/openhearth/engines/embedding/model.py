"""An embedding model from its folder: tokens in, unit vectors out. Reads the files that sentence-transformers writes; no HTTP, no queue."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta

if TYPE_CHECKING:
    import numpy as np

    Tensor = np.ndarray[tuple[int, ...], np.dtype[np.float32]]

Encoder = Callable[[Sequence[Sequence[int]]], "list[Tensor]"]
Weights = Literal["onnx", "safetensors"]
T = TypeVar("T")


class Pooling(msgspec.Struct, frozen=True):
    """`1_Pooling/config.json`: how one vector is made of a text's many. One of the three, else ValueError."""

    pooling_mode_cls_token: bool = False
    pooling_mode_mean_tokens: bool = False
    pooling_mode_max_tokens: bool = False
    pooling_mode_mean_sqrt_len_tokens: bool = False
    pooling_mode_weightedmean_tokens: bool = False
    pooling_mode_lasttoken: bool = False

    def function(self) -> Callable[[Tensor], Tensor]:
        """Tokens x size -> size."""
        chosen = [name for name in self.__struct_fields__ if getattr(self, name)]
        known: dict[str, Callable[[Tensor], Tensor]] = {
            "pooling_mode_cls_token": lambda hidden: hidden[0],
            "pooling_mode_mean_tokens": lambda hidden: hidden.mean(axis=0),
            "pooling_mode_max_tokens": lambda hidden: hidden.max(axis=0),
        }
        if len(chosen) != 1 or chosen[0] not in known:
            raise ValueError(f"1_Pooling/config.json: {' + '.join(chosen) or 'no pooling'} is not supported.")
        return known[chosen[0]]


TOLD = {
    "mean": Pooling(pooling_mode_mean_tokens=True),
    "cls": Pooling(pooling_mode_cls_token=True),
    "max": Pooling(pooling_mode_max_tokens=True),
}
"""Pooling as an owner names it."""


class _Sentence(msgspec.Struct, frozen=True):
    max_seq_length: int | None = None


class _Shape(msgspec.Struct, frozen=True):
    hidden_size: Annotated[int, Meta(ge=1)]
    vocab_size: Annotated[int, Meta(ge=1)]
    max_position_embeddings: Annotated[int, Meta(ge=3)] = 512
    model_type: str = "bert"

    @property
    def longest(self) -> int:
        """Tokens that have a position. RoBERTa's kind counts positions from its padding's id, 1, so two are never used."""
        return self.max_position_embeddings - (0 if self.model_type == "bert" else 2)


class _Module(msgspec.Struct, frozen=True):
    type: str


class EmbeddingModel:
    """A loaded model. Not for two threads at the same time, except `tokenize`."""

    def __init__(self, folder: Path, *, threads: int, weights: Weights | None = None, pooling: str | None = None) -> None:
        """`weights` None: ONNX where it is there. Raises OSError, ValueError or onnxruntime's own errors for files that don't do."""
        shape = _read(folder / "config.json", _Shape)
        self.dimensions = shape.hidden_size
        self._tokenizer = _tokenizer(folder / "tokenizer.json")
        self.vocabulary = int(self._tokenizer.get_vocab_size(with_added_tokens=True))
        self._before, self._after = _frame(self._tokenizer)
        if self.vocabulary > shape.vocab_size:
            raise ValueError(f"tokenizer.json has {self.vocabulary} tokens, the model knows {shape.vocab_size}.")
        sentence = _optional(folder / "sentence_bert_config.json", _Sentence) or _Sentence()
        self.context = min(sentence.max_seq_length or shape.longest, shape.longest)
        self._pool = _pooling(folder, pooling).function()
        if weights not in (None, "onnx", "safetensors"):
            raise ValueError(f"weights is onnx or safetensors, not '{weights}'.")
        self.weights: Weights = weights or ("onnx" if (folder / "model.onnx").is_file() else "safetensors")
        self._encoder = _encoder(folder, self.weights, threads)

    def tokenize(self, text: str, *, special: bool = True) -> list[int]:
        """Token ids, with what the model wants around a text unless `special` is false."""
        return list(self._tokenizer.encode(text, add_special_tokens=special).ids)

    def pieces(self, ids: Sequence[int]) -> list[str]:
        """The vocabulary's words for the ids."""
        return [self._tokenizer.id_to_token(number) or "" for number in ids]

    def framed(self, ids: Sequence[int]) -> list[int]:
        """Ids from a client with what the model wants around a text, unless it is there. Raises ValueError for ids out of range."""
        wrong = next((number for number in ids if not 0 <= number < self.vocabulary), None)
        if wrong is not None:
            raise ValueError(f"token id {wrong} is not in this model's vocabulary of {self.vocabulary}")
        given = list(ids)
        if given[: len(self._before)] == self._before and given[len(given) - len(self._after) :] == self._after:
            return given
        return [*self._before, *given, *self._after]

    def embed(self, sequences: Sequence[Sequence[int]]) -> Tensor:
        """One unit vector per sequence, in a matrix. Raises ValueError if that can't be computed: the weights are damaged."""
        import numpy as np

        vectors = np.stack([self._pool(hidden) for hidden in self._encoder(sequences)])
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        if not (np.isfinite(lengths).all() and lengths.all()):
            raise ValueError("The model's vectors are not numbers: its weights are damaged.")
        unit: Tensor = (vectors / lengths).astype("<f4", copy=False)
        return unit

    def check(self) -> None:
        """Compute one vector. Raises ValueError for weights that are damaged or don't fit the folder's other files."""
        size = self.embed([self.framed([0])]).shape[1]
        if size != self.dimensions:
            raise ValueError(f"The model's vectors have {size} dimensions, its config.json says {self.dimensions}.")


def _encoder(folder: Path, weights: Weights, threads: int) -> Encoder:
    if weights == "onnx":
        from openhearth.engines.embedding.onnx_encoder import OnnxEncoder

        return OnnxEncoder(folder / "model.onnx", threads)
    from openhearth.engines.embedding import safetensors
    from openhearth.engines.embedding.bert import Bert, BertConfig

    return Bert(_read(folder / "config.json", BertConfig), safetensors.read(folder / "model.safetensors"), threads)


def _tokenizer(path: Path) -> Any:
    from tokenizers import Tokenizer

    if not path.is_file():
        raise ValueError("The model's folder has no tokenizer.json.")
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises nothing narrower
        raise ValueError(f"tokenizer.json: {error}") from None
    # Files come with the settings of somebody's training run; cutting silently is the worst of them.
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _frame(tokenizer: Any) -> tuple[list[int], list[int]]:
    """The ids before and after a text."""
    example = tokenizer.encode("a", add_special_tokens=True)
    ids, added = list(example.ids), list(example.special_tokens_mask)
    if 0 not in added:
        return ids, []
    return ids[: added.index(0)], ids[len(added) - added[::-1].index(0) :]


def _pooling(folder: Path, told: str | None) -> Pooling:
    """What the owner says, else what the folder says, else the mean."""
    for module in _optional(folder / "modules.json", list[_Module]) or []:
        if module.type.rpartition(".")[2] not in ("Transformer", "Pooling", "Normalize"):
            raise ValueError(f"modules.json: a model with {module.type} is not supported.")
    if told is not None:
        if told not in TOLD:
            raise ValueError(f"pooling is one of {', '.join(TOLD)}, not '{told}'.")
        return TOLD[told]
    return _optional(folder / "1_Pooling" / "config.json", Pooling) or Pooling(pooling_mode_mean_tokens=True)


def _optional(path: Path, schema: type[T]) -> T | None:
    return _read(path, schema) if path.is_file() else None


def _read(path: Path, schema: type[T]) -> T:
    try:
        return msgspec.json.decode(path.read_bytes(), type=schema)
    except FileNotFoundError:
        raise ValueError(f"The model's folder has no {path.name}.") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path.name}: {error}") from None
