"""Keys of service accounts and users: shown once, restricted, changed, expired, ended at once."""

from __future__ import annotations

import asyncio
import time

import pytest
from sqlalchemy import select, update

from openhearth.accounts.access import AccessTable
from openhearth.accounts.api_keys.own import OwnKeys
from openhearth.accounts.api_keys.service import ProjectKeys
from openhearth.accounts.audit.tables import AuditLogRow
from openhearth.accounts.project_users.service import ProjectUsers
from openhearth.accounts.projects.service import Projects
from openhearth.accounts.service_accounts.service import ServiceAccounts
from openhearth.accounts.tables import ApiKeyRow
from openhearth.errors import AuthenticationFailed, InvalidRequest, NotFound, PermissionDenied
from openhearth.store.database import Database
from openhearth.wire.organization.lists import CursorQuery
from openhearth.wire.organization.project_api_keys import OwnKeyCreate, ProjectKeysQuery, ProjectKeyUpdate
from openhearth.wire.organization.project_users import ProjectUserCreate
from openhearth.wire.organization.projects import ProjectCreate
from openhearth.wire.organization.service_accounts import ServiceAccountCreate, ServiceAccountKeyCreate, ServiceAccountUpdate
from tests.support.people import add_user, first_owner, holding, logged_in

DEFAULT = "proj_default"


@pytest.fixture
def access(database: Database) -> AccessTable:
    return AccessTable(database)


@pytest.fixture
def accounts(database: Database) -> ServiceAccounts:
    return ServiceAccounts(database)


@pytest.fixture
def keys(database: Database, access: AccessTable) -> ProjectKeys:
    return ProjectKeys(database, access)


async def may(access: AccessTable, secret: str) -> frozenset[str]:
    return (await access.check(secret)).projects[DEFAULT]


async def test_a_service_account_comes_with_a_key_that_is_shown_once(
    accounts: ServiceAccounts, keys: ProjectKeys, access: AccessTable, database: Database
) -> None:
    made = await accounts.create(None, DEFAULT, ServiceAccountCreate("robot"))
    assert made.api_key is not None
    assert made.api_key.value.startswith("sk-svcacct-")
    assert "api.model.request" in await may(access, made.api_key.value)
    shown = await keys.get(DEFAULT, made.api_key.id)
    assert made.api_key.value not in repr(shown)
    assert shown.owner.type == "service_account"
    assert shown.last_used_at is not None
    async with database.session() as session:
        log = repr([(row.details, row.actor) for row in await session.scalars(select(AuditLogRow))])
    assert made.api_key.value not in log


async def test_an_account_alone_has_no_role_and_its_keys_may_nothing(accounts: ServiceAccounts, access: AccessTable) -> None:
    made = await accounts.create(None, DEFAULT, ServiceAccountCreate("shell", create_service_account_only=True))
    assert (made.role, made.api_key) == ("none", None)
    key = await accounts.create_key(None, DEFAULT, made.id, ServiceAccountKeyCreate())
    assert await may(access, key.value) == frozenset()
    await accounts.update(None, DEFAULT, made.id, ServiceAccountUpdate(role="member"))
    assert "api.model.request" in await may(access, key.value)
    with pytest.raises(InvalidRequest):
        await accounts.create(None, DEFAULT, ServiceAccountCreate("shell", True, 60))


