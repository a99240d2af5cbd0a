"""What is settled for a project reaches the guard: models, what may be kept; and what can't be had is refused."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from openhearth.accounts.access import AccessTable
from openhearth.accounts.models_gate import MEANINGS_LAST_S, ModelPermissions, allowed_models
from openhearth.accounts.policy import keeps_nothing
from openhearth.accounts.principal import Principal
from openhearth.accounts.project_users.service import ProjectUsers
from openhearth.accounts.projects.service import Projects
from openhearth.accounts.projects.settled import ProjectSettings
from openhearth.accounts.retention.service import Retention
from openhearth.accounts.work import Work
from openhearth.errors import InvalidRequest, NotFound, PermissionDenied, UnsupportedParameter
from openhearth.store.database import Database
from openhearth.wire.organization.project_settings import HostedToolsUpdate, ModelPermissionsUpdate, ServiceTiersUpdate
from openhearth.wire.organization.project_users import ProjectUserCreate
from openhearth.wire.organization.projects import ProjectCreate
from tests.support.people import add_user, holding, logged_in

DEFAULT = "proj_default"
ALIASES = {"gpt-4o": "real:1b"}


@pytest.fixture
def settings(database: Database) -> ProjectSettings:
    return ProjectSettings(database)


async def as_guarded(database: Database, project_id: str = DEFAULT) -> Principal:
    """A sender as the guard would see it now."""
    access = AccessTable(database)
    await access.refresh()
    principal = holding([])
    principal.project_id, principal.policy = project_id, access.membership.policies[project_id]
    return principal


@pytest.mark.parametrize(
    ("mode", "listed", "allowed", "denied"),
    [
        ("allow_list", ["real:1b"], "real:1b", "other:1b"),
        ("allow_list", ["gpt-4o"], "real:1b", "other:1b"),
        ("deny_list", ["gpt-4o"], "other:1b", "real:1b"),
        ("allow_list", [], None, "real:1b"),
        ("deny_list", [], "real:1b", None),
    ],
)
async def test_models_are_allowed_as_listed_and_aliases_as_what_they_mean(
    settings: ProjectSettings, database: Database, mode: str, listed: list[str], allowed: str | None, denied: str | None
) -> None:
    await settings.set_models(None, DEFAULT, msgspec.convert({"mode": mode, "model_ids": listed}, ModelPermissionsUpdate))
    may_use = allowed_models(await as_guarded(database), lambda name: ALIASES.get(name, name))
    assert allowed is None or may_use(allowed)
    assert denied is None or not may_use(denied)
    await settings.forget_models(None, DEFAULT)
    assert (await as_guarded(database)).policy.models is None
    assert (await settings.models(DEFAULT)).model_ids == []


async def test_the_gate_takes_up_new_permissions_at_once_and_new_aliases_soon(settings: ProjectSettings, database: Database) -> None:
    aliases = {"gpt-4o": "real:1b"}
    gate = ModelPermissions(lambda name: aliases.get(name, name))
    work = Work("completions", "real:1b", 1)
    await settings.set_models(None, DEFAULT, ModelPermissionsUpdate("allow_list", ["gpt-4o"]))
    await gate.admit(await as_guarded(database), work)
    await settings.set_models(None, DEFAULT, ModelPermissionsUpdate("deny_list", ["gpt-4o"]))
    sender = await as_guarded(database)
    with pytest.raises(PermissionDenied):
        await gate.admit(sender, work)
    aliases["gpt-4o"] = "other:1b"
    await asyncio.sleep(MEANINGS_LAST_S + 0.05)
    await gate.admit(sender, work)


async def test_two_who_settle_different_tools_at_once_both_count(settings: ProjectSettings) -> None:
    one, two = ({name: {"enabled": False}} for name in ("mcp", "file_search"))
    await asyncio.gather(*(settings.set_tools(None, DEFAULT, msgspec.convert(each, HostedToolsUpdate)) for each in (one, two)))
    tools = await settings.tools(DEFAULT)
    assert (tools.mcp.enabled, tools.file_search.enabled, tools.web_search.enabled) == (False, False, True)


async def test_tiers_that_are_not_here_are_refused(settings: ProjectSettings) -> None:
    for wanted in (ServiceTiersUpdate(default="fast"), ServiceTiersUpdate(enabled_tiers=["flex"])):
        with pytest.raises(UnsupportedParameter):
            await settings.set_tiers(None, DEFAULT, wanted)
    assert (await settings.set_tiers(None, DEFAULT, ServiceTiersUpdate("standard", "all"))).enabled_tiers == "all"
    assert (await settings.set_tiers(None, DEFAULT, ServiceTiersUpdate("standard"))).enabled_tiers == "all"
    assert (await settings.set_tiers(None, DEFAULT, ServiceTiersUpdate(enabled_tiers=[]))).enabled_tiers == []


@pytest.mark.parametrize(
    ("project", "organization", "nothing"),
    [
        ("organization_default", "modified_abuse_monitoring", False),
        ("organization_default", "zero_data_retention", True),
        ("organization_default", "enhanced_zero_data_retention", True),
        ("none", "zero_data_retention", False),
        ("enhanced_zero_data_retention", "modified_abuse_monitoring", True),
    ],
)
def test_a_projects_retention_goes_over_the_organizations(project: str, organization: str, nothing: bool) -> None:
    assert keeps_nothing(project, organization) is nothing


async def test_a_project_loosens_only_with_the_organizations_leave(database: Database) -> None:
    retention = Retention(database)
    project = (await Projects(database).create(None, ProjectCreate("mine"))).id
    user = await add_user(database, "owner@example.org", role="none")
    await ProjectUsers(database).add(None, project, ProjectUserCreate("owner", user_id=user))
    owner = await logged_in(database, user, project)
    assert (await as_guarded(database, project)).policy.zero_retention is False
    await retention.set_for_project(owner, project, "zero_data_retention")
    assert (await as_guarded(database, project)).policy.zero_retention is True
    with pytest.raises(PermissionDenied):
        await retention.set_for_project(owner, project, "none")
    await retention.set_for_organization(None, "zero_data_retention")
    with pytest.raises(PermissionDenied):
        await retention.set_for_project(owner, project, "modified_abuse_monitoring")
    await retention.set_for_project(holding(["api.organization.write"]), project, "none")
    assert (await as_guarded(database, project)).policy.zero_retention is False
    assert (await as_guarded(database)).policy.zero_retention is True


async def test_archived_and_absent_projects_have_nothing_to_settle(settings: ProjectSettings, database: Database) -> None:
    project = (await Projects(database).create(None, ProjectCreate("old"))).id
    await Projects(database).archive(None, project)
    with pytest.raises(InvalidRequest):
        await settings.models(project)
    with pytest.raises(InvalidRequest):
        await settings.set_tools(None, project, HostedToolsUpdate())
    for call in (settings.models("proj_none"), settings.tools("' OR 1=1 --"), settings.tiers(""), Retention(database).of_project("x")):
        with pytest.raises(NotFound):
            await call
