"""Roles, groups and the audit log through the official client against a real server; replies are held to types and specification."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from openai.types.admin.organization import (
    AuditLogListResponse,
    Group,
    GroupDeleteResponse,
    GroupUpdateResponse,
    Role,
    RoleDeleteResponse,
    groups,
    projects,
    users,
)
from openai.types.admin.organization.projects import groups as project_groups
from openai.types.admin.organization.projects import users as project_users

from tests.support.serving import RunningServer, started
from tests.support.specification import conforms

ADMIN = "sk-admin-0123456789abcdef0123456789"
PROJECT = "proj_default"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    folder: Path = tmp_path_factory.mktemp("roles")
    with started(folder, environ={"OPENHEARTH_ADMIN_KEY": ADMIN}) as running:
        yield running


@pytest.fixture
def client(house: RunningServer) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=house.base_url, admin_api_key=ADMIN, max_retries=0) as client:
        yield client


@pytest.fixture
def owner_id(house: RunningServer) -> str:
    reply = httpx.get(house.base_url + "/organization/audit_logs", headers={"authorization": f"Bearer {ADMIN}"})
    assert reply.status_code == 200
    with openai.OpenAI(base_url=house.base_url, admin_api_key=ADMIN) as client:
        role = client.admin.organization.roles.create(permissions=[], role_name="to learn who I am")
        (log,) = client.admin.organization.audit_logs.list(resource_ids=[role.id])
        client.admin.organization.roles.delete(role.id)
    assert log.actor
    assert log.actor.api_key
    assert log.actor.api_key.user
    assert log.actor.api_key.user.id
    return log.actor.api_key.user.id


def held(reply: Any, kind: Any, schema: str) -> Any:
    """A raw reply, checked against the client's type and the specification's schema; gives the client's object."""
    value = reply.http_response.json()
    kind.model_validate(value, strict=True)
    conforms(value, schema)
    return reply.parse()


def page(reply: Any, kind: Any, schema: str) -> Any:
    value = reply.http_response.json()
    for item in value["data"]:
        kind.model_validate(item, strict=True)
    conforms(value, schema)
    return reply.parse()


@pytest.mark.parametrize("project", ["", PROJECT])
def test_roles(client: openai.OpenAI, project: str) -> None:
    organization = client.admin.organization
    at: Any = organization.projects.roles.with_raw_response if project else organization.roles.with_raw_response
    place: Any = {"project_id": project} if project else {}
    first: Any = (project,) if project else ()
    role = held(at.create(*first, permissions=["api.projects.read"], role_name="looker", description="Looks."), Role, "Role")
    assert (role.name, role.predefined_role, role.resource_type) == ("looker", False, "api.project" if project else "api.organization")
    assert held(at.retrieve(role.id, **place), Role, "Role") == role
    changed = held(at.update(role.id, permissions=["api.projects.read", "api.projects.write"], **place), Role, "Role")
    assert changed.permissions == ["api.projects.read", "api.projects.write"]
    listed = page(at.list(*first), Role, "PublicRoleListResource")
    assert [one.name for one in listed.data] == ["owner", "member" if project else "reader", "looker"]
    listing: Any = organization.projects.roles.list if project else organization.roles.list
    assert [one.id for one in listing(*first, limit=1)] == [one.id for one in listed.data]
    assert held(at.delete(role.id, **place), RoleDeleteResponse, "RoleDeletedResource").deleted
    with pytest.raises(openai.NotFoundError):
        at.retrieve(role.id, **place)


def test_groups_and_their_users(client: openai.OpenAI, owner_id: str) -> None:
    at = client.admin.organization.groups
    group = held(at.with_raw_response.create(name="Night shift"), Group, "GroupResponse")
    assert held(at.with_raw_response.retrieve(group.id), Group, "GroupResponse") == group
    assert (
        held(at.with_raw_response.update(group.id, name="Day shift"), GroupUpdateResponse, "GroupResourceWithSuccess").name == "Day shift"
    )
    page(at.with_raw_response.list(), Group, "GroupListResource")
    added = held(at.users.with_raw_response.create(group.id, user_id=owner_id), groups.UserCreateResponse, "GroupUserAssignment")
    assert added.user_id == owner_id
    page(at.users.with_raw_response.list(group.id), groups.OrganizationGroupUser, "UserListResource")
    held(at.users.with_raw_response.retrieve(owner_id, group_id=group.id), groups.UserRetrieveResponse, "GroupMemberUser")
    held(at.users.with_raw_response.delete(owner_id, group_id=group.id), groups.UserDeleteResponse, "GroupUserDeletedResource")
    assert held(at.with_raw_response.delete(group.id), GroupDeleteResponse, "GroupDeletedResource").deleted


def test_roles_of_users_and_groups(client: openai.OpenAI, owner_id: str) -> None:
    organization = client.admin.organization
    role = organization.roles.create(permissions=["api.usage.read"], role_name="bookkeeper")
    group = organization.groups.create(name="Office")
    of_groups, of_users = organization.groups.roles.with_raw_response, organization.users.roles.with_raw_response
    given = held(of_groups.create(group.id, role_id=role.id), groups.RoleCreateResponse, "GroupRoleAssignment")
    assert (given.group.id, given.role) == (group.id, role)
    page(of_groups.list(group.id), groups.RoleListResponse, "RoleListResource")
    held(of_groups.retrieve(role.id, group_id=group.id), groups.RoleRetrieveResponse, "AssignedRoleDetails")
    organization.groups.users.create(group.id, user_id=owner_id)
    inherited = page(of_users.list(owner_id), users.RoleListResponse, "RoleListResource")
    sources = {one.id: [(source.principal_type, source.principal_id) for source in one.assignment_sources] for one in inherited.data}
    assert sources == {"role-api-organization-owner": [("user", owner_id)], role.id: [("group", group.id)]}
    assert held(of_users.create(owner_id, role_id=role.id), users.RoleCreateResponse, "UserRoleAssignment").user.id == owner_id
    held(of_users.retrieve(role.id, user_id=owner_id), users.RoleRetrieveResponse, "AssignedRoleDetails")
    held(of_users.delete(role.id, user_id=owner_id), users.RoleDeleteResponse, "DeletedRoleAssignmentResource")
    held(of_groups.delete(role.id, group_id=group.id), groups.RoleDeleteResponse, "DeletedRoleAssignmentResource")
    with pytest.raises(openai.NotFoundError):
        of_groups.delete(role.id, group_id=group.id)


