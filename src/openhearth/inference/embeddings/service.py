"""Embeddings from request to reply: resolve, check, lease an engine, embed, count. Knows no HTTP.

A great request goes to the engine in pieces, and lets others in between them. Nothing is ever cut to fit.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import msgspec

from openhearth.accounts.principal import Principal
from openhearth.accounts.work import Usage
from openhearth.engines.contract import EngineSpec
from openhearth.engines.failures import context_exceeded
from openhearth.engines.pool import Lease
from openhearth.errors import ContextLengthExceeded, EngineFailed, InvalidRequest
from openhearth.inference.contract import CHARACTERS_PER_TOKEN, Inference
from openhearth.inference.embeddings.inputs import Input, check_ids, pieces, read_inputs, too_many_tokens
from openhearth.inference.embeddings.vectors import written
from openhearth.inference.lengths import surely_more
from openhearth.models.resolve import ResolvedModel
from openhearth.wire.embeddings import (
    MAX_TOKENS,
    Embedding,
    EmbeddingRequest,
    EmbeddingUsage,
    EncodedEmbeddingList,
    EngineEmbeddings,
    EngineTokens,
)

PATH = "/v1/embeddings"
SHOWN_NAMES = 5
MOST_COUNTED = 16 * MAX_TOKENS
"""Characters that are tokenised only to be counted."""


async def create_embeddings(house: Inference, principal: Principal, request: EmbeddingRequest) -> bytes:
    """The reply as JSON. Raises InvalidRequest for what can't be embedded as it stands, before anything is computed where that shows."""
    inputs = read_inputs(request.input)
    model = await _model(house, request.model)
    work = _Work(house, model, request)
    characters = sum(len(one) if isinstance(one, str) else CHARACTERS_PER_TOKEN * len(one) for one in inputs)
    async with house.metered(principal, "embeddings", model, work, kind="embedding", characters=characters):
        try:
            for piece in [inputs] if model.spec.kind == "upstream" else pieces(inputs):
                await work.embed(piece, of=inputs)
        except ContextLengthExceeded as error:
            raise ContextLengthExceeded(error.message, param="input") from None
    return msgspec.json.encode(EncodedEmbeddingList(work.data, model.id, EmbeddingUsage(work.tokens, work.tokens)))


class _Work:
    """One request under way: the vectors so far, as JSON, and the tokens that they took."""

    def __init__(self, house: Inference, model: ResolvedModel, request: EmbeddingRequest) -> None:
        self._house = house
        self._model = model
        self._request = request
        self.data: list[msgspec.Raw] = []
        self.tokens = 0
        self.started = time.perf_counter()
        self.first_token_s: float | None = None

    @property
    def usage(self) -> Usage:
        return Usage(self.tokens)

    async def embed(self, piece: Sequence[Input], *, of: Sequence[Input]) -> None:
        """Add this piece's vectors. With the first, what can be known of all inputs is checked.

        Each piece queues anew, so that others get their turn. There is room for it: who gets its slot left a place in the queue.
        """
        async with self._house.pool.acquire(self._model.spec) as lease:
            if not self.data:
                await _check(lease, of, self._request, self._house)
            reply = await lease.client.post(PATH, _body(lease.spec, piece, self._request))
        self._add(_read(reply, len(piece)))

    def _add(self, reply: EngineEmbeddings) -> None:
        self.tokens += reply.usage.prompt_tokens if reply.usage else 0
        if self.tokens > MAX_TOKENS:
            raise too_many_tokens()
        for one in sorted(reply.data, key=lambda one: one.index):
            vector = written(one.embedding, as_text=self._request.encoding_format == "base64", dimensions=self._request.dimensions)
            self.data.append(msgspec.Raw(msgspec.json.encode(Embedding(len(self.data), vector))))


async def _model(house: Inference, name: str | None) -> ResolvedModel:
    """Refuses a model that makes no embeddings before its engine is started. Only an upstream knows what its models can."""
    if not name:
        raise InvalidRequest("Missing required parameter: 'model'.", param="model", code="missing_required_parameter")
    model = await house.models.resolve(name)
    embeds = "embedding" in model.capabilities or model.spec.options.get("embedding")
    if not embeds and model.spec.kind != "upstream":
        raise await _no_embeddings(house, model.id)
    return model


async def _no_embeddings(house: Inference, name: str) -> InvalidRequest:
    others = [model.id for model in await house.models.list() if "embedding" in model.capabilities and model.id != name]
    use = f"Use {' or '.join(others[:SHOWN_NAMES])}." if others else "Pull an embedding model first."
    return InvalidRequest(f"'{name}' can't make embeddings. {use}", param="model")


async def _check(lease: Lease, inputs: Sequence[Input], request: EmbeddingRequest, house: Inference) -> None:
    """What the running engine's properties tell of the whole request."""
    if lease.spec.kind == "upstream":
        return
    properties = lease.properties
    if "embedding" not in properties.capabilities:
        raise await _no_embeddings(house, lease.spec.id)
    if request.dimensions and properties.dimensions and request.dimensions > properties.dimensions:
        raise InvalidRequest(
            f"'{lease.spec.id}' makes vectors of {properties.dimensions} dimensions; {request.dimensions} were asked for.",
            param="dimensions",
            code="invalid_value",
        )
    if properties.vocabulary:
        check_ids(inputs, properties.vocabulary, lease.spec.id)
    await _check_lengths(lease, inputs)
    await _check_total(lease, inputs)


async def _check_lengths(lease: Lease, inputs: Sequence[Input]) -> None:
    """A text that is far too long is refused by its beginning."""
    context = lease.properties.context
    for text in inputs if context else ():
        if (
            context
            and isinstance(text, str)
            and (found := await surely_more(text, context, lambda piece: _count(lease, piece))) is not None
        ):
            raise context_exceeded(found, context, param="input", at_least=True)


async def _count(lease: Lease, text: str) -> int:
    return len(msgspec.json.decode(await lease.client.post("/tokenize", msgspec.json.encode({"content": text})), type=EngineTokens).tokens)


async def _check_total(lease: Lease, inputs: Sequence[Input]) -> None:
    """Texts that may be too many tokens together are counted before any is embedded. Joined, so a token each may be the joint's."""
    texts = [one for one in inputs if isinstance(one, str)]
    if sum(len(text.encode()) for text in texts) <= MAX_TOKENS:
        return
    if await _count(lease, "\n".join(texts)[:MOST_COUNTED]) - len(texts) > MAX_TOKENS:
        raise too_many_tokens()


def _body(spec: EngineSpec, piece: Sequence[Input], request: EmbeddingRequest) -> bytes:
    """Base64 is the quickest to read and write; but not every upstream can."""
    if spec.kind != "upstream":
        return msgspec.json.encode({"input": piece, "encoding_format": "base64"})
    more = {"dimensions": request.dimensions, "user": request.user}
    given = {name: value for name, value in more.items() if value is not None}
    return msgspec.json.encode({"model": spec.options.get("model", spec.id), "input": piece, "encoding_format": "float", **given})


def _read(reply: bytes, inputs: int) -> EngineEmbeddings:
    try:
        found = msgspec.json.decode(reply, type=EngineEmbeddings)
    except msgspec.DecodeError:
        raise EngineFailed("The engine's answer holds no embeddings.") from None
    if len(found.data) != inputs:
        raise EngineFailed(f"The engine was given {inputs} inputs and answered with {len(found.data)} embeddings.")
    return found
