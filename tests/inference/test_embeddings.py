"""`/v1/embeddings` through a real server, against the fake engine: shapes, forms, limits, turns; an upstream; the real MiniLM."""

from __future__ import annotations

import base64
import json
import math
import struct
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import openai
import pytest
from openai.types import CreateEmbeddingResponse

from openhearth.engines.fake.language import embedding
from openhearth.wire.embeddings import MAX_INPUTS, MAX_TOKENS
from tests.support.serving import FAKE, KEY, RunningServer, started

DIMENSIONS = 16
CONTEXT = 4096


@pytest.fixture(scope="module")
def client(server: RunningServer) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=server.base_url, api_key=server.key, max_retries=0) as client:
        yield client


@pytest.fixture(scope="module")
def http(server: RunningServer) -> Iterator[httpx.Client]:
    with session(server) as client:
        yield client


def session(server: RunningServer) -> httpx.Client:
    return httpx.Client(base_url=server.base_url, headers={"authorization": f"Bearer {server.key}"}, timeout=120)


def embed(http: httpx.Client, given: Any, path: str = "/embeddings", **more: Any) -> dict[str, Any]:
    body = {"model": "fake:embed", "input": given, **more}
    reply = http.post(path, json=body)
    assert reply.status_code == 200, reply.text
    found: dict[str, Any] = reply.json()
    if more.get("encoding_format") != "base64":
        CreateEmbeddingResponse.model_validate(found, strict=True)
    assert [one["index"] for one in found["data"]] == list(range(len(found["data"])))
    return found


def vectors(reply: dict[str, Any]) -> list[list[float]]:
    return [one["embedding"] for one in reply["data"]]


def refusal(http: httpx.Client, body: dict[str, Any]) -> dict[str, Any]:
    reply = http.post("/embeddings", json={"model": "fake:embed", "input": "a", **body})
    assert reply.status_code == 400, reply.text
    error: dict[str, Any] = reply.json()["error"]
    assert error["type"] == "invalid_request_error"
    return error


class TestReply:
    def test_is_what_openai_answers(self, http: httpx.Client) -> None:
        reply = embed(http, "the river")
        assert set(reply) == {"object", "data", "model", "usage"}
        assert (reply["object"], reply["model"]) == ("list", "fake:embed")
        assert set(reply["data"][0]) == {"object", "index", "embedding"}
        assert reply["data"][0]["object"] == "embedding"
        assert reply["usage"] == {"prompt_tokens": 2, "total_tokens": 2}
        np.testing.assert_allclose(vectors(reply)[0], embedding("the river", DIMENSIONS), atol=1e-7)

    def test_the_official_client_reads_its_default_form(self, client: openai.OpenAI) -> None:
        """It asks for base64 and decodes that itself."""
        reply = client.embeddings.create(model="text-embedding-3-small", input=["the river", "a boat"])
        assert reply.model == "fake:embed"
        assert [one.index for one in reply.data] == [0, 1]
        np.testing.assert_allclose(reply.data[1].embedding, embedding("a boat", DIMENSIONS), atol=1e-7)

    def test_base64_holds_exactly_the_floats(self, http: httpx.Client) -> None:
        packed = embed(http, "wind", encoding_format="base64")["data"][0]["embedding"]
        floats = vectors(embed(http, "wind", encoding_format="float"))[0]
        assert list(struct.unpack(f"<{DIMENSIONS}f", base64.b64decode(packed, validate=True))) == floats

    @pytest.mark.parametrize("name", ["text-embedding-ada-002", "text-embedding-3-large"])
    def test_an_alias_is_answered_under_the_real_name(self, http: httpx.Client, name: str) -> None:
        assert embed(http, "a", model=name)["model"] == "fake:embed"

    def test_the_model_may_stand_in_the_path(self, http: httpx.Client) -> None:
        for engine in ("text-similarity-davinci-001", "fake:embed"):
            reply = http.post(f"/engines/{engine}/embeddings", json={"input": "a"})
            assert reply.json() == embed(http, "a")

    def test_user_and_nulls_are_taken(self, http: httpx.Client) -> None:
        assert embed(http, "a", user="someone", dimensions=None, encoding_format=None) == embed(http, "a")

    def test_is_metered(self, server: RunningServer, http: httpx.Client) -> None:
        def counted() -> float:
            page = http.get(f"{server.root}/metrics").text
            lines = [line for line in page.splitlines() if line.startswith("openhearth_tokens_total") and "embedding" in line]
            return sum(float(line.split()[-1]) for line in lines if 'kind="input"' in line)

        before = counted()
        embed(http, ["one two three", "four"])
        assert counted() - before == 4


