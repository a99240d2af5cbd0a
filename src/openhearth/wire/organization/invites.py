"""`/v1/organization/invites`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta


class InvitesQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`?after=ID&limit=N`."""

    after: str | None = None
    limit: Annotated[int, Meta(ge=1, le=100)] = 20


class InviteProject(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A project that comes with an invite."""

    id: Annotated[str, Meta(max_length=64)]
    role: Literal["member", "owner"]


class InviteRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Without `projects` it is the default project; an empty list is none."""

    email: str
    role: Literal["reader", "owner"]
    projects: Annotated[list[InviteProject], Meta(max_length=100)] | None = None


class Invite(msgspec.Struct, frozen=True):
    """An invite."""

    id: str
    email: str
    role: str
    status: Literal["accepted", "expired", "pending"]
    created_at: int
    expires_at: int
    accepted_at: int | None
    projects: list[InviteProject]
    object: Literal["organization.invite"] = "organization.invite"


class InviteList(msgspec.Struct, frozen=True):
    """A page of invites."""

    data: list[Invite]
    first_id: str | None
    last_id: str | None
    has_more: bool
    object: Literal["list"] = "list"


class InviteDeleted(msgspec.Struct, frozen=True):
    """An invite that is gone."""

    id: str
    deleted: bool = True
    object: Literal["organization.invite.deleted"] = "organization.invite.deleted"


def shown_invite(row: Any, now: int) -> Invite:
    """`row`: an invite as the database has it; `now`: Unix seconds."""
    return Invite(
        id=row.id,
        email=row.email,
        role=row.role,
        status="accepted" if row.accepted_at is not None else "expired" if row.expires_at <= now else "pending",
        created_at=row.created_at,
        expires_at=row.expires_at,
        accepted_at=row.accepted_at,
        projects=[InviteProject(project["id"], project["role"]) for project in row.projects],
    )
