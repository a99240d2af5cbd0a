"""`/v1/organization/projects/{project_id}/api_keys`, and our own `/openhearth/projects/{project_id}/api_keys` for users' own keys."""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from openhearth.wire.organization.fields import Lifetime, Name, Scopes
from openhearth.wire.organization.lists import CursorQuery

OwnerAccess = Literal["active", "inactive"]


class ProjectKeysQuery(CursorQuery, frozen=True, forbid_unknown_fields=True):
    """Without `owner_project_access`: keys whose owner is in the project."""

    owner_project_access: Literal["active", "inactive", "any"] | None = None


class ProjectKeyUpdate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is left out stays. An empty list of scopes takes all restrictions away."""

    scopes: Scopes | UnsetType = UNSET
    expires_in_seconds: Lifetime | UnsetType = UNSET


class OwnKeyCreate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A key of the asking user's own account."""

    name: Name
    scopes: Scopes | None = None
    expires_in_seconds: Lifetime | None = None


class OwnerUser(msgspec.Struct, frozen=True):
    id: str
    email: str
    name: str
    role: str
    created_at: int


class OwnerServiceAccount(msgspec.Struct, frozen=True):
    id: str
    name: str
    role: str
    created_at: int


class KeyOwner(msgspec.Struct, frozen=True):
    """Without details where the owner is gone from the organization."""

    type: Literal["user", "service_account"]
    user: OwnerUser | UnsetType = UNSET
    service_account: OwnerServiceAccount | UnsetType = UNSET


class ProjectKey(msgspec.Struct, frozen=True):
    """A key as it may be shown. `scopes` is ours; null: all that its owner may."""

    id: str
    name: str
    redacted_value: str
    created_at: int
    last_used_at: int | None
    expires_at: int | None
    owner: KeyOwner
    owner_project_access: OwnerAccess
    scopes: list[str] | None
    object: Literal["organization.project.api_key"] = "organization.project.api_key"


class OwnKeyCreated(msgspec.Struct, frozen=True):
    """A key with its value, which is shown this once."""

    id: str
    name: str
    value: str
    redacted_value: str
    created_at: int
    expires_at: int | None
    scopes: list[str] | None
    object: Literal["organization.project.api_key"] = "organization.project.api_key"


class ProjectKeyList(msgspec.Struct, frozen=True):
    data: list[ProjectKey]
    first_id: str | None
    last_id: str | None
    has_more: bool
    object: Literal["list"] = "list"


class ProjectKeyDeleted(msgspec.Struct, frozen=True):
    id: str
    deleted: bool = True
    object: Literal["organization.project.api_key.deleted"] = "organization.project.api_key.deleted"
