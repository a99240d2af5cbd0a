"""`/v1/completions` through a real server, against the fake engine: shapes, choices, log-probabilities, limits."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest
from openai.types import Completion

from openhearth.inference.sampling import WHOLE_TEXT
from openhearth.wire.completions import MAX_CHOICES
from tests.support.serving import RunningServer

SAY = "[[say:one two three four five six seven eight nine ten]]"
SAID = "one two three four five six seven eight nine ten"
WORDS = ["one", " two", " three", " four", " five", " six", " seven", " eight", " nine", " ten"]


@pytest.fixture(scope="module")
def client(server: RunningServer) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=server.base_url, api_key=server.key, max_retries=0) as client:
        yield client


@pytest.fixture(scope="module")
def http(server: RunningServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.base_url, headers={"authorization": f"Bearer {server.key}"}, timeout=60) as client:
        yield client


@pytest.fixture(scope="module")
def real(real_server: RunningServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=real_server.base_url, headers={"authorization": f"Bearer {real_server.key}"}, timeout=120) as client:
        yield client


def ask(http: httpx.Client, path: str = "/completions", **body: Any) -> dict[str, Any]:
    reply = http.post(path, json={"model": "fake:chat", **body})
    assert reply.status_code == 200, reply.text
    found: dict[str, Any] = reply.json()
    if not body.get("echo"):  # the client's type knows no null log-probability, which OpenAI sends for a prompt's first token
        Completion.model_validate(found, strict=True)
    return found


def events(http: httpx.Client, **body: Any) -> list[dict[str, Any]]:
    reply = http.post("/completions", json={"model": "fake:chat", **body, "stream": True})
    assert reply.headers["content-type"].startswith("text/event-stream"), reply.text
    *lines, done = [line.removeprefix("data: ") for line in reply.text.split("\n\n") if line]
    assert done == "[DONE]"
    return [json.loads(line) for line in lines]


def refusal(http: httpx.Client, **body: Any) -> dict[str, Any]:
    reply = http.post("/completions", json={"model": "fake:chat", "prompt": "a", **body})
    assert reply.status_code == 400, reply.text
    error: dict[str, Any] = reply.json()["error"]
    assert error["type"] == "invalid_request_error"
    return error


def sent(http: httpx.Client, **body: Any) -> dict[str, Any]:
    """What the engine was asked."""
    seen: dict[str, Any] = json.loads(ask(http, prompt="[[echo_request]]", max_tokens=2000, **body)["choices"][0]["text"])
    return seen


class TestReply:
    def test_is_a_whole_openai_completion(self, http: httpx.Client) -> None:
        reply = ask(http, prompt=SAY, max_tokens=50)
        assert reply["id"].startswith("cmpl-")
        assert reply["object"] == "text_completion"
        assert reply["model"] == "fake:chat"
        assert reply["choices"] == [{"text": SAID, "index": 0, "logprobs": None, "finish_reason": "stop"}]
        usage = reply["usage"]
        assert usage["completion_tokens"] == 10
        assert usage["total_tokens"] == usage["prompt_tokens"] + 10
        assert reply["system_fingerprint"].startswith("fp_")

    def test_ends_after_sixteen_tokens_by_default(self, http: httpx.Client) -> None:
        reply = ask(http, prompt="[[tokens:40]]")
        assert reply["usage"]["completion_tokens"] == 16
        assert reply["choices"][0]["finish_reason"] == "length"

    def test_an_alias_is_answered_under_the_real_name(self, http: httpx.Client) -> None:
        assert ask(http, model="gpt-3.5-turbo-instruct", prompt="a")["model"] == "fake:chat"

    def test_the_model_may_stand_in_the_path(self, http: httpx.Client) -> None:
        reply = http.post("/engines/davinci-codex/completions", json={"prompt": SAY}).json()
        assert reply["model"] == "fake:chat"
        assert reply["choices"][0]["text"] == SAID

    def test_without_a_prompt_it_begins_a_document(self, http: httpx.Client) -> None:
        for prompt in ({}, {"prompt": None}, {"prompt": ""}):
            reply = ask(http, **prompt)
            assert reply["choices"][0]["text"]
            assert 1 <= reply["usage"]["prompt_tokens"] <= 3

    def test_zero_tokens_are_zero_tokens(self, http: httpx.Client) -> None:
        reply = ask(http, prompt=SAY, max_tokens=0)
        assert reply["choices"][0] == {"text": "", "index": 0, "logprobs": None, "finish_reason": "length"}
        assert reply["usage"]["completion_tokens"] == 0
        assert reply["usage"]["prompt_tokens"] > 10

    def test_parameters_reach_the_engine_in_its_own_words(self, http: httpx.Client) -> None:
        seen = sent(http, temperature=0.5, top_p=0.9, presence_penalty=1, frequency_penalty=-1, logit_bias={"5": -100})
        assert seen["temperature"] == 0.5
        assert seen["top_p"] == 0.9
        assert seen["presence_penalty"] == 1
        assert seen["frequency_penalty"] == -1
        assert seen["repeat_last_n"] == WHOLE_TEXT
        assert seen["logit_bias"] == [[5, -100]]
        assert (seen["top_k"], seen["min_p"]) == (0, 0)
        assert seen["stream"] is True

    def test_the_same_seed_gives_the_same_answer_and_another_one_another(self, http: httpx.Client) -> None:
        first, again, other = (ask(http, prompt="a story", seed=seed, n=3)["choices"] for seed in (7, 7, 8))
        assert first == again != other
        assert len({choice["text"] for choice in first}) == 3


class TestPrompts:
    def test_a_list_of_texts_gives_a_choice_each_in_order(self, http: httpx.Client) -> None:
        reply = ask(http, prompt=["[[say:a]]", "[[say:b]]", "[[say:c]]"], n=2)
        assert [(c["index"], c["text"]) for c in reply["choices"]] == [(0, "a"), (1, "a"), (2, "b"), (3, "b"), (4, "c"), (5, "c")]

    def test_tokens_are_a_prompt(self, http: httpx.Client) -> None:
        tokens = self.tokens_of(http, "hello there friend")
        reply = ask(http, prompt=tokens, echo=True, max_tokens=0)
        assert reply["choices"][0]["text"] == "hello there friend"
        assert reply["usage"]["prompt_tokens"] == 3

    def test_lists_of_tokens_are_prompts(self, http: httpx.Client) -> None:
        tokens = self.tokens_of(http, "hello there friend")
        reply = ask(http, prompt=[tokens, tokens[:1]], echo=True, max_tokens=0)
        assert [choice["text"] for choice in reply["choices"]] == ["hello there friend", "hello"]
        assert reply["usage"]["prompt_tokens"] == 4

    @staticmethod
    def tokens_of(http: httpx.Client, text: str) -> list[int]:
        """The fake engine forgets no piece that it has met; its ids follow from a hash of the piece."""
        from openhearth.engines.fake.language import Tokens

        ask(http, prompt=text, echo=True, max_tokens=0)
        return Tokens().encode(text)

    def test_a_prompt_counts_once_however_many_choices_it_has(self, http: httpx.Client) -> None:
        one = ask(http, prompt=SAY)["usage"]
        many = ask(http, prompt=SAY, n=20)["usage"]
        assert many["prompt_tokens"] == one["prompt_tokens"]
        assert many["completion_tokens"] == 20 * one["completion_tokens"]

    @pytest.mark.parametrize("prompt", [[], [[]], ["a", 1], [[1], "a"], [1.5], [-1], [[2**31]], {"a": 1}, 7, [None]])
    def test_another_shape_is_refused(self, http: httpx.Client, prompt: Any) -> None:
        assert refusal(http, prompt=prompt)["param"].startswith("prompt")

    def test_an_id_beyond_the_vocabulary_is_refused(self, http: httpx.Client) -> None:
        error = refusal(http, prompt=[5, 2**20])
        assert error["param"] == "prompt"
        assert str(2**20) in error["message"]
        assert refusal(http, logit_bias={str(2**20): 1})["param"] == "logit_bias"


class TestStreams:
    @pytest.mark.parametrize("extra", [{}, {"n": 3}, {"prompt": [SAY, SAY]}, {"echo": True}, {"logprobs": 2}, {"stop": " six"}, {"n": 30}])
    def test_say_the_same_as_the_whole_reply(self, http: httpx.Client, extra: dict[str, Any]) -> None:
        body = {"prompt": SAY, "seed": 1, "max_tokens": 30, **extra}
        whole = ask(http, **body)
        chunks = events(http, **body)
        texts: dict[int, str] = {}
        ends: dict[int, str] = {}
        tokens: dict[int, list[str]] = {}
        for chunk in chunks:
            (choice,) = chunk["choices"]
            assert "usage" not in chunk
            assert chunk["id"] == chunks[0]["id"]
            assert choice["index"] not in ends
            texts[choice["index"]] = texts.get(choice["index"], "") + choice["text"]
            if choice["logprobs"]:
                tokens.setdefault(choice["index"], []).extend(choice["logprobs"]["tokens"])
            if choice["finish_reason"]:
                ends[choice["index"]] = choice["finish_reason"]
        for choice in whole["choices"]:
            assert texts[choice["index"]] == choice["text"]
            assert ends[choice["index"]] == choice["finish_reason"]
            assert tokens.get(choice["index"]) == (choice["logprobs"] and choice["logprobs"]["tokens"])
        assert len(texts) == len(whole["choices"])

    @pytest.mark.parametrize("extra", [{}, {"n": 3}, {"logprobs": 1}, {"echo": True}, {"max_tokens": 0, "echo": True}])
    def test_usage_comes_only_when_asked_for_and_last(self, http: httpx.Client, extra: dict[str, Any]) -> None:
        *chunks, last = events(http, prompt=SAY, stream_options={"include_usage": True}, **extra)
        assert all(chunk["usage"] is None and chunk["choices"] for chunk in chunks)
        assert last["choices"] == []
        assert last["usage"] == ask(http, prompt=SAY, **extra)["usage"]

    def test_the_official_client_reads_them(self, client: openai.OpenAI) -> None:
        stream = client.completions.create(model="fake:chat", prompt=SAY, stream=True, max_tokens=50)
        assert "".join(chunk.choices[0].text for chunk in stream) == SAID

    def test_an_engine_that_dies_ends_the_stream_with_an_error_event(self, own_server: RunningServer) -> None:
        client = openai.OpenAI(base_url=own_server.base_url, api_key=own_server.key, max_retries=0)
        stream = client.completions.create(model="fake:chat", prompt="[[crash_after:2]] [[tokens:9]]", stream=True)
        with pytest.raises(openai.APIError, match="engine"):
            list(stream)
        assert client.completions.create(model="fake:chat", prompt=SAY).choices[0].text == SAID


class TestStop:
    @pytest.mark.parametrize("extra", [{}, {"logprobs": 0}, {"logprobs": 5, "n": 2}])
    def test_the_text_ends_before_the_sequence(self, http: httpx.Client, extra: dict[str, Any]) -> None:
        reply = ask(http, prompt=SAY, max_tokens=50, stop=["ve si", "zzz"], **extra)
        assert {choice["text"] for choice in reply["choices"]} == {"one two three four fi"}
        assert {choice["finish_reason"] for choice in reply["choices"]} == {"stop"}

    def test_an_empty_one_stops_nothing(self, http: httpx.Client) -> None:
        assert ask(http, prompt=SAY, stop="")["choices"][0]["text"] == SAID

    def test_five_are_refused(self, http: httpx.Client) -> None:
        assert refusal(http, stop=list("abcde"))["param"] == "stop"


class TestLogprobs:
    """Peers drop them in streams, for held text, or for the prompt."""

    def test_have_the_legacy_shape(self, http: httpx.Client) -> None:
        logprobs = ask(http, prompt=SAY, logprobs=2)["choices"][0]["logprobs"]
        assert logprobs["tokens"] == WORDS
        assert logprobs["text_offset"] == [len(SAY) + SAID.index(word) for word in WORDS]
        for word, logprob, top in zip(WORDS, logprobs["token_logprobs"], logprobs["top_logprobs"], strict=True):
            assert top[word] == logprob < 0
            assert 2 <= len(top) <= 3
            assert list(top.values())[:2] == sorted(top.values(), reverse=True)[:2]

    def test_zero_tells_the_chosen_token_alone(self, http: httpx.Client) -> None:
        logprobs = ask(http, prompt=SAY, logprobs=0)["choices"][0]["logprobs"]
        assert [list(top) for top in logprobs["top_logprobs"]] == [[word] for word in WORDS]

    def test_logprobs_dropped_for_text_before_a_stop_sequence(self, http: httpx.Client) -> None:
        """Regression: llama.cpp's server loses the log-probabilities of text that it held back."""
        logprobs = ask(http, prompt=SAY, logprobs=1, stop=[" three four X", " six seven"])["choices"][0]["logprobs"]
        assert logprobs["tokens"] == WORDS[:5]
        assert None not in logprobs["token_logprobs"]

    def test_an_echoed_prompt_has_them_too(self, http: httpx.Client) -> None:
        reply = ask(http, prompt="the old bridge", echo=True, logprobs=3, max_tokens=2)
        logprobs = reply["choices"][0]["logprobs"]
        assert logprobs["tokens"][:3] == ["the", " old", " bridge"]
        assert len(logprobs["tokens"]) == 5
        assert logprobs["token_logprobs"][0] is None
        assert logprobs["top_logprobs"][0] is None
        assert all(value < 0 for value in logprobs["token_logprobs"][1:])
        assert logprobs["text_offset"][:4] == [0, 3, 7, 14]
        assert reply["choices"][0]["text"].startswith("the old bridge")
        assert reply["usage"]["completion_tokens"] == 2

    def test_a_prompt_is_scored_without_generating(self, http: httpx.Client) -> None:
        reply = ask(http, prompt=["the old bridge", "the old boats"], echo=True, logprobs=1, max_tokens=0)
        first, second = (choice["logprobs"] for choice in reply["choices"])
        assert first["tokens"] == ["the", " old", " bridge"]
        assert first["token_logprobs"][:2] == second["token_logprobs"][:2]
        assert first["token_logprobs"][2] != second["token_logprobs"][2]
        assert reply["usage"]["completion_tokens"] == 0

    def test_a_scored_prompt_agrees_with_the_model_generating_it(self, http: httpx.Client) -> None:
        generated = ask(http, prompt=SAY, logprobs=2)["choices"][0]["logprobs"]
        forced = ask(http, prompt=SAY + SAID, logprobs=2, echo=True, max_tokens=0)["choices"][0]["logprobs"]
        assert forced["token_logprobs"][-9:] == generated["token_logprobs"][-9:]

    def test_six_are_refused(self, http: httpx.Client) -> None:
        assert refusal(http, logprobs=6)["param"] == "logprobs"


