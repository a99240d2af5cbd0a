"""`POST /v1/edits`: an instruction carried out on a text by a chat model. Deprecated at OpenAI; older programs still call it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing

import msgspec

from openhearth.accounts.principal import Principal
from openhearth.engines.contract import EngineProperties
from openhearth.engines.pool import Lease
from openhearth.errors import InvalidRequest
from openhearth.inference.chat import engine
from openhearth.inference.chat.deltas import Delta, Tally
from openhearth.inference.chat.prompt import ChatPrompt, Prompts
from openhearth.inference.contract import Inference
from openhearth.inference.generation import lanes, seeds
from openhearth.web.endpoint import Call, Endpoint, Reply, json_reply
from openhearth.wire.edits import Edit, EditChoice, EditRequest, EditUsage

INSTRUCTION = (
    "You are an editor. You are given an instruction and a text. Carry out the instruction on the text and reply with the resulting "
    "text only, without quotation marks, explanations or comments. Leave unchanged what the instruction does not concern."
)
EXAMPLE = (("Fix the spelling mistakes.", "What day of the wek is it?"), "What day of the week is it?")
"""A finished edit, which shows a small model the form of the answer."""
ROOM = 512
"""Tokens that an edit may add to twice the text's length; a model that finds no end is stopped there."""


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
    n = request.n or 1
    tally = Tally()
    characters = len(request.instruction) + len(request.input or "")
    async with (
        house.metered(principal, "completions", model, tally, kind="edit", characters=characters),
        house.pool.acquire(model.spec, slots=n) as lease,
    ):
        texts = await _edited(request, lease, n, tally)
    usage = tally.usage
    choices = [EditChoice(text.strip(), index) for index, text in enumerate(texts)]
    return Edit(int(time.time()), choices, EditUsage(usage.prompt_tokens, usage.completion_tokens, usage.total_tokens))


async def _edited(request: EditRequest, lease: Lease, n: int, tally: Tally) -> list[str]:
    told = messages(request.instruction, request.input or "")
    limit = _limit(request, lease.properties)
    prompt = ChatPrompt(told, [], {})
    if lease.spec.kind != "upstream":
        prompt = await Prompts(lease.client, lease.properties.context).prepare(told, [], {}, max_tokens=None, as_tokens=False)
    sampling = {
        "model": lease.spec.options.get("model", lease.spec.id),
        "temperature": 1.0 if request.temperature is None else request.temperature,
        "top_p": 1.0 if request.top_p is None else request.top_p,
    }

    def job(number: int, seed: int) -> Callable[[], AsyncIterator[list[Delta]]]:
        body = engine.request(prompt, sampling, seed=seed % 2**31, max_tokens=limit)
        return lambda: engine.answered(lease.client, prompt, body, number, tally)

    texts = [""] * n
    batches = lanes([job(number, seed) for number, seed in enumerate(seeds(None, n))], lease.slots)
    async with aclosing(batches):
        async for batch in batches:
            for _, deltas in batch:
                for delta in deltas:
                    texts[delta.choice] += delta.content
    return texts


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
    return Endpoint(
        "POST",
        path,
        handler,
        "Edit a text.",
        request=EditRequest,
        response=Edit,
        tag="Edits",
        deprecated=True,
        permission="api.model.request",
    )