async def test_scopes_restrict_and_are_replaced_at_once(accounts: ServiceAccounts, keys: ProjectKeys, access: AccessTable) -> None:
    account = await accounts.create(None, DEFAULT, ServiceAccountCreate("robot", create_service_account_only=True))
    await accounts.update(None, DEFAULT, account.id, ServiceAccountUpdate(role="owner"))
    key = await accounts.create_key(None, DEFAULT, account.id, ServiceAccountKeyCreate("narrow", ["api.model.read"]))
    assert await may(access, key.value) == {"api.model.read"}
    await keys.update(None, DEFAULT, key.id, ProjectKeyUpdate(scopes=["api.all.read"]))
    allowed = await may(access, key.value)
    assert "api.stored_completions.read" in allowed
    assert not any(name.endswith((".write", ".request")) for name in allowed)
    await keys.update(None, DEFAULT, key.id, ProjectKeyUpdate(scopes=[]))
    # All that an owner may with a key is to use the project, never to manage it.
    assert not any(name.startswith(("api.project", "api.service_accounts", "api.admin")) for name in await may(access, key.value))
    for wrong in ("api.projects.write", "api.admin_api_keys.write", "api.nothing", "'; DROP TABLE api_keys; --"):
        with pytest.raises(InvalidRequest):
            await keys.update(None, DEFAULT, key.id, ProjectKeyUpdate(scopes=[wrong]))


async def test_expired_keys_are_refused_shown_and_not_changed(
    accounts: ServiceAccounts, keys: ProjectKeys, access: AccessTable, database: Database
) -> None:
    made = await accounts.create(None, DEFAULT, ServiceAccountCreate("robot", expires_in_seconds=3600))
    assert made.api_key is not None
    assert made.api_key.expires_at is not None
    assert abs(made.api_key.expires_at - time.time() - 3600) < 5
    await access.check(made.api_key.value)
    await keys.update(None, DEFAULT, made.api_key.id, ProjectKeyUpdate(expires_in_seconds=1))
    await asyncio.sleep(1.1)
    with pytest.raises(AuthenticationFailed):
        await access.check(made.api_key.value)
    assert [key.id for key in await keys.find(DEFAULT, ProjectKeysQuery())] == [made.api_key.id]
    with pytest.raises(InvalidRequest):
        await keys.update(None, DEFAULT, made.api_key.id, ProjectKeyUpdate(expires_in_seconds=60))


async def test_of_many_who_delete_at_once_one_does(accounts: ServiceAccounts, keys: ProjectKeys, database: Database) -> None:
    made = await accounts.create(None, DEFAULT, ServiceAccountCreate("robot"))
    assert made.api_key is not None
    ends = await asyncio.gather(*(keys.delete(None, DEFAULT, made.api_key.id) for _ in range(4)), return_exceptions=True)
    assert sum(each is None for each in ends) == 1
    ends = await asyncio.gather(*(accounts.delete(None, DEFAULT, made.id) for _ in range(4)), return_exceptions=True)
    assert sum(each is None for each in ends) == 1
    assert all(isinstance(each, NotFound) for each in ends if each is not None)
    async with database.session() as session:
        events = [row.type for row in await session.scalars(select(AuditLogRow))]
    assert (events.count("api_key.deleted"), events.count("service_account.deleted")) == (1, 1)


async def test_a_deleted_accounts_keys_end_with_it(accounts: ServiceAccounts, access: AccessTable) -> None:
    made = await accounts.create(None, DEFAULT, ServiceAccountCreate("robot"))
    assert made.api_key is not None
    await access.check(made.api_key.value)
    await accounts.delete(None, DEFAULT, made.id)
    with pytest.raises(AuthenticationFailed):
        await access.check(made.api_key.value)


async def test_other_projects_keys_and_accounts_are_not_there(accounts: ServiceAccounts, keys: ProjectKeys, database: Database) -> None:
    other = (await Projects(database).create(None, ProjectCreate("other"))).id
    made = await accounts.create(None, other, ServiceAccountCreate("robot"))
    assert made.api_key is not None
    for call in (
        keys.get(DEFAULT, made.api_key.id),
        keys.update(None, DEFAULT, made.api_key.id, ProjectKeyUpdate(scopes=[])),
        keys.delete(None, DEFAULT, made.api_key.id),
        keys.find(DEFAULT, ProjectKeysQuery(after=made.api_key.id)),
        accounts.get(DEFAULT, made.id),
        accounts.delete(None, DEFAULT, made.id),
        accounts.create_key(None, DEFAULT, made.id, ServiceAccountKeyCreate()),
        accounts.find(DEFAULT, CursorQuery(after=made.id)),
        accounts.get(other, "svc' OR '1'='1"),
    ):
        with pytest.raises(NotFound):
            await call


