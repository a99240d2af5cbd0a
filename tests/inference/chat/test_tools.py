"""Tools: whichever way a model's template knows of them, calls come out as OpenAI sends them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from openhearth.inference.chat.calls import Call, CallReader, ForcedCall
from tests.inference.chat.conftest import Asker, Body
from tests.support.serving import FAKE, started

WEATHER: Body = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city",
        "strict": True,
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "unit": {"type": "string", "enum": ["C", "F"]}},
            "required": ["city", "unit"],
            "additionalProperties": False,
        },
    },
}
ADD: Body = {
    "type": "function",
    "function": {"name": "add", "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}},
}
SHELL: Body = {"type": "custom", "custom": {"name": "shell", "description": "Run a command"}}
PARIS = '{"city": "Paris", "unit": "C"}'


@pytest.fixture(params=["knows tools", "knows none"])
def ask(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asker]:
    """A model whose template knows tools, and one whose template doesn't."""
    asker = Asker(request.getfixturevalue("server" if request.param == "knows tools" else "toolless_server"))
    yield asker
    asker.http.close()


@pytest.fixture(scope="module")
def toolless_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    config = FAKE.replace('task = "chat"', 'task = "chat"\ncapabilities = ["chat", "completion", "tokenize"]')
    folder: Path = tmp_path_factory.mktemp("toolless")
    with started(folder, config) as running:
        yield running


def calls_of(message: Body) -> list[tuple[str, Any]]:
    return [(call["function"]["name"], json.loads(call["function"]["arguments"])) for call in message["tool_calls"]]


class TestRequired:
    @pytest.mark.parametrize(
        "choice",
        [
            "required",
            {"type": "function", "function": {"name": "get_weather"}},
            {
                "type": "allowed_tools",
                "allowed_tools": {"mode": "required", "tools": [{"type": "function", "function": {"name": "get_weather"}}]},
            },
        ],
    )
    def test_a_call_comes_whatever_the_model_would_say(self, ask: Asker, choice: Any) -> None:
        reply = ask.whole("Tell me a story", tools=[WEATHER, ADD], tool_choice=choice)
        message = reply["choices"][0]["message"]
        assert message["content"] is None
        assert calls_of(message) == [("get_weather", {"city": "x", "unit": "C"})]
        assert message["tool_calls"][0]["id"].startswith("call_")
        assert reply["choices"][0]["finish_reason"] == "tool_calls"

    def test_streamed_as_openai_does(self, ask: Asker) -> None:
        chunks = ask.chunks("Tell me a story", tools=[WEATHER, ADD], tool_choice="required")
        first, begun, *rest, last = [chunk["choices"][0] for chunk in chunks]
        assert first["delta"] == {"role": "assistant", "content": None, "refusal": None}
        (call,) = begun["delta"]["tool_calls"]
        assert {**call, "id": "call_"} == {
            "index": 0,
            "id": "call_",
            "type": "function",
            "function": {"name": "get_weather", "arguments": ""},
        }
        pieces = [choice["delta"]["tool_calls"][0] for choice in rest]
        assert all(set(piece) == {"index", "function"} and set(piece["function"]) == {"arguments"} for piece in pieces)
        assert json.loads("".join(piece["function"]["arguments"] for piece in pieces)) == {"city": "x", "unit": "C"}
        assert (last["delta"], last["finish_reason"]) == ({}, "tool_calls")

    def test_every_choice_has_its_own(self, ask: Asker) -> None:
        choices = ask.whole("x", tools=[ADD], tool_choice="required", n=3)["choices"]
        assert len({choice["message"]["tool_calls"][0]["id"] for choice in choices}) == 3


class TestAuto:
    def test_prose_stays_prose(self, ask: Asker) -> None:
        reply = ask.whole("[[say:It is sunny.]]", tools=[WEATHER])
        assert reply["choices"][0]["message"]["content"] == "It is sunny."
        assert "tool_calls" not in reply["choices"][0]["message"]
        assert reply["choices"][0]["finish_reason"] == "stop"

    @pytest.mark.parametrize(
        "said",
        [
            f'<tool_call>{{"name": "get_weather", "arguments": {PARIS}}}</tool_call>',
            f'{{"name": "get_weather", "arguments": {PARIS}}}',
            f'```json\n{{"name": "get_weather", "parameters": {PARIS}}}\n```',
        ],
    )
    def test_a_call_in_the_text_is_found(self, ask: Asker, said: str) -> None:
        for choice in (
            ask.whole(f"[[say:{said}]]", tools=[WEATHER, ADD])["choices"][0],
            _folded(ask.chunks(f"[[say:{said}]]", tools=[WEATHER, ADD])),
        ):
            assert choice["message"].get("content") is None
            assert calls_of(choice["message"]) == [("get_weather", {"city": "Paris", "unit": "C"})]
            assert choice["finish_reason"] == "tool_calls"

    def test_several_calls_unless_one_was_asked_for(self, ask: Asker) -> None:
        weather, add = f'{{"name": "get_weather", "arguments": {PARIS}}}', '{"name": "add", "arguments": {"a": 1}}'
        said = f"[[say:<tool_call>{weather}</tool_call>\n<tool_call>{add}</tool_call>]]"
        assert len(ask.message(said, tools=[WEATHER, ADD])["tool_calls"]) == 2
        assert len(ask.message(said, tools=[WEATHER, ADD], parallel_tool_calls=False)["tool_calls"]) == 1

    def test_wrong_arguments_never_come_out(self, ask: Asker) -> None:
        """They are asked for once more, under the schema; the fake engine repeats what its prompt says."""
        said = '[[say:<tool_call>{"name": "get_weather", "arguments": {"town": 5}}</tool_call>]]'
        response = ask.post(said, tools=[WEATHER])
        assert (response.status_code, response.json()["error"]["code"]) == (500, "tool_call_not_made")

    def test_a_tool_that_was_not_offered_is_prose(self, ask: Asker) -> None:
        said = '{"name": "launch", "arguments": {}}'
        assert ask.message(f"[[say:{said}]]", tools=[WEATHER])["content"] == said

    def test_none_means_none(self, ask: Asker) -> None:
        assert ask.message("[[say:hello]]", tools=[WEATHER], tool_choice="none")["content"] == "hello"

    def test_results_go_back(self, ask: Asker) -> None:
        call = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": PARIS}}
        history = [
            {"role": "user", "content": "Weather?"},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "call_1", "content": "sunny"},
            {"role": "user", "content": "[[say:Thanks]]"},
        ]
        assert ask.message(history, tools=[WEATHER])["content"] == "Thanks"
        assert "call_1" in ask.refusal(history[:2] + history[3:], tools=[WEATHER])["message"]


