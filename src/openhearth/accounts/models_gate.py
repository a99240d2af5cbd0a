"""The gate of `model_permissions`: which models a project may use."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from openhearth.accounts.principal import Principal
from openhearth.accounts.work import Work
from openhearth.errors import PermissionDenied

Meaning = Callable[[str], str]
"""A model's name or alias -> the real name."""

Allowed = Callable[[str], bool]

MEANINGS_LAST_S = 1.0


class ModelPermissions:
    """Refuses models that the project's owner has not allowed."""

    def __init__(self, meaning: Meaning) -> None:
        self._meaning = meaning
        self._known: dict[str, tuple[Mapping[str, Any], float, Allowed]] = {}

    async def admit(self, principal: Principal, work: Work) -> None:
        """Raises PermissionDenied in OpenAI's words."""
        if principal.policy.models is not None and not self._allowed(principal, principal.policy.models)(work.model):
            raise refusal(principal, work.model)

    def _allowed(self, principal: Principal, permissions: Mapping[str, Any]) -> Allowed:
        """Looking up what hundreds of names mean takes milliseconds, so it is done once a second, or when the list is another."""
        known = self._known.get(principal.project_id)
        if known is None or known[0] is not permissions or time.monotonic() - known[1] > MEANINGS_LAST_S:
            known = self._known[principal.project_id] = (permissions, time.monotonic(), allowed_models(principal, self._meaning))
        return known[2]


def allowed_models(principal: Principal, meaning: Meaning) -> Allowed:
    """Which models (by real name) the project has. A listed alias stands for what it means now."""
    permissions = principal.policy.models
    if permissions is None:
        return lambda _model: True
    named: frozenset[str] = frozenset(permissions["model_ids"]).union(map(meaning, permissions["model_ids"]))
    return named.__contains__ if permissions["mode"] == "allow_list" else lambda model: model not in named


def refusal(principal: Principal, model: str) -> PermissionDenied:
    """In OpenAI's words."""
    return PermissionDenied(
        f"Project `{principal.project_id}` does not have access to model `{model}`.", param="model", code="model_not_found"
    )
