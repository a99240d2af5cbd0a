"""Who has which role where, read from the database as one picture: users, service accounts, groups, roles given to them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from openhearth.accounts.permissions import OF_MANAGEMENT, OF_PROJECTS, ORGANIZATION_ROLES, PROJECT_ROLES, expand
from openhearth.accounts.policy import ProjectPolicy, keeps_nothing
from openhearth.accounts.roles.predefined import PREDEFINED
from openhearth.accounts.tables import (
    ApiKeyRow,
    GroupMemberRow,
    OrganizationRow,
    ProjectMemberRow,
    ProjectRow,
    RoleAssignmentRow,
    RoleRow,
    ServiceAccountRow,
    UserRow,
)

Permissions = frozenset[str]
NONE: Permissions = frozenset()


@dataclass
class Membership:
    """Roles as permissions. `users` and `active_projects` hold who and what counts at all."""

    users: dict[str, str] = field(default_factory=dict)
    """Id -> e-mail address of users who aren't banned."""
    active_projects: frozenset[str] = frozenset()
    policies: Mapping[str, ProjectPolicy] = field(default_factory=dict)
    """Of every active project."""
    organization: dict[str, Permissions] = field(default_factory=dict)
    """User -> permissions in the organization and in every project."""
    projects: dict[str, dict[str, Permissions]] = field(default_factory=dict)
    """User or service account -> project -> permissions there."""

    def in_organization(self, user_id: str) -> Permissions:
        return self.organization.get(user_id, NONE)

    def in_project(self, owner_id: str, project_id: str) -> Permissions:
        """Also what an organization's owner may do there without being a member."""
        return self.in_organization(owner_id) | self.projects.get(owner_id, {}).get(project_id, NONE)

    def takes_part(self, key: ApiKeyRow) -> bool:
        """Whether the owner of a project's key still is in it."""
        owner, project = key.user_id or key.service_account_id or "", key.project_id or ""
        return project in self.projects.get(owner, {}) or self.in_organization(owner) >= ORGANIZATION_ROLES["owner"]

    def of_key(self, key: ApiKeyRow) -> Permissions:
        return self.in_project(key.user_id or key.service_account_id or "", key.project_id or "")


async def read_membership(session: AsyncSession) -> Membership:
    """As this transaction sees it."""
    users = {row.id: row for row in await session.scalars(select(UserRow).where(UserRow.banned_at.is_(None)))}
    projects = list(await session.scalars(select(ProjectRow).where(ProjectRow.archived_at.is_(None))))
    retention = (await session.scalars(select(OrganizationRow.data_retention))).one()
    given = defaultdict[str, defaultdict[str, set[str]]](lambda: defaultdict(set))
    for member in await session.scalars(select(ProjectMemberRow)):
        given[member.user_id][member.project_id] |= PROJECT_ROLES.get(member.role, NONE)
    for account in await session.scalars(select(ServiceAccountRow)):
        given[account.id][account.project_id] |= PROJECT_ROLES.get(account.role, NONE)
    organization = {user_id: set(ORGANIZATION_ROLES.get(user.role, NONE)) for user_id, user in users.items()}
    for user_id, project_id, permissions in await _assigned(session):
        if project_id:
            # What is given in a project never reaches beyond it, whatever the role holds.
            given[user_id][project_id] |= permissions & (OF_PROJECTS | OF_MANAGEMENT)
        elif user_id in organization:
            organization[user_id] |= permissions
    return Membership(
        users={user_id: user.email for user_id, user in users.items()},
        active_projects=frozenset(project.id for project in projects),
        policies={project.id: _policy(project, retention) for project in projects},
        organization={user_id: frozenset(permissions) for user_id, permissions in organization.items()},
        projects={owner: {project: frozenset(p) for project, p in of.items()} for owner, of in given.items() if _counts(owner, users)},
    )


def _policy(project: ProjectRow, organization_retention: str) -> ProjectPolicy:
    return ProjectPolicy(project.model_permissions, keeps_nothing(project.data_retention, organization_retention))


def _counts(owner: str, users: Mapping[str, UserRow]) -> bool:
    """Banned users count no more; service accounts always."""
    return owner in users or not owner.startswith("user-")


async def _assigned(session: AsyncSession) -> list[tuple[str, str, Permissions]]:
    """(user, project or empty, permissions) of every assignment, those of groups told apart into their users'."""
    roles = {**PREDEFINED, **{role.id: expand(role.permissions) for role in await session.scalars(select(RoleRow))}}
    members = defaultdict[str, list[str]](list)
    for member in await session.scalars(select(GroupMemberRow)):
        members[member.group_id].append(member.user_id)
    found: list[tuple[str, str, Permissions]] = []
    for row in await session.scalars(select(RoleAssignmentRow)):
        users = members[row.principal_id] if row.principal_type == "group" else [row.principal_id]
        found += [(user_id, row.project_id, roles.get(row.role_id, NONE)) for user_id in users]
    return found