def test_in_projects(client: openai.OpenAI, owner_id: str) -> None:
    organization, in_project = client.admin.organization, client.admin.organization.projects
    role, group = (
        in_project.roles.create(PROJECT, permissions=["api.model.request"], role_name="caller"),
        organization.groups.create(name="Callers"),
    )
    at = in_project.groups.with_raw_response
    added = held(at.create(PROJECT, group_id=group.id, role=role.id), projects.ProjectGroup, "ProjectGroup")
    assert held(at.retrieve(group.id, project_id=PROJECT), projects.ProjectGroup, "ProjectGroup") == added
    page(at.list(PROJECT), projects.ProjectGroup, "ProjectGroupListResource")
    of_groups, of_users = in_project.groups.roles.with_raw_response, in_project.users.roles.with_raw_response
    where: Any = {"project_id": PROJECT, "group_id": group.id}
    page(of_groups.list(group.id, project_id=PROJECT), project_groups.RoleListResponse, "RoleListResource")
    held(of_groups.retrieve(role.id, **where), project_groups.RoleRetrieveResponse, "AssignedRoleDetails")
    given = of_groups.create(group.id, project_id=PROJECT, role_id="role-api-project-member")
    held(given, project_groups.RoleCreateResponse, "GroupRoleAssignment")
    held(of_groups.delete(role.id, **where), project_groups.RoleDeleteResponse, "DeletedRoleAssignmentResource")
    user: Any = {"project_id": PROJECT, "user_id": owner_id}
    held(of_users.create(owner_id, project_id=PROJECT, role_id=role.id), project_users.RoleCreateResponse, "UserRoleAssignment")
    page(of_users.list(owner_id, project_id=PROJECT), project_users.RoleListResponse, "RoleListResource")
    held(of_users.retrieve(role.id, **user), project_users.RoleRetrieveResponse, "AssignedRoleDetails")
    held(of_users.delete(role.id, **user), project_users.RoleDeleteResponse, "DeletedRoleAssignmentResource")
    held(at.delete(group.id, project_id=PROJECT), projects.GroupDeleteResponse, "ProjectGroupDeletedResource")


def test_the_audit_log(client: openai.OpenAI) -> None:
    log = client.admin.organization.audit_logs
    group = client.admin.organization.groups.create(name="Before")
    client.admin.organization.groups.update(group.id, name="After")
    shown = page(log.with_raw_response.list(resource_ids=[group.id]), AuditLogListResponse, "ListAuditLogsResponse")
    renamed, created = shown.data
    assert renamed.group_updated.changes_requested.group_name == "After"
    assert renamed.group_updated.before == {"group_name": "Before"}
    assert created.group_created.data.group_name == "Before"
    assert renamed.actor.ip_address == "127.0.0.1"
    everything = [one.id for one in log.list(limit=100)]
    assert [one.id for one in log.list(limit=2)] == everything
    assert len(everything) > 5
    found = log.list(
        event_types=["group.created", "group.updated"], effective_at={"gte": created.effective_at}, actor_emails=["owner@localhost"]
    )
    assert {renamed.id, created.id} <= {one.id for one in found}
    assert not list(log.list(effective_at={"lt": 1000}, project_ids=[PROJECT]))
    assert [one.id for one in log.list(before=everything[3], limit=2).data] == everything[1:3]
    with pytest.raises(openai.BadRequestError, match="no type of event"):
        log.list(event_types=["project.painted"])  # type: ignore[list-item]


def test_a_projects_key_manages_nothing(house: RunningServer) -> None:
    with openai.OpenAI(base_url=house.base_url, admin_api_key=house.key, max_retries=0) as client:
        for ask in (client.admin.organization.roles.list, client.admin.organization.groups.list, client.admin.organization.audit_logs.list):
            with pytest.raises(openai.PermissionDeniedError, match="Missing scopes"):
                ask()


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("roles", {"role_name": "", "permissions": []}, "role_name"),
        ("roles", {"role_name": "two\nlines", "permissions": []}, "role_name"),
        ("roles", {"role_name": "x" * 257, "permissions": []}, "role_name"),
        ("roles", {"role_name": "x", "permissions": ["api.dance"]}, "permissions"),
        ("roles", {"role_name": "x"}, "permissions"),
        ("groups", {"name": "x" * 256}, "name"),
        ("groups", {"name": "bell\u0007"}, "name"),
        ("groups", {"name": "x", "color": "red"}, "color"),
    ],
)
def test_bad_input_is_named(house: RunningServer, path: str, body: dict[str, Any], param: str) -> None:
    reply = httpx.post(f"{house.base_url}/organization/{path}", json=body, headers={"authorization": f"Bearer {ADMIN}"})
    assert reply.status_code == 400
    assert reply.json()["error"]["param"] == param
