"""Who can hold roles where: the organization's users and groups, and in a project those who were added to it."""

from __future__ import annotations

from typing import Literal

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from openhearth.accounts.projects.rows import active_project, project_row
from openhearth.accounts.tables import GroupMemberRow, GroupRow, ProjectGroupRow, ProjectMemberRow, UserRow
from openhearth.errors import NotFound

Holder = UserRow | GroupRow


async def find_holder(
    session: AsyncSession, principal_type: Literal["user", "group"], principal_id: str, project_id: str, *, giving: bool = False
) -> Holder:
    """The user or group, if it takes part there. `giving`: only who was added by name, so that nobody keeps a hidden role after leaving a
    group; and an archived project won't do. Raises NotFound, InvalidRequest.
    """
    if project_id:
        await (active_project if giving else project_row)(session, project_id)
    row: Holder | None = await session.get(UserRow if principal_type == "user" else GroupRow, principal_id)
    if row is None or (project_id and not await _takes_part(session, row, project_id, by_name=giving)):
        where = " in this project" if project_id else ""
        raise NotFound(f"No {principal_type} '{principal_id[:100]}'{where}.", param=f"{principal_type}_id")
    return row


async def _takes_part(session: AsyncSession, holder: Holder, project_id: str, *, by_name: bool) -> bool:
    if isinstance(holder, GroupRow):
        return await session.get(ProjectGroupRow, (project_id, holder.id)) is not None
    if await session.get(ProjectMemberRow, (project_id, holder.id)) is not None:
        return True
    return not by_name and await session.scalar(_through_group(holder.id, project_id)) is not None


def _through_group(user_id: str, project_id: str) -> Select[str]:
    joined = select(GroupMemberRow.group_id).join(ProjectGroupRow, ProjectGroupRow.group_id == GroupMemberRow.group_id)
    return joined.where(GroupMemberRow.user_id == user_id, ProjectGroupRow.project_id == project_id).limit(1)
