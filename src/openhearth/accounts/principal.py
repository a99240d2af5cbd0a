"""Who asks: what the guard knows of a request's sender, and what that sender may do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from openhearth.accounts.permissions import OF_PROJECTS
from openhearth.accounts.policy import NO_POLICY, ProjectPolicy
from openhearth.errors import PermissionDenied

Kind = Literal["project", "admin", "session", "local"]


@dataclass(frozen=True, slots=True)
class Access:
    """What a key or session gives, until something changes. Shared by all requests that carry it.

    `everywhere` holds in the organization and in every project, `projects` in single ones.
    """

    kind: Kind
    key_id: str
    """The key's id, or the session's."""
    owner_id: str
    """The user or service account that it acts for."""
    organization_id: str
    project_id: str | None
    """The project that a project key belongs to. None: the request says (`OpenAI-Project`)."""
    everywhere: frozenset[str]
    projects: Mapping[str, frozenset[str]]
    expires_at: int | None = None
    actor: Mapping[str, Any] = field(default_factory=dict)
    """As the audit log shows it, without where from."""
    gives: frozenset[str] | None = None
    """What it may give to others in the organization, where that is more than it may do itself: an owner's admin key hands out the use of
    projects without having it. None: `everywhere`."""

    def may(self, permission: str, project_id: str) -> bool:
        return permission in self.everywhere or permission in self.projects.get(project_id, frozenset())


@dataclass(slots=True)
class Principal:
    """The sender of one request. `project_id` is whose things it sees; empty: none was named, and none is needed."""

    access: Access
    project_id: str
    address: str | None = None
    user_agent: str | None = None
    notices: dict[str, str] = field(default_factory=dict)
    """What the reply tells in headers, e.g. what is left of rate limits."""
    policy: ProjectPolicy = NO_POLICY
    """What was settled for `project_id`."""

    @property
    def key_id(self) -> str:
        return self.access.key_id

    @property
    def owner_id(self) -> str:
        return self.access.owner_id

    def may(self, permission: str, project_id: str | None = None) -> bool:
        """In that project. Where none is said: the use of projects is asked in the request's own, management in the organization, because
        a request's header must not make a project's manager the manager of everything."""
        if project_id is None:
            project_id = self.project_id if permission in OF_PROJECTS else ""
        return self.access.may(permission, project_id)

    def may_give(self, project_id: str) -> frozenset[str]:
        """The permissions that it may give to others in that project; empty: in the organization. Nobody gives what they don't have."""
        in_organization = self.access.everywhere if self.access.gives is None else self.access.gives
        return in_organization | self.access.projects.get(project_id, frozenset())

    def require(self, permission: str, project_id: str | None = None) -> None:
        """Raises PermissionDenied, naming what is missing."""
        if not self.may(permission, project_id):
            raise _missing(permission)

    def require_login(self) -> None:
        """A person in a session, not a key. Raises PermissionDenied."""
        if self.access.kind != "session":
            raise PermissionDenied("This is done in a session, not with a key: log in.")

    def require_everywhere(self, permission: str) -> None:
        """In the organization, not in some project only. Raises PermissionDenied."""
        if permission not in self.access.everywhere:
            raise _missing(permission)

    def require_somewhere(self, permission: str) -> None:
        """In one project at least. Raises PermissionDenied."""
        if permission not in self.access.everywhere and not any(permission in given for given in self.access.projects.values()):
            raise _missing(permission)


def _missing(permission: str) -> PermissionDenied:
    return PermissionDenied(
        f"You have insufficient permissions for this operation. Missing scopes: {permission}. "
        "Check that you have the correct role in your organization and project, and if you're using a restricted API key, "
        "that it has the necessary scopes."
    )
