"""Finding a project's row. Every room that manages something in projects begins here."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncSession

from openhearth.accounts.tables import ProjectRow
from openhearth.errors import InvalidRequest, NotFound


async def project_row(session: AsyncSession, project_id: str) -> ProjectRow:
    """A project, also an archived one. Raises NotFound."""
    row = await session.get(ProjectRow, project_id)
    if row is None:
        raise NotFound(f"No project '{project_id[:100]}'.", param="project_id")
    return row


async def active_project(session: AsyncSession, project_id: str) -> ProjectRow:
    """A project that can be used and changed. Raises NotFound, InvalidRequest for an archived one."""
    row = await project_row(session, project_id)
    if row.archived_at is not None:
        raise InvalidRequest(
            f"Project '{row.id}' is archived: it can't be used or changed any more.", param="project_id", code="project_archived"
        )
    return row
