"""Whose spending: the organization's or one project's; and whether the sender may see or change it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from openhearth.accounts.organization.founding import organization_id
from openhearth.accounts.principal import Principal
from openhearth.accounts.projects.rows import project_row
from openhearth.usage.tables import SpendingRow


@dataclass(frozen=True, slots=True)
class Scope:
    """`id` is the organization's or the project's."""

    kind: Literal["organization", "project"]
    id: str

    @property
    def project_id(self) -> str | None:
        return self.id if self.kind == "project" else None

    @property
    def shown(self) -> str:
        return f"project {self.id}" if self.kind == "project" else "organization"


async def scope_of(session: AsyncSession, actor: Principal | None, project_id: str | None, permission: str) -> Scope:
    """The scope, if the sender may do this in it. Raises PermissionDenied, NotFound.

    The organization's asks for the right in the organization: to have it in the project that the request happens to be in is not enough.
    """
    if actor is not None:
        actor.require(permission, project_id or "")
    if project_id is None:
        return Scope("organization", await organization_id(session))
    return Scope("project", (await project_row(session, project_id)).id)


async def spent_in(session: AsyncSession, scope: Scope, month: int) -> int:
    """Billionths of a dollar, as far as written."""
    wanted = select(func.coalesce(func.sum(SpendingRow.cost), 0)).where(SpendingRow.month == month)
    if scope.kind == "project":
        wanted = wanted.where(SpendingRow.project_id == scope.id)
    return int((await session.scalars(wanted)).one())
