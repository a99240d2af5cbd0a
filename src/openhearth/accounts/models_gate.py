"""The gate of `model_permissions`: which models a project may use."""

from __future__ import annotations

from collections.abc import Callable

from openhearth.accounts.principal import Principal
from openhearth.accounts.work import Work
from openhearth.errors import PermissionDenied

Meaning = Callable[[str], str]
"""A model's name or alias -> the real name."""


class ModelPermissions:
    """Refuses models that the project's owner has not allowed."""

    def __init__(self, meaning: Meaning) -> None:
        self._meaning = meaning

    async def admit(self, principal: Principal, work: Work) -> None:
        """Raises PermissionDenied in OpenAI's words."""
        require_model(principal, work.model, self._meaning)


def may_use(principal: Principal, model: str, meaning: Meaning) -> bool:
    """Whether the project has this model (its real name). A listed alias stands for what it means now."""
    permissions = principal.policy.models
    if permissions is None:
        return True
    listed = model in permissions["model_ids"] or any(meaning(name) == model for name in permissions["model_ids"])
    return bool(listed == (permissions["mode"] == "allow_list"))


def require_model(principal: Principal, model: str, meaning: Meaning) -> None:
    """Raises PermissionDenied in OpenAI's words."""
    if not may_use(principal, model, meaning):
        raise PermissionDenied(
            f"Project `{principal.project_id}` does not have access to model `{model}`.", param="model", code="model_not_found"
        )
