"""`/v1/organization/projects/{project_id}/service_accounts`: programs' identities, and the keys that are made for them."""

from __future__ import annotations

from typing import Literal

import msgspec

from openhearth.wire.organization.fields import Lifetime, Name, Scopes
from openhearth.wire.organization.project_users import ProjectRole


class ServiceAccountCreate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """With `create_service_account_only` it gets neither a role nor a key."""

    name: Name
    create_service_account_only: bool | None = None
    expires_in_seconds: Lifetime | None = None


class ServiceAccountUpdate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is left out stays."""

    name: Name | None = None
    role: ProjectRole | None = None


class ServiceAccountKeyCreate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Without scopes, or with none, it may do all that the account may."""

    name: Name | None = None
    scopes: Scopes | None = None
    expires_in_seconds: Lifetime | None = None


class ServiceAccount(msgspec.Struct, frozen=True):
    id: str
    name: str
    role: str
    created_at: int
    object: Literal["organization.project.service_account"] = "organization.project.service_account"


class ServiceAccountKey(msgspec.Struct, frozen=True):
    """A key with its value, which is shown this once."""

    id: str
    name: str
    value: str
    created_at: int
    expires_at: int | None
    object: Literal["organization.project.service_account.api_key"] = "organization.project.service_account.api_key"


class ServiceAccountCreated(msgspec.Struct, frozen=True):
    id: str
    name: str
    role: str
    created_at: int
    api_key: ServiceAccountKey | None
    object: Literal["organization.project.service_account"] = "organization.project.service_account"


class ServiceAccountList(msgspec.Struct, frozen=True):
    data: list[ServiceAccount]
    first_id: str | None
    last_id: str | None
    has_more: bool
    object: Literal["list"] = "list"


class ServiceAccountDeleted(msgspec.Struct, frozen=True):
    id: str
    deleted: bool = True
    object: Literal["organization.project.service_account.deleted"] = "organization.project.service_account.deleted"
