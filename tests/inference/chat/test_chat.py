"""Chat completions: every parameter for text, whole and streamed."""

from __future__ import annotations

from typing import Any

import pytest

from tests.inference.chat.conftest import Asker, joined

SAY = "[[say:Hello there, friend]]"
SAID = "Hello there, friend"


class TestReply:
    def test_is_what_openai_sends(self, ask: Asker) -> None:
        reply = ask.whole(SAY)
        assert reply["id"].startswith("chatcmpl-")
        assert reply["object"] == "chat.completion"
        assert reply["model"] == "fake:chat"
        assert reply["service_tier"] == "default"
        (choice,) = reply["choices"]
        assert choice == {
            "index": 0,
            "message": {"content": SAID, "role": "assistant", "refusal": None, "annotations": []},
            "finish_reason": "stop",
            "logprobs": None,
        }
        usage = reply["usage"]
        assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
        assert usage["completion_tokens_details"]["reasoning_tokens"] == 0

    def test_the_engine_may_be_in_the_path(self, ask: Asker) -> None:
        reply = ask.http.post("/engines/gpt-4/chat/completions", json={"messages": [{"role": "user", "content": SAY}]})
        assert reply.json()["choices"][0]["message"]["content"] == SAID

    def test_n_above_the_slots(self, ask: Asker) -> None:
        choices = ask.whole("hello", n=20, temperature=1)["choices"]
        assert [choice["index"] for choice in choices] == list(range(20))
        assert len({choice["message"]["content"] for choice in choices}) > 15

    def test_the_same_seed_gives_the_same_reply(self, ask: Asker) -> None:
        first, again, other = (ask.whole("hello", seed=seed, n=3)["choices"] for seed in (7, 7, 8))
        assert first == again
        assert first != other

    def test_a_stop_sequence_ends_it(self, ask: Asker) -> None:
        (choice,) = ask.whole(SAY, stop=[",", "zzz"])["choices"]
        assert (choice["message"]["content"], choice["finish_reason"]) == ("Hello there", "stop")

    @pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
    def test_a_limit_ends_it(self, ask: Asker, name: str) -> None:
        reply = ask.whole("[[tokens:30]]", **{name: 4})
        assert reply["choices"][0]["finish_reason"] == "length"
        assert reply["usage"]["completion_tokens"] == 4

    def test_sampling_reaches_the_engine(self, ask: Asker) -> None:
        asked = ask.engine_request(
            temperature=0.3, top_p=0.7, presence_penalty=1, frequency_penalty=-1, logit_bias={"15": -100}, max_tokens=500, stop="\n\n"
        )
        assert (asked["temperature"], asked["top_p"], asked["max_tokens"]) == (0.3, 0.7, 500)
        assert (asked["presence_penalty"], asked["frequency_penalty"]) == (1, -1)
        assert asked["logit_bias"] == [[15, -100]]
        assert asked["stop"] == ["\n\n"]
        assert asked["stream"] is True
        assert (asked["top_k"], asked["min_p"]) == (0, 0)

    def test_what_changes_nothing_is_taken(self, ask: Asker) -> None:
        message = ask.message(
            SAY,
            user="u", safety_identifier="s", prompt_cache_key="k", prompt_cache_retention="in_memory", service_tier="auto",
            modalities=["text"],
            metadata={"a": "b"}, prediction={"type": "content", "content": "Hello"}, verbosity="medium", reasoning_effort="none",
            parallel_tool_calls=None, store=False, tools=[], response_format={"type": "text"},
        )  # fmt: skip
        assert message["content"] == SAID


