"""`POST /v1/embeddings`: the request, the reply, and what of an engine's reply is read."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

MAX_INPUTS = 2048
"""Texts, or lists of token ids, in one request."""
MAX_TOKENS = 300_000
"""Tokens of all inputs of one request together."""

TokenId = Annotated[int, Meta(ge=0, le=2**31 - 1)]
InputPart = Annotated[str | TokenId | list[TokenId], Meta(description="Text, a token id, or a list of token ids; one kind in a request.")]


class EmbeddingRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a client may send. None means the same as absent. A list of token ids is one input."""

    input: str | list[InputPart]
    model: Annotated[str, Meta(max_length=512)] | None = None
    dimensions: Annotated[int, Meta(ge=1)] | None = None
    encoding_format: Literal["float", "base64"] | None = None
    user: Annotated[str, Meta(max_length=512)] | None = None


class Embedding(msgspec.Struct, frozen=True):
    """The vector of one input, of length 1. As a string: its numbers as little-endian float32, in base64."""

    index: int
    embedding: list[float] | str
    object: Literal["embedding"] = "embedding"


class EmbeddingUsage(msgspec.Struct, frozen=True):
    prompt_tokens: int
    total_tokens: int


class EmbeddingList(msgspec.Struct, frozen=True):
    """One vector for each input, in the order of the request."""

    data: list[Embedding]
    model: str
    usage: EmbeddingUsage
    object: Literal["list"] = "list"


class EncodedEmbeddingList(msgspec.Struct, frozen=True):
    """The same with vectors that are already JSON."""

    data: list[msgspec.Raw]
    model: str
    usage: EmbeddingUsage
    object: Literal["list"] = "list"


class EngineEmbedding(msgspec.Struct, frozen=True):
    """A vector as an engine tells it."""

    embedding: str | list[float]
    index: int = 0


class EngineEmbeddingUsage(msgspec.Struct, frozen=True):
    prompt_tokens: int = 0


class EngineEmbeddings(msgspec.Struct, frozen=True):
    """An engine's reply; fields that we don't use are skipped in decoding."""

    data: list[EngineEmbedding]
    usage: EngineEmbeddingUsage | None = None


class EngineTokens(msgspec.Struct, frozen=True):
    """An engine's `/tokenize`."""

    tokens: list[int] = []