class TestOtherKinds:
    def test_a_custom_tool_takes_text(self, ask: Asker) -> None:
        (call,) = ask.message("x", tools=[SHELL], tool_choice={"type": "custom", "custom": {"name": "shell"}})["tool_calls"]
        assert (call["type"], call["custom"]) == ("custom", {"name": "shell", "input": "x"})
        chunks = ask.chunks("x", tools=[SHELL], tool_choice="required", checked=False)
        told = [one for chunk in chunks for one in chunk["choices"][0]["delta"].get("tool_calls", ())]
        assert [one["custom"] for one in told] == [{"name": "shell", "input": ""}, {"input": "x"}]

    def test_functions_of_2023(self, ask: Asker) -> None:
        fields = {"functions": [WEATHER["function"]], "function_call": {"name": "get_weather"}}
        choice = ask.whole("x", **fields)["choices"][0]
        assert choice["message"]["function_call"]["name"] == "get_weather"
        assert choice["finish_reason"] == "function_call"
        told = [chunk["choices"][0]["delta"].get("function_call") for chunk in ask.chunks("x", **fields)]
        assert next(one for one in told if one) == {"name": "get_weather", "arguments": ""}

    @pytest.mark.parametrize(
        ("fields", "param"),
        [
            ({"tools": [WEATHER, WEATHER]}, "tools"),
            ({"tools": [WEATHER], "tool_choice": {"type": "function", "function": {"name": "nope"}}}, "tool_choice"),
            ({"tool_choice": "required"}, "tool_choice"),
            ({"tools": [{"type": "function", "function": {"name": "a b"}}]}, "tools[0].function.name"),
            ({"tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "array"}}}]}, "tools[0].function.parameters"),
            (
                {"tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "banana"}}}]},
                "tools[0].function.parameters",
            ),
            ({"tools": [{"type": "function", "function": {"name": f"f{n}"}} for n in range(129)]}, "tools"),
            (
                {"tools": [{"type": "custom", "custom": {"name": "g", "format": {"type": "grammar", "grammar": {}}}}]},
                "tools[0].custom.format",
            ),
            ({"functions": [ADD["function"]], "tools": [ADD]}, "functions"),
            ({"function_call": "auto"}, "function_call"),
        ],
    )
    def test_refusals(self, ask: Asker, fields: Body, param: str) -> None:
        assert ask.refusal("x", **fields)["param"] == param


class TestReading:
    @pytest.mark.parametrize("size", [1, 3, 1000])
    def test_prose_before_a_call_comes_out_and_the_mark_does_not(self, size: int) -> None:
        text = 'Let me see. < 5 <tool_call>{"name": "f", "arguments": {"x": "}"}}</tool_call>'
        reader, prose = CallReader({"f"}), ""
        for at in range(0, len(text), size):
            prose += reader.feed(text[at : at + size])
        rest, calls = reader.end()
        assert (prose + rest).strip() == "Let me see. < 5"
        assert calls == [Call("f", '{"x": "}"}')]

    @pytest.mark.parametrize(
        "text", ["{", "{'no': json}", "<tool_call>", "<tool_call>{bad}</tool_call>", "```", "[1, 2]", '{"name": 5}', "<"]
    )
    def test_what_is_no_call_comes_out_whole(self, text: str) -> None:
        reader = CallReader({"f"})
        prose = reader.feed(text)
        rest, calls = reader.end()
        assert (prose + rest, calls) == (text, [])

    @pytest.mark.parametrize("size", [1, 4, 1000])
    def test_forced_arguments_end_where_they_end(self, size: int) -> None:
        text = ' {"name": "f", "arguments": {"a": "\\"}{", "b": [1, {"c": 2}]} } '
        reader, out = ForcedCall(None), ""
        for at in range(0, len(text), size):
            out += reader.feed(text[at : at + size])
        assert (reader.name, json.loads(out), reader.complete) == ("f", {"a": '"}{', "b": [1, {"c": 2}]}, True)


def _folded(chunks: list[Body]) -> Body:
    """The chunks of one choice as a whole one."""
    calls: dict[int, Body] = {}
    content, finish = "", None
    for chunk in chunks:
        (choice,) = chunk["choices"]
        content += choice["delta"].get("content") or ""
        finish = choice["finish_reason"] or finish
        for piece in choice["delta"].get("tool_calls", ()):
            call = calls.setdefault(piece["index"], {"function": {"name": piece["function"].get("name"), "arguments": ""}})
            call["function"]["arguments"] += piece["function"]["arguments"]
    return {"message": {"content": content or None, "tool_calls": list(calls.values())}, "finish_reason": finish}
