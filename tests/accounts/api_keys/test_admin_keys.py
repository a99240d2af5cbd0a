"""Admin keys manage and do nothing else; none makes one that may more than itself."""

from __future__ import annotations

import asyncio

import pytest

from openhearth.accounts.access import AccessTable
from openhearth.accounts.api_keys.admin import AdminKeys
from openhearth.accounts.principal import Principal
from openhearth.errors import AuthenticationFailed, InvalidRequest, NotFound, PermissionDenied
from openhearth.store.database import Database
from openhearth.wire.organization.admin_api_keys import AdminKeyCreate, AdminKeysQuery


@pytest.fixture
def access(database: Database) -> AccessTable:
    return AccessTable(database)


@pytest.fixture
def keys(database: Database, access: AccessTable) -> AdminKeys:
    return AdminKeys(database, access)


async def sender(access: AccessTable, secret: object) -> Principal:
    return Principal(await access.check(str(secret)), "")


async def test_it_manages_and_does_nothing_else(keys: AdminKeys, access: AccessTable) -> None:
    made = await keys.create(None, AdminKeyCreate("terraform"))
    assert str(made.value).startswith("sk-admin-")
    assert "value" not in repr(await keys.get(made.id)).replace("redacted_value", "") or str(made.value) not in repr(
        await keys.get(made.id)
    )
    actor = await sender(access, made.value)
    actor.require("api.projects.write", "proj_default")
    for permission in ("api.model.request", "api.stored_completions.read"):
        with pytest.raises(PermissionDenied):
            actor.require(permission, "proj_default")


async def test_a_restricted_key_makes_no_key_that_may_more(keys: AdminKeys, access: AccessTable) -> None:
    narrow = await keys.create(None, AdminKeyCreate("narrow", scopes=["api.admin_api_keys.write", "api.users.read"]))
    actor = await sender(access, narrow.value)
    assert not actor.may("api.projects.write")
    for wanted in (["api.all"], ["api.all.read"], ["api.projects.write"]):
        with pytest.raises(PermissionDenied):
            await keys.create(actor, AdminKeyCreate("more", scopes=wanted))
    heir = await keys.create(actor, AdminKeyCreate("same"))
    assert (await access.check(str(heir.value))).everywhere == {"api.admin_api_keys.write", "api.users.read"}
    less = await keys.create(actor, AdminKeyCreate("less", scopes=["api.users.read"]))
    assert (await access.check(str(less.value))).everywhere == {"api.users.read"}


async def test_a_key_that_only_reads_writes_nothing(keys: AdminKeys, access: AccessTable) -> None:
    made = await keys.create(None, AdminKeyCreate("auditor", scopes=["api.all.read"]))
    held = (await access.check(str(made.value))).everywhere
    assert "api.projects.read" in held
    assert all(name.endswith(".read") for name in held)


async def test_what_admin_keys_can_not_have_is_refused(keys: AdminKeys) -> None:
    for wrong in ("api.model.request", "api.nothing", "x'; DROP TABLE users; --"):
        with pytest.raises(InvalidRequest):
            await keys.create(None, AdminKeyCreate("x", scopes=[wrong]))


async def test_it_expires_and_is_revoked_once(keys: AdminKeys, access: AccessTable) -> None:
    short = await keys.create(None, AdminKeyCreate("short", expires_in_seconds=3))
    await access.check(str(short.value))
    await asyncio.sleep(3.1)
    with pytest.raises(AuthenticationFailed):
        await access.check(str(short.value))
    assert [key.id for key in await keys.find(AdminKeysQuery())] == [short.id]
    ends = await asyncio.gather(*(keys.delete(None, short.id) for _ in range(4)), return_exceptions=True)
    assert sum(each is None for each in ends) == 1
    assert all(isinstance(each, NotFound) for each in ends if each is not None)


async def test_pages_in_both_directions(keys: AdminKeys) -> None:
    made = {(await keys.create(None, AdminKeyCreate(f"k{number}"))).id for number in range(5)}
    up = [key.id for key in await keys.find(AdminKeysQuery(limit=9))]
    down = [key.id for key in await keys.find(AdminKeysQuery(limit=9, order="desc"))]
    assert set(up) == made
    assert down == up[::-1]
    assert [key.id for key in await keys.find(AdminKeysQuery(after=down[1], limit=9, order="desc"))] == down[2:]
    with pytest.raises(NotFound):
        await keys.find(AdminKeysQuery(after="key_none"))
