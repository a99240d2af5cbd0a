"""A small instance of a JSON schema: what the fake engine answers when it is held to one."""

from __future__ import annotations

from typing import Any


def instance(schema: Any, root: Any = None, depth: int = 0) -> Any:
    """The smallest value that keeps to the schema, for the keywords that matter here; recursion ends with null."""
    root = schema if root is None else root
    if not isinstance(schema, dict) or depth > 40:
        return None
    if "$ref" in schema:
        return instance(_resolve(schema["$ref"], root), root, depth + 1)
    for keyword in ("const", "default"):
        if keyword in schema:
            return schema[keyword]
    if schema.get("enum"):
        return schema["enum"][0]
    for keyword in ("anyOf", "oneOf"):
        if schema.get(keyword):
            return instance(schema[keyword][0], root, depth + 1)
    if schema.get("allOf"):
        return instance(
            {**{k: v for part in schema["allOf"] for k, v in part.items()}, **{k: v for k, v in schema.items() if k != "allOf"}},
            root,
            depth + 1,
        )
    return _of_type(schema, root, depth)


def _of_type(schema: dict[str, Any], root: Any, depth: int) -> Any:
    kind = schema.get("type") or ("object" if "properties" in schema else "string")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object":
        properties = schema.get("properties", {})
        return {name: instance(properties.get(name, {}), root, depth + 1) for name in schema.get("required", ())}
    if kind == "array":
        return [instance(schema.get("items", {}), root, depth + 1) for _ in range(schema.get("minItems", 0))]
    if kind in ("integer", "number"):
        return _number(schema)
    return {"boolean": True, "null": None}.get(kind, "x" * max(1, schema.get("minLength", 1)))


def _number(schema: dict[str, Any]) -> Any:
    low = schema.get("minimum", schema.get("exclusiveMinimum", 0))
    high = schema.get("maximum", schema.get("exclusiveMaximum", low + 2))
    return low + 1 if "exclusiveMinimum" in schema else min(max(low, 0), high)


def _resolve(reference: str, root: Any) -> Any:
    value = root
    for part in reference.removeprefix("#").strip("/").split("/"):
        value = value.get(part.replace("~1", "/").replace("~0", "~"), {}) if part and isinstance(value, dict) else value
    return value
