"""Groups made, listed, renamed, deleted. Knows no HTTP, and nothing of who is in them."""

from __future__ import annotations

import time

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from openhearth.accounts.access import changed
from openhearth.accounts.audit.record import record
from openhearth.accounts.principal import Principal
from openhearth.accounts.roles.assignments import Place, take_all
from openhearth.accounts.tables import GroupMemberRow, GroupRow
from openhearth.errors import NotFound
from openhearth.store.database import Database
from openhearth.store.paging import page_after
from openhearth.wire.ids import new_id
from openhearth.wire.organization.groups import GroupsQuery


class Groups:
    """All groups of an installation."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, query: GroupsQuery) -> list[GroupRow]:
        """In order of making, at most `limit + 1`. Raises NotFound for an `after` that isn't there."""
        async with self._database.session() as session:
            place = None
            if query.after is not None:
                after = await group_row(session, query.after, "after")
                place = after.created_at, after.id
            wanted = page_after(select(GroupRow), GroupRow.created_at, GroupRow.id, place, query.limit, descending=query.order == "desc")
            return list(await session.scalars(wanted))

    async def get(self, group_id: str) -> GroupRow:
        """Raises NotFound."""
        async with self._database.session() as session:
            return await group_row(session, group_id)

    async def create(self, actor: Principal | None, name: str) -> GroupRow:
        """An empty one, without roles."""
        async with self._database.session() as session:
            row = GroupRow(id=new_id("group_", 24), name=name, created_at=int(time.time()))
            session.add(row)
            record(session, actor, "group.created", row.id, data={"group_name": name})
        return row

    async def rename(self, actor: Principal | None, group_id: str, name: str) -> GroupRow:
        """Raises NotFound."""
        async with self._database.session() as session:
            row = await group_row(session, group_id)
            before, row.name = row.name, name
            if before != name:
                record(session, actor, "group.updated", row.id, changes={"group_name": name}, before={"group_name": before})
        return row

    async def delete(self, actor: Principal | None, group_id: str) -> None:
        """What its users had through it they have no more, at once. Raises NotFound."""
        async with self._database.session() as session:
            await changed(session)
            row = await group_row(session, group_id)
            users = list(await session.scalars(select(GroupMemberRow.user_id).where(GroupMemberRow.group_id == group_id)))
            await take_all(session, actor, Place("group", group_id), everywhere=True)
            await session.delete(row)
            record(session, actor, "group.deleted", group_id, before={"group_name": row.name, "users": users})


async def group_row(session: AsyncSession, group_id: str, param: str = "group_id") -> GroupRow:
    """Raises NotFound."""
    row = await session.get(GroupRow, group_id)
    if row is None:
        raise NotFound(f"No group '{group_id[:100]}'.", param=param)
    return row
