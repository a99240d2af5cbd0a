"""`/v1/organization/users`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

Detail = Annotated[str, Meta(max_length=256)]


class UsersQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`?after=ID&limit=N&emails[]=...`."""

    after: str | None = None
    limit: Annotated[int, Meta(ge=1, le=100)] = 20
    emails: Annotated[list[str], Meta(max_length=100)] | str | None = None

    @property
    def wanted_emails(self) -> list[str] | None:
        return [self.emails] if isinstance(self.emails, str) else self.emails


class UserChanges(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is left out or null stays as it is."""

    role: str | None = None
    role_id: str | None = None
    developer_persona: Detail | None = None
    technical_level: Detail | None = None

    def details(self) -> dict[str, str | None]:
        return {"developer_persona": self.developer_persona, "technical_level": self.technical_level}


class UserDetails(msgspec.Struct, frozen=True):
    """`user` of a user."""

    id: str
    email: str
    name: str
    picture: str | None
    enabled: bool
    banned: bool
    banned_at: int | None
    object: Literal["user"] = "user"


class User(msgspec.Struct, frozen=True):
    """A user of the organization."""

    id: str
    name: str
    email: str
    role: str
    added_at: int
    created: int
    user: UserDetails
    technical_level: str | None
    developer_persona: str | None
    api_key_last_used_at: int | None
    is_default: bool = False
    is_service_account: bool = False
    is_scim_managed: bool = False
    is_scale_tier_authorized_purchaser: bool = False
    object: Literal["organization.user"] = "organization.user"


class UserList(msgspec.Struct, frozen=True):
    """A page of users."""

    data: list[User]
    first_id: str | None
    last_id: str | None
    has_more: bool
    object: Literal["list"] = "list"


class UserDeleted(msgspec.Struct, frozen=True):
    """A user that is gone."""

    id: str
    deleted: bool = True
    object: Literal["organization.user.deleted"] = "organization.user.deleted"


def shown_user(row: Any, last_used_at: int | None) -> User:
    """`row`: a user as the database has it."""
    return User(
        id=row.id,
        name=row.name,
        email=row.email,
        role=row.role,
        added_at=row.added_at,
        created=row.added_at,
        user=UserDetails(
            id=row.id,
            email=row.email,
            name=row.name,
            picture=row.details.get("picture"),
            enabled=row.banned_at is None,
            banned=row.banned_at is not None,
            banned_at=row.banned_at,
        ),
        technical_level=row.details.get("technical_level"),
        developer_persona=row.details.get("developer_persona"),
        api_key_last_used_at=last_used_at,
    )
