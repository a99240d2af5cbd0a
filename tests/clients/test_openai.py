"""The official client of today, unchanged but for address and key."""

from __future__ import annotations

import asyncio
import math
from pathlib import Path
from typing import Any

import openai
import pydantic
import pytest

from tests.support.serving import FAKE, RunningServer, started

HELLO: list[Any] = [{"role": "user", "content": "[[say:Hello there, friend]]"}]


@pytest.fixture
def client(server: RunningServer) -> openai.OpenAI:
    return openai.OpenAI(base_url=server.base_url, api_key=server.key, max_retries=0)


@pytest.fixture
def async_client(server: RunningServer) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=server.base_url, api_key=server.key, max_retries=0)


def test_chat(client: openai.OpenAI) -> None:
    reply = client.chat.completions.create(model="gpt-4o-mini", messages=HELLO)
    assert reply.choices[0].message.content == "Hello there, friend"
    assert reply.choices[0].finish_reason == "stop"
    assert reply.model == "fake:chat"
    assert reply.usage
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens


def test_chat_streamed(client: openai.OpenAI) -> None:
    chunks = list(client.chat.completions.create(model="gpt-4o", messages=HELLO, stream=True, stream_options={"include_usage": True}))
    assert chunks[0].choices[0].delta.role == "assistant"
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "Hello there, friend"
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices and chunk.choices[0].finish_reason] == ["stop"]
    assert [chunk.usage is None for chunk in chunks] == [True] * (len(chunks) - 1) + [False]


async def test_chat_async(async_client: openai.AsyncOpenAI) -> None:
    replies = await asyncio.gather(*(async_client.chat.completions.create(model="gpt-4o", messages=HELLO) for _ in range(20)))
    assert {reply.choices[0].message.content for reply in replies} == {"Hello there, friend"}
    assert len({reply.id for reply in replies}) == 20
    stream = await async_client.chat.completions.create(model="gpt-4o", messages=HELLO, stream=True)
    said = [chunk.choices[0].delta.content or "" async for chunk in stream]
    assert "".join(said) == "Hello there, friend"
    await async_client.close()


def test_the_streaming_helper(client: openai.OpenAI) -> None:
    with client.chat.completions.stream(model="gpt-4o", messages=HELLO) as stream:
        kinds = {event.type for event in stream}
        final = stream.get_final_completion()
    assert {"chunk", "content.delta", "content.done"} <= kinds
    assert final.choices[0].message.content == "Hello there, friend"


class Colour(pydantic.BaseModel):
    name: str
    red: int
    shades: list[str]


def test_parse_into_a_pydantic_model(client: openai.OpenAI) -> None:
    reply = client.chat.completions.parse(model="gpt-4o", messages=[{"role": "user", "content": "a colour"}], response_format=Colour)
    assert isinstance(reply.choices[0].message.parsed, Colour)


def test_parse_tool_arguments(client: openai.OpenAI) -> None:
    reply = client.chat.completions.parse(
        model="gpt-4o",
        messages=[{"role": "user", "content": "a colour"}],
        tools=[openai.pydantic_function_tool(Colour)],
        tool_choice="required",
    )
    calls = reply.choices[0].message.tool_calls
    assert calls
    assert isinstance(calls[0].function.parsed_arguments, Colour)


def test_raw_responses_carry_headers(client: openai.OpenAI) -> None:
    raw = client.chat.completions.with_raw_response.create(model="gpt-4o", messages=HELLO)
    assert raw.headers["x-request-id"].startswith("req_")
    assert raw.headers["openai-version"]
    assert raw.parse().choices[0].message.content == "Hello there, friend"


def test_completions(client: openai.OpenAI) -> None:
    reply = client.completions.create(model="davinci-codex", prompt="[[say:one two]]")
    assert (reply.choices[0].text, reply.object) == ("one two", "text_completion")
    streamed = client.completions.create(model="davinci-codex", prompt="[[say:one two]]", stream=True)
    assert "".join(chunk.choices[0].text for chunk in streamed) == "one two"


