"""Famous bugs of other servers, each by its name: none of them here."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest

from tests.inference.chat.conftest import Asker
from tests.inference.chat.test_tools import ADD, WEATHER
from tests.support.serving import RunningServer


def test_tool_call_deltas_without_index_or_arguments(ask: Asker) -> None:
    told = [
        call
        for chunk in ask.chunks('[[call:get_weather {"city": "Paris", "unit": "C"}]][[call:add {"a": 1}]]', tools=[WEATHER, ADD])
        for call in chunk["choices"][0]["delta"].get("tool_calls", ())
    ]
    assert {call["index"] for call in told} == {0, 1}
    assert all(isinstance(call["function"].get("arguments"), str) for call in told)


def test_the_official_client_accumulates_tool_calls(server: RunningServer) -> None:
    client = openai.OpenAI(base_url=server.base_url, api_key=server.key)
    messages: list[Any] = [{"role": "user", "content": '[[call:get_weather {"city": "Paris", "unit": "C"}]]'}]
    tools: list[Any] = [WEATHER]
    with client.chat.completions.stream(model="gpt-4o", messages=messages, tools=tools) as stream:
        final = stream.get_final_completion()
    (call,) = final.choices[0].message.tool_calls or []
    assert json.loads(call.function.arguments) == {"city": "Paris", "unit": "C"}


def test_the_usage_chunk_unsolicited(ask: Asker) -> None:
    assert all("usage" not in chunk and chunk["choices"] for chunk in ask.chunks("hello"))


def test_the_usage_chunk_null_or_missing(ask: Asker) -> None:
    chunks = ask.chunks("hello", stream_options={"include_usage": True})
    assert [chunk["usage"] is None for chunk in chunks] == [True] * (len(chunks) - 1) + [False]


def test_the_wrong_error_envelope(ask: Asker) -> None:
    for response in (
        ask.post("x", temperature=7),
        ask.post("x", model="nope"),
        ask.http.get("/nowhere"),
        ask.http.put("/chat/completions"),
    ):
        assert set(response.json()) == {"error"}
        assert set(response.json()["error"]) == {"message", "type", "param", "code"}


def test_logprobs_dropped(ask: Asker) -> None:
    (choice,) = ask.whole("hello", logprobs=True, top_logprobs=5)["choices"]
    assert len(choice["logprobs"]["content"]) > 3


def test_silent_context_truncation(ask: Asker) -> None:
    assert ask.refusal("word " * 5000)["code"] == "context_length_exceeded"


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/models", "/v1/engines", "/metrics",
                                  "/openapi.json", "/openhearth/engines", "/v1/decisions", "/v1/nowhere", "/V1/models", "//v1/models",
                                  "/v1/engines/x/completions"])  # fmt: skip
def test_a_key_that_guards_only_some_routes(ask: Asker, server: RunningServer, path: str) -> None:
    import httpx

    for method in ("GET", "POST"):
        for headers in ({}, {"authorization": "Bearer sk-wrong-0123456789abcdef"}, {"authorization": "Basic x"}, {"x-api-key": server.key}):
            assert httpx.request(method, server.root + path, headers=headers).status_code == 401


def test_unbounded_n(ask: Asker) -> None:
    assert ask.refusal("x", n=100_000)["param"] == "n"


def test_unknown_parameters_swallowed(ask: Asker) -> None:
    assert ask.refusal("x", best_of=3)["code"] == "unknown_parameter"


def test_content_null_in_the_first_delta(ask: Asker) -> None:
    assert ask.chunks("hello")[0]["choices"][0]["delta"]["content"] == ""


def test_the_models_name_is_a_file_path(ask: Asker) -> None:
    assert {chunk["model"] for chunk in ask.chunks("hello")} == {"fake:chat"}
