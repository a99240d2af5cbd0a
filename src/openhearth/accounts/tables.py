"""The tables that decide who may do what. The guard's view of them is `accounts.access`; whoever writes them calls `access.changed`."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, Integer, LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from openhearth.store.columns import POSITION
from openhearth.store.database import Table


class OrganizationRow(Table):
    """The installation's one organization."""

    __tablename__ = "organizations"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(String(256))
    created_at: Mapped[int] = mapped_column(BigInteger)
    data_retention: Mapped[str] = mapped_column(String(64))
    access_version: Mapped[int] = mapped_column(Integer)
    """Counts changes of who may do what, so that every process notices them with one small query."""


class UserRow(Table):
    """A person. `role`: owner or reader of the organization."""

    __tablename__ = "users"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    email: Mapped[str] = mapped_column(String(320), unique=True)
    """In lower case."""
    name: Mapped[str] = mapped_column(String(256))
    role: Mapped[str] = mapped_column(String(64))
    added_at: Mapped[int] = mapped_column(BigInteger)
    password_hash: Mapped[str | None] = mapped_column(String(256))
    """argon2id, with its parameters. None: has set none yet, or comes by OpenID Connect."""
    verified_at: Mapped[int | None] = mapped_column(BigInteger)
    """When the address was proved. Nobody logs in before."""
    banned_at: Mapped[int | None] = mapped_column(BigInteger)
    subject: Mapped[str | None] = mapped_column(String(512), unique=True)
    """Issuer and subject at the OpenID provider."""
    details: Mapped[dict[str, Any]] = mapped_column(JSON)
    """What the API keeps without using it: developer_persona, technical_level, picture."""


class ProjectRow(Table):
    """A project: what belongs to it is invisible to others."""

    __tablename__ = "projects"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(String(256))
    created_at: Mapped[int] = mapped_column(BigInteger)
    archived_at: Mapped[int | None] = mapped_column(BigInteger)
    data_retention: Mapped[str] = mapped_column(String(64))
    model_permissions: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    """`{"mode": "allow_list" | "deny_list", "model_ids": [...]}`. None: all models."""
    details: Mapped[dict[str, Any]] = mapped_column(JSON)
    """Hosted tools, service tiers, geography, residency."""


class ProjectMemberRow(Table):
    """A user in a project. `role`: owner or member."""

    __tablename__ = "project_members"
    __table_args__ = (Index("project_members_by_user", "user_id"),)

    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"), primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    role: Mapped[str] = mapped_column(String(64))
    added_at: Mapped[int] = mapped_column(BigInteger)


class ServiceAccountRow(Table):
    """A program's identity in a project. `role`: owner, member or none."""

    __tablename__ = "service_accounts"
    __table_args__ = (Index("service_accounts_by_project", "project_id"),)

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(256))
    role: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[int] = mapped_column(BigInteger)


class ApiKeyRow(Table):
    """A key that was handed out. Only its SHA-256 is kept: a key has 256 random bits, so there is nothing to stretch.

    It acts for a user or for a service account. A key without a project is an admin key.
    """

    __tablename__ = "api_keys"
    __table_args__ = (Index("api_keys_by_project", "project_id"),)

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(String(256))
    prefix: Mapped[str] = mapped_column(String(32))
    hash: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    project_id: Mapped[str | None] = mapped_column(String(64))
    user_id: Mapped[str | None] = mapped_column(String(64))
    service_account_id: Mapped[str | None] = mapped_column(String(64))
    scopes: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))
    """Permissions that it is restricted to. None: all that its owner has."""
    created_at: Mapped[int] = mapped_column(BigInteger)
    expires_at: Mapped[int | None] = mapped_column(BigInteger)
    last_used_at: Mapped[int | None] = mapped_column(BigInteger)
    revoked_at: Mapped[int | None] = mapped_column(BigInteger)


class GroupRow(Table):
    """Users who get roles together."""

    __tablename__ = "groups"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(String(256))
    created_at: Mapped[int] = mapped_column(BigInteger)


class GroupMemberRow(Table):
    __tablename__ = "group_members"
    __table_args__ = (Index("group_members_by_user", "user_id"),)

    group_id: Mapped[str] = mapped_column(ForeignKey("groups.id", ondelete="CASCADE"), primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    added_at: Mapped[int] = mapped_column(BigInteger)


class ProjectGroupRow(Table):
    """A group that was added to a project."""

    __tablename__ = "project_groups"

    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"), primary_key=True)
    group_id: Mapped[str] = mapped_column(ForeignKey("groups.id", ondelete="CASCADE"), primary_key=True)
    created_at: Mapped[int] = mapped_column(BigInteger)


class RoleRow(Table):
    """A role of the owner's own; the predefined ones stand in `accounts.permissions`. Without a project it is the organization's."""

    __tablename__ = "roles"

    id: Mapped[str] = mapped_column(String(128), primary_key=True)
    project_id: Mapped[str | None] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(256))
    description: Mapped[str | None] = mapped_column(String(1024))
    permissions: Mapped[list[str]] = mapped_column(JSON)
    created_at: Mapped[int] = mapped_column(BigInteger)
    updated_at: Mapped[int] = mapped_column(BigInteger)
    created_by: Mapped[str | None] = mapped_column(String(64))


class RoleAssignmentRow(Table):
    """A role given to a user or a group, in the organization or in one project, on top of the plain role they have there."""

    __tablename__ = "role_assignments"
    __table_args__ = (UniqueConstraint("role_id", "principal_id", "project_id", name="role_assignments_once"),)

    position: Mapped[int] = mapped_column(POSITION, primary_key=True, autoincrement=True)
    role_id: Mapped[str] = mapped_column(String(128))
    """A predefined role's, or a row's."""
    principal_type: Mapped[str] = mapped_column(String(16))
    """user or group"""
    principal_id: Mapped[str] = mapped_column(String(64))
    project_id: Mapped[str] = mapped_column(String(64))
    """Empty: in the organization."""
    created_at: Mapped[int] = mapped_column(BigInteger)
