"""`.../groups`: groups, their users, and the projects that they were added to."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from openhearth.wire.organization.fields import Identifier
from openhearth.wire.organization.next_pages import Limit, Order

GroupName = Annotated[str, Meta(min_length=1, max_length=255, pattern=r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]+(?![\s\S])")]


class GroupsQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`?after=ID&limit=N&order=asc|desc`."""

    after: Identifier | None = None
    limit: Limit = 100
    order: Order = "asc"


class GroupUsersQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The same, newest first."""

    after: Identifier | None = None
    limit: Limit = 100
    order: Order = "desc"


class ProjectGroupsQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The same, in smaller pages."""

    after: Identifier | None = None
    limit: Annotated[int, Meta(ge=0, le=100)] = 20
    order: Order = "asc"


class ProjectGroupQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`?group_type=...`. There are no tenants' groups here, so asking for one finds none."""

    group_type: Literal["group", "tenant_group"] = "group"


class GroupNamed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A group to make, or its new name."""

    name: GroupName


class GroupUserToAdd(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    user_id: Identifier


class ProjectGroupToAdd(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`role`: the id of a role of the project, or the plain name of a predefined one (owner, member)."""

    group_id: Identifier
    role: Identifier


class Group(msgspec.Struct, frozen=True):
    id: str
    name: str
    created_at: int
    is_scim_managed: bool = False
    group_type: Literal["group", "tenant_group"] = "group"


class GroupList(msgspec.Struct, frozen=True):
    data: list[Group]
    has_more: bool
    next: str | None
    object: Literal["list"] = "list"


class GroupDeleted(msgspec.Struct, frozen=True):
    id: str
    deleted: bool = True
    object: Literal["group.deleted"] = "group.deleted"


class GroupUser(msgspec.Struct, frozen=True):
    id: str
    name: str
    email: str


class GroupUserList(msgspec.Struct, frozen=True):
    data: list[GroupUser]
    has_more: bool
    next: str | None
    object: Literal["list"] = "list"


class GroupMember(msgspec.Struct, frozen=True):
    """One user of a group, looked up."""

    id: str
    name: str
    email: str
    picture: str | None
    is_service_account: bool = False
    user_type: Literal["user", "tenant_user"] = "user"


class GroupUserAdded(msgspec.Struct, frozen=True):
    user_id: str
    group_id: str
    object: Literal["group.user"] = "group.user"


class GroupUserDeleted(msgspec.Struct, frozen=True):
    deleted: bool = True
    object: Literal["group.user.deleted"] = "group.user.deleted"


class ProjectGroup(msgspec.Struct, frozen=True):
    project_id: str
    group_id: str
    group_name: str
    created_at: int
    group_type: Literal["group", "tenant_group"] = "group"
    object: Literal["project.group"] = "project.group"


class ProjectGroupList(msgspec.Struct, frozen=True):
    data: list[ProjectGroup]
    has_more: bool
    next: str | None
    object: Literal["list"] = "list"


class ProjectGroupDeleted(msgspec.Struct, frozen=True):
    deleted: bool = True
    object: Literal["project.group.deleted"] = "project.group.deleted"
