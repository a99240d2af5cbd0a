"""The gate of `model_permissions`: which models a project may use."""

from __future__ import annotations

from openhearth.accounts.principal import Principal
from openhearth.accounts.work import Work
from openhearth.errors import PermissionDenied


class ModelPermissions:
    """Refuses models that the project's owner has not allowed."""

    async def admit(self, principal: Principal, work: Work) -> None:
        """Raises PermissionDenied in OpenAI's words."""
        permissions = principal.access.models.get(principal.project_id)
        if permissions and (work.model in permissions["model_ids"]) != (permissions["mode"] == "allow_list"):
            raise PermissionDenied(
                f"Project `{principal.project_id}` does not have access to model `{work.model}`.", param="model", code="model_not_found"
            )
