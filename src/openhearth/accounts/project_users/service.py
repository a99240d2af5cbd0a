"""Users added to projects, given another role there, removed. Only the organization's own users. Knows no HTTP."""

from __future__ import annotations

import time

from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from openhearth.accounts.access import changed
from openhearth.accounts.audit.record import record
from openhearth.accounts.permissions import PROJECT_ROLES
from openhearth.accounts.principal import Principal
from openhearth.accounts.projects.rows import active_project
from openhearth.accounts.roles.assignments import Place, take_all
from openhearth.accounts.roles.giving import check_giving, check_taking
from openhearth.accounts.tables import ProjectMemberRow, UserRow
from openhearth.errors import Conflict, InvalidRequest, NotFound
from openhearth.store.database import Database
from openhearth.store.paging import page_after
from openhearth.wire.organization.lists import CursorQuery
from openhearth.wire.organization.project_users import ProjectUser, ProjectUserCreate, ProjectUserUpdate

Row = ProjectMemberRow


class ProjectUsers:
    """The users of all projects."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, project_id: str, query: CursorQuery) -> list[ProjectUser]:
        """In order of joining, at most `limit + 1`. Raises NotFound, InvalidRequest for an archived project."""
        async with self._database.session() as session:
            await active_project(session, project_id)
            place = None
            if query.after is not None:
                after = (await _member(session, project_id, query.after, "after"))[0]
                place = after.added_at, after.user_id
            wanted = select(Row, UserRow).join(UserRow, UserRow.id == Row.user_id).where(Row.project_id == project_id)
            rows = await session.execute(page_after(wanted, Row.added_at, Row.user_id, place, query.limit))
            return [_shown(member, user) for member, user in rows]

    async def get(self, project_id: str, user_id: str) -> ProjectUser:
        """Raises NotFound, InvalidRequest for an archived project."""
        async with self._database.session() as session:
            await active_project(session, project_id)
            return _shown(*await _member(session, project_id, user_id))

    async def id_of(self, project_id: str, id_or_email: str) -> str:
        """Of one who is in the project. Raises NotFound."""
        async with self._database.session() as session:
            wanted = select(UserRow.id).join(Row, UserRow.id == Row.user_id).where(Row.project_id == project_id)
            found = await session.scalar(wanted.where((UserRow.id == id_or_email) | (UserRow.email == id_or_email.lower())))
        if found is None:
            raise _not_there(id_or_email)
        return found

    async def add(self, actor: Principal | None, project_id: str, wanted: ProjectUserCreate) -> ProjectUser:
        """Raises NotFound, PermissionDenied, InvalidRequest for somebody who isn't in the organization, Conflict."""
        check_giving(actor, PROJECT_ROLES[wanted.role], project_id, "role")
        async with self._database.session() as session:
            await active_project(session, project_id)
            user = await _user(session, wanted)
            member = Row(project_id=project_id, user_id=user.id, role=wanted.role, added_at=int(time.time()))
            session.add(member)
            try:
                await session.flush()
            except IntegrityError:
                raise Conflict("This user is in the project already.", param="user_id" if wanted.email is None else "email") from None
            record(session, actor, "user.added", user.id, data={"role": wanted.role}, project_id=project_id)
            await changed(session)
        return _shown(member, user)

    async def update(self, actor: Principal | None, project_id: str, user_id: str, wanted: ProjectUserUpdate) -> ProjectUser:
        """Give another role. Raises NotFound, PermissionDenied."""
        async with self._database.session() as session:
            await active_project(session, project_id)
            member, user = await _member(session, project_id, user_id)
            if wanted.role is not None and wanted.role != member.role:
                check_giving(actor, PROJECT_ROLES[wanted.role], project_id, "role")
                check_taking(actor, PROJECT_ROLES[member.role], project_id, "role")
                before, member.role = member.role, wanted.role
                record(
                    session, actor, "user.updated", user.id, changes={"role": wanted.role}, before={"role": before}, project_id=project_id
                )
                await changed(session)
        return _shown(member, user)

    async def remove(self, actor: Principal | None, project_id: str, user_id: str) -> None:
        """Also takes roles away that were given there. The user's keys there are refused from now on. Raises NotFound, PermissionDenied."""
        async with self._database.session() as session:
            await active_project(session, project_id)
            member, _user = await _member(session, project_id, user_id)
            check_taking(actor, PROJECT_ROLES[member.role], project_id)
            gone = delete(Row).where(Row.project_id == project_id, Row.user_id == user_id)
            if (await session.execute(gone.returning(Row.user_id))).first() is None:
                raise _not_there(user_id)
            await take_all(session, actor, Place("user", user_id, project_id))
            record(session, actor, "user.deleted", user_id, before={"role": member.role}, project_id=project_id)
            await changed(session)


async def _user(session: AsyncSession, wanted: ProjectUserCreate) -> UserRow:
    if (wanted.user_id is None) == (wanted.email is None):
        raise InvalidRequest("Say who: either 'user_id' or 'email', and not both.", param="user_id")
    if wanted.user_id is not None:
        user = await session.get(UserRow, wanted.user_id)
    else:
        user = await session.scalar(select(UserRow).where(UserRow.email == (wanted.email or "").strip().lower()))
    if user is None:
        raise InvalidRequest(
            "No such user in this organization. Only its users can be added to a project: invite them first.",
            param="user_id" if wanted.email is None else "email",
        )
    return user


async def _member(session: AsyncSession, project_id: str, user_id: str, param: str = "user_id") -> tuple[ProjectMemberRow, UserRow]:
    wanted = select(Row, UserRow).join(UserRow, UserRow.id == Row.user_id).where(Row.project_id == project_id, Row.user_id == user_id)
    found = (await session.execute(wanted)).first()
    if found is None:
        raise _not_there(user_id, param)
    return found[0], found[1]


def _not_there(user_id: str, param: str = "user_id") -> NotFound:
    return NotFound(f"No user '{user_id[:100]}' in this project.", param=param)


def _shown(member: ProjectMemberRow, user: UserRow) -> ProjectUser:
    return ProjectUser(user.id, user.name, user.email, member.role, member.added_at)
