"""Projects, service accounts and keys through the official client; replies held to its types and to OpenAI's specification."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import openai
import pytest
from openai import BaseModel
from openai.types.admin.organization import projects as project_types

from tests.accounts.api.conftest import ADMIN_KEY
from tests.support.serving import RunningServer
from tests.support.specification import conforms

HELLO: list[Any] = [{"role": "user", "content": "[[say:Hello]]"}]


Using = Callable[..., openai.OpenAI]


@pytest.fixture
def using(house: RunningServer) -> Iterator[Using]:
    """A client with another key, closed at the end."""
    with ExitStack() as opened:
        yield lambda key, **more: opened.enter_context(openai.OpenAI(base_url=house.base_url, api_key=key, max_retries=0, **more))


def held(reply: BaseModel, schema: str) -> None:
    """To the client's type, which takes nearly anything unless it is asked, and to the specification's schema."""
    told = reply.model_dump(by_alias=True, exclude_unset=True, mode="json")
    type(reply).model_validate(told)
    conforms(told, schema)


def raw(house: RunningServer, method: str, path: str, key: str = ADMIN_KEY, **more: Any) -> httpx.Response:
    return httpx.request(method, house.root + path, headers={"authorization": f"Bearer {key}", **more.pop("headers", {})}, **more)


def test_a_projects_life(client: openai.OpenAI, house: RunningServer) -> None:
    projects = client.admin.organization.projects
    made = projects.create(name="website")
    held(made, "Project")
    assert (made.status, made.archived_at, made.external_key_id) == ("active", None, None)
    assert projects.update(made.id, name="shop").name == "shop"
    assert projects.retrieve(made.id).name == "shop"
    assert made.id in {project.id for project in projects.list(limit=1)}
    archived = projects.archive(made.id)
    assert archived.status == "archived"
    assert archived.archived_at
    assert projects.archive(made.id).archived_at == archived.archived_at
    assert made.id not in {project.id for project in projects.list()}
    assert made.id in {project.id for project in projects.list(include_archived=True)}
    conforms(raw(house, "GET", "/v1/organization/projects").json(), "ProjectListResponse")
    with pytest.raises(openai.BadRequestError):
        projects.update(made.id, name="again")
    with pytest.raises(openai.NotFoundError):
        projects.retrieve("proj_none")


def test_a_service_account_and_its_keys(client: openai.OpenAI, house: RunningServer, project: str, using: Using) -> None:
    accounts = client.admin.organization.projects.service_accounts
    made = accounts.create(project, name="robot", expires_in_seconds=3600)
    held(made, "ProjectServiceAccountCreateResponse")
    assert made.api_key
    robot = using(made.api_key.value)
    assert robot.chat.completions.create(model="gpt-4o", messages=HELLO).choices[0].message.content == "Hello"
    held(accounts.retrieve(made.id, project_id=project), "ProjectServiceAccount")
    conforms(raw(house, "GET", f"/v1/organization/projects/{project}/service_accounts").json(), "ProjectServiceAccountListResponse")
    assert accounts.update(made.id, project_id=project, name="android", role="owner").role == "owner"
    second = accounts.api_keys.create(made.id, project_id=project, name="narrow", scopes=["api.model.read"], expires_in_seconds=60)
    held(second, "ServiceAccountApiKeyBody")
    narrow = using(second.value)
    assert list(narrow.models.list())
    with pytest.raises(openai.PermissionDeniedError) as refused:
        narrow.chat.completions.create(model="gpt-4o", messages=HELLO)
    assert "api.model.request" in str(refused.value)
    assert accounts.delete(made.id, project_id=project).deleted
    for ended in (robot, narrow):
        with pytest.raises(openai.AuthenticationError):
            ended.models.list()
    with pytest.raises(openai.NotFoundError):
        accounts.delete(made.id, project_id=project)


def test_a_projects_keys(client: openai.OpenAI, house: RunningServer, project: str, using: Using) -> None:
    keys = client.admin.organization.projects.api_keys
    made = client.admin.organization.projects.service_accounts.create(project, name="robot").api_key
    assert made
    robot = using(made.value)
    robot.models.list()
    (listed,) = keys.list(project, owner_project_access="active")
    held(listed, "ProjectApiKey")
    assert listed.redacted_value != made.value
    assert listed.owner.service_account
    assert listed.last_used_at
    assert abs(listed.last_used_at - time.time()) < 60
    changed = keys.update(made.id, project_id=project, scopes=["api.all.read"], expires_in_seconds=100)
    held(changed, "ProjectApiKey")
    assert changed.expires_at
    with pytest.raises(openai.PermissionDeniedError):
        robot.chat.completions.create(model="gpt-4o", messages=HELLO)
    assert keys.retrieve(made.id, project_id=project).id == made.id
    conforms(raw(house, "GET", f"/v1/organization/projects/{project}/api_keys").json(), "ProjectApiKeyListResponse")
    held(keys.delete(made.id, project_id=project), "ProjectApiKeyDeleteResponse")
    with pytest.raises(openai.AuthenticationError):
        robot.models.list()
    with pytest.raises(openai.NotFoundError):
        keys.retrieve(made.id, project_id=project)


def test_admin_keys(client: openai.OpenAI, house: RunningServer, using: Using) -> None:
    keys = client.admin.organization.admin_api_keys
    made = keys.create(name="terraform", expires_in_seconds=3600)
    held(made, "AdminApiKeyCreateResponse")
    held(keys.retrieve(made.id), "AdminApiKey")
    conforms(raw(house, "GET", "/v1/organization/admin_api_keys?order=desc").json(), "ApiKeyList")
    assert made.id in {key.id for key in keys.list(limit=1, order="desc")}
    other = using(house.key, admin_api_key=made.value)
    assert other.admin.organization.projects.retrieve("proj_default").id == "proj_default"
    assert keys.delete(made.id).deleted
    with pytest.raises(openai.AuthenticationError):
        other.admin.organization.projects.retrieve("proj_default")
    assert raw(house, "GET", "/v1/models").status_code == 403


def test_users_of_a_project(client: openai.OpenAI, project: str, house: RunningServer) -> None:
    users = client.admin.organization.projects.users
    (owner,) = users.list(project)
    held(owner, "ProjectUser")
    assert users.delete(owner.id, project_id=project).deleted
    added = users.create(project, role="member", email=owner.email)
    held(added, "ProjectUser")
    assert users.update(added.id, project_id=project, role="owner").role == "owner"
    assert users.retrieve(added.id, project_id=project).role == "owner"
    conforms(raw(house, "GET", f"/v1/organization/projects/{project}/users").json(), "ProjectUserListResponse")
    with pytest.raises(openai.BadRequestError):
        users.create(project, role="emperor", user_id=owner.id)


def test_model_permissions_hold_from_the_next_request_on(client: openai.OpenAI, house: RunningServer, project: str, using: Using) -> None:
    permissions = client.admin.organization.projects.model_permissions
    made = client.admin.organization.projects.service_accounts.create(project, name="robot").api_key
    assert made
    robot = using(made.value)
    # An alias stands for what it means: gpt-4o and fake:chat are one model here.
    held(permissions.update(project, mode="deny_list", model_ids=["gpt-4o"]), "ProjectModelPermissions")
    for name in ("gpt-4o", "fake:chat", "gpt-4o-mini"):
        with pytest.raises(openai.PermissionDeniedError) as refused:
            robot.chat.completions.create(model=name, messages=HELLO)
        assert refused.value.code == "model_not_found"
    assert [model.id for model in robot.models.list()] == ["fake:embed"]
    with pytest.raises(openai.PermissionDeniedError):
        robot.models.retrieve("fake:chat")
    assert robot.embeddings.create(model="text-embedding-3-small", input="x").data
    permissions.update(project, mode="allow_list", model_ids=["gpt-4o"])
    assert robot.chat.completions.create(model="gpt-4o-mini", messages=HELLO).choices
    with pytest.raises(openai.PermissionDeniedError):
        robot.embeddings.create(model="text-embedding-3-small", input="x")
    held(permissions.retrieve(project), "ProjectModelPermissions")
    held(permissions.delete(project), "ProjectModelPermissionsDeleteResponse")
    assert robot.embeddings.create(model="text-embedding-3-small", input="x").data


def test_what_is_settled_for_tools_and_tiers(client: openai.OpenAI, project: str) -> None:
    tools = client.admin.organization.projects.hosted_tool_permissions
    held(tools.retrieve(project), "ProjectHostedToolPermissions")
    assert tools.update(project, mcp={"enabled": False}).mcp.enabled is False
    assert tools.update(project, web_search=None).mcp.enabled is False
    tiers = client.admin.organization.projects.service_tier_settings
    assert tiers.retrieve(project) == project_types.ProjectServiceTierSettings(
        default="standard", enabled_tiers=[], object="project.service_tier_settings"
    )
    assert tiers.update(project, enabled_tiers="all").enabled_tiers == "all"
    with pytest.raises(openai.BadRequestError):
        tiers.update(project, default="fast")


def test_with_zero_data_retention_nothing_is_stored(client: openai.OpenAI, house: RunningServer, project: str, using: Using) -> None:
    made = client.admin.organization.projects.service_accounts.create(project, name="robot").api_key
    assert made
    robot = using(made.value)

    def kept() -> int:
        for stream in (False, True):
            reply = robot.chat.completions.create(model="gpt-4o", messages=HELLO, store=True, stream=stream)  # type: ignore[call-overload]
            assert not stream or list(reply)
        return len(list(robot.chat.completions.list()))

    organization, ours = client.admin.organization.data_retention, client.admin.organization.projects.data_retention
    held(organization.retrieve(), "OrganizationDataRetention")
    assert kept() == 2
    held(ours.update(project, retention_type="zero_data_retention"), "ProjectDataRetention")
    assert kept() == 2
    ours.update(project, retention_type="organization_default")
    assert kept() == 4
    organization.update(retention_type="enhanced_zero_data_retention")
    try:
        assert kept() == 4
        ours.update(project, retention_type="none")
        assert kept() == 6
        held(ours.retrieve(project), "ProjectDataRetention")
    finally:
        organization.update(retention_type="modified_abuse_monitoring")


def test_headers_that_name_organization_and_project(client: openai.OpenAI, house: RunningServer, project: str, using: Using) -> None:
    made = client.admin.organization.projects.service_accounts.create(project, name="robot").api_key
    assert made
    assert list(using(made.value, project=project).models.list())
    for wrong in ({"project": "proj_default"}, {"project": "proj_none"}, {"organization": "org-none"}):
        with pytest.raises(openai.AuthenticationError):
            using(made.value, **wrong).models.list()
    assert raw(house, "GET", "/v1/organization/projects", headers={"openai-project": project}).status_code == 200
    assert raw(house, "GET", "/v1/organization/projects", headers={"openai-project": "proj_none"}).status_code == 401
