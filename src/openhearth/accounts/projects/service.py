"""Projects: made, listed, renamed, archived. They are never deleted, so what was spent in them stays told. Knows no HTTP."""

from __future__ import annotations

import time
from typing import Literal

from msgspec import UNSET
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from openhearth.accounts.access import DEFAULT_PROJECT, changed
from openhearth.accounts.audit.record import record
from openhearth.accounts.organization.founding import owner_of
from openhearth.accounts.policy import ORGANIZATION_DEFAULT
from openhearth.accounts.principal import Principal
from openhearth.accounts.projects.rows import active_project, project_row
from openhearth.accounts.tables import ApiKeyRow, ProjectMemberRow, ProjectRow, UserRow
from openhearth.errors import InvalidRequest, UnsupportedParameter
from openhearth.store.database import Database
from openhearth.store.paging import page_after
from openhearth.wire.ids import new_id
from openhearth.wire.organization.projects import Project, ProjectCreate, ProjectsQuery, ProjectUpdate

READ, WRITE = "api.projects.read", "api.projects.write"


class Projects:
    """All projects of the organization."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, actor: Principal | None, wanted: ProjectCreate) -> Project:
        """A new project, owned by whoever made it. Raises PermissionDenied, UnsupportedParameter."""
        if actor is not None:
            actor.require_everywhere(WRITE)
        _refuse_foreign(wanted.external_key_id, wanted.geography, wanted.residency)
        details = {"residency": wanted.residency} if wanted.residency else {}
        now = int(time.time())
        row = ProjectRow(
            id=new_id("proj_", 24), name=wanted.name, created_at=now, archived_at=None, data_retention=ORGANIZATION_DEFAULT, details=details
        )
        async with self._database.session() as session:
            session.add(row)
            await session.flush()
            session.add(ProjectMemberRow(project_id=row.id, user_id=await _maker(session, actor), role="owner", added_at=now))
            record(session, actor, "project.created", row.id, data={"name": row.name, "title": row.name}, project_id=row.id)
            await changed(session)
        return shown(row)

    async def find(self, actor: Principal | None, query: ProjectsQuery) -> list[Project]:
        """Those that the actor may see, oldest first, at most `limit + 1`. Raises NotFound for an `after` that isn't there."""
        wanted = select(ProjectRow)
        if not query.include_archived:
            wanted = wanted.where(ProjectRow.archived_at.is_(None))
        if actor is not None and READ not in actor.access.everywhere:
            wanted = wanted.where(ProjectRow.id.in_([id for id, given in actor.access.projects.items() if READ in given]))
        async with self._database.session() as session:
            after = await _after(session, actor, query.after)
            page = page_after(wanted, ProjectRow.created_at, ProjectRow.id, after, query.limit)
            return [shown(row) for row in await session.scalars(page)]

    async def get(self, project_id: str) -> Project:
        """Raises NotFound."""
        async with self._database.session() as session:
            return shown(await project_row(session, project_id))

    async def update(self, actor: Principal | None, project_id: str, wanted: ProjectUpdate) -> Project:
        """Rename it. Raises NotFound, InvalidRequest for the default project and archived ones, UnsupportedParameter."""
        _refuse_foreign(wanted.external_key_id, wanted.geography, None)
        async with self._database.session() as session:
            row = await active_project(session, project_id)
            if row.id == DEFAULT_PROJECT:
                raise InvalidRequest("The default project can't be changed.", param="project_id")
            if wanted.name is not None and wanted.name != row.name:
                before, row.name = row.name, wanted.name
                renamed = {"title": row.name, "name": row.name}
                record(session, actor, "project.updated", row.id, changes=renamed, before={"name": before}, project_id=row.id)
        return shown(row)

    async def archive(self, actor: Principal | None, project_id: str) -> Project:
        """End it and its keys at once. An archived one stays as it is. Raises NotFound, InvalidRequest for the default project."""
        now = int(time.time())
        if project_id == DEFAULT_PROJECT:
            raise InvalidRequest("The default project can't be archived.", param="project_id")
        async with self._database.session() as session:
            # One statement, so that of two at the same time only one archives.
            mine = update(ProjectRow).where(ProjectRow.id == project_id, ProjectRow.archived_at.is_(None)).values(archived_at=now)
            if (await session.execute(mine.returning(ProjectRow.id))).first() is not None:
                keys = update(ApiKeyRow).where(ApiKeyRow.project_id == project_id, ApiKeyRow.revoked_at.is_(None))
                await session.execute(keys.values(revoked_at=now))
                record(session, actor, "project.archived", project_id, before={"archived_at": None}, project_id=project_id)
                await changed(session)
            row = await project_row(session, project_id)
        return shown(row)


async def _maker(session: AsyncSession, actor: Principal | None) -> str:
    user = await session.get(UserRow, actor.owner_id) if actor else None
    return user.id if user else await owner_of(session)


async def _after(session: AsyncSession, actor: Principal | None, project_id: str | None) -> tuple[int, str] | None:
    if project_id is None:
        return None
    row = await project_row(session, project_id if actor is None or actor.may(READ, project_id) else "")
    return row.created_at, row.id


def _refuse_foreign(external_key_id: str | None, geography: str | None, residency: str | None) -> None:
    if external_key_id is not None:
        raise UnsupportedParameter("External keys are not available here. Leave 'external_key_id' out.", param="external_key_id")
    for name, value in (("geography", geography), ("residency", residency)):
        if value not in (None, "GLOBAL"):
            raise UnsupportedParameter(
                f"'{name}' can't be promised: all data stays on this installation, wherever it is. Leave it out.", param=name
            )


def shown(row: ProjectRow) -> Project:
    """As the API shows it."""
    status: Literal["active", "archived"] = "active" if row.archived_at is None else "archived"
    return Project(row.id, row.name, row.created_at, row.archived_at, status, residency=row.details.get("residency", UNSET))
