"""`/v1/decisions` through a real server, against the fake engine, asked by the official client."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest
from openai.types.decision import (
    AnswerAnswerResourceChoice,
    AnswerAnswerResourcePredicate,
    AnswerAnswerResourceRefusal,
    AnswerAnswerResourceScore,
    Decision,
)

from openhearth.engines.fake import language
from openhearth.engines.fake.answer import render
from tests.support.serving import RunningServer

TEXT = "Grass in spring, seen from the train."
PLAIN = {"calibration": {"method": "none"}}
COLOURS = [{"value": "red"}, {"value": "green"}, {"value": "light green", "description": "a pale one"}, {"value": "light"}]
LEVELS = [{"label": "dull"}, {"label": "fair", "description": "neither"}, {"label": "fine"}, {"label": "splendid"}]
PREDICATE = {"type": "predicate", "instructions": "It is about a plant."}
CHOICE = {"type": "choice", "instructions": "Which colour?", "choices": COLOURS}
SCORE = {"type": "score", "instructions": "How beautiful is it?", "levels": LEVELS}


@pytest.fixture(scope="module")
def client(server: RunningServer) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=server.base_url, api_key=server.key, max_retries=0) as client:
        yield client


@pytest.fixture(scope="module")
def http(server: RunningServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.base_url, headers={"authorization": f"Bearer {server.key}"}, timeout=120) as client:
        yield client


def decide(client: openai.OpenAI, *questions: dict[str, Any], text: Any = TEXT, **more: Any) -> Decision:
    found = client.decisions.create(model="fake:chat", input=text, questions=questions, extra_body=more or None)  # type: ignore[arg-type]
    Decision.model_validate(found.model_dump(), strict=True)
    assert len(found.answers) == len(questions)
    return found


def refusal(http: httpx.Client, **body: Any) -> dict[str, Any]:
    reply = http.post("/decisions", json={"model": "fake:chat", "input": TEXT, "questions": [PREDICATE], **body})
    assert reply.status_code == 400, reply.text
    error: dict[str, Any] = reply.json()["error"]
    assert error["type"] == "invalid_request_error"
    return error


def chances(answer: Any) -> dict[Any, float]:
    return {(type(one.value), one.value): one.probability for one in answer.probabilities}


def metric(server: RunningServer, name: str, *labels: str) -> float:
    lines = httpx.get(server.root + "/metrics", headers={"authorization": f"Bearer {server.key}"}).text.splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name + "{") and all(label in line for label in labels))


def test_every_type_of_question_at_once(client: openai.OpenAI) -> None:
    predicate, choice, score = decide(client, PREDICATE, {**CHOICE, "name": "colour"}, SCORE).answers
    assert isinstance(predicate, AnswerAnswerResourcePredicate)
    assert isinstance(choice, AnswerAnswerResourceChoice)
    assert isinstance(score, AnswerAnswerResourceScore)
    assert (predicate.name, choice.name, score.name) == (None, "colour", None)
    assert 0 < predicate.probability < 1


def test_a_choice_is_the_likeliest_and_its_confidence_counts_from_chance(client: openai.OpenAI) -> None:
    [answer] = decide(client, CHOICE).answers
    assert isinstance(answer, AnswerAnswerResourceChoice)
    assert [one.value for one in answer.probabilities] == [colour["value"] for colour in COLOURS]
    likeliest = max(answer.probabilities, key=lambda one: one.probability)
    assert answer.choice == likeliest.value
    assert sum(one.probability for one in answer.probabilities) == pytest.approx(1)
    assert answer.confidence == pytest.approx((likeliest.probability - 1 / 4) / (3 / 4))


def test_a_score_is_the_expected_level(client: openai.OpenAI) -> None:
    [answer] = decide(client, SCORE).answers
    assert isinstance(answer, AnswerAnswerResourceScore)
    assert [(one.value, one.label) for one in answer.probabilities] == [(n, level["label"]) for n, level in enumerate(LEVELS)]
    assert sum(one.probability for one in answer.probabilities) == pytest.approx(1)
    assert answer.score == pytest.approx(sum(one.value * one.probability for one in answer.probabilities))
    assert 0 < answer.score < 3


def test_the_probabilities_are_the_engines_own(client: openai.OpenAI) -> None:
    """Computed here from the fake engine's language: three wordings, the mean of their log-odds."""
    [answer] = decide(client, PREDICATE, **PLAIN).answers
    statement, odds = PREDICATE["instructions"], []
    for question in (
        f"Question: Is this statement about the input true? {statement}",
        f"Statement: {statement}\nIs the statement true or false?",
        f"Statement: {statement}\nIs the statement false or true?",
    ):
        context = render([{"role": "user", "content": f"Input:\n{TEXT}\n\n{question}"}]) + "The statement is"
        odds.append(language.logprob(context, " true") - language.logprob(context, " false"))
    assert isinstance(answer, AnswerAnswerResourcePredicate)
    assert answer.probability == pytest.approx(1 / (1 + 2.718281828459045 ** -(sum(odds) / 3)))


