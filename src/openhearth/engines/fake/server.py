"""The fake engine's routes, in llama.cpp's shapes and quirks: a file path as model, null content first, `timings`, no `usage: null`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import msgspec
from aiohttp import web

from openhearth.engines.child import new_app
from openhearth.engines.fake import language
from openhearth.engines.fake.answer import Answer, decide, render
from openhearth.engines.fake.directives import crash
from openhearth.engines.fake.language import Tokens

DIMENSIONS = 16
TEMPLATE = "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"


class Fake:
    """The state of one fake engine."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.slots = int(config["slots"])
        self.context = int(config["context"])
        self.model = f"/models/{config['id']}.gguf"
        self.directives = str(config.get("directives") or "")
        self.tokens = Tokens()
        self.busy = 0
        self.requests = 0
        self.cancelled = 0

    async def chat(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        prompt = render(body["messages"])
        steering = " ".join(str(m.get("content")) for m in body["messages"] if m.get("role") != "assistant")
        return await self._generate(request, body, prompt, steering, _ChatShape(self.model, body))

    async def completion(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        prompt = self._prompt_text(body["prompt"])
        return await self._generate(request, body, prompt, prompt, _TextShape(self.model, body))

    async def native(self, request: web.Request) -> web.StreamResponse:
        """`/completion`: llama.cpp's own dialect."""
        body = await request.json()
        prompt = self._prompt_text(body["prompt"])
        return await self._generate(request, body, prompt, prompt, _NativeShape(self.model, body, prompt))

    async def infill(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        prompt = f"<|fim_prefix|>{body['input_prefix']}<|fim_suffix|>{body['input_suffix']}<|fim_middle|>"
        return await self._generate(request, body, prompt, prompt, _NativeShape(self.model, body, prompt))

    async def embeddings(self, request: web.Request) -> web.Response:
        body = await request.json()
        given = body["input"]
        inputs = [given] if isinstance(given, str) or (given and isinstance(given[0], int)) else given
        texts = [self._prompt_text(one) for one in inputs]
        counts = [len(self.tokens.encode(text)) for text in texts]
        if max(counts) > self.context:
            return self._too_long(max(counts))
        data = [_embedded(number, text, body.get("encoding_format")) for number, text in enumerate(texts)]
        usage = {"prompt_tokens": sum(counts), "total_tokens": sum(counts)}
        return web.json_response({"object": "list", "model": self.model, "data": data, "usage": usage})

    async def tokenize(self, request: web.Request) -> web.Response:
        body = await request.json()
        ids = self.tokens.encode(body["content"], special=body.get("parse_special", True))
        if body.get("with_pieces"):
            return web.json_response({"tokens": [{"id": number, "piece": self.tokens.decode([number])} for number in ids]})
        return web.json_response({"tokens": ids})

    async def detokenize(self, request: web.Request) -> web.Response:
        return web.json_response({"content": self.tokens.decode((await request.json())["tokens"])})

    async def apply_template(self, request: web.Request) -> web.Response:
        return web.json_response({"prompt": render((await request.json())["messages"])})

    async def properties(self, _request: web.Request) -> web.Response:
        return web.json_response(
            {
                "default_generation_settings": {"n_ctx": self.context},
                "total_slots": self.slots,
                "model_path": self.model,
                "bos_token": "<s>",
                "eos_token": "</s>",
                "chat_template": TEMPLATE,
                "chat_template_caps": {"supports_tools": True, "supports_system_role": True},
            }
        )

    async def health(self, _request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def state(self, _request: web.Request) -> web.Response:
        """What tests want to know."""
        return web.json_response({"busy": self.busy, "requests": self.requests, "cancelled": self.cancelled})

    async def _generate(self, request: web.Request, body: dict[str, Any], prompt: str, steering: str, shape: _Shape) -> web.StreamResponse:
        count = min(int(body.get("n") or 1), self.slots)
        steering = f"{self.directives} {steering}"
        answers = [decide(self.tokens, prompt, steering, body, choice) for choice in range(count)]
        if answers[0].prompt_tokens >= self.context:
            return self._too_long(answers[0].prompt_tokens)
        if status := answers[0].directives.error:
            return web.json_response({"error": {"message": "as the prompt asked", "type": "server_error", "code": status}}, status=status)
        self.busy += 1
        self.requests += 1
        try:
            return await self._send(request, answers, shape, streams=bool(body.get("stream")))
        except (asyncio.CancelledError, ConnectionResetError):
            self.cancelled += 1
            raise
        finally:
            self.busy -= 1

    async def _send(self, request: web.Request, answers: list[Answer], shape: _Shape, *, streams: bool) -> web.StreamResponse:
        if not streams:
            async for _ in _paced(answers):
                pass
            return web.Response(body=shape.whole(answers), content_type="application/json")
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        await response.write(_events(shape.first(len(answers))))
        async for burst in _paced(answers):
            await response.write(_events(shape.token(index, answers[index], at) for index, at in burst))
        await response.write(_events(shape.last(answers)) + (b"data: [DONE]\n\n" if shape.done else b""))
        return response

    def _prompt_text(self, prompt: Any) -> str:
        if isinstance(prompt, str):
            return prompt
        return self.tokens.decode(prompt) if all(isinstance(part, int) for part in prompt) else "".join(map(self._prompt_text, prompt))

    def _too_long(self, count: int) -> web.Response:
        error = {
            "code": 400,
            "message": f"the request exceeds the available context size ({self.context} tokens)",
            "type": "exceed_context_size_error",
            "n_prompt_tokens": count,
            "n_ctx": self.context,
        }
        return web.json_response({"error": error}, status=400)


def _events(chunks: Any) -> bytes:
    return b"".join(b"data: " + chunk + b"\n\n" for chunk in chunks)


async def _paced(answers: list[Answer]) -> AsyncIterator[list[tuple[int, int]]]:
    """Bursts of (choice, token number): everything at once, or one position at a time where the prompt asks for time or trouble."""
    steering = answers[0].directives
    positions = max(len(answer.tokens) for answer in answers)
    by_position = [[(n, at) for n, answer in enumerate(answers) if at < len(answer.tokens)] for at in range(positions)]
    await asyncio.sleep(steering.prefill_s)
    if not steering.delay_s and steering.crash_after is None and steering.hang_after is None:
        yield [pair for burst in by_position for pair in burst]
        return
    for at in range(positions + 1):
        await _trouble(steering.crash_after, steering.hang_after, at)
        if at < positions:
            await asyncio.sleep(steering.delay_s)
            yield by_position[at]


async def _trouble(crash_after: int | None, hang_after: int | None, at: int) -> None:
    if crash_after is not None and at >= crash_after:
        # What was written before must have left.
        await asyncio.sleep(0.05)
        crash()
    if hang_after is not None and at >= hang_after:
        await asyncio.sleep(3600)


class _Shape:
    """How an answer looks on a route."""

    kind = ""
    prefix = ""
    done = True

    def __init__(self, model: str, body: dict[str, Any]) -> None:
        self.body = body
        self.head = {
            "created": int(time.time()),
            "id": f"{self.prefix}fake",
            "model": model,
            "system_fingerprint": "b1",
            "object": self.kind,
        }
        options = body.get("stream_options") or {}
        self.with_usage = bool(options.get("include_usage"))

    def first(self, count: int) -> list[bytes]:
        return []

    def token(self, index: int, answer: Answer, at: int) -> bytes:
        raise NotImplementedError

    def last(self, answers: list[Answer]) -> list[bytes]:
        raise NotImplementedError

    def whole(self, answers: list[Answer]) -> bytes:
        raise NotImplementedError

    def event(self, choices: list[dict[str, Any]], **more: Any) -> bytes:
        return msgspec.json.encode({"choices": choices, **self.head, **more})

    def logprobs(self, answer: Answer, at: int) -> dict[str, Any] | None:
        wanted = self.body.get("logprobs")
        if wanted in (None, False):
            return None
        top = int(self.body.get("top_logprobs") or 0) if wanted is True else int(wanted)
        return {"content": [answer.tokens[at].described(top)]}


def _usage(answers: list[Answer]) -> dict[str, Any]:
    completion = sum(len(answer.tokens) for answer in answers)
    prompt = answers[0].prompt_tokens
    return {
        "completion_tokens": completion,
        "prompt_tokens": prompt,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": 0},
    }


def _timings(answers: list[Answer]) -> dict[str, Any]:
    return {"cache_n": 0, "prompt_n": answers[0].prompt_tokens, "predicted_n": sum(len(a.tokens) for a in answers)}


class _ChatShape(_Shape):
    kind = "chat.completion.chunk"
    prefix = "chatcmpl-"

    def first(self, count: int) -> list[bytes]:
        return [self._chunk(n, {"role": "assistant", "content": None}) for n in range(count)]

    def token(self, index: int, answer: Answer, at: int) -> bytes:
        return self._chunk(index, {"content": answer.tokens[at].text}, self.logprobs(answer, at))

    def last(self, answers: list[Answer]) -> list[bytes]:
        events = [self._call(n, k, call) for n, a in enumerate(answers) for k, call in enumerate(a.directives.calls)]
        events += [self.event([{"finish_reason": a.finish_reason, "index": n, "delta": {}}]) for n, a in enumerate(answers)]
        if self.with_usage:
            events.append(self.event([], usage=_usage(answers), timings=_timings(answers)))
        return events

    def whole(self, answers: list[Answer]) -> bytes:
        choices = [
            {"finish_reason": a.finish_reason, "index": n, "message": {"role": "assistant", "content": "".join(t.text for t in a.tokens)}}
            for n, a in enumerate(answers)
        ]
        return self.event(choices, object="chat.completion", usage=_usage(answers), timings=_timings(answers))

    def _call(self, index: int, number: int, call: tuple[str, str]) -> bytes:
        function = {"name": call[0], "arguments": call[1]}
        return self._chunk(index, {"tool_calls": [{"index": number, "id": f"fake{number}", "type": "function", "function": function}]})

    def _chunk(self, index: int, delta: dict[str, Any], logprobs: Any = None) -> bytes:
        choice = {"finish_reason": None, "index": index, "delta": delta}
        return self.event([{**choice, "logprobs": logprobs} if logprobs else choice])


class _TextShape(_Shape):
    kind = "text_completion"
    prefix = "cmpl-"

    def token(self, index: int, answer: Answer, at: int) -> bytes:
        return self.event([{"text": answer.tokens[at].text, "index": index, "logprobs": self.logprobs(answer, at), "finish_reason": None}])

    def last(self, answers: list[Answer]) -> list[bytes]:
        ends = [[{"text": "", "index": n, "logprobs": None, "finish_reason": a.finish_reason}] for n, a in enumerate(answers)]
        return [self.event(end, usage=_usage([a]), timings=_timings([a])) for end, a in zip(ends, answers, strict=True)]

    def whole(self, answers: list[Answer]) -> bytes:
        choices = [{"text": "".join(t.text for t in a.tokens), "index": n, "finish_reason": a.finish_reason} for n, a in enumerate(answers)]
        return self.event(choices, usage=_usage(answers), timings=_timings(answers))


class _NativeShape(_Shape):
    done = False

    def __init__(self, model: str, body: dict[str, Any], prompt: str) -> None:
        super().__init__(model, body)
        self.prompt = prompt

    def token(self, index: int, answer: Answer, at: int) -> bytes:
        return msgspec.json.encode(self._part(index, answer, at, at + 1, stop=False))

    def last(self, answers: list[Answer]) -> list[bytes]:
        return [msgspec.json.encode(self._end(n, a, 0)) for n, a in enumerate(answers)]

    def whole(self, answers: list[Answer]) -> bytes:
        answer = answers[0]
        return msgspec.json.encode({**self._end(0, answer, 0), **self._part(0, answer, 0, len(answer.tokens), stop=True)})

    def _part(self, index: int, answer: Answer, start: int, end: int, *, stop: bool) -> dict[str, Any]:
        tokens = answer.tokens[start:end]
        part: dict[str, Any] = {"index": index, "content": "".join(t.text for t in tokens), "tokens": [t.id for t in tokens], "stop": stop}
        if wanted := self.body.get("n_probs"):
            part["completion_probabilities"] = [t.described(int(wanted)) for t in tokens]
        return part

    def _end(self, index: int, answer: Answer, slot: int) -> dict[str, Any]:
        return {
            "index": index,
            "content": "",
            "tokens": [],
            "id_slot": slot,
            "stop": True,
            "prompt": self.prompt,
            "model": self.head["model"],
            "tokens_predicted": len(answer.tokens),
            "tokens_evaluated": answer.prompt_tokens,
            "stop_type": "limit" if answer.finish_reason == "length" else "eos",
            "timings": _timings([answer]),
        }


def _embedded(number: int, text: str, encoding: str | None) -> dict[str, Any]:
    import base64
    import struct

    values = language.embedding(text, DIMENSIONS)
    packed = base64.b64encode(struct.pack(f"<{DIMENSIONS}f", *values)).decode() if encoding == "base64" else values
    return {"object": "embedding", "index": number, "embedding": packed}


def application(config: dict[str, Any]) -> web.Application:
    """All routes."""
    fake = Fake(config)
    app = new_app(config)
    app.router.add_post("/v1/chat/completions", fake.chat)
    app.router.add_post("/v1/completions", fake.completion)
    app.router.add_post("/completion", fake.native)
    app.router.add_post("/infill", fake.infill)
    app.router.add_post("/v1/embeddings", fake.embeddings)
    app.router.add_post("/tokenize", fake.tokenize)
    app.router.add_post("/detokenize", fake.detokenize)
    app.router.add_post("/apply-template", fake.apply_template)
    app.router.add_get("/props", fake.properties)
    app.router.add_get("/health", fake.health)
    app.router.add_get("/fake/state", fake.state)
    return app
