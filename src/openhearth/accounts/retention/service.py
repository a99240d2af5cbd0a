"""Data retention: the organization's setting, and projects' own, which go over it. Knows no HTTP.

What follows from them is `accounts.policy`.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from openhearth.accounts.access import changed
from openhearth.accounts.audit.record import record
from openhearth.accounts.policy import keeps_nothing
from openhearth.accounts.principal import Principal
from openhearth.accounts.projects.rows import active_project
from openhearth.accounts.tables import OrganizationRow
from openhearth.store.database import Database
from openhearth.wire.organization.data_retention import (
    OrganizationRetention,
    OrganizationRetentionType,
    ProjectRetention,
    ProjectRetentionType,
)

ORGANIZATION_WRITE = "api.organization.write"


class Retention:
    """What may be kept, everywhere and in each project."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of_organization(self) -> OrganizationRetention:
        async with self._database.session() as session:
            return OrganizationRetention(_known((await _organization(session)).data_retention))

    async def set_for_organization(self, actor: Principal | None, wanted: OrganizationRetentionType) -> OrganizationRetention:
        """Holds at once, for all projects that have no setting of their own."""
        async with self._database.session() as session:
            row = await _organization(session)
            before, row.data_retention = row.data_retention, wanted
            changes = {"data_retention": wanted}
            record(session, actor, "organization.updated", row.id, changes=changes, before={"data_retention": before})
            await changed(session)
        return OrganizationRetention(wanted)

    async def of_project(self, project_id: str) -> ProjectRetention:
        """Raises NotFound, InvalidRequest for an archived project."""
        async with self._database.session() as session:
            return ProjectRetention(_known((await active_project(session, project_id)).data_retention))

    async def set_for_project(self, actor: Principal | None, project_id: str, wanted: ProjectRetentionType) -> ProjectRetention:
        """Holds at once. What the organization forbids to keep, only who may change that allows here. Raises NotFound, PermissionDenied."""
        async with self._database.session() as session:
            row = await active_project(session, project_id)
            before = row.data_retention
            organization = (await _organization(session)).data_retention
            loosened = keeps_nothing(before, organization) and not keeps_nothing(wanted, organization)
            if actor is not None and loosened:
                actor.require_everywhere(ORGANIZATION_WRITE)
            row.data_retention = wanted
            changes, earlier = {"data_retention": wanted}, {"data_retention": before}
            record(session, actor, "project.updated", row.id, changes=changes, before=earlier, project_id=row.id)
            await changed(session)
        return ProjectRetention(wanted)


async def _organization(session: AsyncSession) -> OrganizationRow:
    return (await session.scalars(select(OrganizationRow))).one()


def _known(stored: str) -> Any:
    """The database holds what was checked on its way in."""
    return stored
