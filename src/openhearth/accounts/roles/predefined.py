"""The roles that every organization has, by id."""

from __future__ import annotations

from typing import Final

from openhearth.accounts.permissions import ORGANIZATION_ROLES, PROJECT_ROLES

PREDEFINED: Final = {
    **{f"role-api-organization-{name}": permissions for name, permissions in ORGANIZATION_ROLES.items()},
    **{f"role-api-project-{name}": permissions for name, permissions in PROJECT_ROLES.items() if name != "none"},
}