class TestMessages:
    def test_roles_become_the_templates(self, ask: Asker) -> None:
        asked = ask.engine_request(
            [
                {"role": "developer", "content": "one"},
                {
                    "role": "user",
                    "content": [{"type": "text", "text": "two "}, {"type": "text", "text": "three [[echo_request]]"}],
                    "name": "Ann",
                },
                {"role": "assistant", "content": "four"},
                {"role": "user", "content": "five"},
            ]
        )
        assert asked["messages"] == [
            {"role": "system", "content": "one"},
            {"role": "user", "content": "Ann: two three [[echo_request]]"},
            {"role": "assistant", "content": "four"},
            {"role": "user", "content": "five"},
        ]

    def test_a_reply_can_be_sent_back_as_it_came(self, ask: Asker) -> None:
        message = ask.message(SAY)
        assert ask.message([{"role": "user", "content": "hi"}, message, {"role": "user", "content": SAY}])["content"] == SAID

    @pytest.mark.parametrize(
        ("message", "param"),
        [
            ({"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]}, "messages[0].content[0]"),
            (
                {"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}]},
                "messages[0].content[0]",
            ),
            ({"role": "banana", "content": "x"}, "messages[0].role"),
            ({"role": "user"}, "messages[0].content"),
            ({"role": "user", "content": 5}, "messages[0].content"),
            ({"role": "user", "content": "x", "colour": "red"}, "messages[0].colour"),
            ({"role": "assistant"}, "messages[0].content"),
            ({"role": "tool", "content": "x", "tool_call_id": "call_1"}, "messages[0]"),
        ],
    )
    def test_what_can_not_be_read_is_named(self, ask: Asker, message: dict[str, Any], param: str) -> None:
        assert ask.refusal([message])["param"] == param


class TestRefusals:
    @pytest.mark.parametrize(
        ("fields", "param"),
        [
            ({"n": 0}, "n"),
            ({"n": 129}, "n"),
            ({"temperature": 2.1}, "temperature"),
            ({"presence_penalty": 99}, "presence_penalty"),
            ({"max_tokens": 0}, "max_tokens"),
            ({"max_tokens": 1, "max_completion_tokens": 1}, "max_tokens"),
            ({"stop": ["a", "b", "c", "d", "e"]}, "stop"),
            ({"logit_bias": {str(n): 1 for n in range(301)}}, "logit_bias"),
            ({"logit_bias": {"hello": 1}}, "logit_bias"),
            ({"logit_bias": {"99999999": 1}}, "logit_bias"),
            ({"top_logprobs": 3}, "top_logprobs"),
            ({"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
            ({"stream_options": {"include_usage": True}}, "stream_options"),
            ({"stream": True, "stream_options": {"include_obfuscation": True}}, "stream_options.include_obfuscation"),
            ({"modalities": ["text", "audio"]}, "modalities"),
            ({"audio": {"voice": "alloy", "format": "mp3"}}, "audio"),
            ({"web_search_options": {}}, "web_search_options"),
            ({"reasoning_effort": "high"}, "reasoning_effort"),
            ({"verbosity": "low"}, "verbosity"),
            ({"metadata": {str(n): "x" for n in range(17)}}, "metadata"),
            ({"tempratur": 1}, "tempratur"),
            ({"messages": []}, "messages"),
            ({"model": ""}, "model"),
            ({"model": "text-embedding-3-small"}, "model"),
        ],
    )
    def test_name_the_parameter(self, ask: Asker, fields: dict[str, Any], param: str) -> None:
        assert (ask.refusal("hi", **fields)["param"] or "").startswith(param)

    def test_too_long_a_prompt_tells_both_numbers(self, ask: Asker) -> None:
        error = ask.refusal("word " * 5000)
        assert error["code"] == "context_length_exceeded"
        assert "4096" in error["message"]
        assert "5" in error["message"].replace("4096", "")

    def test_too_long_an_answer_tells_both_numbers(self, ask: Asker) -> None:
        error = ask.refusal("hi", max_tokens=5000)
        assert (error["code"], error["param"]) == ("context_length_exceeded", "max_tokens")
        assert "4096" in error["message"]
        assert "5000" in error["message"]


class TestStream:
    def test_has_the_shape_that_openai_sends(self, ask: Asker) -> None:
        first, *middle, last = ask.chunks(SAY)
        assert first["choices"] == [
            {"index": 0, "delta": {"role": "assistant", "content": "", "refusal": None}, "finish_reason": None, "logprobs": None}
        ]
        assert all(list(chunk["choices"][0]["delta"]) == ["content"] for chunk in middle)
        assert all(chunk["choices"][0]["finish_reason"] is None for chunk in middle)
        assert last["choices"][0]["delta"] == {}
        assert last["choices"][0]["finish_reason"] == "stop"
        assert joined([first, *middle]) == SAID
        assert len({(chunk["id"], chunk["created"], chunk["model"]) for chunk in (first, *middle, last)}) == 1
        assert all("usage" not in chunk for chunk in (first, *middle, last))

    @pytest.mark.parametrize("fields", [{}, {"n": 3}, {"logprobs": True}, {"store": True}, {"n": 12}])
    def test_usage_comes_only_when_asked_for_and_last(self, ask: Asker, fields: dict[str, Any]) -> None:
        *chunks, last = ask.chunks(SAY, stream_options={"include_usage": True}, **fields)
        assert all(chunk["usage"] is None for chunk in chunks)
        assert last["choices"] == []
        assert last["usage"] == ask.whole(SAY, **fields)["usage"]

    def test_every_choice_has_one_role_and_one_end(self, ask: Asker) -> None:
        chunks = ask.chunks("hello", n=12, seed=3)
        told = [chunk["choices"][0] for chunk in chunks]
        for number, choice in enumerate(ask.whole("hello", n=12, seed=3)["choices"]):
            own = [one for one in told if one["index"] == number]
            assert [one["delta"].get("role") for one in own] == ["assistant"] + [None] * (len(own) - 1)
            assert [one["finish_reason"] for one in own] == [None] * (len(own) - 1) + ["stop"]
            assert "".join(one["delta"].get("content") or "" for one in own) == choice["message"]["content"]


class TestLogprobs:
    @pytest.mark.parametrize("streamed", [False, True])
    def test_tell_every_token(self, ask: Asker, streamed: bool) -> None:
        if streamed:
            chunks = ask.chunks(SAY, logprobs=True, top_logprobs=3)
            told = [one for chunk in chunks if chunk["choices"][0]["logprobs"] for one in chunk["choices"][0]["logprobs"]["content"]]
        else:
            told = ask.whole(SAY, logprobs=True, top_logprobs=3)["choices"][0]["logprobs"]["content"]
        assert "".join(one["token"] for one in told) == SAID
        assert all(one["logprob"] <= 0 and len(one["top_logprobs"]) == 3 for one in told)
        assert bytes(byte for one in told for byte in one["bytes"]).decode() == SAID

    def test_none_but_the_chosen_without_top_logprobs(self, ask: Asker) -> None:
        told = ask.whole(SAY, logprobs=True)["choices"][0]["logprobs"]["content"]
        assert all(one["top_logprobs"] == [] for one in told)

    def test_stay_when_a_stop_sequence_ends_the_text(self, ask: Asker) -> None:
        (choice,) = ask.whole(SAY, logprobs=True, stop=", friend")["choices"]
        assert choice["message"]["content"] == "Hello there"
        assert "".join(one["token"] for one in choice["logprobs"]["content"]) == "Hello there"
        assert choice["finish_reason"] == "stop"

    def test_come_with_a_format(self, ask: Asker) -> None:
        (choice,) = ask.whole("x", logprobs=True, top_logprobs=1, response_format={"type": "json_object"})["choices"]
        assert "".join(one["token"] for one in choice["logprobs"]["content"]) == choice["message"]["content"]
