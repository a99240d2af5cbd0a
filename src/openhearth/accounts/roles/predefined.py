"""The roles that every organization has, by id. They can be given, not changed."""

from __future__ import annotations

from typing import Final

from openhearth.accounts.permissions import ORGANIZATION_ROLES, PROJECT_ROLES
from openhearth.wire.organization.roles import Role

ORGANIZATION: Final = "api.organization"
PROJECT: Final = "api.project"
_ORGANIZATION_PREFIX: Final = "role-api-organization-"
_PROJECT_PREFIX: Final = "role-api-project-"

PREDEFINED: Final = {
    **{_ORGANIZATION_PREFIX + name: permissions for name, permissions in ORGANIZATION_ROLES.items()},
    **{_PROJECT_PREFIX + name: permissions for name, permissions in PROJECT_ROLES.items() if name != "none"},
}

_DESCRIPTIONS: Final = {
    _ORGANIZATION_PREFIX + "owner": "May do everything in the organization and in all of its projects.",
    _ORGANIZATION_PREFIX + "reader": "Sees who and what is in the organization.",
    _PROJECT_PREFIX + "owner": "May use and manage the project.",
    _PROJECT_PREFIX + "member": "May use the project.",
}


def predefined_id(plain_role: str, project_id: str) -> str:
    """The id of a plain role (owner, reader, member) as it is held in a project; empty project: in the organization."""
    return (_PROJECT_PREFIX if project_id else _ORGANIZATION_PREFIX) + plain_role


def predefined_roles(project_id: str) -> list[Role]:
    """Those that can be given in a project; empty: in the organization."""
    kind = PROJECT if project_id else ORGANIZATION
    prefix = predefined_id("", project_id)
    return [
        Role(role_id, role_id.removeprefix(prefix), _DESCRIPTIONS[role_id], sorted(permissions), kind, predefined_role=True)
        for role_id, permissions in PREDEFINED.items()
        if role_id.startswith(prefix)
    ]
