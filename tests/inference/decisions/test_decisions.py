"""`/v1/decisions` through a real server, against the fake engine, asked by the official client."""

from __future__ import annotations

from collections.abc import Iterator

import openai
import pytest
from openai.types.decision import AnswerAnswerResourceChoice as ChoiceAnswer
from openai.types.decision import Decision

from tests.support.serving import RunningServer

COLOURS = [{"value": "red"}, {"value": "green"}, {"value": "light green", "description": "a pale one"}]


@pytest.fixture(scope="module")
def client(server: RunningServer) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=server.base_url, api_key=server.key, max_retries=0) as client:
        yield client


def test_a_choice(client: openai.OpenAI) -> None:
    decision = client.decisions.create(
        model="fake:chat",
        input="Grass in spring.",
        questions=[{"type": "choice", "instructions": "Which colour?", "choices": COLOURS, "name": "colour"}],
    )
    Decision.model_validate(decision.model_dump(), strict=True)
    [answer] = decision.answers
    assert isinstance(answer, ChoiceAnswer)
    assert answer.name == "colour"
    assert [one.value for one in answer.probabilities] == ["red", "green", "light green"]
    assert sum(one.probability for one in answer.probabilities) == pytest.approx(1)
    assert answer.choice == max(answer.probabilities, key=lambda one: one.probability).value
    assert 0 <= answer.confidence <= 1
