"""The embedding engine's routes, in the shapes of llama.cpp's server. Runs in the child process only."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import msgspec
from aiohttp import web

from openhearth.engines.child import new_app
from openhearth.engines.embedding.batching import Batcher
from openhearth.engines.embedding.model import EmbeddingModel

if TYPE_CHECKING:
    import numpy as np

    Tensor = np.ndarray[tuple[int, ...], np.dtype[np.float32]]

T = TypeVar("T")
TOKENIZER_THREADS = 2


class EmbeddingRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Vectors are always whole: who wants fewer dimensions cuts them."""

    input: str | list[str | int | list[int]]
    encoding_format: Literal["float", "base64"] | None = None
    model: str | None = None


class TokenizeRequest(msgspec.Struct, frozen=True):
    """As llama.cpp's."""

    content: str
    add_special: bool = False
    with_pieces: bool = False


class Refusal(Exception):
    """A 400, as llama.cpp words it."""

    def __init__(self, message: str, **more: Any) -> None:
        super().__init__(message)
        self.error = {"code": 400, "message": message, "type": "invalid_request_error", **more}


class EmbeddingServer:
    """One model, its batcher, and a few threads for tokenising."""

    def __init__(self, model: EmbeddingModel, config: dict[str, Any]) -> None:
        self._model = model
        self._id = str(config["id"])
        self._slots = int(config["slots"])
        self._batcher = Batcher(model.embed)
        self._tokenizing = ThreadPoolExecutor(TOKENIZER_THREADS, "tokenize")

    async def embeddings(self, request: web.Request) -> web.Response:
        asked = _decode(await request.read(), EmbeddingRequest)
        sequences = await self._in_thread(lambda: self._sequences(asked.input))
        vectors = await self._batcher.embed(sequences)
        tokens = sum(map(len, sequences))
        body = await self._in_thread(lambda: self._reply(vectors, asked, tokens))
        return web.Response(body=body, content_type="application/json")

    async def tokenize(self, request: web.Request) -> web.Response:
        asked = _decode(await request.read(), TokenizeRequest)
        ids = await self._in_thread(lambda: self._model.tokenize(asked.content, special=asked.add_special))
        if not asked.with_pieces:
            return _json({"tokens": ids})
        return _json({"tokens": [{"id": number, "piece": piece} for number, piece in zip(ids, self._model.pieces(ids), strict=True)]})

    async def properties(self, _request: web.Request) -> web.Response:
        return _json(
            {
                "default_generation_settings": {"n_ctx": self._model.context},
                "total_slots": self._slots,
                "n_embd": self._model.dimensions,
                "n_vocab": self._model.vocabulary,
                "weights": self._model.weights,
            }
        )

    async def health(self, _request: web.Request) -> web.Response:
        return _json({"status": "ok"})

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._tokenizing, work)

    def _sequences(self, given: str | list[str | int | list[int]]) -> list[list[int]]:
        """All four shapes of `input` -> framed token ids. Raises Refusal: empty, out of range, longer than the context."""
        inputs: list[Any] = [given] if isinstance(given, str) or (given and isinstance(given[0], int)) else given
        kind = type(inputs[0]) if inputs else str
        if kind not in (str, list) or not all(type(one) is kind and one for one in inputs) or not inputs:
            raise Refusal("input is empty, or of several kinds")
        sequences = [self._model.tokenize(one) if kind is str else self._framed(one) for one in inputs]
        self._check_length(max(map(len, sequences)))
        return sequences

    def _framed(self, ids: list[Any]) -> list[int]:
        if not all(type(number) is int for number in ids):
            raise Refusal("input is of several kinds")
        try:
            return self._model.framed(ids)
        except ValueError as error:
            raise Refusal(str(error)) from None

    def _check_length(self, longest: int) -> None:
        if longest > self._model.context:
            raise Refusal(
                f"the input has {longest} tokens, the context {self._model.context}",
                type="exceed_context_size_error",
                n_prompt_tokens=longest,
                n_ctx=self._model.context,
            )

    def _reply(self, vectors: Tensor, asked: EmbeddingRequest, tokens: int) -> bytes:
        written = _packed(vectors) if asked.encoding_format == "base64" else vectors.tolist()
        data = [{"object": "embedding", "index": number, "embedding": one} for number, one in enumerate(written)]
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        return msgspec.json.encode({"object": "list", "model": self._id, "data": data, "usage": usage})


def _packed(vectors: Tensor) -> list[str]:
    return [base64.b64encode(row.tobytes()).decode() for row in vectors]


def _json(value: Any, status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), status=status, content_type="application/json")


def _decode(body: bytes, schema: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=schema)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refusal(str(error)) from None


@web.middleware
async def refusals(request: web.Request, handler: Any) -> web.StreamResponse:
    """A refusal becomes its reply."""
    try:
        response: web.StreamResponse = await handler(request)
    except Refusal as refusal:
        return _json({"error": refusal.error}, 400)
    return response


def application(model: EmbeddingModel, config: dict[str, Any]) -> web.Application:
    """All routes."""
    server = EmbeddingServer(model, config)
    app = new_app(config)
    app.middlewares.append(refusals)
    app.router.add_post("/v1/embeddings", server.embeddings)
    app.router.add_post("/tokenize", server.tokenize)
    app.router.add_get("/props", server.properties)
    app.router.add_get("/health", server.health)
    return app