def test_the_order_of_choices_decides_nothing(client: openai.OpenAI) -> None:
    choices = [{"value": value} for value in ("b", "a", "a b", "a c", True, "true", "c d e", False)]
    draw = random.Random(7)
    found = []
    for _ in range(6):
        draw.shuffle(choices)
        [answer] = decide(client, {**CHOICE, "choices": choices}).answers
        assert isinstance(answer, AnswerAnswerResourceChoice)
        found.append((answer.choice, answer.confidence, chances(answer)))
    assert all(one == found[0] for one in found)
    assert len(found[0][2]) == 8


def test_whole_options_count_not_first_tokens(client: openai.OpenAI) -> None:
    choices = [{"value": value} for value in ("red wine from France", "red wine from Spain", "white wine")]
    [answer] = decide(client, {**CHOICE, "choices": choices}).answers
    assert isinstance(answer, AnswerAnswerResourceChoice)
    french, spanish, _ = [one.probability for one in answer.probabilities]
    assert french != pytest.approx(spanish, rel=0.01)


def test_a_text_and_a_boolean_that_read_the_same_are_two_values(client: openai.OpenAI) -> None:
    choices = [{"value": True}, {"value": "true"}, {"value": False}]
    [answer] = decide(client, {**CHOICE, "choices": choices}).answers
    assert isinstance(answer, AnswerAnswerResourceChoice)
    assert set(chances(answer)) == {(bool, True), (str, "true"), (bool, False)}
    assert chances(answer)[bool, True] != pytest.approx(chances(answer)[str, "true"], rel=0.01)


def test_usage_counts_the_input_once(client: openai.OpenAI) -> None:
    text = "one two three " * 100
    one, two = decide(client, PREDICATE, text=text).usage, decide(client, PREDICATE, PREDICATE, text=text).usage
    assert one.output_tokens == 0
    assert one.total_tokens == one.input_tokens > 300
    assert 0 < two.input_tokens - one.input_tokens < 200
    assert one.input_tokens_details.cached_tokens + one.input_tokens_details.cache_write_tokens < one.input_tokens


def test_decisions_are_metered_and_calibration_is_remembered(client: openai.OpenAI, server: RunningServer) -> None:
    def read() -> float:
        return metric(server, "openhearth_tokens_total", 'operation="decision"', 'kind="input"')

    question = {"type": "predicate", "instructions": f"Nobody asked this before: {time.time_ns()}"}
    before = read()
    usage = decide(client, question).usage
    first = read() - before
    decide(client, question)
    assert read() - before - first == usage.input_tokens
    assert first > 2 * usage.input_tokens


def test_calibration_takes_out_what_is_the_same_for_the_given_inputs(client: openai.OpenAI) -> None:
    [answer] = decide(client, CHOICE, calibration={"inputs": [TEXT]}).answers
    assert isinstance(answer, AnswerAnswerResourceChoice)
    assert [one.probability for one in answer.probabilities] == [pytest.approx(1 / 4)] * 4
    assert answer.confidence == pytest.approx(0, abs=1e-9)


