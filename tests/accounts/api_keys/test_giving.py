"""Keys are rights, too: who may make or change them gets no further by that than they could go themselves."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from openhearth.accounts.access import AccessTable
from openhearth.accounts.api_keys.own import OwnKeys
from openhearth.accounts.api_keys.service import ProjectKeys
from openhearth.accounts.audit.tables import AuditLogRow
from openhearth.accounts.people.passwords import Passwords
from openhearth.accounts.people.users.service import Users
from openhearth.accounts.principal import Principal
from openhearth.accounts.roles.assignments import Assignments, Place
from openhearth.accounts.service_accounts.service import ServiceAccounts
from openhearth.errors import PermissionDenied
from openhearth.store.database import Database
from openhearth.wire.organization.project_api_keys import OwnKeyCreate, ProjectKeyUpdate
from openhearth.wire.organization.service_accounts import ServiceAccountCreate, ServiceAccountKeyCreate, ServiceAccountUpdate
from tests.support.accounts import a_key, a_user, join, logged_in, the_owner
from tests.support.people import holding

DEFAULT = "proj_default"
TOO_MUCH = "don't have in this project.*api.model.request"


@pytest.fixture
def access(database: Database) -> AccessTable:
    return AccessTable(database)


async def admin(database: Database, access: AccessTable, *scopes: str) -> Principal:
    """An admin key of the organization's owner."""
    key = await a_key(database, None, user_id=await the_owner(database), scopes=list(scopes) or None)
    return Principal(await access.check(key), "")


async def test_a_restricted_admin_key_gets_no_key_that_may_more(database: Database, access: AccessTable) -> None:
    own, narrow = OwnKeys(database, access), await admin(database, access, "api.projects.read", "api.project_api_keys.write")
    for scopes in (None, ["api.model.request"], ["api.all"]):
        with pytest.raises(PermissionDenied, match=TOO_MUCH) as caught:
            await own.create(narrow, DEFAULT, OwnKeyCreate("more", scopes))
        assert (caught.value.code, caught.value.param) == ("permission_escalation", "scopes")
    assert (await own.create(await admin(database, access), DEFAULT, OwnKeyCreate("full"))).scopes is None


async def test_a_key_is_not_widened_beyond_who_does_it(database: Database, access: AccessTable) -> None:
    user_id, keys = await a_user(database), ProjectKeys(database, access)
    await join(database, DEFAULT, user_id)
    person = await logged_in(database, user_id, DEFAULT)
    key = await OwnKeys(database, access).create(person, DEFAULT, OwnKeyCreate("laptop", ["api.model.request", "api.model.read"]))
    manager = holding(["api.project_api_keys.write"])
    for more in ([], ["api.all"], ["api.model.request", "api.stored_completions.read"]):
        with pytest.raises(PermissionDenied, match="don't have in this project"):
            await keys.update(manager, DEFAULT, key.id, ProjectKeyUpdate(more))
    assert (await keys.get(DEFAULT, key.id)).scopes == ["api.model.request", "api.model.read"]
    assert (await keys.update(manager, DEFAULT, key.id, ProjectKeyUpdate(["api.model.read"]))).scopes == ["api.model.read"]
    # What the key's owner doesn't have isn't given by the key's scopes either.
    assert (await keys.update(person, DEFAULT, key.id, ProjectKeyUpdate(["api.all"]))).scopes == ["api.all"]


async def test_service_accounts_do_not_reach_further_than_who_makes_them(database: Database) -> None:
    accounts, manager = ServiceAccounts(database), holding(["api.service_accounts.write"])
    with pytest.raises(PermissionDenied, match=TOO_MUCH):
        await accounts.create(manager, DEFAULT, ServiceAccountCreate("robot"))
    bare = await accounts.create(manager, DEFAULT, ServiceAccountCreate("robot", create_service_account_only=True))
    with pytest.raises(PermissionDenied, match=TOO_MUCH):
        await accounts.update(manager, DEFAULT, bare.id, ServiceAccountUpdate(role="member"))
    strong = await accounts.create(None, DEFAULT, ServiceAccountCreate("strong"))
    for scopes in (None, [], ["api.model.request"]):
        with pytest.raises(PermissionDenied, match=TOO_MUCH):
            await accounts.create_key(manager, DEFAULT, strong.id, ServiceAccountKeyCreate(scopes=scopes))
    user = holding(["api.service_accounts.write", "api.model.read"])
    assert (await accounts.create_key(user, DEFAULT, strong.id, ServiceAccountKeyCreate(scopes=["api.model.read"]))).value


async def test_a_user_who_goes_leaves_no_role_and_the_log_tells_which(database: Database) -> None:
    user_id = await a_user(database)
    await Assignments(database).give(None, Place("user", user_id), "role-api-organization-owner")
    await Users(database, Passwords()).remove(None, user_id)
    async with database.session() as session:
        rows = list(await session.scalars(select(AuditLogRow).order_by(AuditLogRow.position)))
    assert [row.type for row in rows][-2:] == ["role.assignment.deleted", "user.deleted"]
    assert rows[-2].details["principal_id"] == user_id
