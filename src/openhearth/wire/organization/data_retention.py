"""`.../data_retention`: what may be kept of requests."""

from __future__ import annotations

from typing import Literal

import msgspec

OrganizationRetentionType = Literal[
    "zero_data_retention", "modified_abuse_monitoring", "enhanced_zero_data_retention", "enhanced_modified_abuse_monitoring"
]
ProjectRetentionType = Literal[
    "organization_default", "none", "zero_data_retention", "modified_abuse_monitoring", "enhanced_zero_data_retention",
    "enhanced_modified_abuse_monitoring",
]  # fmt: skip


class OrganizationRetentionUpdate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    retention_type: OrganizationRetentionType


class OrganizationRetention(msgspec.Struct, frozen=True):
    type: OrganizationRetentionType
    object: Literal["organization.data_retention"] = "organization.data_retention"


class ProjectRetentionUpdate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    retention_type: ProjectRetentionType


class ProjectRetention(msgspec.Struct, frozen=True):
    type: ProjectRetentionType
    object: Literal["project.data_retention"] = "project.data_retention"