class TestBestOf:
    def test_gives_the_candidate_with_the_highest_mean_logprob(self, http: httpx.Client) -> None:
        every = ask(http, prompt="a story", seed=3, n=8, logprobs=1, max_tokens=6)["choices"]
        means = {c["text"]: sum(c["logprobs"]["token_logprobs"]) / len(c["logprobs"]["tokens"]) for c in every}
        best = ask(http, prompt="a story", seed=3, n=2, best_of=8, max_tokens=6)
        assert [choice["text"] for choice in best["choices"]] == sorted(means, key=lambda text: -means[text])[:2]
        assert [choice["index"] for choice in best["choices"]] == [0, 1]
        assert best["choices"][0]["logprobs"] is None
        assert best["usage"]["completion_tokens"] == 8 * 6

    def test_must_be_at_least_n(self, http: httpx.Client) -> None:
        assert refusal(http, n=3, best_of=2)["param"] == "best_of"

    def test_can_not_be_streamed(self, http: httpx.Client) -> None:
        assert refusal(http, best_of=2, stream=True)["param"] == "best_of"
        assert events(http, prompt=SAY, best_of=1)


class TestSuffix:
    def test_the_middle_is_filled_in(self, http: httpx.Client) -> None:
        reply = ask(http, prompt="def f(x):", suffix="return y")
        seen = http.post(
            "/completions", json={"model": "fake:chat", "prompt": "def [[echo_request]]", "suffix": "return y", "max_tokens": 900}
        )
        prompt = json.loads(seen.json()["choices"][0]["text"])["prompt"]
        assert isinstance(prompt, list)
        assert reply["usage"]["prompt_tokens"] > 12

    def test_a_model_that_can_not_says_so(self, server: RunningServer, tmp_path_factory: pytest.TempPathFactory) -> None:
        from tests.support.serving import FAKE, started

        config = FAKE.replace('task = "chat"', 'task = "chat"\noptions = { capabilities = ["chat", "completion", "tokenize"] }', 1)
        with started(tmp_path_factory.mktemp("plain"), config) as plain:
            client = openai.OpenAI(base_url=plain.base_url, api_key=plain.key, max_retries=0)
            with pytest.raises(openai.BadRequestError, match="fill in the middle") as refused:
                client.completions.create(model="fake:chat", prompt="a", suffix="b")
            assert refused.value.param == "suffix"
            assert refused.value.code == "unsupported_parameter"


