"""What an owner settles for a project: models, hosted tools, service tiers."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Mode = Literal["allow_list", "deny_list"]
MAX_MODELS = 500


class ModelPermissionsUpdate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Names of models or aliases. An empty list of allowed ones allows none."""

    mode: Mode
    model_ids: Annotated[list[Annotated[str, Meta(min_length=1, max_length=256)]], Meta(max_length=MAX_MODELS)]


class ModelPermissions(msgspec.Struct, frozen=True):
    mode: Mode
    model_ids: list[str]
    object: Literal["project.model_permissions"] = "project.model_permissions"


class ModelPermissionsDeleted(msgspec.Struct, frozen=True):
    deleted: bool = True
    object: Literal["project.model_permissions.deleted"] = "project.model_permissions.deleted"


class HostedTool(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    enabled: bool


class HostedToolsUpdate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is left out or null stays."""

    file_search: HostedTool | None = None
    web_search: HostedTool | None = None
    image_generation: HostedTool | None = None
    mcp: HostedTool | None = None
    code_interpreter: HostedTool | None = None


class HostedTools(msgspec.Struct, frozen=True):
    file_search: HostedTool
    web_search: HostedTool
    image_generation: HostedTool
    mcp: HostedTool
    code_interpreter: HostedTool


OptionalTier = Literal["flex", "fast", "ultrafast"]


class ServiceTiersUpdate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is left out stays."""

    default: Literal["standard", "fast", "scale"] | None = None
    enabled_tiers: Literal["all"] | Annotated[list[OptionalTier], Meta(max_length=3)] | None = None


class ServiceTiers(msgspec.Struct, frozen=True):
    default: Literal["standard", "fast", "scale"]
    enabled_tiers: Literal["all"] | list[OptionalTier]
    object: Literal["project.service_tier_settings"] = "project.service_tier_settings"
