"""Nobody gives what they don't have: the check in front of every role that is given in a project."""

from __future__ import annotations

from openhearth.accounts.permissions import OF_MANAGEMENT, PROJECT_ROLES
from openhearth.accounts.principal import Principal
from openhearth.errors import PermissionDenied


def require_role(actor: Principal | None, role: str, project_id: str) -> None:
    """Only who may manage the whole project makes owners of it. Raises PermissionDenied."""
    managing = PROJECT_ROLES["owner"] & OF_MANAGEMENT if role == "owner" else frozenset[str]()
    if actor is not None and not all(actor.may(permission, project_id) for permission in managing):
        raise PermissionDenied(f"You can't give the role '{role}' in this project: it may do more there than you may.", param="role")
