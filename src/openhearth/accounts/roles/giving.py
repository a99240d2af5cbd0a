"""Nobody gives what they don't have: the check in front of every act that makes somebody able to do more."""

from __future__ import annotations

from collections.abc import Iterable

from openhearth.accounts.principal import Principal
from openhearth.errors import PermissionDenied


def check_giving(actor: Principal | None, permissions: Iterable[str], project_id: str, param: str | None = None) -> None:
    """`project_id` empty: given in the organization, which counts in every project. Raises PermissionDenied, naming what is missing.

    `actor` None: somebody at the machine itself, who may give everything.
    """
    lacking = sorted(set(permissions) - actor.may_give(project_id)) if actor is not None else []
    if lacking:
        where = "in this project" if project_id else "in the organization"
        raise PermissionDenied(
            f"You can't give permissions that you don't have {where} yourself: {', '.join(lacking)}. "
            "Ask somebody who has them, e.g. an owner of the organization.",
            param=param,
            code="permission_escalation",
        )