def test_methods_of_calibration_differ(client: openai.OpenAI) -> None:
    found = []
    for calibration in (None, {"method": "content_free"}, {"method": "none"}, {"method": "inputs", "inputs": ["some text", "another"]}):
        [answer] = decide(client, PREDICATE, **({"calibration": calibration} if calibration else {})).answers
        assert isinstance(answer, AnswerAnswerResourcePredicate)
        found.append(answer.probability)
    assert found[0] == found[1]
    assert len({round(one, 6) for one in found}) == 3


def test_the_model_may_decline_one_question_and_answer_another(client: openai.OpenAI) -> None:
    """The fake engine says what it is told to, with a probability that follows from the text before it."""
    text = "[[say:Sorry, no.]]"
    seen = set()
    for number in range(60):
        question = {"type": "predicate", "instructions": f"Statement {number}.", "name": f"number {number}"}
        [answer] = decide(client, question, text=text, **PLAIN).answers
        asked = f"Input:\n{text}\n\nQuestion: Is this statement about the input true? {question['instructions']}"
        likely = language.logprob(render([{"role": "user", "content": asked}]), "Sorry") > -0.6931471805599453
        assert isinstance(answer, AnswerAnswerResourceRefusal) == likely
        assert answer.name == question["name"]
        seen.add(answer.type)
    assert seen == {"predicate", "refusal"}


def test_messages_calls_and_outputs_are_evidence(client: openai.OpenAI) -> None:
    items = [
        {"role": "system", "content": [{"type": "input_text", "text": "Be kind."}]},
        {"role": "developer", "type": "message", "content": "Be brief."},
        {"role": "user", "content": [{"type": "input_text", "text": "When?"}, {"type": "input_json", "data": {"a": [1, None]}}]},
        {"role": "assistant", "content": [{"type": "output_text", "text": "Let me see."}], "phase": "commentary"},
        {"type": "function_call", "call_id": "c1", "name": "clock", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "noon"},
        {"type": "custom_tool_call", "call_id": "c1", "name": "shell", "input": "date"},
        {"type": "custom_tool_call_output", "call_id": "c1", "output": [{"type": "input_text", "text": "noon"}]},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "I won't say."}]},
    ]
    assert decide(client, PREDICATE, text=items).usage.input_tokens > decide(client, PREDICATE, text=items[:3]).usage.input_tokens


def test_what_openai_takes_for_its_cache_is_taken(client: openai.OpenAI) -> None:
    marked = [{"type": "input_text", "text": "a", "prompt_cache_breakpoint": {"mode": "explicit"}}]
    options = {"prompt_cache_key": "k", "prompt_cache_options": {"mode": "explicit", "ttl": "30m"}, "safety_identifier": "s"}
    decide(client, PREDICATE, text=[{"role": "user", "content": marked}], **options)


def test_four_hundred_questions(client: openai.OpenAI) -> None:
    questions = [{"type": "predicate", "instructions": f"It has {n} lines.", "name": str(n)} for n in range(400)]
    assert [answer.name for answer in decide(client, *questions, **PLAIN).answers] == [str(n) for n in range(400)]


