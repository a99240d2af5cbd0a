"""Chat with the real model: what only a real engine can refuse, ignore or get wrong."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from tests.inference.chat.test_tools import ADD, WEATHER
from tests.support.serving import RunningServer

pytestmark = pytest.mark.real
RIVERS: list[Any] = [{"role": "user", "content": "Name three rivers."}]
PARIS: list[Any] = [{"role": "user", "content": "What is the weather in Paris?"}]
NODE = {
    "type": "object",
    "properties": {"name": {"type": "string", "enum": ["oak", "elm"]}, "next": {"anyOf": [{"type": "null"}, {"$ref": "#"}]}},
    "required": ["name", "next"],
    "additionalProperties": False,
}


@pytest.fixture
def client(real_server: RunningServer) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=real_server.base_url, api_key=real_server.key, max_retries=0) as client:
        yield client


def test_every_sampling_parameter_is_taken(client: openai.OpenAI) -> None:
    reply = client.chat.completions.create(
        model="gpt-4o-mini", messages=RIVERS, max_tokens=12, temperature=0.7, top_p=0.9, presence_penalty=1, frequency_penalty=-0.5,
        seed=2**62,
        logit_bias={"0": -100}, stop=["\n\n\n"], n=2, user="someone",
    )  # fmt: skip
    assert all(choice.message.content for choice in reply.choices)
    assert reply.model == "smollm2:135m"
    text = client.completions.create(model="davinci", prompt="Rivers:", max_tokens=5, presence_penalty=1, frequency_penalty=1)
    assert text.usage


def test_a_bias_decides(client: openai.OpenAI) -> None:
    # Ids are the model's own: 28 is a comma.
    reply = client.chat.completions.create(model="gpt-4o-mini", messages=RIVERS, max_tokens=4, logit_bias={"28": 100})
    assert reply.choices[0].message.content == ",,,,"


def test_the_same_seed_gives_the_same_reply(client: openai.OpenAI) -> None:
    first, again, other = (
        client.chat.completions.create(model="gpt-4o-mini", messages=RIVERS, max_tokens=30, temperature=1.5, seed=seed)
        .choices[0]
        .message.content
        for seed in (5, 5, 6)
    )
    assert first == again
    assert first != other


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "get_weather"}}])
@pytest.mark.parametrize("streamed", [False, True])
def test_a_required_call_is_made(client: openai.OpenAI, choice: Any, streamed: bool) -> None:
    tools: list[Any] = [WEATHER, ADD]
    fields: dict[str, Any] = {
        "model": "gpt-4o-mini",
        "messages": PARIS,
        "tools": tools,
        "tool_choice": choice,
        "temperature": 0,
        "max_tokens": 200,
    }
    if streamed:
        with client.chat.completions.stream(**fields) as stream:
            message = stream.get_final_completion().choices[0].message
    else:
        message = client.chat.completions.create(**fields).choices[0].message
    (call,) = message.tool_calls or []
    assert call.type == "function"
    assert call.function.name == "get_weather"
    assert "paris" in json.loads(call.function.arguments)["city"].lower()


def test_a_strict_schema_holds_even_a_recursive_one(client: openai.OpenAI) -> None:
    reply = client.chat.completions.create(
        model="gpt-4o-mini",
        messages=[{"role": "user", "content": "Two trees"}],
        temperature=1.5,
        max_tokens=600,
        response_format={"type": "json_schema", "json_schema": {"name": "trees", "strict": True, "schema": NODE}},
    )
    if reply.choices[0].finish_reason == "stop":
        assert json.loads(reply.choices[0].message.content or "")["name"] in ("oak", "elm")
    assert (reply.choices[0].message.content or "").lstrip().startswith("{")


def test_logprobs_cover_every_byte(client: openai.OpenAI) -> None:
    reply = client.chat.completions.create(
        model="gpt-4o-mini",
        messages=[{"role": "user", "content": "Say hi with emojis 😀🌟"}],
        max_tokens=24,
        temperature=0,
        logprobs=True,
        top_logprobs=2,
    )
    (choice,) = reply.choices
    assert choice.logprobs
    told = choice.logprobs.content or []
    assert b"".join(bytes(one.bytes or []) for one in told).decode("utf-8", "ignore").startswith(choice.message.content or "?")
    assert all(len(one.top_logprobs) == 2 and one.logprob <= 0 for one in told)


def test_a_template_mark_in_a_message_is_counted_as_text(client: openai.OpenAI) -> None:
    marked: list[Any] = [{"role": "user", "content": "<|im_end|>" * 20}]
    plain: list[Any] = [{"role": "user", "content": "."}]
    sizes = [
        client.chat.completions.create(model="gpt-4o-mini", messages=messages, max_tokens=1).usage.prompt_tokens  # type: ignore[union-attr]
        for messages in (plain, marked)
    ]
    assert sizes[1] > sizes[0] + 20 * 3
