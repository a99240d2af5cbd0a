"""`POST /v1/edits`: an instruction carried out on a text by a chat model. Deprecated at OpenAI; older programs still call it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any

import msgspec

from openhearth.accounts.keys import Principal
from openhearth.engines.contract import EngineProperties
from openhearth.engines.pool import Lease
from openhearth.errors import InvalidRequest
from openhearth.inference.contract import Inference
from openhearth.inference.generation import lanes, seeds
from openhearth.inference.metering import Usage
from openhearth.models.resolve import ResolvedModel
from openhearth.web.endpoint import Call, Endpoint, Reply, json_reply
from openhearth.wire.edits import Edit, EditChoice, EditRequest, EditUsage

PATH = "/v1/chat/completions"
INSTRUCTION = (
    "You are an editor. You are given an instruction and a text. Carry out the instruction on the text and reply with the resulting "
    "text only, without quotation marks, explanations or comments. Leave unchanged what the instruction does not concern."
)
EXAMPLE = (("Fix the spelling mistakes.", "What day of the wek is it?"), "What day of the week is it?")
"""A finished edit, which shows a small model the form of the answer."""
ROOM = 512
"""Tokens that an edit may add to twice the text's length; a model that finds no end is stopped there."""


class _Delta(msgspec.Struct, frozen=True):
    content: str | None = None


class _Choice(msgspec.Struct, frozen=True):
    delta: _Delta = _Delta()
    index: int = 0


class _Usage(msgspec.Struct, frozen=True):
    prompt_tokens: int = 0
    completion_tokens: int = 0


class _Event(msgspec.Struct, frozen=True):
    choices: list[_Choice] = []
    usage: _Usage | None = None


def messages(instruction: str, text: str) -> list[dict[str, str]]:
    """The conversation whose next message is the edited text."""
    (example_instruction, example_text), example_answer = EXAMPLE
    return [
        {"role": "system", "content": INSTRUCTION},
        {"role": "user", "content": _task(example_instruction, example_text)},
        {"role": "assistant", "content": example_answer},
        {"role": "user", "content": _task(instruction, text)},
    ]


def _task(instruction: str, text: str) -> str:
    return f"Instruction: {instruction}\n\nText:\n{text}"


async def create_edit(house: Inference, principal: Principal, request: EditRequest) -> Edit:
    """Raises InvalidRequest where the model can't chat."""
    if not request.model:
        raise InvalidRequest("Missing required parameter: 'model'.", param="model", code="missing_required_parameter")
    model = await house.models.resolve(request.model)
    if model.task != "chat":
        raise InvalidRequest(f"'{model.id}' can't follow an instruction. Use a chat model for edits.", param="model")
    started = time.perf_counter()
    n = request.n or 1
    usage = Usage(0)
    async with house.pool.acquire(model.spec, slots=n) as lease:
        try:
            texts, usage = await _edited(request, model, lease, n)
        finally:
            house.meter.record(principal, "edit", model.id, usage, duration_s=time.perf_counter() - started)
    choices = [EditChoice(text.strip(), index) for index, text in enumerate(texts)]
    return Edit(int(time.time()), choices, EditUsage(usage.prompt_tokens, usage.completion_tokens, usage.total_tokens))


async def _edited(request: EditRequest, model: ResolvedModel, lease: Lease, n: int) -> tuple[list[str], Usage]:
    body = {
        "model": model.spec.options.get("model", model.id),
        "messages": messages(request.instruction, request.input or ""),
        "temperature": 1.0 if request.temperature is None else request.temperature,
        "top_p": 1.0 if request.top_p is None else request.top_p,
        "max_tokens": _limit(request, lease.properties),
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    texts, prompt, completion = [""] * n, 0, 0
    batches = lanes([_job(lease, {**body, "seed": seed % 2**31}) for seed in seeds(None, n)], lease.slots)
    async with aclosing(batches):
        async for batch in batches:
            for number, event in batch:
                texts[number] += "".join(choice.delta.content or "" for choice in event.choices)
                if event.usage is not None:
                    prompt, completion = event.usage.prompt_tokens, completion + event.usage.completion_tokens
    return texts, Usage(prompt, completion)


def _job(lease: Lease, body: dict[str, Any]) -> Callable[[], AsyncIterator[_Event]]:
    async def events() -> AsyncIterator[_Event]:
        stream: Any = lease.client.stream(PATH, msgspec.json.encode(body))
        async with aclosing(stream):
            async for payloads in stream:
                for payload in payloads:
                    yield msgspec.json.decode(payload, type=_Event)

    return events


def _limit(request: EditRequest, properties: EngineProperties) -> int:
    """A token has at least one byte, so this is more than twice the text's tokens."""
    wanted = 2 * len((request.input or "").encode()) + ROOM
    return wanted if properties.context is None else min(wanted, properties.context)


def endpoints(house: Inference) -> list[Endpoint]:
    """This module's rows of the route table."""

    async def create(call: Call) -> Reply:
        return json_reply(await create_edit(house, call.principal, call.json(EditRequest)))

    async def create_of_engine(call: Call) -> Reply:
        request = msgspec.structs.replace(call.json(EditRequest), model=call.path("engine"))
        return json_reply(await create_edit(house, call.principal, request))

    return [_row("/v1/edits", create), _row("/v1/engines/{engine:path}/edits", create_of_engine)]


def _row(path: str, handler: Callable[[Call], Awaitable[Reply]]) -> Endpoint:
    return Endpoint("POST", path, handler, "Edit a text.", request=EditRequest, response=Edit, tag="Edits", deprecated=True)
