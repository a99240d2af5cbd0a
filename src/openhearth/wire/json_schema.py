"""JSON schemas from clients: bounded, their references checked, and what an engine's grammar can hold a model to. Validates no values.

The engine compiles a schema into a grammar. Of the keywords below it ignores some, and a schema that is deep or wide enough kills it or
keeps it busy for minutes; so both are settled here, before it sees anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from openhearth.errors import InvalidRequest, UnsupportedParameter

MAX_DEPTH = 64
MAX_NODES = 20_000
MAX_PROPERTIES = 5_000
MAX_ENUM_VALUES = 1_000
MAX_NAME_CHARACTERS = 120_000
"""Of all property names, enum and const values together."""
LARGEST_REPETITION = 2_000
"""A grammar writes out what may be repeated."""

_ROOT = "whole"
_BY_NAME = frozenset({"properties", "$defs", "definitions", "patternProperties", "dependentSchemas"})
_LISTS = frozenset({"anyOf", "oneOf", "allOf", "prefixItems"})
_SINGLE = frozenset({"items", "additionalProperties", "not", "if", "then", "else", "contains", "propertyNames", "unevaluatedProperties",
                     "unevaluatedItems", "additionalItems"})  # fmt: skip
_IGNORED_BY_GRAMMARS = frozenset(
    {"pattern", "multipleOf", "uniqueItems", "not", "if", "then", "else", "contains", "minContains", "maxContains", "patternProperties",
     "propertyNames", "dependentRequired", "dependentSchemas", "dependencies", "minProperties", "maxProperties", "unevaluatedProperties",
     "unevaluatedItems", "$dynamicRef", "$recursiveRef"}
)  # fmt: skip
_BOUNDS = frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"})
_REPETITIONS = frozenset({"minLength", "maxLength", "minItems", "maxItems"})
_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_DIALECTS = re.compile(r"https?://json-schema\.org/(?:draft/(?:2019-09|2020-12)|draft-0[467])/schema#?")
_FORMATS = frozenset({"date", "time", "date-time", "uuid"})

Schema = Mapping[str, Any]


def check(schema: Schema, param: str) -> None:
    """Raises InvalidRequest naming `param`: too deep, too large, or a reference that leads nowhere or elsewhere."""
    nodes = properties = enum_values = characters = 0
    for path, node, depth in _walk(schema):
        nodes += 1
        names = node.get("properties")
        values = node.get("enum")
        properties += len(names) if isinstance(names, dict) else 0
        enum_values += len(values) if isinstance(values, list) else 0
        characters += _characters(node)
        if depth > MAX_DEPTH:
            raise InvalidRequest(f"The schema is nested deeper than {MAX_DEPTH} levels.", param=param, code="invalid_json_schema")
        _check_dialect(node, param)
        _check_reference(schema, node, path, param)
    for count, most, what in (
        (nodes, MAX_NODES, "subschemas"),
        (properties, MAX_PROPERTIES, "properties"),
        (enum_values, MAX_ENUM_VALUES, "enum values"),
        (characters, MAX_NAME_CHARACTERS, "characters in names and values"),
    ):
        if count > most:
            raise InvalidRequest(f"The schema has {count} {what}; at most {most} are allowed.", param=param, code="invalid_json_schema")


def check_enforceable(schema: Schema, param: str) -> None:
    """Raises UnsupportedParameter naming the first keyword that a grammar can't hold a model to."""
    for path, node, _ in _walk(schema):
        if keyword := _unenforceable(node):
            raise UnsupportedParameter(
                f"The schema at '{path or '#'}' uses '{keyword}', which can't be enforced while the model writes. "
                "Leave it out, or set 'strict' to false: then the rest is enforced and this keyword is not.",
                param=param,
                code="unenforceable_schema",
            )


def for_engine(schema: Schema) -> dict[str, Any]:
    """The schema as the engine's grammar takes it: references to the root named, what it can't carry left out."""
    trimmed: dict[str, Any] = _trimmed(schema)
    if not any(_outside_definitions(node.get("$ref")) for _, node, _ in _walk(trimmed)):
        return trimmed
    return {"$ref": f"#/$defs/{_ROOT}", "$defs": {_ROOT: moved(trimmed, f"#/$defs/{_ROOT}")}}


