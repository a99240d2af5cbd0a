"""An Open Hearth before another: chat, text and embeddings through `[[upstreams]]`, all of it checked like our own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.inference.chat.test_tools import WEATHER
from tests.support.serving import KEY, RunningServer, started

CONFIG = """
default_model = "far/fake:chat"
embedding_model = "far/fake:embed-small"
preload = []

[[upstreams]]
name = "far"
base_url = "{url}"
api_key_env = "FAR_KEY"

[aliases]
"text-embedding-3-small" = "far/text-embedding-3-small"
"""
HELLO: list[Any] = [{"role": "user", "content": "[[say:Hello there]]"}]


@pytest.fixture(scope="module")
def near(server: RunningServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    folder: Path = tmp_path_factory.mktemp("near")
    with started(folder, CONFIG.format(url=server.base_url), environ={"FAR_KEY": KEY}) as running:
        yield running


@pytest.fixture
def client(near: RunningServer) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=near.base_url, api_key=near.key, max_retries=0) as client:
        yield client


def test_chat(client: openai.OpenAI) -> None:
    reply = client.chat.completions.create(model="gpt-4o", messages=HELLO, user="me")
    assert (reply.model, reply.choices[0].message.content) == ("far/fake:chat", "Hello there")
    assert reply.usage


@pytest.mark.parametrize("wanted", [True, False])
def test_chat_streamed(client: openai.OpenAI, wanted: bool) -> None:
    options: Any = {"stream_options": {"include_usage": True}} if wanted else {}
    *chunks, last = client.chat.completions.create(model="gpt-4o", messages=HELLO, stream=True, **options)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "Hello there"
    assert {chunk.model for chunk in chunks} == {"far/fake:chat"}
    assert len({chunk.id for chunk in chunks}) == 1
    assert all(chunk.usage is None for chunk in chunks)
    assert (last.usage is not None) is wanted


def test_tools_and_schemas_go_through(client: openai.OpenAI) -> None:
    messages: list[Any] = [{"role": "user", "content": "hi"}]
    tools: list[Any] = [WEATHER]
    reply = client.chat.completions.create(model="gpt-4o", messages=messages, tools=tools, tool_choice="required")
    (call,) = reply.choices[0].message.tool_calls or []
    assert call.type == "function"
    assert call.function.name == "get_weather"


@pytest.mark.parametrize("streamed", [False, True])
def test_a_reply_is_stored_here(client: openai.OpenAI, streamed: bool) -> None:
    label = {"kind": str(streamed)}
    if streamed:
        list(client.chat.completions.create(model="gpt-4o", messages=HELLO, store=True, metadata=label, stream=True))
    else:
        client.chat.completions.create(model="gpt-4o", messages=HELLO, store=True, metadata=label)
    (kept,) = client.chat.completions.list(metadata=label)
    assert kept.choices[0].message.content == "Hello there"
    assert kept.usage
    assert kept.usage.completion_tokens


def test_text_and_embeddings(client: openai.OpenAI) -> None:
    assert client.completions.create(model="davinci", prompt="[[say:yes]]").choices[0].text == "yes"
    assert "".join(c.choices[0].text for c in client.completions.create(model="davinci", prompt="[[say:a b c]]", stream=True)) == "a b c"
    assert len(client.embeddings.create(model="text-embedding-3-small", input=["a", "b"]).data) == 2


def test_its_models_are_listed(client: openai.OpenAI) -> None:
    assert {"far/fake:chat", "far/fake:embed"} <= {model.id for model in client.models.list()}


def test_what_it_refuses_is_refused_here(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as missing:
        client.chat.completions.create(model="far/nothing", messages=HELLO)
    assert missing.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError) as wrong:
        client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "word " * 5000}])
    assert wrong.value.code == "context_length_exceeded"
    with pytest.raises(openai.InternalServerError):
        client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "[[error:500]]"}])