def test_255_choices(client: openai.OpenAI) -> None:
    choices = [{"value": f"number {n}"} for n in range(255)]
    [answer] = decide(client, {**CHOICE, "choices": choices}, **PLAIN).answers
    assert isinstance(answer, AnswerAnswerResourceChoice)
    assert sum(one.probability for one in answer.probabilities) == pytest.approx(1)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"questions": []}, "questions"),
        ({"questions": [PREDICATE] * 401}, "questions"),
        ({"questions": [{**PREDICATE, "threshold": 1}]}, "questions[0].threshold"),
        ({"questions": [{**PREDICATE, "type": "essay"}]}, "questions[0].type"),
        ({"questions": [PREDICATE, {"type": "predicate"}]}, "questions[1].instructions"),
        ({"questions": [{**PREDICATE, "instructions": ""}]}, "questions[0].instructions"),
        ({"questions": [{**PREDICATE, "instructions": " \n"}]}, "questions[0].instructions"),
        ({"questions": [{**PREDICATE, "instructions": [{"type": "input_image", "image_url": "data:,"}]}]}, "questions[0].instructions[0]"),
        ({"questions": [{**CHOICE, "choices": COLOURS[:1]}]}, "questions[0].choices"),
        ({"questions": [{**CHOICE, "choices": [{"value": str(n)} for n in range(256)]}]}, "questions[0].choices"),
        ({"questions": [{**CHOICE, "choices": [*COLOURS, COLOURS[0]]}]}, "questions[0].choices"),
        ({"questions": [{**CHOICE, "choices": [{"value": 1}, {"value": 2}]}]}, "questions[0].choices[0].value"),
        ({"questions": [{**SCORE, "levels": [{"label": str(n)} for n in range(11)]}]}, "questions[0].levels"),
        ({"questions": [{**SCORE, "levels": [LEVELS[0]] * 2}]}, "questions[0].levels"),
        ({"input": ""}, "input"),
        ({"input": []}, "input"),
        ({"input": "x" * (2**20 + 1)}, "input"),
        ({"input": [{"role": "user", "content": []}]}, "input"),
        ({"input": [{"role": "tool", "content": "a"}]}, "input[0].role"),
        ({"input": [{"role": "user", "content": "a"}, {"type": "reasoning"}]}, "input[1].type"),
        ({"input": [{"role": "user", "content": "a", "tone": "b"}]}, "input[0].tone"),
        ({"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "https://x/y.png"}]}]}, "input[0].content[0]"),
        ({"input": [{"role": "user", "content": [{"type": "input_json", "data": {"a": [0] * 10_001}}]}]}, "input[0].content[0]"),
        ({"input": [{"type": "function_call_output", "call_id": "c", "output": "a"}]}, "input[0].call_id"),
        ({"calibration": {"method": "inputs"}}, "calibration.inputs"),
        ({"calibration": {"method": "none", "inputs": ["a"]}}, "calibration.inputs"),
        ({"calibration": {"inputs": []}}, "calibration.inputs"),
        ({"prompt_cache_options": {"ttl": "1h"}}, "prompt_cache_options.ttl"),
        ({"temperature": 1}, "temperature"),
        ({"model": "fake:embed"}, "model"),
    ],
)
def test_bad_requests_name_the_field(http: httpx.Client, body: dict[str, Any], param: str) -> None:
    assert refusal(http, **body)["param"] == param


def test_an_unknown_model_is_not_found(http: httpx.Client) -> None:
    reply = http.post("/decisions", json={"model": "fake:chatt", "input": "a", "questions": [PREDICATE]})
    assert (reply.status_code, reply.json()["error"]["code"]) == (404, "model_not_found")


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"input": "word " * 5000}, "input"),
        ({"questions": [PREDICATE, {**PREDICATE, "instructions": "word " * 5000}]}, "questions[1]"),
        ({"calibration": {"inputs": ["a", "word " * 5000]}}, "calibration.inputs[1]"),
    ],
)
def test_what_does_not_fit_the_context_is_refused_with_both_numbers(http: httpx.Client, body: dict[str, Any], param: str) -> None:
    error = refusal(http, **body)
    assert (error["code"], error["param"]) == ("context_length_exceeded", param)
    assert " 4096 tokens" in error["message"]
    assert any(int(word) > 5000 for word in error["message"].split() if word.isdigit())


def test_a_client_that_leaves_frees_the_slot(http: httpx.Client, server: RunningServer) -> None:
    body = {"model": "fake:chat", "input": "[[prefill_ms:20000]]", "questions": [PREDICATE], **PLAIN}
    with pytest.raises(httpx.ReadTimeout):
        http.post("/decisions", json=body, timeout=1)
    until = time.monotonic() + 3
    while metric(server, "openhearth_engine_in_use", "fake:chat") and time.monotonic() < until:
        time.sleep(0.05)
    assert metric(server, "openhearth_engine_in_use", "fake:chat") == 0


def test_an_engine_that_dies_is_an_error_of_ours(own_server: RunningServer) -> None:
    with openai.OpenAI(base_url=own_server.base_url, api_key=own_server.key, max_retries=0) as client:
        with pytest.raises(openai.InternalServerError) as raised:
            decide(client, PREDICATE, text="[[crash]]", **PLAIN)
        assert raised.value.code == "engine_failed"
        assert decide(client, PREDICATE, **PLAIN).answers
