"""`/v1/organization/admin_api_keys`: keys that manage."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from openhearth.wire.organization.fields import Lifetime, Name, Scopes
from openhearth.wire.organization.lists import CursorQuery


class AdminKeysQuery(CursorQuery, frozen=True, forbid_unknown_fields=True):
    order: Literal["asc", "desc"] = "asc"


class AdminKeyCreate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`scopes` is ours: without, it may manage all that its owner may."""

    name: Name
    expires_in_seconds: Lifetime | None = None
    scopes: Annotated[Scopes, Meta(min_length=1)] | None = None


class AdminKeyOwner(msgspec.Struct, frozen=True):
    id: str
    name: str
    created_at: int
    role: str
    type: Literal["user"] = "user"
    object: Literal["organization.user"] = "organization.user"


class AdminKey(msgspec.Struct, frozen=True):
    """A key as it may be shown; with its `value` in the reply that made it, and never again."""

    id: str
    name: str
    redacted_value: str
    created_at: int
    expires_at: int | None
    last_used_at: int | None
    owner: AdminKeyOwner
    scopes: list[str] | None
    value: str | UnsetType = UNSET
    object: Literal["organization.admin_api_key"] = "organization.admin_api_key"


class AdminKeyList(msgspec.Struct, frozen=True):
    data: list[AdminKey]
    first_id: str | None
    last_id: str | None
    has_more: bool
    object: Literal["list"] = "list"


class AdminKeyDeleted(msgspec.Struct, frozen=True):
    id: str
    deleted: bool = True
    object: Literal["organization.admin_api_key.deleted"] = "organization.admin_api_key.deleted"
