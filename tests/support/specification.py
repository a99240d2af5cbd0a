"""OpenAI's own specification, where it is at hand (`OPENHEARTH_OPENAI_SPEC`): replies are held to its schemas."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Any

SPECIFICATION = os.environ.get("OPENHEARTH_OPENAI_SPEC", "")


def conforms(value: Any, schema: str) -> None:
    """Fail unless `value` is what the specification calls `schema`; without a specification nothing is checked here."""
    if SPECIFICATION:
        errors = [f"{'/'.join(map(str, e.instance_path))}: {e.message}" for e in _validator(schema).iter_errors(value)]
        assert not errors, errors[:5]


@cache
def _components() -> dict[str, Any]:
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    document = yaml.load(Path(SPECIFICATION).read_text("utf-8"), Loader=loader)  # noqa: S506 - a safe one, the fast if it is there
    schemas: dict[str, Any] = _modern(document["components"]["schemas"])
    return schemas


@cache
def _validator(schema: str) -> Any:
    import jsonschema_rs

    return jsonschema_rs.Draft202012Validator({"$ref": f"#/components/schemas/{schema}", "components": {"schemas": _components()}})


def _modern(value: Any) -> Any:
    """OpenAPI 3.0's `nullable`, which the document still uses, as JSON Schema has it."""
    if isinstance(value, list):
        return [_modern(part) for part in value]
    if not isinstance(value, dict):
        return value
    made = {name: _modern(part) for name, part in value.items() if name not in ("nullable", "example", "discriminator")}
    return {"anyOf": [made, {"type": "null"}]} if value.get("nullable") is True else made
