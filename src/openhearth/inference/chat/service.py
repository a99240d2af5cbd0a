"""A chat completion from request to reply: resolve, check, lease an engine, generate, count. Knows no HTTP."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import msgspec

from openhearth.accounts.principal import Principal
from openhearth.engines.pool import Lease
from openhearth.errors import InvalidRequest, UnsupportedParameter
from openhearth.inference.chat import messages, passing, relay
from openhearth.inference.chat.deltas import Tally
from openhearth.inference.chat.generate import Generation
from openhearth.inference.chat.prompt import ChatPrompt, Prompts
from openhearth.inference.chat.replies import Folding, Head, Writer
from openhearth.inference.chat.request import Plan, plan
from openhearth.inference.completions.vocabulary import Vocabulary
from openhearth.inference.contract import Inference
from openhearth.inference.generation import fingerprint
from openhearth.inference.sampling import check_bias
from openhearth.models.resolve import ResolvedModel
from openhearth.wire import sse
from openhearth.wire.chat import ChatRequest
from openhearth.wire.ids import new_id

OnFinished = Callable[[Principal, ChatRequest, dict[str, Any]], Awaitable[None]]
"""Told of every whole reply whose request said `store`, before the client has its end."""


@dataclass
class Work:
    """One request with everything that its answer needs."""

    request: ChatRequest
    plan: Plan
    lease: Lease
    tally: Tally
    head: Head
    ending: bytes = sse.DONE
    """What a stream closes with."""

    @property
    def relayed(self) -> bool:
        """Whether the engine is an upstream server, which takes the request as it is."""
        return self.lease.spec.kind == "upstream"

    @property
    def upstream_head(self) -> dict[str, str]:
        return {"id": self.head.id, "model": self.head.model, "system_fingerprint": self.head.fingerprint}


class Chat:
    """Answers chat requests."""

    def __init__(self, house: Inference, on_finished: OnFinished | None = None) -> None:
        self._house = house
        self._on_finished = on_finished
        self._special: dict[str, dict[int, str]] = {}

    async def create(self, principal: Principal, request: ChatRequest) -> bytes:
        """The whole reply, as JSON."""
        async with self._work(principal, request) as work:
            reply = await self._whole(work)
        await self._finished(principal, request, reply)
        return reply

    async def _whole(self, work: Work) -> bytes:
        if work.relayed:
            return await relay.whole(work.lease.client, work.request, work.lease.spec, work.upstream_head, work.tally)
        generation = await self._generation(work)
        folding = _folding(work.plan)
        if generation.passes:
            await passing.folded(work.lease.client, generation.body(), work.tally, folding)
        else:
            async with aclosing(generation.deltas()) as batches:
                async for deltas in batches:
                    folding.add(deltas)
        return msgspec.json.encode(work.head.completion(folding.choices(), work.tally.usage))

    async def stream(self, principal: Principal, request: ChatRequest) -> AsyncGenerator[bytes]:
        """The reply as server-sent events, what is ready together as one write."""
        async with self._work(principal, request) as work:
            folding = _folding(work.plan) if request.store else None
            source = self._relayed(work, folding) if work.relayed else self._streamed(work, folding)
            async with aclosing(source):
                async for write in source:
                    yield write
        # Storing may take its time; the engine's slots are others' by now.
        if folding is not None:
            await self._finished(principal, request, msgspec.json.encode(work.head.completion(folding.choices(), work.tally.usage)))
        yield work.ending

    async def _relayed(self, work: Work, folding: Folding | None) -> AsyncGenerator[bytes]:
        stream = relay.streamed(
            work.lease.client,
            work.request,
            work.lease.spec,
            work.upstream_head,
            work.tally,
            include_usage=work.plan.include_usage,
            folding=folding,
        )
        async with aclosing(stream):
            async for write in stream:
                yield write

    async def _streamed(self, work: Work, folding: Folding | None) -> AsyncGenerator[bytes]:
        generation = await self._generation(work)
        plan = work.plan
        writer = Writer(work.head, plan.tools, include_usage=plan.include_usage)
        if generation.passes and folding is None:
            before, after = work.head.around(null_usage=plan.include_usage)
            source = passing.passed_on(work.lease.client, generation.body(), work.tally, before, after)
            async with aclosing(source):
                async for write in source:
                    yield write
        else:
            async with aclosing(generation.deltas()) as batches:
                async for deltas in batches:
                    if folding:
                        folding.add(deltas)
                    if write := writer.write(deltas):
                        yield write
        work.ending = writer.ending(work.tally.usage)

    async def _finished(self, principal: Principal, request: ChatRequest, reply: bytes) -> None:
        if request.store and self._on_finished is not None:
            await self._on_finished(principal, request, msgspec.json.decode(reply))

    @asynccontextmanager
    async def _work(self, principal: Principal, request: ChatRequest) -> AsyncIterator[Work]:
        if not request.model:
            raise InvalidRequest("Missing required parameter: 'model'.", param="model", code="missing_required_parameter")
        wanted = plan(request)
        model = await self._house.models.resolve(request.model)
        _check_model(model, wanted)
        tally = Tally()
        head = Head(new_id("chatcmpl-"), int(time.time()), model.id, fingerprint(model.spec))
        characters = sum(len(message.content) for message in request.messages if isinstance(message.content, str))
        most = None if wanted.max_tokens is None else wanted.n * wanted.max_tokens
        async with (
            self._house.metered(principal, "completions", model, tally, kind="chat", characters=characters, output_tokens=most),
            self._house.pool.acquire(model.spec, slots=wanted.n) as lease,
        ):
            yield Work(request, wanted, lease, tally, head)

    async def _generation(self, work: Work) -> Generation:
        plan, lease = work.plan, work.lease
        check_bias(plan.sampling, lease.properties)
        prompt = await self._prompt(work)
        if prompt.tokens is not None:
            work.tally.prompt(len(prompt.tokens))
        vocabulary = Vocabulary(lease.client, self._special.setdefault(lease.spec.id, {}))
        return Generation(plan, lease, prompt, vocabulary, work.tally)

    async def _prompt(self, work: Work) -> ChatPrompt:
        plan, properties = work.plan, work.lease.properties
        template = properties.template_capabilities
        told = messages.conversation(work.request.messages, plan.tools, template)
        native = plan.calling is not None and plan.calling.mode == "auto" and template.get("supports_tools")
        tools = [tool.described() for tool in plan.calling.tools.values()] if plan.calling is not None and native else []
        options: dict[str, Any] = {}
        if plan.reasoning_effort is not None and "reasoning" in properties.capabilities:
            thinks = plan.reasoning_effort != "none"
            options["chat_template_kwargs"] = {"reasoning_effort": plan.reasoning_effort, "enable_thinking": thinks}
        prompts = Prompts(work.lease.client, properties.context)
        return await prompts.prepare(told, tools, options, max_tokens=plan.max_tokens, as_tokens=plan.scored)


def _folding(wanted: Plan) -> Folding:
    return Folding(wanted.n, wanted.tools, with_logprobs=wanted.logprobs is not None)


def _check_model(model: ResolvedModel, wanted: Plan) -> None:
    if model.task == "embedding":
        raise InvalidRequest(f"'{model.id}' makes embeddings and can't chat. Use /v1/embeddings, or another model.", param="model")
    reasons = "reasoning" in model.capabilities or model.spec.kind == "upstream"
    if wanted.reasoning_effort not in (None, "none") and not reasons:
        raise UnsupportedParameter(
            f"'{model.id}' does not reason before it answers. Leave 'reasoning_effort' out, or use a model that does.",
            param="reasoning_effort",
        )
