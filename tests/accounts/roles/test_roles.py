"""Roles made, listed, changed, deleted, in the organization and in projects."""

from __future__ import annotations

import pytest

from openhearth.accounts.audit.reading import AuditLog
from openhearth.accounts.permissions import EVERY, OF_ORGANIZATION, OF_PROJECTS
from openhearth.accounts.roles.service import Roles
from openhearth.errors import Conflict, InvalidRequest, NotFound
from openhearth.store.database import Database
from openhearth.wire.organization.audit_logs import AuditLogsQuery
from openhearth.wire.organization.next_pages import NextQuery
from openhearth.wire.organization.roles import RoleChanges, RoleCreation
from tests.support.accounts import a_project

READER = RoleCreation("auditor", ["api.audit_logs.read", "api.usage.read"], "Looks only.")


@pytest.fixture
def roles(database: Database) -> Roles:
    return Roles(database)


async def test_everyone_has_the_predefined_ones(roles: Roles) -> None:
    there, project = await roles.find(NextQuery()), await roles.find(NextQuery(), "proj_default")
    assert [(role.id, role.name, role.resource_type, role.predefined_role) for role in there + project] == [
        ("role-api-organization-owner", "owner", "api.organization", True),
        ("role-api-organization-reader", "reader", "api.organization", True),
        ("role-api-project-owner", "owner", "api.project", True),
        ("role-api-project-member", "member", "api.project", True),
    ]
    assert set(there[0].permissions) == EVERY
    assert await roles.get("role-api-project-member", "proj_default") == project[1]


@pytest.mark.parametrize(("role_id", "project"), [("role-api-organization-owner", ""), ("role-api-project-member", "proj_default")])
async def test_predefined_ones_are_not_changed(roles: Roles, role_id: str, project: str) -> None:
    with pytest.raises(InvalidRequest, match="predefined"):
        await roles.change(None, role_id, RoleChanges(permissions=["api.all"]), project)
    with pytest.raises(InvalidRequest, match="predefined"):
        await roles.delete(None, role_id, project)


async def test_a_role_lives_and_the_log_tells_it(roles: Roles, database: Database) -> None:
    made = await roles.create(None, READER)
    assert (made.name, made.permissions, made.description) == ("auditor", ["api.audit_logs.read", "api.usage.read"], "Looks only.")
    assert await roles.get(made.id) == made
    changes = RoleChanges(role_name="looker", permissions=["api.usage.read", "api.users.read"], description=None)
    changed = await roles.change(None, made.id, changes)
    assert (changed.name, changed.permissions, changed.description) == ("looker", ["api.usage.read", "api.users.read"], None)
    assert await roles.change(None, made.id, RoleChanges()) == changed
    await roles.delete(None, made.id)
    with pytest.raises(NotFound):
        await roles.get(made.id)
    log, _ = await AuditLog(database).find(AuditLogsQuery(resource_ids=[made.id]))
    assert [row["type"] for row in log] == ["role.deleted", "role.updated", "role.created"]
    assert log[2]["role.created"] == {
        "id": made.id,
        "role_name": "auditor",
        "permissions": ["api.audit_logs.read", "api.usage.read"],
        "resource_type": "api.organization",
    }
    assert log[1]["role.updated"] == {
        "id": made.id,
        "changes_requested": {
            "role_name": "looker",
            "description": "",
            "permissions_added": ["api.users.read"],
            "permissions_removed": ["api.audit_logs.read"],
        },
        "before": {"role_name": "auditor", "description": "Looks only.", "permissions": ["api.audit_logs.read", "api.usage.read"]},
    }


async def test_names_are_unique_in_their_place(roles: Roles, database: Database) -> None:
    other = await a_project(database)
    await roles.create(None, READER)
    for taken in ("auditor", "owner"):
        with pytest.raises(Conflict):
            await roles.create(None, RoleCreation(taken, []))
    one = await roles.create(None, RoleCreation("auditor", []), "proj_default")
    two = await roles.create(None, RoleCreation("auditor", []), other)
    assert one.id != two.id
    second = await roles.create(None, RoleCreation("second", []))
    with pytest.raises(Conflict):
        await roles.change(None, second.id, RoleChanges(role_name="auditor"))


async def test_only_permissions_that_mean_something_there(roles: Roles) -> None:
    with pytest.raises(InvalidRequest, match=r"api\.dance") as caught:
        await roles.create(None, RoleCreation("x", ["api.dance"]))
    assert caught.value.param == "permissions"
    for permission in sorted(OF_ORGANIZATION):
        with pytest.raises(InvalidRequest, match="can be given here"):
            await roles.create(None, RoleCreation("x", [permission]), "proj_default")
    made = await roles.create(None, RoleCreation("all", ["api.all", "api.model.request", "api.all"]))
    assert made.permissions == ["api.all", "api.model.request"]


async def test_another_projects_role_is_not_there(roles: Roles, database: Database) -> None:
    other = await a_project(database)
    made = await roles.create(None, RoleCreation("user", sorted(OF_PROJECTS)), other)
    for place in ("", "proj_default"):
        with pytest.raises(NotFound):
            await roles.get(made.id, place)
        with pytest.raises(NotFound):
            await roles.change(None, made.id, RoleChanges(role_name="mine"), place)
        with pytest.raises(NotFound):
            await roles.delete(None, made.id, place)
    assert await roles.get(made.id, other) == made
    with pytest.raises(NotFound, match="No project"):
        await roles.find(NextQuery(), "proj_nothing")


async def test_pages_in_both_orders(roles: Roles) -> None:
    for number in range(5):
        await roles.create(None, RoleCreation(f"r{number}", []))
    everything = [role.id for role in await roles.find(NextQuery())]
    for order in ("asc", "desc"):
        seen: list[str] = []
        while page := await roles.find(NextQuery(after=seen[-1] if seen else None, limit=3, order=order)):
            assert len(page) <= 4
            seen += [role.id for role in page[:3]]
        assert seen == (everything if order == "asc" else everything[::-1])
    with pytest.raises(NotFound):
        await roles.find(NextQuery(after="role_nothing"))
