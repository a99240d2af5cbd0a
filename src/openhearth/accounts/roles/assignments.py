"""Roles given to users and groups and taken away, in the organization or in a project. Knows no HTTP.

Listed are also the plain role that a user has (owner, reader, member) and what comes through groups; only what was given here can be
taken here.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Literal

from sqlalchemy import Select, delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from openhearth.accounts.access import changed
from openhearth.accounts.audit.record import record
from openhearth.accounts.principal import Principal
from openhearth.accounts.roles.giving import check_giving
from openhearth.accounts.roles.holders import Holder, find_holder
from openhearth.accounts.roles.rows import find_role, gives
from openhearth.accounts.roles.sources import assigned, sources_of
from openhearth.accounts.tables import RoleAssignmentRow
from openhearth.errors import Conflict, NotFound
from openhearth.store.database import Database
from openhearth.wire.organization.roles import AssignedRole, Role

Row = RoleAssignmentRow
PrincipalType = Literal["user", "group"]


@dataclass(frozen=True, slots=True)
class Place:
    """Who holds, and where. `project_id` empty: in the organization."""

    principal_type: PrincipalType
    principal_id: str
    project_id: str = ""


class Assignments:
    """All roles that were given."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, place: Place) -> list[AssignedRole]:
        """All that the holder has there, each once, by id. Raises NotFound."""
        async with self._database.session() as session:
            await find_holder(session, place.principal_type, place.principal_id, place.project_id)
            found = await sources_of(session, place.principal_type, place.principal_id, place.project_id)
            return [await assigned(session, role_id, place.project_id, sources) for role_id, sources in sorted(found.items())]

    async def get(self, place: Place, role_id: str) -> AssignedRole:
        """Raises NotFound."""
        for role in await self.find(place):
            if role.id == role_id:
                return role
        raise _not_given(place, role_id)

    async def give(self, actor: Principal | None, place: Place, role_id: str) -> tuple[Holder, Role]:
        """Raises NotFound, PermissionDenied for a role that may do more than the actor, Conflict for one that was given before."""
        async with self._database.session() as session:
            await changed(session)
            holder = await find_holder(session, place.principal_type, place.principal_id, place.project_id, giving=True)
            role = await find_role(session, role_id, place.project_id)
            check_giving(actor, gives(role, place.project_id), place.project_id, "role_id")
            if await session.scalar(_row(place, role_id)) is not None:
                raise Conflict(f"This {place.principal_type} has the role '{role.name}' there already.", param="role_id")
            add(session, actor, place, role)
        return holder, role

    async def take(self, actor: Principal | None, place: Place, role_id: str) -> None:
        """Gone at once. Raises NotFound, Conflict for what the holder has otherwise."""
        async with self._database.session() as session:
            await changed(session)
            await find_holder(session, place.principal_type, place.principal_id, place.project_id)
            row = await session.scalar(_row(place, role_id))
            if row is None:
                if role_id in await sources_of(session, place.principal_type, place.principal_id, place.project_id):
                    raise Conflict(
                        "This role was not given here: it is the user's plain role (update the user) or comes through a group "
                        "(see `assignment_sources`).",
                        param="role_id",
                    )
                raise _not_given(place, role_id)
            await session.delete(row)
            _record(session, actor, "role.assignment.deleted", place, role_id)


def add(session: AsyncSession, actor: Principal | None, place: Place, role: Role) -> None:
    """Write it down, with the audit log's row. What must be checked has been."""
    row = Row(
        role_id=role.id,
        principal_type=place.principal_type,
        principal_id=place.principal_id,
        project_id=place.project_id,
        created_at=int(time.time()),
    )
    session.add(row)
    _record(session, actor, "role.assignment.created", place, role.id)


async def take_all(session: AsyncSession, actor: Principal | None, place: Place, *, everywhere: bool = False) -> None:
    """Take every role away that was given there, or in any place. For who leaves; the caller calls `access.changed`."""
    same = (Row.principal_type == place.principal_type) & (Row.principal_id == place.principal_id)
    if not everywhere:
        same &= Row.project_id == place.project_id
    for row in await session.scalars(select(Row).where(same)):
        _record(session, actor, "role.assignment.deleted", replace(place, project_id=row.project_id), row.role_id)
    await session.execute(delete(Row).where(same))


def _row(place: Place, role_id: str) -> Select[Row]:
    return select(Row).where(
        Row.role_id == role_id,
        Row.principal_type == place.principal_type,
        Row.principal_id == place.principal_id,
        Row.project_id == place.project_id,
    )


def _not_given(place: Place, role_id: str) -> NotFound:
    return NotFound(f"This {place.principal_type} has no role '{role_id[:100]}' there.", param="role_id")


def _record(session: AsyncSession, actor: Principal | None, event: str, place: Place, role_id: str) -> None:
    fields = {"principal_type": place.principal_type, "principal_id": place.principal_id}
    where = {"resource_type": "api.project", "resource_id": place.project_id} if place.project_id else {"resource_type": "api.organization"}
    record(session, actor, event, role_id, fields={**fields, **where}, project_id=place.project_id or None)
