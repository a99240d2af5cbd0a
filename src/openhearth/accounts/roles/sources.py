"""From where somebody has their roles: given directly, through groups, or the plain role that comes with being there."""

from __future__ import annotations

from collections import defaultdict
from typing import Literal

from sqlalchemy import and_, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from openhearth.accounts.roles.predefined import predefined_id
from openhearth.accounts.roles.rows import find_role
from openhearth.accounts.tables import GroupMemberRow, ProjectMemberRow, RoleAssignmentRow, RoleRow, UserRow
from openhearth.wire.organization.roles import AssignedRole, AssignmentSource

Row = RoleAssignmentRow
Sources = list[AssignmentSource]


async def sources_of(
    session: AsyncSession, principal_type: Literal["user", "group"], principal_id: str, project_id: str
) -> dict[str, Sources]:
    """Role -> through whom."""
    found = defaultdict[str, Sources](list)
    holds = and_(Row.principal_type == principal_type, Row.principal_id == principal_id)
    if principal_type == "user":
        plain = await _plain_role(session, principal_id, project_id)
        if plain is not None:
            found[predefined_id(plain, project_id)].append(AssignmentSource(principal_id, "user"))
        groups = select(GroupMemberRow.group_id).where(GroupMemberRow.user_id == principal_id)
        holds = or_(holds, and_(Row.principal_type == "group", Row.principal_id.in_(groups)))
    for row in await session.scalars(select(Row).where(holds, Row.project_id == project_id).order_by(Row.position)):
        source = AssignmentSource(row.principal_id, "group" if row.principal_type == "group" else "user")
        if source not in found[row.role_id]:
            found[row.role_id].append(source)
    return found


async def _plain_role(session: AsyncSession, user_id: str, project_id: str) -> str | None:
    if project_id:
        wanted = select(ProjectMemberRow.role).where(ProjectMemberRow.project_id == project_id, ProjectMemberRow.user_id == user_id)
    else:
        wanted = select(UserRow.role).where(UserRow.id == user_id)
    return await session.scalar(wanted)


async def assigned(session: AsyncSession, role_id: str, project_id: str, sources: Sources) -> AssignedRole:
    """A role as it is held. Predefined ones were made by nobody at no time."""
    role = await find_role(session, role_id, project_id)
    row = None if role.predefined_role else await session.get(RoleRow, role_id)
    maker = await session.get(UserRow, row.created_by) if row is not None and row.created_by else None
    return AssignedRole(
        id=role.id,
        name=role.name,
        description=role.description,
        permissions=role.permissions,
        resource_type=role.resource_type,
        predefined_role=role.predefined_role,
        created_at=row.created_at if row else None,
        updated_at=row.updated_at if row else None,
        created_by=row.created_by if row else None,
        created_by_user_obj={"id": maker.id, "name": maker.name, "email": maker.email} if maker else None,
        metadata={},
        assignment_sources=sources,
    )
