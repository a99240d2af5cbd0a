"""What every installation begins with: an organization, its owner, a default project. Also takes in what came before there were any."""

from __future__ import annotations

import time

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from openhearth.accounts.access import DEFAULT_PROJECT
from openhearth.accounts.tables import ApiKeyRow, OrganizationRow, ProjectMemberRow, ProjectRow, UserRow
from openhearth.store.database import Database
from openhearth.wire.ids import new_id

FIRST_OWNER = "owner@localhost"
"""The first owner's address, until the owner says another (`openhearth users`, or the link that `serve` prints)."""


RETENTION = "modified_abuse_monitoring"
"""Nothing is kept to watch for abuse; what clients ask to store is."""


async def found(database: Database, owner_email: str | None = None) -> None:
    """Make sure that they are there. Any number of processes may do this at once."""
    async with database.session() as session:
        if await session.scalar(select(OrganizationRow.id)) is not None:
            return
    try:
        async with database.session() as session:
            await _found(session, (owner_email or FIRST_OWNER).lower())
    except IntegrityError:
        return  # another process was quicker


async def _found(session: AsyncSession, email: str) -> None:
    now = int(time.time())
    session.add(OrganizationRow(id="org-" + new_id("", 24), name="Personal", created_at=now, data_retention=RETENTION, access_version=1))
    owner = UserRow(
        id="user-" + new_id("", 24),
        email=email,
        name="Owner",
        role="owner",
        added_at=now,
        details={},
    )
    project = ProjectRow(id=DEFAULT_PROJECT, name="Default project", created_at=now, data_retention="organization_default", details={})
    session.add_all([owner, project])
    await session.flush()
    session.add(ProjectMemberRow(project_id=project.id, user_id=owner.id, role="owner", added_at=now))
    await session.execute(update(ApiKeyRow).where(ApiKeyRow.user_id.is_(None)).values(user_id=owner.id))


async def owner_of(session: AsyncSession) -> str:
    """The id of the organization's first owner who isn't banned."""
    first = select(UserRow.id).where(UserRow.role == "owner", UserRow.banned_at.is_(None)).order_by(UserRow.added_at, UserRow.id).limit(1)
    return (await session.scalars(first)).one()


async def organization_id(session: AsyncSession) -> str:
    return (await session.scalars(select(OrganizationRow.id))).one()
