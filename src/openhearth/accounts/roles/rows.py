"""Finding roles: the predefined ones and the organization's or a project's own."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from openhearth.accounts.permissions import EVERY, OF_MANAGEMENT, OF_PROJECTS, expand
from openhearth.accounts.roles.predefined import ORGANIZATION, PROJECT, predefined_roles
from openhearth.accounts.tables import RoleRow
from openhearth.errors import NotFound
from openhearth.wire.organization.roles import Role


def possible(project_id: str) -> frozenset[str]:
    """The permissions that a role there can hold. What is given in a project never reaches beyond it."""
    return OF_PROJECTS | OF_MANAGEMENT if project_id else EVERY


def gives(role: Role, project_id: str) -> frozenset[str]:
    """What a role gives where it is held."""
    return expand(role.permissions) & possible(project_id)


def shown(row: RoleRow) -> Role:
    kind = PROJECT if row.project_id else ORGANIZATION
    return Role(row.id, row.name, row.description, row.permissions, kind, predefined_role=False)


async def find_role(session: AsyncSession, role_id: str, project_id: str, param: str = "role_id") -> Role:
    """A role of the project, or with an empty `project_id` of the organization. Raises NotFound."""
    for role in predefined_roles(project_id):
        if role.id == role_id:
            return role
    return shown(await role_row(session, role_id, project_id, param))


async def role_row(session: AsyncSession, role_id: str, project_id: str, param: str = "role_id") -> RoleRow:
    """One of the owner's own. Raises NotFound."""
    row = await session.scalar(select(RoleRow).where(RoleRow.id == role_id, RoleRow.project_id == (project_id or None)))
    if row is None:
        where = " in this project" if project_id else ""
        raise NotFound(f"No role '{role_id[:100]}'{where}.", param=param)
    return row
