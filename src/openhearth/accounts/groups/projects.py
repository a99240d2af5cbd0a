"""Groups added to projects, each with a first role there, and taken out. Knows no HTTP."""

from __future__ import annotations

import time

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from openhearth.accounts.access import changed
from openhearth.accounts.audit.record import record
from openhearth.accounts.groups.service import group_row
from openhearth.accounts.principal import Principal
from openhearth.accounts.projects.rows import active_project, project_row
from openhearth.accounts.roles.assignments import Place, add, take_all
from openhearth.accounts.roles.giving import check_giving
from openhearth.accounts.roles.predefined import predefined_id, predefined_roles
from openhearth.accounts.roles.rows import find_role, gives
from openhearth.accounts.tables import GroupRow, ProjectGroupRow
from openhearth.errors import Conflict, NotFound
from openhearth.store.database import Database
from openhearth.store.paging import page_after
from openhearth.wire.organization.groups import ProjectGroup, ProjectGroupsQuery
from openhearth.wire.organization.roles import Role

Row = ProjectGroupRow


class ProjectGroups:
    """The groups of all projects."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, project_id: str, query: ProjectGroupsQuery) -> list[ProjectGroup]:
        """In order of joining, at most `limit + 1`. Raises NotFound."""
        async with self._database.session() as session:
            await project_row(session, project_id)
            place = None
            if query.after is not None:
                after = (await _in_project(session, project_id, query.after, "after"))[0]
                place = after.created_at, after.group_id
            wanted = select(Row, GroupRow).join(GroupRow, GroupRow.id == Row.group_id).where(Row.project_id == project_id)
            wanted = page_after(wanted, Row.created_at, Row.group_id, place, query.limit, descending=query.order == "desc")
            return [_shown(row, group) for row, group in await session.execute(wanted)]

    async def get(self, project_id: str, group_id: str) -> ProjectGroup:
        """Raises NotFound."""
        async with self._database.session() as session:
            await project_row(session, project_id)
            return _shown(*await _in_project(session, project_id, group_id))

    async def add(self, actor: Principal | None, project_id: str, group_id: str, role_id: str) -> ProjectGroup:
        """Raises NotFound, PermissionDenied for a role that may do more than the actor, Conflict for a group that is in it already."""
        async with self._database.session() as session:
            await changed(session)
            await active_project(session, project_id)
            group = await group_row(session, group_id)
            role = await _role(session, role_id, project_id)
            check_giving(actor, gives(role, project_id), project_id, "role")
            if await session.get(Row, (project_id, group_id)) is not None:
                raise Conflict(f"Group '{group.id}' is in this project already.", param="group_id")
            row = Row(project_id=project_id, group_id=group_id, created_at=int(time.time()))
            session.add(row)
            record(session, actor, "group.updated", group_id, changes={"projects_added": [project_id]}, project_id=project_id)
            add(session, actor, Place("group", group_id, project_id), role)
        return _shown(row, group)

    async def remove(self, actor: Principal | None, project_id: str, group_id: str) -> None:
        """With all roles that it has there; its users are out at once. Raises NotFound."""
        async with self._database.session() as session:
            await changed(session)
            await active_project(session, project_id)
            row, _group = await _in_project(session, project_id, group_id)
            await take_all(session, actor, Place("group", group_id, project_id))
            await session.delete(row)
            record(session, actor, "group.updated", group_id, changes={"projects_removed": [project_id]}, project_id=project_id)


async def _role(session: AsyncSession, role_id: str, project_id: str) -> Role:
    plain = {role.name for role in predefined_roles(project_id)}
    return await find_role(session, predefined_id(role_id, project_id) if role_id in plain else role_id, project_id, "role")


async def _in_project(session: AsyncSession, project_id: str, group_id: str, param: str = "group_id") -> tuple[Row, GroupRow]:
    wanted = select(Row, GroupRow).join(GroupRow, GroupRow.id == Row.group_id)
    found = (await session.execute(wanted.where(Row.project_id == project_id, Row.group_id == group_id))).first()
    if found is None:
        raise NotFound(f"No group '{group_id[:100]}' in this project.", param=param)
    return found[0], found[1]


def _shown(row: Row, group: GroupRow) -> ProjectGroup:
    return ProjectGroup(row.project_id, group.id, group.name, row.created_at)
