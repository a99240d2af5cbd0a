"""Users put into groups and taken out. Knows no HTTP. Who joins a group gets all that it has, so that is checked."""

from __future__ import annotations

import time

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from openhearth.accounts.access import changed
from openhearth.accounts.audit.record import record
from openhearth.accounts.groups.service import group_row
from openhearth.accounts.principal import Principal
from openhearth.accounts.roles.giving import check_giving
from openhearth.accounts.roles.rows import find_role, gives
from openhearth.accounts.tables import GroupMemberRow, RoleAssignmentRow, UserRow
from openhearth.errors import Conflict, NotFound
from openhearth.store.database import Database
from openhearth.store.paging import page_after
from openhearth.wire.organization.groups import GroupUsersQuery

Row = GroupMemberRow


class GroupMembers:
    """The users of all groups."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, group_id: str, query: GroupUsersQuery) -> list[UserRow]:
        """In order of joining, at most `limit + 1`. Raises NotFound."""
        async with self._database.session() as session:
            await group_row(session, group_id)
            place = None
            if query.after is not None:
                after = (await _member(session, group_id, query.after, "after"))[0]
                place = after.added_at, after.user_id
            wanted = select(UserRow).join(Row, UserRow.id == Row.user_id).where(Row.group_id == group_id)
            wanted = page_after(wanted, Row.added_at, Row.user_id, place, query.limit, descending=query.order == "desc")
            return list(await session.scalars(wanted))

    async def get(self, group_id: str, user_id: str) -> UserRow:
        """Raises NotFound."""
        async with self._database.session() as session:
            await group_row(session, group_id)
            return (await _member(session, group_id, user_id))[1]

    async def add(self, actor: Principal | None, group_id: str, user_id: str) -> None:
        """Raises NotFound, PermissionDenied for a group that may do more than the actor, Conflict for who is in it already."""
        async with self._database.session() as session:
            # First, because it makes writers wait for each other: the group gets no other role between the check and the end.
            await changed(session)
            group = await group_row(session, group_id)
            user = await session.get(UserRow, user_id)
            if user is None:
                raise NotFound(f"No user '{user_id[:100]}'.", param="user_id")
            await _check_group(session, actor, group_id)
            if await session.get(Row, (group_id, user_id)) is not None:
                raise Conflict(f"User '{user.id}' is in this group already.", param="user_id")
            session.add(Row(group_id=group_id, user_id=user_id, added_at=int(time.time())))
            record(session, actor, "group.updated", group.id, changes={"users_added": [user_id]})

    async def remove(self, actor: Principal | None, group_id: str, user_id: str) -> None:
        """What the user had through the group is gone at once. Raises NotFound."""
        async with self._database.session() as session:
            await changed(session)
            await group_row(session, group_id)
            row, _user = await _member(session, group_id, user_id)
            await session.delete(row)
            record(session, actor, "group.updated", group_id, changes={"users_removed": [user_id]})


async def _check_group(session: AsyncSession, actor: Principal | None, group_id: str) -> None:
    given = select(RoleAssignmentRow).where(RoleAssignmentRow.principal_type == "group", RoleAssignmentRow.principal_id == group_id)
    for row in list(await session.scalars(given)):
        role = await find_role(session, row.role_id, row.project_id)
        check_giving(actor, gives(role, row.project_id), row.project_id, "user_id")


async def _member(session: AsyncSession, group_id: str, user_id: str, param: str = "user_id") -> tuple[GroupMemberRow, UserRow]:
    wanted = select(Row, UserRow).join(UserRow, UserRow.id == Row.user_id).where(Row.group_id == group_id, Row.user_id == user_id)
    found = (await session.execute(wanted)).first()
    if found is None:
        raise NotFound(f"No user '{user_id[:100]}' in this group.", param=param)
    return found[0], found[1]
