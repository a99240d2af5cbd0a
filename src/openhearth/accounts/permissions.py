"""Permissions by name, and the roles that everyone knows. A route names the one it wants (`Endpoint.permission`).

`api.<thing>.<read|write|request>`. `api.all` stands for all, `api.all.read` for all that only look. What a key may do is what its owner may
do and its scopes allow.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from openhearth.errors import InvalidRequest

ALL: Final = "api.all"
ALL_READ: Final = "api.all.read"

OF_PROJECTS: Final = frozenset(
    {
        "api.model.request",
        "api.model.read",
        "api.model.write",
        "api.stored_completions.read",
        "api.stored_completions.write",
        "api.engines.read",
        "api.webhooks.read",
        "api.webhooks.write",
    }
)
"""What projects are for. Admin keys have none of these: who manages doesn't thereby read."""

OF_MANAGEMENT: Final = frozenset(
    {
        "api.projects.read",
        "api.projects.write",
        "api.project_users.read",
        "api.project_users.write",
        "api.project_api_keys.read",
        "api.project_api_keys.write",
        "api.service_accounts.read",
        "api.service_accounts.write",
        "api.rate_limits.read",
        "api.rate_limits.write",
        "api.project_roles.read",
        "api.project_roles.write",
        "api.project_settings.read",
        "api.project_settings.write",
        "api.spend.read",
        "api.spend.write",
    }
)
"""Management that can be given for one project alone."""

OF_ORGANIZATION: Final = frozenset(
    {
        "api.users.read",
        "api.users.write",
        "api.invites.read",
        "api.invites.write",
        "api.groups.read",
        "api.groups.write",
        "api.roles.read",
        "api.roles.write",
        "api.admin_api_keys.read",
        "api.admin_api_keys.write",
        "api.organization.read",
        "api.organization.write",
        "api.usage.read",
        "api.audit_logs.read",
    }
)

EVERY: Final = OF_PROJECTS | OF_MANAGEMENT | OF_ORGANIZATION

_READS: Final = frozenset(name for name in EVERY if name.endswith(".read"))

ORGANIZATION_ROLES: Final = {
    "owner": EVERY,
    "reader": frozenset({"api.projects.read", "api.users.read", "api.groups.read", "api.roles.read", "api.organization.read"}),
}
PROJECT_ROLES: Final = {
    "owner": OF_PROJECTS | OF_MANAGEMENT,
    "member": OF_PROJECTS - {"api.model.write", "api.webhooks.write"}
    | {"api.projects.read", "api.project_users.read", "api.rate_limits.read"},
    "none": frozenset[str](),
}


def expand(names: Iterable[str]) -> frozenset[str]:
    """All permissions that these names stand for. Unknown ones give nothing."""
    found: set[str] = set()
    for name in names:
        found |= EVERY if name == ALL else _READS if name == ALL_READ else {name} & EVERY
    return frozenset(found)


def check_names(names: Iterable[str], param: str, allowed: frozenset[str] = EVERY) -> list[str]:
    """The names in order, once each. Raises InvalidRequest for one that doesn't exist or isn't allowed there."""
    kept = dict.fromkeys(names)
    for name in kept:
        if name not in allowed and name not in (ALL, ALL_READ):
            known = ", ".join(sorted(allowed))
            raise InvalidRequest(
                f"'{name[:100]}' is not a permission that can be given here. These can: {ALL}, {ALL_READ}, {known}.", param=param
            )
    return list(kept)
