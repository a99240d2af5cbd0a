"""What an owner settles for a project: models, hosted tools, service tiers. Knows no HTTP.

Models are enforced by `accounts.models_gate`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from openhearth.accounts.access import changed
from openhearth.accounts.audit.record import record
from openhearth.accounts.principal import Principal
from openhearth.accounts.projects.rows import active_project
from openhearth.errors import UnsupportedParameter
from openhearth.store.database import Database
from openhearth.wire.organization.project_settings import (
    HostedTools,
    HostedToolsUpdate,
    ModelPermissions,
    ModelPermissionsUpdate,
    ServiceTiers,
    ServiceTiersUpdate,
)

TOOLS = HostedTools.__struct_fields__
NO_MODELS = ModelPermissions("deny_list", [])
"""What a project has for which nothing was settled: no model is denied."""


class ProjectSettings:
    """Reads and writes them, one project at a time. All raise NotFound, and InvalidRequest for an archived project."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def models(self, project_id: str) -> ModelPermissions:
        async with self._database.session() as session:
            return _models((await active_project(session, project_id)).model_permissions)

    async def set_models(self, actor: Principal | None, project_id: str, wanted: ModelPermissionsUpdate) -> ModelPermissions:
        """Holds at once, in every process within a second."""
        permissions = {"mode": wanted.mode, "model_ids": list(dict.fromkeys(wanted.model_ids))}
        await self._replace_models(actor, project_id, permissions)
        return _models(permissions)

    async def forget_models(self, actor: Principal | None, project_id: str) -> None:
        """All models again."""
        await self._replace_models(actor, project_id, None)

    async def tools(self, project_id: str) -> HostedTools:
        async with self._database.session() as session:
            return _tools((await active_project(session, project_id)).details)

    async def set_tools(self, actor: Principal | None, project_id: str, wanted: HostedToolsUpdate) -> HostedTools:
        """Those that are named; the others stay."""
        asked = {name: tool.enabled for name in TOOLS if (tool := getattr(wanted, name)) is not None}
        return _tools(await self._merge(actor, project_id, "hosted_tools", asked))

    async def tiers(self, project_id: str) -> ServiceTiers:
        async with self._database.session() as session:
            return _tiers((await active_project(session, project_id)).details)

    async def set_tiers(self, actor: Principal | None, project_id: str, wanted: ServiceTiersUpdate) -> ServiceTiers:
        """Raises UnsupportedParameter for tiers that no installation has."""
        if wanted.default not in (None, "standard"):
            raise UnsupportedParameter(f"There is no tier '{wanted.default}' here: all requests are 'standard'.", param="default")
        if wanted.enabled_tiers not in (None, "all", []):
            raise UnsupportedParameter("There is no tier but 'standard' here, so none can be enabled by name.", param="enabled_tiers")
        asked = {} if wanted.enabled_tiers is None else {"enabled_tiers": wanted.enabled_tiers}
        return _tiers(await self._merge(actor, project_id, "service_tiers", asked))

    async def _replace_models(self, actor: Principal | None, project_id: str, permissions: dict[str, Any] | None) -> None:
        async with self._database.session() as session:
            row = await active_project(session, project_id)
            before, row.model_permissions = row.model_permissions, permissions
            changes, earlier = {"model_permissions": permissions}, {"model_permissions": before}
            record(session, actor, "project.updated", row.id, changes=changes, before=earlier, project_id=row.id)
            await changed(session)

    async def _merge(self, actor: Principal | None, project_id: str, name: str, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        async with self._database.session() as session:
            # Counting first makes others wait who would merge at the same time, so that neither's part is lost.
            await changed(session)
            row = await active_project(session, project_id)
            before = row.details.get(name, {})
            if asked:
                row.details = {**row.details, name: {**before, **asked}}
                record(session, actor, "project.updated", row.id, changes={name: asked}, before={name: before}, project_id=row.id)
            return row.details


def _models(stored: Mapping[str, Any] | None) -> ModelPermissions:
    return NO_MODELS if stored is None else ModelPermissions(stored["mode"], stored["model_ids"])


def _tools(details: Mapping[str, Any]) -> HostedTools:
    stored = details.get("hosted_tools", {})
    return msgspec.convert({name: {"enabled": stored.get(name, True)} for name in TOOLS}, HostedTools)


def _tiers(details: Mapping[str, Any]) -> ServiceTiers:
    return ServiceTiers("standard", details.get("service_tiers", {}).get("enabled_tiers", []))
