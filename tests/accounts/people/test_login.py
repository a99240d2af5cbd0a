"""Login, logout, sessions and passwords, by HTTP, on both databases."""

from __future__ import annotations

import time

from sqlalchemy import select, update

from openhearth.accounts.audit.tables import AuditLogRow
from openhearth.accounts.people.sessions import IDLE_S, TOUCH_S
from openhearth.accounts.people.tables import SessionRow
from openhearth.accounts.tables import UserRow
from tests.accounts.people.conftest import PASSWORD, Town
from tests.support.accounts import a_key

LOGIN, ME, SESSIONS = "/openhearth/auth/login", "/openhearth/auth/me", "/openhearth/auth/sessions"


async def test_login_and_logout(town: Town) -> None:
    browser = await town.logged_in("ada@example.com")
    line = browser.set_cookies[-1]
    assert "HttpOnly" in line
    assert "SameSite=Lax" in line
    assert "Secure" not in line
    assert (await browser.get(ME)).json()["user"]["email"] == "ada@example.com"
    stolen = dict(browser.cookies)
    assert (await browser.post("/openhearth/auth/logout", {})).status == 200
    assert browser.cookies == {}
    browser.cookies = stolen
    assert (await browser.get(ME)).json()["error"]["code"] == "session_ended"
    async with town.house.database.session() as session:
        events = list(await session.scalars(select(AuditLogRow.type).order_by(AuditLogRow.position)))
    assert events[-2:] == ["login.succeeded", "logout.succeeded"]


async def test_the_token_is_nowhere_in_the_database(town: Town) -> None:
    browser = await town.logged_in("ada@example.com")
    async with town.house.database.session() as session:
        row = (await session.scalars(select(SessionRow))).one()
    assert browser.cookies["openhearth_session"].encode() not in row.hash
    assert row.user_agent is not None


async def test_wrong_passwords_unknown_addresses_and_locked_accounts_look_alike(town: Town) -> None:
    await town.person("ada@example.com")
    locked = await town.person("bob@example.com")
    async with town.house.database.session() as session:
        await session.execute(update(UserRow).where(UserRow.id == locked).values(banned_at=1))
    tried = [("ada@example.com", "wrong"), ("nobody@example.com", PASSWORD), ("bob@example.com", PASSWORD), ("no address", PASSWORD)]
    replies = [await town.browser().post(LOGIN, {"email": email, "password": password}) for email, password in tried]
    assert {(reply.status, reply.body) for reply in replies} == {(401, replies[0].body)}
    assert all("Set-Cookie" not in reply.headers for reply in replies)
    async with town.house.database.session() as session:
        events = list(await session.scalars(select(AuditLogRow.type).where(AuditLogRow.type == "login.failed")))
    assert len(events) == len(tried)


async def test_sessions_are_listed_and_ended(town: Town) -> None:
    first = await town.logged_in("ada@example.com")
    second = town.browser()
    await second.post(LOGIN, {"email": "ada@example.com", "password": PASSWORD})
    stranger = await town.logged_in("bob@example.com")
    listed = (await first.get(SESSIONS)).json()["data"]
    assert sorted(row["current"] for row in listed) == [False, True]
    others = next(row["id"] for row in listed if not row["current"])
    assert (await stranger.delete(f"{SESSIONS}/{others}")).status == 404
    assert (await first.delete(f"{SESSIONS}/{others}")).status == 200
    assert (await second.get(ME)).status == 401
    assert (await first.get(ME)).status == 200
    await second.post(LOGIN, {"email": "ada@example.com", "password": PASSWORD})
    assert (await second.delete(SESSIONS)).status == 200
    assert (await first.get(ME)).status == 401
    assert (await stranger.get(ME)).status == 200


async def test_sessions_end_by_themselves(town: Town) -> None:
    browser = await town.logged_in("ada@example.com")
    now = int(time.time())
    for values, status in (
        ({"last_used_at": now - IDLE_S - 1}, 401),
        ({"last_used_at": now - TOUCH_S - 5}, 200),
        ({"expires_at": now - 1}, 401),
    ):
        async with town.house.database.session() as session:
            await session.execute(update(SessionRow).values(**values))
        assert (await browser.get(ME)).status == status
    async with town.house.database.session() as session:
        assert (await session.scalars(select(SessionRow.last_used_at))).one() >= now
    await town.house.people.sessions.forget_ended()
    async with town.house.database.session() as session:
        assert list(await session.scalars(select(SessionRow))) == []


async def test_a_forgotten_password(town: Town) -> None:
    browser = await town.logged_in("ada@example.com")
    asked = await town.browser().post("/openhearth/auth/password/reset", {"email": "ADA@example.com"})
    unknown = await town.browser().post("/openhearth/auth/password/reset", {"email": "bob@example.com"})
    assert (asked.status, asked.body) == (unknown.status, unknown.body) == (202, asked.body)
    token = await town.token("ada@example.com")
    new = "another mighty river"
    body = {"token": token, "password": new}
    assert (await town.browser().post("/openhearth/auth/password/confirm", body)).status == 200
    assert (await town.browser().post("/openhearth/auth/password/confirm", body)).status == 400
    assert (await browser.get(ME)).status == 401
    assert (await browser.post(LOGIN, {"email": "ada@example.com", "password": PASSWORD})).status == 401
    assert (await browser.post(LOGIN, {"email": "ada@example.com", "password": new})).status == 200
    assert not [link for to, _p, _u, link in await town.house.people.open_links() if to == "bob@example.com"]


async def test_changing_the_password_ends_other_sessions(town: Town) -> None:
    browser = await town.logged_in("ada@example.com")
    other = town.browser()
    await other.post(LOGIN, {"email": "ada@example.com", "password": PASSWORD})
    path, new = "/openhearth/auth/password", "another mighty river"
    wrong = await browser.post(path, {"current_password": "no", "new_password": new})
    assert (wrong.status, wrong.json()["error"]["param"]) == (400, "current_password")
    assert (await browser.post(path, {"current_password": PASSWORD, "new_password": new})).status == 200
    assert (await browser.get(ME)).status == 200
    assert (await other.get(ME)).status == 401


async def test_old_hashes_are_renewed(town: Town) -> None:
    from argon2 import PasswordHasher

    user_id = await town.person("ada@example.com")
    old = PasswordHasher(time_cost=1, memory_cost=64).hash(PASSWORD)
    async with town.house.database.session() as session:
        await session.execute(update(UserRow).where(UserRow.id == user_id).values(password_hash=old))
    assert (await town.browser().post(LOGIN, {"email": "ada@example.com", "password": PASSWORD})).status == 200
    assert ((await town.house.people.users.get(user_id)).password_hash or "").startswith("$argon2id$v=19$m=65536")


async def test_removal_ends_sessions_and_keys_at_once(town: Town) -> None:
    from openhearth.accounts.access import DEFAULT_PROJECT

    browser = await town.logged_in("ada@example.com")
    user_id = (await browser.get(ME)).json()["user"]["id"]
    key = await a_key(town.house.database, DEFAULT_PROJECT, user_id=user_id)
    assert (await town.browser().get("/v1/models", Authorization=f"Bearer {key}")).status == 200
    assert (await town.admin("DELETE", f"/v1/organization/users/{user_id}")).json()["deleted"] is True
    assert (await browser.get(ME)).status == 401
    assert (await town.browser().get("/v1/models", Authorization=f"Bearer {key}")).status == 401
    assert (await town.admin("GET", f"/v1/organization/users/{user_id}")).status == 404
    assert (await browser.post(LOGIN, {"email": "ada@example.com", "password": PASSWORD})).status == 401
