"""Nobody gives what they don't have, nor takes it from who manages more: the checks in front of every act on what somebody may do."""

from __future__ import annotations

from collections.abc import Iterable

from openhearth.accounts.permissions import OF_MANAGEMENT, OF_ORGANIZATION
from openhearth.accounts.principal import Principal
from openhearth.errors import PermissionDenied

_MANAGING = frozenset(name for name in OF_MANAGEMENT | OF_ORGANIZATION if not name.endswith(".read"))


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


def check_taking(actor: Principal | None, permissions: Iterable[str], project_id: str, param: str | None = None) -> None:
    """Who has these is to lose them. Raises PermissionDenied where they manage what the actor doesn't: a lesser one unmakes no owner."""
    lacking = sorted(_MANAGING & set(permissions) - actor.may_give(project_id)) if actor is not None else []
    if lacking:
        raise PermissionDenied(
            f"You can't take a role that manages more than you do: {', '.join(lacking)}. Ask an owner of the organization.",
            param=param,
            code="permission_escalation",
        )
