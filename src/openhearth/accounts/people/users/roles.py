"""A user's role in the organization: which there are, and who may give which. Nobody gives what they don't have."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from openhearth.accounts.permissions import ORGANIZATION_ROLES
from openhearth.accounts.principal import Principal
from openhearth.accounts.roles.assignments import Place, add
from openhearth.accounts.roles.giving import check_giving, check_taking
from openhearth.accounts.roles.predefined import predefined_id
from openhearth.accounts.roles.rows import find_role, gives
from openhearth.accounts.tables import RoleAssignmentRow, UserRow
from openhearth.errors import InvalidRequest

_PREFIX = predefined_id("", "")


def check_role(role: str, param: str = "role") -> str:
    """Raises InvalidRequest."""
    if role not in ORGANIZATION_ROLES:
        raise InvalidRequest(
            f"'{role[:50]}' is not a role here. These are: {', '.join(ORGANIZATION_ROLES)}.", param=param, code="invalid_value"
        )
    return role


def check_may_grant(actor: Principal | None, role: str) -> None:
    """Raises PermissionDenied. Who stands at the machine may do all."""
    check_giving(actor, ORGANIZATION_ROLES[role], "", "role")


async def give_role(session: AsyncSession, actor: Principal | None, user: UserRow, role: str | None, role_id: str | None) -> None:
    """A plain role in place of another, or one of the organization's own on top. Raises InvalidRequest, NotFound, PermissionDenied."""
    if role is not None and role_id is not None:
        raise InvalidRequest("Give `role` or `role_id`, not both.", param="role_id")
    if role_id is not None and not role_id.startswith(_PREFIX):
        await _assign(session, actor, user, role_id)
        return
    wanted = check_role(role if role is not None else (role_id or "").removeprefix(_PREFIX), "role" if role is not None else "role_id")
    if wanted != user.role:
        check_may_grant(actor, wanted)
        check_taking(actor, ORGANIZATION_ROLES[user.role], "", "role")
        user.role = wanted


async def _assign(session: AsyncSession, actor: Principal | None, user: UserRow, role_id: str) -> None:
    role = await find_role(session, role_id, "")
    check_giving(actor, gives(role, ""), "", "role_id")
    same = (RoleAssignmentRow.role_id == role_id, RoleAssignmentRow.principal_id == user.id, RoleAssignmentRow.project_id == "")
    if await session.scalar(select(RoleAssignmentRow.position).where(*same)) is None:
        add(session, actor, Place("user", user.id), role)