def test_embeddings_in_the_clients_default_encoding(client: openai.OpenAI) -> None:
    """Peers failed on base64, which the client asks for unasked."""
    reply = client.embeddings.create(model="text-embedding-3-small", input=["one", "two"])
    assert [one.index for one in reply.data] == [0, 1]
    assert math.isclose(sum(value * value for value in reply.data[0].embedding), 1, rel_tol=1e-5)
    floats = client.embeddings.create(model="text-embedding-3-small", input="one", encoding_format="float")
    assert floats.data[0].embedding == pytest.approx(reply.data[0].embedding, abs=1e-6)


def test_models(client: openai.OpenAI) -> None:
    assert {"fake:chat", "fake:embed"} <= {model.id for model in client.models.list()}
    assert client.models.retrieve("gpt-4").id == "fake:chat"
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.retrieve("fake:chta")
    assert caught.value.code == "model_not_found"
    assert "fake:chat" in caught.value.message


def test_errors_are_of_the_clients_classes(server: RunningServer, client: openai.OpenAI) -> None:
    with pytest.raises(openai.AuthenticationError):
        openai.OpenAI(base_url=server.base_url, api_key="sk-wrong-0000000000000000").models.list()
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="gpt-4o", messages=HELLO, temperature=9)
    assert caught.value.param == "temperature"
    with pytest.raises(openai.BadRequestError) as unknown:
        client.chat.completions.create(model="gpt-4o", messages=HELLO, extra_body={"tempratur": 1})
    assert (unknown.value.param, unknown.value.code) == ("tempratur", "unknown_parameter")


def test_an_engine_killed_is_a_500_and_the_next_request_works(own_server: RunningServer) -> None:
    client = openai.OpenAI(base_url=own_server.base_url, api_key=own_server.key, max_retries=0)
    with pytest.raises(openai.InternalServerError):
        client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "[[crash]]"}])
    assert client.chat.completions.create(model="gpt-4o", messages=HELLO).choices[0].message.content == "Hello there, friend"


def test_an_engine_killed_in_mid_stream_is_an_error_event(own_server: RunningServer) -> None:
    client = openai.OpenAI(base_url=own_server.base_url, api_key=own_server.key, max_retries=0)
    stream = client.chat.completions.create(
        model="gpt-4o", messages=[{"role": "user", "content": "[[tokens:50]] [[crash_after:5]] [[delay_ms:5]]"}], stream=True
    )
    said = []
    with pytest.raises(openai.APIError, match="engine"):  # noqa: PT012 - what came before the error counts
        for chunk in stream:
            said += [choice.delta.content for choice in chunk.choices if choice.delta.content]
    assert len(said) == 5
    assert client.chat.completions.create(model="gpt-4o", messages=HELLO).choices[0].message.content == "Hello there, friend"


async def test_the_client_retries_when_the_queue_is_full(tmp_path: Path) -> None:
    config = FAKE.replace("[[models]]", "[engines]\nslots = 1\nqueue = 1\n\n[[models]]", 1)
    with started(tmp_path / "data", config) as running:
        busy: list[Any] = [{"role": "user", "content": "[[say:done]] [[delay_ms:150]]"}]
        async with openai.AsyncOpenAI(base_url=running.base_url, api_key=running.key, max_retries=0) as impatient:
            outcomes = await asyncio.gather(
                *(impatient.chat.completions.create(model="gpt-4o", messages=busy) for _ in range(6)), return_exceptions=True
            )
        refused = [outcome for outcome in outcomes if isinstance(outcome, openai.RateLimitError)]
        assert refused
        assert int(refused[0].response.headers["retry-after"]) >= 1
        assert refused[0].code == "queue_full"
        async with openai.AsyncOpenAI(base_url=running.base_url, api_key=running.key, max_retries=8) as patient:
            replies = await asyncio.gather(*(patient.chat.completions.create(model="gpt-4o", messages=busy) for _ in range(4)))
        assert {reply.choices[0].message.content for reply in replies} == {"done"}


def test_what_is_not_there_is_a_clear_404(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match=r"The images API .* is not there yet") as raised:
        client.images.generate(prompt="a hearth")
    assert raised.value.code == "unsupported_endpoint"
    with pytest.raises(openai.NotFoundError, match="Unknown request URL"):
        client.post("/imagse", cast_to=object)
