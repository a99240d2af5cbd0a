"""What a model on the disk is: read from its files before anything is loaded."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TypeVar

import msgspec

from openhearth.engines.contract import Capability
from openhearth.errors import InvalidRequest
from openhearth.models.catalogue import CatalogueEntry, Task
from openhearth.models.gguf import Header, read_header
from openhearth.models.library import Manifest, StoredFile

T = TypeVar("T")
_GENERIC = frozenset({"model", "ggml", "gguf", "weights"})
"""File names that say nothing."""
_ENCODERS = frozenset({"bert", "nomic-bert", "nomic-bert-moe", "jina-bert-v2", "gemma-embedding", "modern-bert"})


class _Configuration(msgspec.Struct, frozen=True):
    """What every transformers model says of itself."""

    model_type: str = "unknown"
    max_position_embeddings: int | None = None
    vocab_size: int | None = None


class _SentenceConfiguration(msgspec.Struct, frozen=True):
    max_seq_length: int | None = None


def inspected(
    model_id: str, folder: Path, files: list[StoredFile], source: str, pulled_at: int, entry: CatalogueEntry | None = None
) -> Manifest:
    """The manifest of these files; `entry` tells what they don't. Raises InvalidRequest for files that are no model."""
    known = entry or CatalogueEntry(name=model_id, publisher=_publisher(source))
    base = Manifest(
        id=model_id,
        engine=known.engine,
        task=known.task,
        source=source,
        pulled_at=pulled_at,
        files=files,
        title=known.title,
        publisher=known.publisher,
        licence=known.licence,
        context=known.context,
        capabilities=known.capabilities,
        options=dict(known.options),
        prices=known.prices,
    )
    main = folder / files[0].path
    if main.suffix.lower() == ".gguf":
        return _with_header(base, read_header(main), chosen=entry is not None)
    if main.suffix in (".onnx", ".safetensors"):
        return _with_configuration(base, main)
    raise InvalidRequest(f"{files[0].path} is no model file that runs here: GGUF, ONNX and safetensors do.")


def _with_header(base: Manifest, header: Header, *, chosen: bool) -> Manifest:
    encodes = base.options.get("embedding") or header.architecture in _ENCODERS
    options = {**base.options, **({"embedding": True} if encodes else {})}
    found: set[Capability] = set(base.capabilities)
    if header.fills_in:
        found.add("infill")
    if header.uses_tools:
        found.add("tools")
    if header.reasons:
        found.add("reasoning")
    task: Task = "embedding" if encodes else base.task if chosen or header.template else "completion"
    licence = header.metadata.get("general.license")
    return msgspec.structs.replace(
        base,
        engine="llama",
        task=task,
        title=base.title or _title(header.metadata.get("general.name"), base.files[0].path),
        licence=base.licence or (licence if isinstance(licence, str) else None),
        context=header.context or base.context,
        capabilities=sorted(found),
        options=options,
        architecture=header.architecture,
        parameters=header.parameters,
        quantisation=header.quantisation,
        vocabulary=header.vocabulary or None,
        template=header.template,
        cache_bytes_per_token=header.cache_bytes_per_token,
    )


def _title(name: object, path: str) -> str:
    """What the file says that it is called, unless its own name has nothing of that: then it is the notes of some training run."""
    stem = re.sub(r"-\d{5}-of-\d{5}$", "", Path(path).stem)
    if not isinstance(name, str) or not name.isprintable():
        return stem
    plain = re.sub(r"[\W_]", "", stem.lower())
    words = re.findall(r"[^\W_]+", name.lower())
    generic = set(re.findall(r"[^\W_]+", stem.lower())) <= _GENERIC
    return name if words and (generic or all(word in plain for word in words)) else stem


def _publisher(source: str) -> str:
    """Who a model without a catalogue entry is from: the owner of its repository, its package, its host, or `local`."""
    _, separator, rest = source.partition("://")
    return re.split(r"[/=@:]", rest, maxsplit=1)[0] or "local" if separator else "local"


def _with_configuration(base: Manifest, main: Path) -> Manifest:
    configuration = _decoded(main.parent / "config.json", _Configuration)
    sentences = _decoded(main.parent / "sentence_bert_config.json", _SentenceConfiguration)
    return msgspec.structs.replace(
        base,
        engine="embedding",
        task="embedding",
        context=sentences.max_seq_length or configuration.max_position_embeddings or base.context,
        architecture=configuration.model_type,
        vocabulary=configuration.vocab_size,
        quantisation={".onnx": "ONNX", ".safetensors": "safetensors"}[main.suffix],
    )


def _decoded(path: Path, schema: type[T]) -> T:
    try:
        return msgspec.json.decode(path.read_bytes(), type=schema)
    except FileNotFoundError:
        return schema()
    except (OSError, msgspec.DecodeError) as error:
        raise InvalidRequest(f"{path.name} can't be read: {type(error).__name__}.") from None
