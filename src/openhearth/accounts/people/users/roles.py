"""A user's role in the organization: which there are, and who may give which. Nobody gives what they don't have."""

from __future__ import annotations

import time

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from openhearth.accounts.permissions import OF_MANAGEMENT, OF_ORGANIZATION, ORGANIZATION_ROLES, expand
from openhearth.accounts.principal import Principal
from openhearth.accounts.tables import RoleAssignmentRow, RoleRow, UserRow
from openhearth.errors import InvalidRequest, NotFound, PermissionDenied

_PREFIX = "role-api-organization-"
_MANAGING = OF_MANAGEMENT | OF_ORGANIZATION


def check_role(role: str, param: str = "role") -> str:
    """Raises InvalidRequest."""
    if role not in ORGANIZATION_ROLES:
        raise InvalidRequest(
            f"'{role[:50]}' is not a role here. These are: {', '.join(ORGANIZATION_ROLES)}.", param=param, code="invalid_value"
        )
    return role


def check_may_grant(actor: Principal | None, role: str) -> None:
    """Raises PermissionDenied. Who stands at the machine may do all."""
    _check_has(actor, ORGANIZATION_ROLES[role])


async def give_role(session: AsyncSession, actor: Principal | None, user: UserRow, role: str | None, role_id: str | None) -> None:
    """A plain role in place of another, or one of the organization's own on top. Raises InvalidRequest, NotFound, PermissionDenied."""
    if role is not None and role_id is not None:
        raise InvalidRequest("Give `role` or `role_id`, not both.", param="role_id")
    if role_id is not None and not role_id.startswith(_PREFIX):
        await _assign(session, actor, user, role_id)
        return
    wanted = check_role(role if role is not None else (role_id or "").removeprefix(_PREFIX), "role" if role is not None else "role_id")
    for either in {user.role, wanted} if user.role != wanted else set[str]():
        check_may_grant(actor, either)
    user.role = wanted


async def _assign(session: AsyncSession, actor: Principal | None, user: UserRow, role_id: str) -> None:
    role = await session.get(RoleRow, role_id)
    if role is None or role.project_id is not None:
        raise NotFound(f"No role '{role_id[:100]}' of the organization.", param="role_id")
    _check_has(actor, expand(role.permissions))
    same = (RoleAssignmentRow.role_id == role_id, RoleAssignmentRow.principal_id == user.id, RoleAssignmentRow.project_id == "")
    if await session.scalar(select(RoleAssignmentRow.position).where(*same)) is None:
        session.add(
            RoleAssignmentRow(role_id=role_id, principal_type="user", principal_id=user.id, project_id="", created_at=int(time.time()))
        )


def _check_has(actor: Principal | None, permissions: frozenset[str]) -> None:
    missing = permissions & _MANAGING - actor.access.everywhere if actor else frozenset[str]()
    if missing:
        raise PermissionDenied(f"You can't give or take a role that may do more than you: {', '.join(sorted(missing))}.")
