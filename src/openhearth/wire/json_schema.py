"""JSON schemas from clients: bounded, their references checked, and what an engine's grammar can hold a model to. Validates no values.

The engine compiles a schema into a grammar. Of the keywords below it ignores some, and a schema that is deep or wide enough kills it or
keeps it busy for minutes; so both are settled here, before it sees anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from openhearth.errors import InvalidRequest, UnsupportedParameter
from openhearth.wire.schema_choices import MAX_CHOICES, MAX_OPTIONAL, most_choices, optional_pairs

MAX_DEPTH = 64
MAX_WRITTEN_OUT = 20_000
"""Parts, with every reference replaced by what it means: what a validator or a grammar may have to try."""
_MOST = {"subschemas": 10_000, "properties": 5_000, "enum values": 1_000, "characters in names and values": 120_000}
"""As OpenAI documents them. The engine turns 5,000 required properties into a grammar in half a second on a small machine."""
LARGEST_BOUND = 2**53
LARGEST_REPETITION = 2_000
"""A grammar writes out what may be repeated."""

_ROOT = "whole"
_IGNORED_BY_GRAMMARS = frozenset(
    {"pattern", "multipleOf", "uniqueItems", "not", "if", "then", "else", "contains", "minContains", "maxContains", "patternProperties",
     "propertyNames", "dependentRequired", "dependentSchemas", "dependencies", "minProperties", "maxProperties", "unevaluatedProperties",
     "unevaluatedItems", "$dynamicRef", "$recursiveRef"}
)  # fmt: skip
_BOUNDS = frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"})
_VALUES = frozenset({"const", "enum", "default", "examples"})
"""Keywords whose values are no schemas."""
_REPETITIONS = frozenset({"minLength", "maxLength", "minItems", "maxItems"})
_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_DIALECTS = re.compile(r"https?://json-schema\.org/(?:draft/(?:2019-09|2020-12)|draft-0[467])/schema#?")
_FORMATS = frozenset({"date", "time", "date-time", "uuid"})

Schema = Mapping[str, Any]


def check(schema: Schema, param: str) -> None:
    """Raises InvalidRequest naming `param`: too deep, too large also when written out, or a reference that leads nowhere or elsewhere."""
    counts = dict.fromkeys(_MOST, 0)
    for trail, node, depth in _walk(schema):
        if depth > MAX_DEPTH:
            raise _invalid(f"The schema is nested deeper than {MAX_DEPTH} levels.", param)
        names, values = node.get("properties"), node.get("enum")
        counts["subschemas"] += 1
        counts["properties"] += len(names) if isinstance(names, dict) else 0
        counts["enum values"] += len(values) if isinstance(values, list) else 0
        counts["characters in names and values"] += _characters(node)
        for what, count in counts.items():
            if count > _MOST[what]:
                raise _invalid(f"The schema has more than {_MOST[what]} {what}.", param)
        _check_dialect(node, param)
        _check_reference(schema, node, trail, param)
        _check_bounds(node, trail, param)
    if _written_out(schema) > MAX_WRITTEN_OUT:
        raise _invalid(f"Written out, with all that it refers to, the schema has more than {MAX_WRITTEN_OUT} parts.", param)
    _check_choices(schema, param)


def _check_choices(schema: Schema, param: str) -> None:
    nodes = [node for _, node, _ in _walk(schema)]
    if sum(map(optional_pairs, nodes)) > MAX_OPTIONAL**2:
        raise _invalid(
            f"The schema has too many optional properties: at most {MAX_OPTIONAL} in one object, fewer where several have many. "
            "List them in 'required'; what may be missing can be null.",
            param,
        )
    if most_choices(nodes, lambda reference: _resolved(schema, reference)) > MAX_CHOICES:
        raise _invalid(f"The schema leaves more than {MAX_CHOICES} choices ('enum', 'anyOf') at one place.", param)


def check_enforceable(schema: Schema, param: str) -> None:
    """Raises UnsupportedParameter naming the first keyword that a grammar can't hold a model to."""
    for trail, node, _ in _walk(schema):
        if keyword := _unenforceable(node):
            raise UnsupportedParameter(
                f"The schema at '{_path(trail)}' uses '{keyword}', which can't be enforced while the model writes. "
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
            name: part if name in _VALUES else place + part[1:] if name == "$ref" and isinstance(part, str) else moved(part, place)
            for name, part in value.items()
        }
    return [moved(part, place) for part in value] if isinstance(value, list) else value


Trail = tuple[Any, str] | None
"""The way to a place, from its end: who is above, and the name there. Written out only for an error."""


def _walk(schema: Any) -> Iterator[tuple[Trail, dict[str, Any], int]]:
    """Every object in it with its place and depth, wherever it stands: a reference may lead to any. Without recursion."""
    waiting: list[tuple[Trail, Any, int]] = [(None, schema, 0)]
    while waiting:
        trail, node, depth = waiting.pop()
        if isinstance(node, dict):
            yield trail, node, depth
        parts = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
        waiting += [((trail, str(name)), part, depth + 1) for name, part in parts if isinstance(part, (dict, list))]


