"""A body that a route accepts, made from its schema: required fields only, or all, with chosen values by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import inspect as kinds

Schema = Any


def sample(schema: type, values: Mapping[str, Any] | None = None, *, whole: bool = False) -> Any:
    """`values` by a field's name, wherever it is; `whole`: also fields that may be left out, where `values` has them."""
    return _of(kinds.type_info(schema), values or {}, whole)


def _of(kind: Schema, values: Mapping[str, Any], whole: bool) -> Any:
    if isinstance(kind, kinds.Metadata):
        return _of(kind.type, values, whole)
    if isinstance(kind, kinds.StructType | kinds.DataclassType | kinds.TypedDictType):
        wanted = [field for field in kind.fields if field.required or (whole and field.encode_name in values)]
        return {field.encode_name: _field(field, values, whole) for field in wanted}
    if isinstance(kind, kinds.UnionType):
        return _of(_easiest(kind.types), values, whole)
    if isinstance(kind, kinds.LiteralType):
        return kind.values[0]
    if isinstance(kind, kinds.EnumType):
        return next(iter(kind.cls)).value
    return _plain(kind, values, whole)


def _field(field: Schema, values: Mapping[str, Any], whole: bool) -> Any:
    return values[field.encode_name] if field.encode_name in values else _of(field.type, values, whole)


def _easiest(types: tuple[Schema, ...]) -> Schema:
    """Null where it may be; else what is said first."""
    return next((kind for kind in types if isinstance(kind, kinds.NoneType)), types[0])


def _plain(kind: Schema, values: Mapping[str, Any], whole: bool) -> Any:
    if isinstance(kind, kinds.StrType):
        return "x" * max(1, kind.min_length or 0)
    if isinstance(kind, kinds.IntType | kinds.FloatType):
        return kind.ge if kind.ge is not None else (kind.gt + 1 if kind.gt is not None else 1)
    if isinstance(kind, kinds.BoolType):
        return False
    if isinstance(kind, kinds.NoneType):
        return None
    if isinstance(kind, kinds.DictType | kinds.AnyType | kinds.RawType):
        return {}
    if isinstance(kind, kinds.ListType | kinds.CollectionType | kinds.VarTupleType | kinds.SetType):
        return [_of(kind.item_type, values, whole)] * (kind.min_length or 0)
    raise NotImplementedError(f"no sample of {kind}: teach tests/support/isolation/samples.py")


def encoded(schema: type | None, values: Mapping[str, Any] | None = None, *, whole: bool = False) -> bytes:
    """As it is sent; empty for a route without a body."""
    return b"" if schema is None else msgspec.json.encode(sample(schema, values, whole=whole))
