"""Decisions of a model on another server: passed on where it offers them, a clear refusal where it doesn't."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from tests.support.scripted import Scripted, Step, refuse, reply, scripted
from tests.support.serving import FAKE, KEY, RunningServer, started

QUESTIONS: list[Any] = [
    {"type": "predicate", "instructions": "It is about boats."},
    {"type": "choice", "instructions": [{"type": "input_json", "data": {"a": None}}], "choices": [{"value": True}, {"value": "b"}]},
]
BODY: dict[str, Any] = {"model": "far/fake:chat", "input": [{"role": "assistant", "content": "a", "phase": None}], "questions": QUESTIONS}
GOOD = {
    "model": "gpt-x",
    "answers": [{"type": "predicate", "name": None, "probability": 0.25}, {"type": "refusal", "name": None}],
    "usage": {
        "input_tokens": 7,
        "input_tokens_details": {"cached_tokens": 2, "cache_write_tokens": 1},
        "output_tokens": 0,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 7,
    },
}


def config(base_url: str) -> str:
    return FAKE + f'\n[[upstreams]]\nname = "far"\nbase_url = "{base_url}"\napi_key_env = "FAR_KEY"\nmodels = ["fake:chat"]\nretries = 0\n'


@pytest.fixture(scope="module")
def through(server: RunningServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A second server that has the first as its upstream."""
    folder = tmp_path_factory.mktemp("through")
    with started(folder, config(server.base_url), environ={"FAR_KEY": server.key}) as running:
        yield running


async def asked(tmp_path: Path, step: Step) -> tuple[httpx.Response, Scripted]:
    """The reply to BODY when the upstream server does this."""
    async with scripted(step) as far:
        with started(tmp_path / "near", config(far.base_url), environ={"FAR_KEY": "secret"}) as near:
            async with httpx.AsyncClient(base_url=near.base_url, headers={"authorization": f"Bearer {KEY}"}, timeout=30) as http:
                return await http.post("/decisions", json=BODY), far


def test_another_house_answers_as_if_it_were_this_one(server: RunningServer, through: RunningServer) -> None:
    extra = {"calibration": {"method": "none"}}
    found = []
    for running, model in ((server, "fake:chat"), (through, "far/fake:chat")):
        with openai.OpenAI(base_url=running.base_url, api_key=running.key, max_retries=0) as client:
            found.append(client.decisions.create(model=model, input=BODY["input"], questions=QUESTIONS, extra_body=extra))
    here, there = found
    assert there.model == "far/fake:chat"
    assert there.answers == here.answers
    assert there.usage == here.usage


async def test_the_request_goes_on_as_it_came(tmp_path: Path) -> None:
    answer, far = await asked(tmp_path, reply(GOOD))
    assert answer.json() == {**GOOD, "model": "far/fake:chat"}
    [sent] = far.asked
    assert sent.path == "/v1/decisions"
    assert json.loads(sent.body) == {**BODY, "model": "fake:chat"}


@pytest.mark.parametrize("step", [refuse(404, "Not Found"), reply({"detail": "Not Found"}, 404)])
async def test_a_server_without_decisions_is_a_clear_refusal(tmp_path: Path, step: Step) -> None:
    answer, _ = await asked(tmp_path, step)
    error = answer.json()["error"]
    assert (answer.status_code, error["param"]) == (400, "model")
    assert "use a chat model that runs on this server" in error["message"]


async def test_its_own_refusals_stay_its_own(tmp_path: Path) -> None:
    answer, _ = await asked(tmp_path, refuse(400, "Too many.", code="too_many", param="questions"))
    assert (answer.status_code, answer.json()["error"]["code"], answer.json()["error"]["param"]) == (400, "too_many", "questions")


async def test_an_answer_that_is_none_is_an_error(tmp_path: Path) -> None:
    answer, _ = await asked(tmp_path, reply({"choices": []}))
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "engine_failed")
