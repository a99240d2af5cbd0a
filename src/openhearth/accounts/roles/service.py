"""Roles of the organization and of projects: made, listed, changed, deleted. Knows no HTTP. An empty project means the organization.

Who has which role is the matter of `assignments`.
"""

from __future__ import annotations

import time
from typing import Any

import msgspec
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from openhearth.accounts.access import changed
from openhearth.accounts.audit.record import record
from openhearth.accounts.permissions import check_names, expand
from openhearth.accounts.principal import Principal
from openhearth.accounts.projects.rows import active_project, project_row
from openhearth.accounts.roles.giving import check_giving
from openhearth.accounts.roles.predefined import predefined_roles
from openhearth.accounts.roles.rows import find_role, possible, role_row, shown
from openhearth.accounts.tables import RoleAssignmentRow, RoleRow
from openhearth.errors import Conflict, InvalidRequest, NotFound
from openhearth.store.database import Database
from openhearth.wire.ids import new_id
from openhearth.wire.organization.next_pages import NextQuery
from openhearth.wire.organization.roles import Role, RoleChanges, RoleCreation

MOST = 1000
"""Roles of one's own in one place."""


class Roles:
    """All roles of an installation."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, query: NextQuery, project_id: str = "") -> list[Role]:
        """The predefined ones and then one's own in order of making, from `after` on. Raises NotFound."""
        async with self._database.session() as session:
            if project_id:
                await project_row(session, project_id)
            wanted = select(RoleRow).where(RoleRow.project_id == (project_id or None)).order_by(RoleRow.created_at, RoleRow.id)
            roles = predefined_roles(project_id) + [shown(row) for row in await session.scalars(wanted)]
        return after_of(roles, query, lambda role: role.id)

    async def get(self, role_id: str, project_id: str = "") -> Role:
        """Raises NotFound."""
        async with self._database.session() as session:
            if project_id:
                await project_row(session, project_id)
            return await find_role(session, role_id, project_id)

    async def create(self, actor: Principal | None, wanted: RoleCreation, project_id: str = "") -> Role:
        """Raises NotFound, InvalidRequest, PermissionDenied for more than the actor has, Conflict for a name that is taken."""
        permissions = check_names(wanted.permissions, "permissions", possible(project_id))
        check_giving(actor, expand(permissions) & possible(project_id), project_id, "permissions")
        async with self._database.session() as session:
            await self._begin(session, project_id)
            await _check_name(session, wanted.role_name, project_id)
            now = int(time.time())
            row = RoleRow(
                id=new_id("role_", 24),
                project_id=project_id or None,
                name=wanted.role_name,
                description=wanted.description,
                permissions=permissions,
                created_at=now,
                updated_at=now,
                created_by=actor.owner_id if actor else None,
            )
            session.add(row)
            made = {"role_name": row.name, "permissions": permissions, **_resource(shown(row), project_id)}
            record(session, actor, "role.created", row.id, fields=made, project_id=project_id or None)
        return shown(row)

    async def change(self, actor: Principal | None, role_id: str, wanted: RoleChanges, project_id: str = "") -> Role:
        """What is added counts at once for all who have the role. Raises NotFound, InvalidRequest, PermissionDenied, Conflict."""
        async with self._database.session() as session:
            await self._begin(session, project_id)
            row = await _own_row(session, role_id, project_id)
            before = shown(row)
            if wanted.permissions is not None:
                permissions = check_names(wanted.permissions, "permissions", possible(project_id))
                added = (expand(permissions) - expand(row.permissions)) & possible(project_id)
                check_giving(actor, added, project_id, "permissions")
                row.permissions = permissions
            if wanted.role_name is not None and wanted.role_name != row.name:
                await _check_name(session, wanted.role_name, project_id)
                row.name = wanted.role_name
            if wanted.description is not msgspec.UNSET:
                row.description = wanted.description
            row.updated_at = int(time.time())
            changes, earlier = _told(before, shown(row))
            if changes:
                record(session, actor, "role.updated", row.id, changes=changes, before=earlier, project_id=project_id or None)
        return shown(row)

    async def delete(self, actor: Principal | None, role_id: str, project_id: str = "") -> None:
        """Whoever has it has it no more, at once. Raises NotFound, InvalidRequest."""
        async with self._database.session() as session:
            await self._begin(session, project_id)
            row = await _own_row(session, role_id, project_id)
            held = list(await session.scalars(select(RoleAssignmentRow.principal_id).where(RoleAssignmentRow.role_id == role_id)))
            await session.execute(delete(RoleAssignmentRow).where(RoleAssignmentRow.role_id == role_id))
            await session.delete(row)
            before = {"role_name": row.name, "permissions": row.permissions, "description": row.description, "held_by": held}
            record(session, actor, "role.deleted", role_id, before=before, project_id=project_id or None)

    async def _begin(self, session: AsyncSession, project_id: str) -> None:
        # First, because it makes writers of this kind wait for each other: what is read below stays true until the end.
        await changed(session)
        if project_id:
            await active_project(session, project_id)


def after_of(items: list[Any], query: Any, identity: Any) -> list[Any]:
    """At most `limit + 1` of a list that fits into memory, in the query's order, after its cursor. Raises NotFound."""
    items = items[::-1] if query.order == "desc" else items
    if query.after is not None:
        places = [number for number, item in enumerate(items) if identity(item) == query.after]
        if not places:
            raise NotFound(f"Nothing '{query.after[:100]}' in this list, so there is no place after it.", param="after")
        items = items[places[0] + 1 :]
    return items[: query.limit + 1]


async def _own_row(session: AsyncSession, role_id: str, project_id: str) -> RoleRow:
    if any(role.id == role_id for role in predefined_roles(project_id)):
        raise InvalidRequest(f"'{role_id}' is a predefined role: it can be given, but not changed or deleted.", param="role_id")
    return await role_row(session, role_id, project_id)


async def _check_name(session: AsyncSession, name: str, project_id: str) -> None:
    names = list(await session.scalars(select(RoleRow.name).where(RoleRow.project_id == (project_id or None))))
    if name in names or any(role.name == name for role in predefined_roles(project_id)):
        raise Conflict(f"There is a role '{name[:100]}' already; choose another name.", param="role_name")
    if len(names) >= MOST:
        raise Conflict(f"There are {MOST} roles already; delete some.", code="too_many_roles")


def _resource(role: Role, project_id: str) -> dict[str, str]:
    return {"resource_type": role.resource_type, **({"resource_id": project_id} if project_id else {})}


def _told(before: Role, after: Role) -> tuple[dict[str, Any], dict[str, Any]]:
    """What became of what, as the audit log tells it."""
    changes: dict[str, Any] = {}
    earlier: dict[str, Any] = {}
    if before.name != after.name:
        changes["role_name"], earlier["role_name"] = after.name, before.name
    if before.description != after.description:
        changes["description"], earlier["description"] = after.description or "", before.description
    if before.permissions != after.permissions:
        added, removed = set(after.permissions) - set(before.permissions), set(before.permissions) - set(after.permissions)
        changes["permissions_added"], changes["permissions_removed"] = sorted(added), sorted(removed)
        earlier["permissions"] = before.permissions
    return changes, earlier