def _path(trail: Trail) -> str:
    names: list[str] = []
    while trail is not None and len(names) < MAX_DEPTH:
        trail, name = trail
        names.append(name[:40])
    return "/".join(["#", *reversed(names)])


def _invalid(message: str, param: str) -> InvalidRequest:
    return InvalidRequest(message, param=param, code="invalid_json_schema")


def _written_out(schema: Schema) -> int:
    """Parts of the schema if every reference were replaced by what it means, once; a loop ends where it began."""
    sizes: dict[int, int] = {}
    open_nodes: set[int] = set()

    def size(node: Any) -> int:
        if not isinstance(node, (dict, list)):
            return 0
        key = id(node)
        if key in sizes:
            return sizes[key]
        if key in open_nodes:
            return 1
        open_nodes.add(key)
        parts = node.values() if isinstance(node, dict) else node
        total = 1 + sum(map(size, parts))
        if isinstance(node, dict) and isinstance(node.get("$ref"), str):
            total += size(_resolved(schema, node["$ref"]))
        open_nodes.discard(key)
        sizes[key] = min(total, 2 * MAX_WRITTEN_OUT)
        return sizes[key]

    try:
        return size(schema)
    except RecursionError:
        return MAX_WRITTEN_OUT + 1


def _check_bounds(node: dict[str, Any], trail: Trail, param: str) -> None:
    for least, most in (("minItems", "maxItems"), ("minLength", "maxLength"), ("minimum", "maximum"), ("minProperties", "maxProperties")):
        low, high = node.get(least), node.get(most)
        if isinstance(low, (int, float)) and isinstance(high, (int, float)) and low > high:
            raise _invalid(f"The schema at '{_path(trail)}' wants '{least}' above '{most}': nothing can conform.", param)


def _characters(node: dict[str, Any]) -> int:
    names = node.get("properties")
    values = node.get("enum")
    count = sum(map(len, names)) if isinstance(names, dict) else 0
    count += sum(len(value) for value in values if isinstance(value, str)) if isinstance(values, list) else 0
    return count + (len(node["const"]) if isinstance(node.get("const"), str) else 0)


def _check_dialect(node: dict[str, Any], param: str) -> None:
    """A validator fetches a dialect that it doesn't know from its address."""
    dialect = node.get("$schema")
    if isinstance(dialect, str) and not _DIALECTS.fullmatch(dialect):
        raise _invalid(f"'$schema' must name a published draft of JSON Schema, such as {_DIALECT}.", param)


def _check_reference(schema: Schema, node: dict[str, Any], trail: Trail, param: str) -> None:
    for keyword in ("$dynamicRef", "$recursiveRef"):
        if isinstance(node.get(keyword), str):
            raise _invalid(f"'{keyword}' is not taken; use '$ref'.", param)
    reference = node.get("$ref")
    if not isinstance(reference, str):
        return
    if not (reference == "#" or reference.startswith("#/")):
        raise _invalid(f"The schema at '{_path(trail)}' refers to something outside itself; only '#' and '#/...' are allowed.", param)
    seen = 0
    target: Any = node
    while isinstance(target, dict) and isinstance(target.get("$ref"), str):
        seen += 1
        target = _resolved(schema, target["$ref"])
        if seen > MAX_DEPTH:
            raise _invalid(f"The reference at '{_path(trail)}' leads round in a circle.", param)
    if not isinstance(target, (dict, bool)):
        raise _invalid(f"The schema has no '{reference[:200]}' that it refers to.", param)


def _resolved(schema: Schema, reference: str) -> Any:
    """What a local reference leads to; None for nothing."""
    value: Any = schema
    for part in reference[2:].split("/") if len(reference) > 1 else ():
        name = part.replace("~1", "/").replace("~0", "~")
        value = value.get(name) if isinstance(value, dict) else value[int(name)] if _indexes(value, name) else None
    return value


def _indexes(value: Any, name: str) -> bool:
    return isinstance(value, list) and name.isascii() and name.isdigit() and len(name) < 6 and int(name) < len(value)


def _unenforceable(node: dict[str, Any]) -> str | None:
    for keyword, value in node.items():
        if keyword in _IGNORED_BY_GRAMMARS and value not in (None, False):
            return keyword
        if keyword in _BOUNDS and (node.get("type") != "integer" or not isinstance(value, int) or abs(value) > LARGEST_BOUND):
            return keyword
        if keyword == "required" and isinstance(value, list) and not set(map(str, value)) <= set(node.get("properties", ())):
            return keyword
        if keyword in _REPETITIONS and isinstance(value, int) and value > LARGEST_REPETITION:
            return keyword
        if keyword == "format" and value not in _FORMATS:
            return keyword
    return None


def _trimmed(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: part if name in _VALUES else _trimmed(part)
            for name, part in value.items()
            if not (name in _REPETITIONS and _too_large(part))
        }
    return [_trimmed(part) for part in value] if isinstance(value, list) else value


def _too_large(value: Any) -> bool:
    return isinstance(value, (int, float)) and value > LARGEST_REPETITION


def _outside_definitions(reference: Any) -> bool:
    return isinstance(reference, str) and not reference.startswith("#/$defs/")
