"""`response_format`: what is enforced, what is refused, and that no schema brings the engine down."""

from __future__ import annotations

import json
from typing import Any

import pytest

from openhearth.errors import EngineFailed, InvalidRequest
from openhearth.inference.chat.formats import check_schema, format_of, violation
from openhearth.wire import json_schema
from openhearth.wire.chat import JsonSchema, JsonSchemaResponse
from tests.inference.chat.conftest import Asker, Body

PERSON: Body = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}


def schema(value: Body, *, strict: bool | None = True) -> Body:
    return {"type": "json_schema", "json_schema": {"name": "thing", "schema": value, "strict": strict}}


def object_of(count: int, required: int | None = None) -> Body:
    """An object of many properties; all are required unless a number is told."""
    names = [f"p{n}" for n in range(count)]
    return {"type": "object", "properties": {name: {"type": "string"} for name in names}, "required": names[:required]}


class TestReplies:
    def test_conform(self, ask: Asker) -> None:
        assert set(json.loads(ask.message("x", response_format=schema(PERSON))["content"])) == {"name", "age"}
        assert json.loads(ask.message("x", response_format={"type": "json_object"})["content"]) == {}

    def test_a_schema_may_refer_to_itself(self, ask: Asker) -> None:
        node = {
            "type": "object",
            "properties": {"next": {"anyOf": [{"type": "null"}, {"$ref": "#"}]}},
            "required": ["next"],
            "additionalProperties": False,
        }
        assert json.loads(ask.message("x", response_format=schema(node))["content"]) == {"next": None}

    def test_a_reply_that_does_not_conform_is_an_error_and_not_passed_off(self, ask: Asker) -> None:
        """Peers' enforcement fails open. The fake engine obeys its prompt, not the schema."""
        response = ask.post('[[say:{"name": 5}]]', response_format=schema(PERSON))
        assert response.status_code == 500
        assert response.json()["error"]["code"] == "schema_not_met"
        text = ask.post('[[say:{"name": 5}]]', response_format=schema(PERSON), stream=True).text
        assert '"code":"schema_not_met"' in text
        assert "[DONE]" not in text

    def test_a_reply_that_was_cut_off_says_so(self, ask: Asker) -> None:
        (choice,) = ask.whole("x", response_format=schema(PERSON), max_tokens=2)["choices"]
        assert choice["finish_reason"] == "length"

    def test_without_strict_what_can_be_is_enforced(self, ask: Asker) -> None:
        loose = schema(
            {"type": "object", "properties": {"code": {"type": "string", "pattern": "^[A-Z]{3}$"}}, "required": ["code"]}, strict=False
        )
        assert set(json.loads(ask.message("x", response_format=loose)["content"])) == {"code"}


