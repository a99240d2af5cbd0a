"""Ways to ask for a chat completion in these tests, each reply checked against the client's types and the specification."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from tests.support.serving import RunningServer
from tests.support.specification import conforms

Body = dict[str, Any]


class Asker:
    """Posts chat requests to the fake model; a text stands for a conversation of one message."""

    def __init__(self, server: RunningServer) -> None:
        self.http = httpx.Client(base_url=server.base_url, headers={"authorization": f"Bearer {server.key}"}, timeout=60)

    def post(self, said: str | list[Body], **fields: Any) -> httpx.Response:
        """The raw response."""
        messages = [{"role": "user", "content": said}] if isinstance(said, str) else said
        return self.http.post("/chat/completions", json={"model": "gpt-4o", "messages": messages, **fields})

    def whole(self, said: str | list[Body], **fields: Any) -> Body:
        """A reply."""
        response = self.post(said, **fields)
        assert response.status_code == 200, response.text
        reply: Body = response.json()
        ChatCompletion.model_validate(reply)
        conforms(reply, "CreateChatCompletionResponse")
        return reply

    def message(self, said: str | list[Body], **fields: Any) -> Body:
        """The first choice's message."""
        message: Body = self.whole(said, **fields)["choices"][0]["message"]
        return message

    def chunks(self, said: str | list[Body], *, checked: bool = True, **fields: Any) -> list[Body]:
        """A streamed reply's chunks. `checked` false for what the client's types lack: streamed calls to custom tools."""
        text = self.post(said, stream=True, **fields).text
        *events, end = text.removesuffix("\n\n").split("\n\n")
        assert end == "data: [DONE]", text[-500:]
        chunks: list[Body] = [json.loads(event.removeprefix("data: ")) for event in events]
        for chunk in chunks if checked else ():
            ChatCompletionChunk.model_validate(chunk)
            conforms({**chunk, "usage": chunk["usage"]} if chunk.get("usage") else {k: v for k, v in chunk.items() if k != "usage"},
                     "CreateChatCompletionStreamResponse")  # fmt: skip
        return chunks

    def refusal(self, said: str | list[Body], **fields: Any) -> Body:
        """The error of a 400."""
        response = self.post(said, **fields)
        assert response.status_code == 400, response.text
        error: Body = response.json()["error"]
        assert set(error) == {"message", "type", "param", "code"}
        assert error["type"] == "invalid_request_error"
        return error

    def engine_request(self, said: str | list[Body] = "", **fields: Any) -> Body:
        """What the engine was asked, which it tells."""
        messages = [{"role": "user", "content": f"[[echo_request]]{said}"}] if isinstance(said, str) else said
        asked: Body = json.loads(self.whole(messages, **fields)["choices"][0]["message"]["content"])
        return asked


@pytest.fixture
def ask(server: RunningServer) -> Iterator[Asker]:
    asker = Asker(server)
    yield asker
    asker.http.close()


def joined(chunks: list[Body], pick: Callable[[Body], Any] = lambda delta: delta.get("content")) -> str:
    """The text of all deltas of the first choice."""
    return "".join(pick(chunk["choices"][0]["delta"]) or "" for chunk in chunks if chunk["choices"] and chunk["choices"][0]["index"] == 0)
