"""`/v1/organization/projects/{project_id}/users`: who takes part in a project."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from openhearth.wire.organization.fields import Identifier

ProjectRole = Literal["owner", "member"]


class ProjectUserCreate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A user of the organization, by id or by e-mail address."""

    role: ProjectRole
    user_id: Identifier | None = None
    email: Annotated[str, Meta(min_length=3, max_length=320)] | None = None


class ProjectUserUpdate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    role: ProjectRole | None = None


class ProjectUser(msgspec.Struct, frozen=True):
    id: str
    name: str
    email: str
    role: str
    added_at: int
    object: Literal["organization.project.user"] = "organization.project.user"


class ProjectUserList(msgspec.Struct, frozen=True):
    data: list[ProjectUser]
    first_id: str | None
    last_id: str | None
    has_more: bool
    object: Literal["list"] = "list"


class ProjectUserDeleted(msgspec.Struct, frozen=True):
    id: str
    deleted: bool = True
    object: Literal["organization.project.user.deleted"] = "organization.project.user.deleted"