class TestRefusals:
    @pytest.mark.parametrize(
        "keywords",
        [
            {"type": "string", "pattern": "abc"},
            {"type": "number", "minimum": 3},
            {"type": "number", "multipleOf": 2},
            {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
            {"not": {"type": "string"}},
            {"type": "string", "format": "email"},
            {"type": "string", "maxLength": 100_000},
            {"type": "object", "patternProperties": {"^a": {"type": "string"}}},
        ],
    )
    def test_what_can_not_be_enforced_is_said_and_not_pretended(self, ask: Asker, keywords: Body) -> None:
        nested = {"type": "object", "properties": {"inner": keywords}, "required": ["inner"], "additionalProperties": False}
        error = ask.refusal("x", response_format=schema(nested))
        assert (error["code"], error["param"]) == ("unenforceable_schema", "response_format")
        assert "properties/inner" in error["message"]

    @pytest.mark.parametrize(
        "wrong",
        [
            {"type": "banana"},
            {"$ref": "https://example.com/schema.json"},
            {"$ref": "#/$defs/nowhere"},
            {"$ref": "other.json#/x"},
            {"$schema": "https://example.com/own-dialect", "type": "object"},
            {"type": "object", "properties": {"x": {"$schema": "file:///etc/passwd"}}},
            {"enum": list(range(20_000))},
            {"type": "object", "properties": {f"p{n}": {"type": "string"} for n in range(6_000)}},
            {"enum": ["x" * 1000 + str(n) for n in range(200)]},
        ],
    )
    def test_wrong_or_huge_ones(self, ask: Asker, wrong: Body) -> None:
        error = ask.refusal("x", response_format=schema(wrong))
        assert (error["code"], error["param"]) == ("invalid_json_schema", "response_format")

    @pytest.mark.parametrize(
        "hidden",
        [
            {"type": "object", "contentSchema": {"$ref": "http://127.0.0.1:9/x"}},
            {"type": "object", "$ref": "#/default", "default": {"$ref": "http://127.0.0.1:9/x"}},
            {"type": "object", "$ref": "#/foo", "foo": {"$schema": "http://127.0.0.1:9/x"}},
            {"type": "object", "dependencies": {"a": {"$ref": "http://127.0.0.1:9/x"}}},
            {"type": "object", "$dynamicRef": "http://127.0.0.1:9/x"},
        ],
    )
    def test_an_address_anywhere_in_a_schema_is_never_asked(self, ask: Asker, hidden: Body) -> None:
        assert ask.refusal("x", response_format=schema(hidden))["code"] == "invalid_json_schema"
        tools = [{"type": "function", "function": {"name": "f", "parameters": hidden}}]
        assert ask.refusal("x", tools=tools)["param"] == "tools[0].function.parameters"

    @pytest.mark.parametrize(
        ("wide", "said"),
        [
            (object_of(5_001), "5000 properties"),
            ({"enum": list(range(1_001))}, "1000 enum values"),
            (object_of(501, required=0), "at most 500"),
            ({"type": "array", "items": object_of(600, required=99)}, "at most 500"),
            ({"anyOf": [object_of(200, required=0) for _ in range(7)]}, "at most 500"),
            ({"enum": list(range(501))}, "500 choices"),
            ({"anyOf": [{"const": n} for n in range(501)]}, "500 choices"),
            ({"anyOf": [{"$ref": "#/$defs/e"}] * 20, "$defs": {"e": {"enum": list(range(26))}}}, "500 choices"),
            ({"oneOf": [{"anyOf": [{"$ref": "#/$defs/e"}] * 10}] * 10, "$defs": {"e": {"enum": list("abcdef")}}}, "500 choices"),
        ],
    )
    def test_what_would_keep_the_engine_from_others(self, ask: Asker, wide: Body, said: str) -> None:
        """Timed on SmolLM2: 1000 optional properties took ten seconds, and a reply from an enum of 1000 kept others waiting for four."""
        error = ask.refusal("x", response_format=schema(wide, strict=False))
        assert (error["code"], error["param"]) == ("invalid_json_schema", "response_format")
        assert said in error["message"]

    @pytest.mark.parametrize(
        "wide",
        [
            object_of(5_000),
            object_of(500, required=0),
            {"type": "object", "properties": {"a": {"enum": list(range(500))}, "b": {"enum": list(range(500, 1_000))}}, "required": ["a"]},
            {"anyOf": [{"type": "null"}, {"$ref": "#"}, {"type": "array", "items": {"$ref": "#"}}]},
        ],
    )
    def test_what_is_wide_within_the_limits_is_taken(self, wide: Body) -> None:
        json_schema.check(wide, "x")

    def test_tools_count_together(self, ask: Asker) -> None:
        tools = [{"type": "function", "function": {"name": f"f{n}", "parameters": object_of(1_000)}} for n in range(6)]
        error = ask.refusal("x", tools=tools)
        assert error["param"] == "tools"
        assert "5000 properties" in error["message"]

    @pytest.mark.parametrize("keyword", ["anyOf", "allOf", "oneOf"])
    def test_a_small_schema_that_means_a_huge_one(self, ask: Asker, keyword: str) -> None:
        steps = {f"s{n}": {keyword: [{"$ref": f"#/$defs/s{n + 1}"}] * 2} for n in range(40)}
        bomb = {"$defs": {**steps, "s40": {"type": "string"}}, "$ref": "#/$defs/s0"}
        assert "Written out" in ask.refusal("x", response_format=schema(bomb))["message"]

    @pytest.mark.parametrize(
        "loop", [{"$ref": "#"}, {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}}]
    )
    def test_references_that_lead_round_in_a_circle(self, ask: Asker, loop: Body) -> None:
        assert "circle" in ask.refusal("x", response_format=schema(loop))["message"]

    def test_what_nothing_can_conform_to(self, ask: Asker) -> None:
        assert "minItems" in ask.refusal("x", response_format=schema({"type": "array", "minItems": 9, "maxItems": 1}))["message"]

    def test_a_long_name_over_many_parts_costs_nothing(self) -> None:
        with pytest.raises(InvalidRequest):
            json_schema.check({"properties": {"A" * 200_000: {"anyOf": [{} for _ in range(20_000)]}}}, "x")

    def test_a_schema_50000_deep(self, ask: Asker) -> None:
        deep = '{"type":"array","items":' * 50_000 + "{}" + "}" * 50_000
        head = '{"model":"gpt-4o","messages":[{"role":"user","content":"x"}],"response_format":'
        body = head + '{"type":"json_schema","json_schema":{"name":"d","schema":' + deep + "}}}"
        response = ask.http.post("/chat/completions", content=body, headers={"content-type": "application/json"})
        assert response.status_code == 400
        assert "deep" in response.json()["error"]["message"]

    def test_one_70_deep_within_the_bodys_limit(self) -> None:
        deep: Any = {"type": "string"}
        for _ in range(70):
            deep = {"type": "array", "items": deep}
        with pytest.raises(InvalidRequest, match="deeper"):
            json_schema.check(deep, "response_format")


class TestSchemas:
    def test_values_are_left_as_they_are(self) -> None:
        fixed = {"type": "object", "properties": {"x": {"const": {"maxItems": 3000, "$ref": "#"}}}}
        assert json_schema.for_engine({"const": {"maxItems": 3000}}) == {"const": {"maxItems": 3000}}
        assert json_schema.moved(fixed, "#/$defs/t") == fixed

    def test_references_to_the_root_are_named(self) -> None:
        tree = {"type": "object", "properties": {"kids": {"type": "array", "items": {"$ref": "#"}}}, "$defs": {"x": {"type": "null"}}}
        made = json_schema.for_engine(tree)
        assert made["$ref"] in json.dumps(made["$defs"])
        assert '"#"' not in json.dumps(made)
        assert violation({"kids": [{"kids": [5]}]}, made)
        assert not violation({"kids": [{"kids": []}]}, made)

    def test_a_schema_is_checked_again_after_generation(self) -> None:
        made = format_of(JsonSchemaResponse(json_schema=JsonSchema(name="p", schema_=PERSON, strict=True)))
        assert made is not None
        made.check('{"name": "a", "age": 1}')
        for wrong in ('{"name": "a"}', "no json", '{"name": "a", "age": 1, "x": 1}'):
            with pytest.raises(EngineFailed):
                made.check(wrong)

    def test_a_users_pattern_is_matched_in_linear_time(self) -> None:
        check_schema({"type": "string", "pattern": "^(a+)+$"}, "x", strict=False)
        assert violation("a" * 5_000 + "!", {"type": "string", "pattern": "^(a+)+$"})
