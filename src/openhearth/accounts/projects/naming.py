"""People say a project's name, or its id."""

from __future__ import annotations

from sqlalchemy import select

from openhearth.accounts.access import DEFAULT_PROJECT
from openhearth.accounts.tables import ProjectRow
from openhearth.errors import InvalidRequest, NotFound
from openhearth.store.database import Database


async def project_called(database: Database, id_or_name: str | None) -> str:
    """The id of the project with this id, or else of the only active one with this name. None: the default project.

    Raises NotFound, InvalidRequest where several have the name.
    """
    if id_or_name is None:
        return DEFAULT_PROJECT
    async with database.session() as session:
        if await session.get(ProjectRow, id_or_name) is not None:
            return id_or_name
        named = select(ProjectRow.id).where(ProjectRow.name == id_or_name, ProjectRow.archived_at.is_(None))
        found = list(await session.scalars(named.limit(2)))
    if not found:
        raise NotFound(f"No project '{id_or_name[:100]}'; `openhearth projects list` shows them.")
    if len(found) > 1:
        raise InvalidRequest(f"Several projects are called '{id_or_name[:100]}'; say which by its id.")
    return found[0]