class TestLimits:
    def test_silent_context_truncation(self, http: httpx.Client) -> None:
        """Regression: peers cut the prompt, or the answer, without a word."""
        error = refusal(http, prompt="word " * 3000, max_tokens=2000)
        assert error["code"] == "context_length_exceeded"
        assert "4096" in error["message"]
        assert str(3000 + 2000) in error["message"] or str(3001 + 2000) in error["message"]
        assert refusal(http, prompt="a", max_tokens=4096)["param"] == "max_tokens"
        assert refusal(http, prompt=[7] * 4090)["code"] == "context_length_exceeded"
        assert ask(http, prompt="a [[tokens:3]]", max_tokens=4000)["choices"][0]["finish_reason"] == "stop"

    def test_unbounded_n(self, http: httpx.Client) -> None:
        """Regression: one request could occupy a server for hours."""
        assert refusal(http, n=129)["param"] == "n"
        assert refusal(http, best_of=21)["param"] == "best_of"
        assert str(MAX_CHOICES) in refusal(http, prompt=["a"] * 9, n=128)["message"]
        assert refusal(http, prompt=["a"] * 1025)["param"] == "prompt"
        assert len(ask(http, prompt="a", n=128, max_tokens=1)["choices"]) == 128

    @pytest.mark.parametrize(
        ("body", "param"),
        [
            ({"temperature": 2.1}, "temperature"),
            ({"top_p": -0.1}, "top_p"),
            ({"presence_penalty": 99}, "presence_penalty"),
            ({"max_tokens": -1}, "max_tokens"),
            ({"logit_bias": {"the": 1}}, "logit_bias"),
            ({"logit_bias": {"5": 101}}, "logit_bias"),
            ({"logit_bias": {str(n): 1 for n in range(301)}}, "logit_bias"),
            ({"stream_options": {"include_usage": True}}, "stream_options"),
            ({"no_such": 1}, "no_such"),
            ({"model": None}, "model"),
            ({"suffix": "a", "echo": True}, "echo"),
            ({"echo": "yes"}, "echo"),
        ],
    )
    def test_what_can_not_be_honoured_is_named(self, http: httpx.Client, body: dict[str, Any], param: str) -> None:
        assert refusal(http, **body)["param"].startswith(param)

    def test_a_model_of_another_kind_is_refused(self, http: httpx.Client) -> None:
        error = refusal(http, model="fake:embed")
        assert error["param"] == "model"
        assert "/v1/embeddings" in error["message"]

    def test_an_unknown_model_is_a_404(self, client: openai.OpenAI) -> None:
        with pytest.raises(openai.NotFoundError) as missing:
            client.completions.create(model="no-such-model", prompt="a")
        assert missing.value.code == "model_not_found"