async def test_only_who_may_do_it_all_makes_a_program_an_owner(accounts: ServiceAccounts) -> None:
    made = await accounts.create(None, DEFAULT, ServiceAccountCreate("robot"))
    some = holding(["api.service_accounts.write"])
    with pytest.raises(PermissionDenied):
        await accounts.update(some, DEFAULT, made.id, ServiceAccountUpdate(role="owner"))
    assert (await accounts.update(some, DEFAULT, made.id, ServiceAccountUpdate(name="android"))).name == "android"


async def test_pages_walk_over_keys_whatever_is_filtered_or_revoked(
    accounts: ServiceAccounts, keys: ProjectKeys, database: Database
) -> None:
    account = await accounts.create(None, DEFAULT, ServiceAccountCreate("robot", create_service_account_only=True))
    made = {(await accounts.create_key(None, DEFAULT, account.id, ServiceAccountKeyCreate(f"k{n}"))).id for n in range(9)}
    seen: list[str] = []
    query = ProjectKeysQuery(limit=4)
    while found := await keys.find(DEFAULT, query):
        seen += [key.id for key in found[:4]]
        if len(found) <= 4:
            break
        await keys.delete(None, DEFAULT, found[3].id)
        query = ProjectKeysQuery(after=found[3].id, limit=4)
    assert set(seen) == made
    assert len(seen) == 9


async def test_a_users_own_keys_need_the_user_in_the_project(database: Database, access: AccessTable) -> None:
    own = OwnKeys(database, access)
    user, stranger = [await add_user(database, f"{name}@example.org", role="none") for name in ("anna", "berta")]
    await ProjectUsers(database).add(None, DEFAULT, ProjectUserCreate("member", user_id=user))
    anna, berta = await logged_in(database, user), await logged_in(database, stranger)
    key = await own.create(anna, DEFAULT, OwnKeyCreate("laptop", ["api.all.read"], 60))
    assert key.value.startswith("sk-proj-")
    assert "api.model.read" in await may(access, key.value)
    assert "api.model.request" not in await may(access, key.value)
    assert [each.id for each in await own.find(anna, DEFAULT, CursorQuery())] == [key.id]
    assert await own.find(berta, DEFAULT, CursorQuery()) == []
    with pytest.raises(PermissionDenied):
        await own.create(berta, DEFAULT, OwnKeyCreate("laptop"))
    reading = holding(["api.all.read"], owner_id=await first_owner(database))
    with pytest.raises(PermissionDenied):
        await own.create(reading, DEFAULT, OwnKeyCreate("laptop"))
    with pytest.raises(PermissionDenied):
        await own.delete(reading, DEFAULT, key.id)
    owner = await logged_in(database, await first_owner(database))
    with pytest.raises(NotFound):
        await own.delete(owner, DEFAULT, key.id)
    await own.delete(anna, DEFAULT, key.id)
    with pytest.raises(AuthenticationFailed):
        await access.check(key.value)


async def test_a_key_of_a_user_who_left_the_organization_is_shown_without_a_name(
    keys: ProjectKeys, accounts: ServiceAccounts, database: Database
) -> None:
    made = await accounts.create(None, DEFAULT, ServiceAccountCreate("robot"))
    assert made.api_key is not None
    async with database.session() as session:
        await session.execute(update(ApiKeyRow).values(service_account_id=None, user_id="user-gone"))
    (shown,) = await keys.find(DEFAULT, ProjectKeysQuery(owner_project_access="any"))
    assert (shown.owner.type, shown.owner_project_access) == ("user", "inactive")
