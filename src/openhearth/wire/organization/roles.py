"""`.../roles`: roles, and what users and groups are given of them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from openhearth.wire.organization.fields import Identifier, Name

Description = Annotated[str, Meta(max_length=1024, pattern=r"^[^\x00-\x08\x0b-\x1f\x7f]*(?![\s\S])")]
Permissions = Annotated[list[Annotated[str, Meta(max_length=64)]], Meta(max_length=256)]


class RoleCreation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A role to make."""

    role_name: Name
    permissions: Permissions
    description: Description | None = None


class RoleChanges(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is left out stays as it is; null takes a description away and leaves the others."""

    role_name: Name | None = None
    permissions: Permissions | None = None
    description: Description | UnsetType | None = UNSET


class RoleToGive(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which role to give to the path's user or group."""

    role_id: Identifier


class Role(msgspec.Struct, frozen=True):
    """A role. `resource_type`: `api.organization` or `api.project`."""

    id: str
    name: str
    description: str | None
    permissions: list[str]
    resource_type: str
    predefined_role: bool
    object: Literal["role"] = "role"


class RoleList(msgspec.Struct, frozen=True):
    data: list[Role]
    has_more: bool
    next: str | None
    object: Literal["list"] = "list"


class RoleDeleted(msgspec.Struct, frozen=True):
    id: str
    deleted: bool = True
    object: Literal["role.deleted"] = "role.deleted"


class AssignmentSource(msgspec.Struct, frozen=True):
    """The user or group through which a user has a role."""

    principal_id: str
    principal_type: Literal["user", "group"]


class AssignedRole(msgspec.Struct, frozen=True):
    """A role that somebody has, and from where."""

    id: str
    name: str
    description: str | None
    permissions: list[str]
    resource_type: str
    predefined_role: bool
    created_at: int | None
    updated_at: int | None
    created_by: str | None
    created_by_user_obj: dict[str, Any] | None
    metadata: dict[str, Any] | None
    assignment_sources: list[AssignmentSource] | None


class AssignedRoleList(msgspec.Struct, frozen=True):
    data: list[AssignedRole]
    has_more: bool
    next: str | None
    object: Literal["list"] = "list"


class RoleUser(msgspec.Struct, frozen=True):
    """Whom a role was given to."""

    id: str
    name: str
    email: str
    role: str
    added_at: int
    object: Literal["organization.user"] = "organization.user"


class UserRole(msgspec.Struct, frozen=True):
    user: RoleUser
    role: Role
    object: Literal["user.role"] = "user.role"


class RoleGroup(msgspec.Struct, frozen=True):
    """Whom a role was given to."""

    id: str
    name: str
    created_at: int
    scim_managed: bool = False
    object: Literal["group"] = "group"


class GroupRole(msgspec.Struct, frozen=True):
    group: RoleGroup
    role: Role
    object: Literal["group.role"] = "group.role"


class AssignmentDeleted(msgspec.Struct, frozen=True):
    object: Literal["user.role.deleted", "group.role.deleted"]
    deleted: bool = True