def moved(value: Any, place: str) -> Any:
    """The schema with its references as they must be when it stands at `place` of a larger one."""
    if isinstance(value, dict):
        return {
            name: place + part[1:] if name == "$ref" and isinstance(part, str) and part.startswith("#") else moved(part, place)
            for name, part in value.items()
        }
    return [moved(part, place) for part in value] if isinstance(value, list) else value


def _walk(schema: Any) -> Iterator[tuple[str, dict[str, Any], int]]:
    """Every subschema with its path and depth; without recursion, so that depth costs nothing."""
    waiting: list[tuple[str, Any, int]] = [("", schema, 0)]
    while waiting:
        path, node, depth = waiting.pop()
        if not isinstance(node, dict):
            continue
        yield path, node, depth
        for keyword, value in node.items():
            here = f"{path}/{keyword}"
            if keyword in _BY_NAME and isinstance(value, dict):
                waiting += [(f"{here}/{name}", part, depth + 1) for name, part in value.items()]
            elif isinstance(value, list) and (keyword in _LISTS or keyword == "items"):
                waiting += [(f"{here}/{number}", part, depth + 1) for number, part in enumerate(value)]
            elif keyword in _SINGLE:
                waiting.append((here, value, depth + 1))


def _characters(node: dict[str, Any]) -> int:
    names = node.get("properties")
    values = node.get("enum")
    count = sum(map(len, names)) if isinstance(names, dict) else 0
    count += sum(len(value) for value in values if isinstance(value, str)) if isinstance(values, list) else 0
    return count + (len(node["const"]) if isinstance(node.get("const"), str) else 0)


def _check_dialect(node: dict[str, Any], param: str) -> None:
    """A validator fetches a dialect that it doesn't know from its address."""
    dialect = node.get("$schema", _DIALECT)
    if not isinstance(dialect, str) or not _DIALECTS.fullmatch(dialect):
        raise InvalidRequest(
            f"'$schema' must name a published draft of JSON Schema, such as {_DIALECT}.", param=param, code="invalid_json_schema"
        )


def _check_reference(schema: Schema, node: dict[str, Any], path: str, param: str) -> None:
    reference = node.get("$ref")
    if reference is None:
        return
    if not isinstance(reference, str) or not (reference == "#" or reference.startswith("#/")):
        raise InvalidRequest(
            f"The schema at '{path or '#'}' refers to something outside itself; only '#' and '#/...' are allowed.",
            param=param,
            code="invalid_json_schema",
        )
    value: Any = schema
    for part in reference[2:].split("/") if len(reference) > 1 else ():
        name = part.replace("~1", "/").replace("~0", "~")
        value = value.get(name) if isinstance(value, dict) else value[int(name)] if _indexes(value, name) else None
    if not isinstance(value, (dict, bool)):
        raise InvalidRequest(f"The schema has no '{reference[:200]}' that it refers to.", param=param, code="invalid_json_schema")


def _indexes(value: Any, name: str) -> bool:
    return isinstance(value, list) and name.isascii() and name.isdigit() and len(name) < 6 and int(name) < len(value)


def _unenforceable(node: dict[str, Any]) -> str | None:
    for keyword, value in node.items():
        if keyword in _IGNORED_BY_GRAMMARS and value not in (None, False):
            return keyword
        if keyword in _BOUNDS and node.get("type") != "integer":
            return keyword
        if keyword in _REPETITIONS and isinstance(value, int) and value > LARGEST_REPETITION:
            return keyword
        if keyword == "format" and value not in _FORMATS:
            return keyword
    return None


def _trimmed(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _trimmed(part) for name, part in value.items() if not (name in _REPETITIONS and _too_large(part))}
    return [_trimmed(part) for part in value] if isinstance(value, list) else value


def _too_large(value: Any) -> bool:
    return isinstance(value, (int, float)) and value > LARGEST_REPETITION


def _outside_definitions(reference: Any) -> bool:
    return isinstance(reference, str) and not reference.startswith("#/$defs/")