class TestLeaving:
    def test_a_client_that_goes_away_frees_its_slot(self, server: RunningServer, http: httpx.Client) -> None:
        body = {"model": "fake:chat", "prompt": "[[tokens:500]] [[delay_ms:50]]", "max_tokens": 500}
        for leaving in ({"stream": True}, {"stream": True, "n": 3, "echo": True}, {}, {"logprobs": 1}, {"best_of": 3}):
            if "stream" in leaving:
                with http.stream("POST", "/completions", json={**body, **leaving}) as reply:
                    assert next(reply.iter_lines()).startswith("data: ")
            else:
                with pytest.raises(httpx.ReadTimeout):
                    http.post("/completions", json={**body, **leaving}, timeout=0.3)
            assert self.in_use_within_a_second(server, http) == 0

    @staticmethod
    def in_use_within_a_second(server: RunningServer, http: httpx.Client) -> int:
        until = time.monotonic() + 1
        while True:
            engines = http.get(server.root + "/openhearth/engines").json()["data"]
            in_use = next(int(engine["in_use"]) for engine in engines if engine["id"] == "fake:chat")
            if not in_use or time.monotonic() > until:
                return in_use


@pytest.mark.real
class TestRealModel:
    def complete(self, real: httpx.Client, **body: Any) -> dict[str, Any]:
        reply = real.post("/completions", json={"model": "smollm2:135m", **body})
        assert reply.status_code == 200, reply.text
        found: dict[str, Any] = reply.json()
        return found

    def test_no_token_is_left_out_of_the_logprobs_when_a_character_has_several(self, real: httpx.Client) -> None:
        reply = self.complete(real, prompt="🦙🦙🦙🦙", echo=True, logprobs=2, max_tokens=6, temperature=0)
        choice, usage = reply["choices"][0], reply["usage"]
        tokens = choice["logprobs"]["tokens"]
        assert len(tokens) == usage["total_tokens"] == 18
        assert choice["text"] == "🦙🦙🦙🦙🦙🦙"
        spelled = b"".join(bytes.fromhex(token.removeprefix("bytes:").replace("\\x", "")) for token in tokens)
        assert spelled.decode() == choice["text"]
        assert all(value <= 0 for value in choice["logprobs"]["token_logprobs"][1:])
        for token, logprob, top in list(zip(tokens, *(choice["logprobs"][k] for k in ("token_logprobs", "top_logprobs")), strict=True))[1:]:
            assert top[token] == logprob

    def test_answers_with_and_without_logprobs_are_the_same(self, real: httpx.Client) -> None:
        plain, scored = (self.complete(real, prompt="1 2 3 4 5", max_tokens=8, temperature=0, **extra) for extra in ({}, {"logprobs": 0}))
        assert plain["choices"][0]["text"] == scored["choices"][0]["text"] == "".join(scored["choices"][0]["logprobs"]["tokens"])
        assert plain["usage"]["completion_tokens"] == scored["usage"]["completion_tokens"] == 8

    def test_the_end_of_the_text_is_a_token_without_text(self, real: httpx.Client) -> None:
        prompt = "<|im_start|>user\nSay hi<|im_end|>\n<|im_start|>assistant\n"
        choice = self.complete(real, prompt=prompt, max_tokens=60, temperature=0, logprobs=0)["choices"][0]
        assert choice["finish_reason"] == "stop"
        assert choice["logprobs"]["tokens"][-1] == "<|im_end|>"
        assert choice["text"] == "".join(choice["logprobs"]["tokens"][:-1])

    def test_a_chat_model_does_not_answer_a_plain_text_with_nothing(self, real: httpx.Client) -> None:
        prompt = "Classify the following text into one of two categories: 1. positive, 2. negative: This movie is amazing!"
        for extra in ({"n": 48}, {"n": 24, "logprobs": 0}):
            assert all(choice["text"] for choice in self.complete(real, prompt=prompt, max_tokens=4, **extra)["choices"])

    def test_a_model_without_fill_in_the_middle_says_so(self, real: httpx.Client) -> None:
        reply = real.post("/completions", json={"model": "smollm2:135m", "prompt": "a", "suffix": "b"})
        assert reply.status_code == 400
        assert reply.json()["error"]["param"] == "suffix"
