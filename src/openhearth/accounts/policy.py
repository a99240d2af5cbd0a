"""What an owner settled for a project that every request there has to obey."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

ORGANIZATION_DEFAULT: Final = "organization_default"
_ZERO: Final = frozenset({"zero_data_retention", "enhanced_zero_data_retention"})


@dataclass(frozen=True, slots=True)
class ProjectPolicy:
    """Read with the memberships, so that a request costs no query for it."""

    models: Mapping[str, Any] | None = None
    """`{"mode": "allow_list" | "deny_list", "model_ids": [...]}`. None: all models."""
    zero_retention: bool = False
    """Nothing of a request may be kept."""


NO_POLICY: Final = ProjectPolicy()


def keeps_nothing(project: str, organization: str) -> bool:
    """Whether these two settings of data retention together forbid to keep anything. A project's own goes over the organization's."""
    return (organization if project == ORGANIZATION_DEFAULT else project) in _ZERO
