"""`response_format`: what the engine is told, and the check of what it wrote."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from openhearth.errors import EngineFailed, InvalidRequest
from openhearth.wire import json_schema
from openhearth.wire.chat import JsonObjectResponse, JsonSchemaResponse, TextResponse

PARAM = "response_format"


@dataclass(frozen=True, slots=True)
class Format:
    """A JSON reply. `grammar` is the schema as the engine takes it; a strict one is checked again when the reply is complete."""

    grammar: dict[str, Any]
    schema: dict[str, Any]
    strict: bool

    def check(self, text: str) -> None:
        """Raises EngineFailed for a complete reply that is not what was asked for."""
        try:
            value = msgspec.json.decode(text)
        except msgspec.DecodeError:
            raise EngineFailed("The model's reply is not valid JSON. Try again.", code="invalid_json_reply") from None
        if self.strict and (reason := violation(value, self.schema)):
            raise EngineFailed(f"The model's reply does not conform to the schema {reason}. Try again.", code="schema_not_met")


def format_of(wanted: TextResponse | JsonObjectResponse | JsonSchemaResponse | None) -> Format | None:
    """None: prose. Raises InvalidRequest for a schema that is wrong, too large or, if it is strict, can't be enforced."""
    if wanted is None or isinstance(wanted, TextResponse):
        return None
    if isinstance(wanted, JsonObjectResponse):
        return Format({"type": "object"}, {"type": "object"}, strict=True)
    schema = wanted.json_schema.schema_
    if schema is None:
        return Format({}, {}, strict=False)
    strict = bool(wanted.json_schema.strict)
    check_schema(schema, PARAM, strict=strict)
    return Format(json_schema.for_engine(schema), schema, strict)


def check_schema(schema: dict[str, Any], param: str, *, strict: bool) -> None:
    """Raises InvalidRequest naming `param`."""
    from jsonschema_rs import ReferencingError, ValidationError, meta

    json_schema.check(schema, param)
    try:
        meta.validate(schema)
    except (ValidationError, ReferencingError, ValueError) as error:
        told = error.message if isinstance(error, ValidationError) else str(error)
        raise InvalidRequest(f"Not a valid JSON schema: {told[:300]}", param=param, code="invalid_json_schema") from None
    if strict:
        json_schema.check_enforceable(schema, param)


def violation(value: Any, schema: dict[str, Any]) -> str | None:
    """Where a value breaks a (checked) schema, without quoting it; None where it doesn't, or the schema can't be computed with."""
    from jsonschema_rs import ReferencingError, RegexOptions, ValidationError, validator_for

    try:
        # This kind of pattern is matched in linear time, whatever the pattern.
        validator = validator_for(schema, pattern_options=RegexOptions(), retriever=_fetch_nothing)
    except (ValidationError, ReferencingError, ValueError):
        return None
    try:
        validator.validate(value)
    except ValidationError as error:
        path = "/".join(map(str, error.instance_path))
        rule = "/".join(map(str, error.schema_path))
        return f"at '/{path}' (rule '{rule}')"
    return None


def _fetch_nothing(_address: str) -> Any:
    """Checked schemas refer to themselves only; this is the second lock."""
    raise ValueError("references to other documents are not followed")
