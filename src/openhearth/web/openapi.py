"""`/openapi.json` from the route table and its msgspec schemas: what is documented is what is decoded."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from typing import Any, get_type_hints

import msgspec

from openhearth import __version__
from openhearth.web.endpoint import Endpoint
from openhearth.wire.envelope import ErrorEnvelope

_REF = "#/components/schemas/{name}"
_PARAMETER = re.compile(r"\{(\w+)(?::\w+)?\}")


def document(endpoints: Iterable[Endpoint]) -> dict[str, Any]:
    """The OpenAPI 3.1 document of these endpoints."""
    endpoints = [endpoint for endpoint in endpoints if not endpoint.page]
    types = _types(endpoints)
    schemas, components = msgspec.json.schema_components(types, ref_template=_REF)
    by_type = dict(zip(map(id, types), schemas, strict=True))
    paths: dict[str, Any] = {}
    for endpoint in endpoints:
        operations = paths.setdefault(_PARAMETER.sub(r"{\1}", endpoint.path), {})
        operations[endpoint.method.lower()] = _operation(endpoint, by_type)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Open Hearth", "version": __version__, "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"}},
        "servers": [{"url": "/"}],
        "security": [{"bearer": []}],
        "paths": paths,
        "components": {"schemas": components, "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}}},
    }


def _types(endpoints: list[Endpoint]) -> list[Any]:
    types: list[Any] = [ErrorEnvelope]
    for endpoint in endpoints:
        types += [t for t in (endpoint.request, endpoint.response) if t is not None]
        if endpoint.query is not None:
            types += _hints(endpoint.query).values()
    return list({id(t): t for t in types}.values())


def _operation(endpoint: Endpoint, by_type: dict[int, Any]) -> dict[str, Any]:
    error = {"description": "An error", "content": {"application/json": {"schema": by_type[id(ErrorEnvelope)]}}}
    operation: dict[str, Any] = {
        "summary": endpoint.summary,
        "operationId": _operation_id(endpoint),
        "parameters": [*_path_parameters(endpoint), *_query_parameters(endpoint, by_type)],
        "responses": {"200": _success(endpoint, by_type), "4XX": error, "5XX": error},
    }
    if endpoint.tag:
        operation["tags"] = [endpoint.tag]
    if endpoint.deprecated:
        operation["deprecated"] = True
    if endpoint.public:
        operation["security"] = []
    if endpoint.request is not None:
        schema = by_type[id(endpoint.request)]
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    return operation


def _operation_id(endpoint: Endpoint) -> str:
    return endpoint.method.lower() + re.sub(r"[^A-Za-z0-9]+", "_", endpoint.path.replace(":path", "")).rstrip("_")


def _success(endpoint: Endpoint, by_type: dict[int, Any]) -> dict[str, Any]:
    content: dict[str, Any] = {}
    if endpoint.response is not None:
        content["application/json"] = {"schema": by_type[id(endpoint.response)]}
    if endpoint.streams:
        content["text/event-stream"] = {"schema": {"type": "string"}}
    return {"description": "OK", **({"content": content} if content else {})}


def _path_parameters(endpoint: Endpoint) -> list[dict[str, Any]]:
    names = _PARAMETER.findall(endpoint.path)
    return [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]


def _query_parameters(endpoint: Endpoint, by_type: dict[int, Any]) -> list[dict[str, Any]]:
    if endpoint.query is None:
        return []
    hints = _hints(endpoint.query)
    return [
        {"name": field.encode_name, "in": "query", "required": field.required, "schema": by_type[id(hints[field.name])]}
        for field in msgspec.structs.fields(endpoint.query)
    ]


@cache
def _hints(query: type) -> dict[str, Any]:
    """The same objects each time: schemas are found by their types' identity."""
    return get_type_hints(query, include_extras=True)
