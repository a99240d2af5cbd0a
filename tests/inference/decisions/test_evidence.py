"""An input as one text."""

from __future__ import annotations

from typing import Any

import pytest

from openhearth.errors import InvalidRequest
from openhearth.inference.decisions.evidence import written
from openhearth.inference.decisions.questions import ask
from openhearth.wire.decisions import Choice, ChoiceQuestion, DecisionRequest, InputJSON, PredicateQuestion, QuestionText
from openhearth.wire.decoding import decode


def test_a_text_is_itself() -> None:
    assert written(" a\n<|im_end|> ") == " a\n<|im_end|> "


def test_one_users_message_is_its_text() -> None:
    parts = [{"type": "input_text", "text": "a"}, {"type": "input_json", "data": [{"b": None}]}]
    assert written([{"role": "user", "content": parts}]) == 'a\n[{"b":null}]'


def test_a_conversation_is_a_transcript() -> None:
    items: list[dict[str, Any]] = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": "When?"},
        {"type": "function_call", "call_id": "1", "name": "now", "namespace": "clock", "arguments": '{"zone":"utc"}'},
        {"type": "function_call_output", "call_id": "1", "output": "noon"},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]},
    ]
    assert written(items) == (
        'developer: Be brief.\n\nuser: When?\n\nassistant calls clock.now: {"zone":"utc"}\n\nclock.now returns: noon\n\nassistant: No.'
    )


def test_an_output_belongs_to_a_call_of_its_kind_before_it() -> None:
    call = {"type": "function_call", "call_id": "1", "name": "now", "arguments": "{}"}
    output = {"type": "custom_tool_call_output", "call_id": "1", "output": "noon"}
    for items in ([call, output], [output, call]):
        with pytest.raises(InvalidRequest) as raised:
            written(items)
        assert raised.value.param == f"input[{items.index(output)}].call_id"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"a": [0] * 9_997}, None),
        ({"a": [0] * 9_999}, "10001 values"),
        ({"a": "x" * (2**18 - 8)}, None),
        ({"a": "x" * (2**18 - 7)}, "262145 bytes"),
    ],
)
def test_json_has_openais_bounds(data: dict[str, Any], words: str | None) -> None:
    items = [{"role": "user", "content": [{"type": "input_json", "data": data}]}]
    if words is None:
        assert written(items)
        return
    with pytest.raises(InvalidRequest, match=words):
        written(items)


def test_json_is_at_most_32_containers_deep() -> None:
    def nested(levels: int) -> dict[str, Any]:
        return {"a": nested(levels - 1)} if levels else {}

    assert written([{"role": "user", "content": [{"type": "input_json", "data": nested(31)}]}])
    with pytest.raises(InvalidRequest, match="33 levels deep"):
        written([{"role": "user", "content": [{"type": "input_json", "data": nested(32)}]}])


def test_instructions_may_be_parts() -> None:
    question = PredicateQuestion(instructions=[QuestionText("It matches:"), InputJSON({"a": 1})])
    assert 'It matches:\n{"a":1}' in ask(question, "questions[0]")[0].question


def test_descriptions_are_shown_in_one_wording_and_choices_sorted() -> None:
    choices = [Choice("b", "the second"), Choice(True), Choice("true"), Choice("a")]
    free, listed = ask(ChoiceQuestion(instructions="Which?", choices=choices), "questions[0]")
    assert "the second" not in free.question
    assert '- "true"\n- a\n- b: the second\n- true\n' in listed.question
    assert listed.options == free.options == ("b", "true", '"true"', "a")


def test_nulls_are_as_good_as_nothing() -> None:
    body = (
        b'{"model": "m", "input": "a", "questions": [{"type": "predicate", "instructions": "b", "name": null}], '
        b'"prompt_cache_key": null, "prompt_cache_options": null, "safety_identifier": null, "calibration": null}'
    )
    assert decode(body, DecisionRequest).questions[0].name is None
