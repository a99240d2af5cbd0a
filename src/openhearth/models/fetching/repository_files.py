"""Which of a repository's files make a model that runs here: GGUF of one quantisation, or an embedding model. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

from openhearth.errors import DownloadFailed
from openhearth.models.fetching.hub import Listed

PREFERRED = ("Q4_K_M", "Q8_0")
WEIGHTS = ("onnx/model.onnx", "model.onnx", "model.safetensors")
"""An embedding model's, in order of preference."""
MOST_SHARDS = 999
CONFIGURATION = frozenset(
    {"config.json", "tokenizer_config.json", "special_tokens_map.json", "modules.json", "sentence_bert_config.json",
     "config_sentence_transformers.json", "1_Pooling/config.json"}
)  # fmt: skip
_SPLIT = re.compile(r"(?P<stem>.*)-(?P<number>\d{5})-of-(?P<count>\d{5})\.gguf", re.IGNORECASE)
_QUANTISATION = re.compile(r"(?:^|[-._/])((?:UD-)?(?:I?Q\d+(?:_[A-Z0-9]+)*|TQ\d_\d|MXFP4(?:_MOE)?|BF16|F16|FP16|F32|FP32))$", re.IGNORECASE)


def chosen(files: Sequence[Listed], quantisation: str | None) -> list[Listed]:
    """The files to fetch, the main one first. Raises DownloadFailed saying what there is instead."""
    models = _gguf_models(files)
    if models:
        return _of_quantisation(models, quantisation)
    if quantisation is not None:
        raise DownloadFailed(f"No GGUF files are there, so none of quantisation {quantisation!r}.")
    return _embedding(files)


def quantisation_of(path: str) -> str | None:
    """`model-Q4_K_M.gguf`, `model.Q4_K_M-00001-of-00002.gguf` -> `Q4_K_M`."""
    split = _SPLIT.fullmatch(path)
    stem = split["stem"] if split else path.removesuffix(".gguf")
    found = _QUANTISATION.search(stem)
    return found[1].upper() if found else None


def name_here(path: str) -> str:
    """Where a repository's file belongs in a model's own folder: GGUF and ONNX files at its top, the others as they were."""
    return PurePosixPath(path).name if path.endswith(".gguf") else path.removeprefix("onnx/")


def shards(path: str) -> list[str]:
    """The path of every file of a split GGUF, given that of one of them; any other path alone."""
    split = _SPLIT.fullmatch(path)
    if not split or not 1 <= int(split["number"]) <= int(split["count"]) <= MOST_SHARDS:
        return [path]
    return [f"{split['stem']}-{number:05d}-of-{split['count']}.gguf" for number in range(1, int(split["count"]) + 1)]


def _gguf_models(files: Sequence[Listed]) -> list[list[Listed]]:
    """Each model's files in order; vision projectors and importance matrices are not models."""
    grouped: dict[tuple[str, int], list[Listed]] = {}
    for file in sorted(files, key=lambda file: file.path):
        name = PurePosixPath(file.path).name.lower()
        if not name.endswith(".gguf") or "mmproj" in name or "imatrix" in name:
            continue
        split = _SPLIT.fullmatch(file.path)
        key = (split["stem"], int(split["count"])) if split else (file.path, 1)
        grouped.setdefault(key, []).append(file)
    for (stem, count), pieces in grouped.items():
        if len(pieces) != count:
            raise DownloadFailed(f"{stem}: only {len(pieces)} of its {count} files are there.")
    return list(grouped.values())


def _of_quantisation(models: list[list[Listed]], wanted: str | None) -> list[Listed]:
    named = {(quantisation_of(files[0].path) or ""): files for files in sorted(models, key=_size, reverse=True)}
    if wanted is not None:
        if wanted.upper() in named:
            return named[wanted.upper()]
        raise DownloadFailed(f"No quantisation {wanted!r} is there; there are {', '.join(sorted(filter(None, named)))}.")
    for preferred in PREFERRED:
        if preferred in named:
            return named[preferred]
    return min(models, key=_size)


def _size(files: list[Listed]) -> int:
    return sum(file.size or 0 for file in files)


def _embedding(files: Sequence[Listed]) -> list[Listed]:
    by_path = {file.path: file for file in files}
    weights = next((by_path[path] for path in WEIGHTS if path in by_path), None)
    if weights is None or "tokenizer.json" not in by_path:
        raise DownloadFailed("Neither a GGUF file is there nor an embedding model (ONNX or safetensors, with a tokenizer.json).")
    beside = [by_path[path] for path in (weights.path + "_data", weights.path + ".data") if path in by_path]
    return [weights, *beside, by_path["tokenizer.json"], *(by_path[path] for path in sorted(CONFIGURATION & by_path.keys()))]