class TestInput:
    def test_all_shapes_mean_the_same(self, http: httpx.Client) -> None:
        ids = [4242, 77]
        flat = embed(http, ids)
        assert flat == embed(http, [ids])
        assert embed(http, "the river") == embed(http, ["the river"])
        both = embed(http, [ids, [77]])
        assert vectors(both)[0] == vectors(flat)[0]
        assert both["usage"]["prompt_tokens"] == 3

    @pytest.mark.parametrize("count", [31, 32, 33, 500, MAX_INPUTS])
    def test_many_come_back_in_order(self, http: httpx.Client, count: int) -> None:
        reply = embed(http, [f"text {number}" for number in range(count)])
        assert len(reply["data"]) == count
        assert reply["usage"]["prompt_tokens"] == 2 * count
        for number in {0, count // 2, count - 1}:
            np.testing.assert_allclose(vectors(reply)[number], embedding(f"text {number}", DIMENSIONS), atol=1e-7)

    def test_texts_of_any_script_survive(self, http: httpx.Client) -> None:
        texts = ["Grüße, 世界", "🙂" * 50, '\\u0041 " \\ / \t\n', "e\u0301"]
        for text, vector in zip(texts, vectors(embed(http, texts)), strict=True):
            np.testing.assert_allclose(vector, embedding(text, DIMENSIONS), atol=1e-7)

    @pytest.mark.parametrize("given", ["", [], [""], ["a", ""], [[]], [[1], []], ["a", 1], [1, "a"], [[1], "a"], ["a", [1]], [1, [1]]])
    def test_nothing_and_mixtures_are_refused(self, http: httpx.Client, given: Any) -> None:
        error = refusal(http, {"input": given})
        assert error["param"] == "input"
        assert "empty" in error["message"] or "mixes" in error["message"]

    @pytest.mark.parametrize("given", [None, 5, {"text": "a"}, [None], [1.5], [-1], [2**31], [[True]], True])
    def test_other_kinds_are_refused(self, http: httpx.Client, given: Any) -> None:
        assert str(refusal(http, {"input": given})["param"]).startswith("input")

    def test_too_many_inputs(self, http: httpx.Client) -> None:
        error = refusal(http, {"input": ["a"] * (MAX_INPUTS + 1)})
        assert error["param"] == "input"
        assert "2049" in error["message"]
        assert "2048" in error["message"]

    def test_token_ids_of_another_model(self, http: httpx.Client) -> None:
        error = refusal(http, {"input": [[1, 2], [3, 2**20]]})
        assert error["param"] == "input"
        assert "Input 1 has the token id 1048576" in error["message"]

    @pytest.mark.parametrize("given", [["word " * 4000] * 80, [[7] * 4000] * 80])
    def test_too_many_tokens_together(self, http: httpx.Client, given: Any) -> None:
        before = time.monotonic()
        error = refusal(http, {"input": given})
        assert error["param"] == "input"
        assert str(MAX_TOKENS) in error["message"]
        assert time.monotonic() - before < 20

    def test_many_tokens_that_are_not_too_many(self, http: httpx.Client) -> None:
        """More characters than the limit has tokens: they are counted, and then embedded."""
        reply = embed(http, ["incomprehensibilities " * 1000] * 40)
        assert reply["usage"]["prompt_tokens"] <= MAX_TOKENS

    @pytest.mark.parametrize("given", ["word " * (CONTEXT + 7), [7] * (CONTEXT + 7), ["a"] * 100 + ["word " * (CONTEXT + 7)]])
    def test_longer_than_the_context_is_refused_with_both_numbers(self, http: httpx.Client, given: Any) -> None:
        error = refusal(http, {"input": given})
        assert (error["code"], error["param"]) == ("context_length_exceeded", "input")
        assert f"{CONTEXT} tokens" in error["message"]
        assert "4103" in error["message"] or "4104" in error["message"]


class TestParameters:
    @pytest.mark.parametrize("dimensions", [1, 5, DIMENSIONS - 1])
    @pytest.mark.parametrize("form", ["float", "base64"])
    def test_shortened_vectors_have_length_one(self, http: httpx.Client, dimensions: int, form: str) -> None:
        whole = vectors(embed(http, ["the river", "a boat"]))
        for full, one in zip(whole, embed(http, ["the river", "a boat"], dimensions=dimensions, encoding_format=form)["data"], strict=True):
            packed = one["embedding"]
            short = packed if form == "float" else np.frombuffer(base64.b64decode(packed), "<f4")
            assert len(short) == dimensions
            np.testing.assert_allclose(short, np.array(full[:dimensions]) / math.hypot(*full[:dimensions]), atol=1e-6)

    def test_all_dimensions_change_nothing(self, http: httpx.Client) -> None:
        assert embed(http, "a", dimensions=DIMENSIONS) == embed(http, "a")

    @pytest.mark.parametrize(
        ("body", "param"),
        [
            ({"dimensions": 0}, "dimensions"),
            ({"dimensions": -3}, "dimensions"),
            ({"dimensions": DIMENSIONS + 1}, "dimensions"),
            ({"dimensions": 2**70}, "dimensions"),
            ({"dimensions": "5"}, "dimensions"),
            ({"encoding_format": "hex"}, "encoding_format"),
            ({"user": 5}, "user"),
            ({"model": None}, "model"),
            ({"model": ""}, "model"),
            ({"truncate": True}, "truncate"),
            ({"stream": True}, "stream"),
        ],
    )
    def test_what_can_not_be_honoured_is_refused(self, http: httpx.Client, body: dict[str, Any], param: str) -> None:
        assert refusal(http, body)["param"] == param

    def test_the_refusal_says_how_many_dimensions_there_are(self, http: httpx.Client) -> None:
        assert f"{DIMENSIONS} dimensions; 17 were" in refusal(http, {"dimensions": 17})["message"]

    def test_input_is_wanted(self, http: httpx.Client) -> None:
        reply = http.post("/embeddings", json={"model": "fake:embed"})
        assert reply.status_code == 400
        assert (reply.json()["error"]["param"], reply.json()["error"]["code"]) == ("input", "missing_required_parameter")

    def test_a_chat_model_is_refused_with_one_that_can(self, http: httpx.Client) -> None:
        error = refusal(http, {"model": "fake:chat"})
        assert error["param"] == "model"
        assert "Use fake:embed" in error["message"]

    def test_a_chat_model_is_not_started_for_that(self, tmp_path: Path) -> None:
        with started(tmp_path, "preload = []\n" + FAKE) as server, session(server) as http:
            refusal(http, {"model": "fake:chat"})
            assert server.children() == []

    def test_an_unknown_model(self, http: httpx.Client) -> None:
        reply = http.post("/embeddings", json={"model": "no-such", "input": "a"})
        assert reply.status_code == 404
        assert reply.json()["error"]["code"] == "model_not_found"


NARROW = """
[engines]
queue = {queue}

[[models]]
name = "fake:embed"
engine = "fake"
task = "embedding"
options = {{ slots = 1 }}
"""


class TestTurns:
    def test_a_great_request_lets_others_in_between(self, tmp_path: Path) -> None:
        with (
            started(tmp_path, NARROW.format(queue=64)) as server,
            session(server) as http,
            session(server) as other,
            ThreadPoolExecutor(1) as threads,
        ):
            embed(http, "warm")
            great = threads.submit(embed, other, [f"{number} " * 300 for number in range(MAX_INPUTS // 5)])
            time.sleep(0.2)
            answered = 0
            while not great.done():
                embed(http, "small")
                answered += 1
            assert len(great.result()["data"]) == MAX_INPUTS // 5
            assert answered >= 5

    def test_who_was_admitted_is_not_sent_away_later(self, tmp_path: Path) -> None:
        """One may wait here; others are sent away, but not in the middle of what was begun."""
        with started(tmp_path, NARROW.format(queue=1)) as server, session(server) as http:
            while http.post("/embeddings", json={"model": "fake:embed", "input": "warm"}).status_code != 200:
                time.sleep(0.1)
            statuses: list[int] = []
            stop = threading.Event()

            def hammer() -> None:
                with session(server) as own:
                    while not stop.is_set():
                        statuses.append(own.post("/embeddings", json={"model": "fake:embed", "input": "word " * 500}).status_code)

            with ThreadPoolExecutor(3) as threads:
                for _ in range(3):
                    threads.submit(hammer)
                try:
                    served = _until_admitted(http, [f"{number} " * 50 for number in range(500)])
                finally:
                    stop.set()
            assert len(served["data"]) == 500
            assert set(statuses) == {200, 429}


def _until_admitted(http: httpx.Client, given: list[str]) -> dict[str, Any]:
    while True:
        began = time.monotonic()
        reply = http.post("/embeddings", json={"model": "fake:embed", "input": given})
        if reply.status_code == 200:
            return dict(reply.json())
        assert reply.status_code == 429
        assert time.monotonic() - began < 0.2, "sent away after it was admitted"


@pytest.fixture(scope="module")
def near(server: RunningServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A server whose models live on the other one."""
    config = f'preload = []\n[[upstreams]]\nname = "far"\nbase_url = "{server.base_url}"\napi_key_env = "FAR_KEY"\n'
    with started(tmp_path_factory.mktemp("near"), config, environ={"FAR_KEY": KEY}) as running, session(running) as http:
        yield http


class TestUpstream:
    @pytest.mark.parametrize("form", ["float", "base64"])
    def test_gives_the_same_vectors(self, near: httpx.Client, http: httpx.Client, form: str) -> None:
        texts = [f"text {number}" for number in range(100)]
        reply = embed(near, texts, model="far/fake:embed", encoding_format=form)
        assert reply["model"] == "far/fake:embed"
        assert {**reply, "model": "fake:embed"} == embed(http, texts, encoding_format=form)

    def test_dimensions_are_forwarded(self, near: httpx.Client, http: httpx.Client) -> None:
        assert vectors(embed(near, "a", model="far/fake:embed", dimensions=5)) == vectors(embed(http, "a", dimensions=5))
        error = refusal(near, {"model": "far/fake:embed", "dimensions": 99})
        assert "16 dimensions; 99" in error["message"]

    def test_its_refusals_are_passed_on(self, near: httpx.Client) -> None:
        error = refusal(near, {"model": "far/fake:embed", "input": "word " * (CONTEXT + 7)})
        assert "4096" in error["message"]
        assert refusal(near, {"model": "far/fake:chat"})


SENTENCES = ["A man is eating food.", "Someone has a meal.", "The quarterly report shows rising interest rates."]


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    from tests.support.minilm import minilm

    config = (
        'preload = []\n[aliases]\n"text-embedding-3-small" = "minilm:l6"\n'
        f'[[models]]\nname = "minilm:l6"\nengine = "embedding"\ntask = "embedding"\npath = {json.dumps(str(minilm()))}\n'
    )
    with started(tmp_path_factory.mktemp("minilm"), config) as running:
        yield running


@pytest.mark.real
class TestMiniLM:
    def test_what_means_the_same_is_near(self, real: RunningServer) -> None:
        with openai.OpenAI(base_url=real.base_url, api_key=real.key) as client:
            reply = client.embeddings.create(model="text-embedding-3-small", input=SENTENCES)
            rows = np.array([one.embedding for one in reply.data])
        assert reply.model == "minilm:l6"
        assert rows.shape == (3, 384)
        near = rows @ rows.T
        np.testing.assert_allclose(np.diag(near), 1, atol=1e-5)
        assert near[0, 1] > 0.5 > 0.2 > near[0, 2]

    def test_meaning_survives_fewer_dimensions(self, real: RunningServer) -> None:
        with openai.OpenAI(base_url=real.base_url, api_key=real.key) as client:
            reply = client.embeddings.create(model="minilm:l6", input=SENTENCES, dimensions=128)
            rows = np.array([one.embedding for one in reply.data])
        assert rows.shape == (3, 128)
        assert rows[0] @ rows[1] > rows[0] @ rows[2] + 0.3

    def test_too_long_says_both_numbers(self, real: RunningServer) -> None:
        with session(real) as http:
            error = refusal(http, {"model": "minilm:l6", "input": ["short", "word " * 300]})
            assert (error["code"], error["param"]) == ("context_length_exceeded", "input")
            assert "256 tokens" in error["message"]
            assert "302 tokens" in error["message"]

    def test_many_side_by_side_get_what_they_get_alone(self, real: RunningServer) -> None:
        texts = [f"{a} {b} near the {c}" for a in ("a cat", "the ship", "one bank") for b in ("sleeps", "fails") for c in ("river", "hill")]
        with session(real) as http, ThreadPoolExecutor(len(texts)) as threads:
            alone = vectors(embed(http, texts, model="minilm:l6"))
            together = list(threads.map(lambda text: vectors(embed(http, text, model="minilm:l6"))[0], texts))
        np.testing.assert_allclose(together, alone, atol=1e-5)
