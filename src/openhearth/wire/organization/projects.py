"""`/v1/organization/projects`: projects, as they are asked for and shown."""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from openhearth.wire.organization.fields import Identifier, Name
from openhearth.wire.organization.lists import CursorQuery

Residency = Literal[
    "GLOBAL", "US_STORAGE_PROCESSING", "EU_STORAGE_PROCESSING", "JP_STORAGE", "JP_STORAGE_PROCESSING", "KR_STORAGE", "CA_STORAGE",
    "SG_STORAGE", "IN_STORAGE", "IN_STORAGE_PROCESSING", "AU_STORAGE", "AU_STORAGE_PROCESSING", "GB_STORAGE", "AE_STORAGE",
    "AE_STORAGE_PROCESSING",
]  # fmt: skip


class ProjectsQuery(CursorQuery, frozen=True, forbid_unknown_fields=True):
    """`?include_archived=true` beside the page."""

    include_archived: bool = False


class ProjectCreate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A new project. Of the residencies only GLOBAL can be had: all data stays where the installation is."""

    name: Name
    external_key_id: Identifier | None = None
    geography: Identifier | None = None
    residency: Residency | None = None


class ProjectUpdate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is left out or null stays."""

    name: Name | None = None
    external_key_id: Identifier | None = None
    geography: Identifier | None = None


class Project(msgspec.Struct, frozen=True):
    """A project. Times are Unix seconds."""

    id: str
    name: str
    created_at: int
    archived_at: int | None
    status: Literal["active", "archived"]
    external_key_id: None = None
    residency: Residency | UnsetType = UNSET
    object: Literal["organization.project"] = "organization.project"


class ProjectList(msgspec.Struct, frozen=True):
    data: list[Project]
    first_id: str | None
    last_id: str | None
    has_more: bool
    object: Literal["list"] = "list"
