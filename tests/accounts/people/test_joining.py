"""How somebody becomes a user, by HTTP, on both databases."""

from __future__ import annotations

import asyncio

from openhearth.accounts.access import DEFAULT_PROJECT
from openhearth.wire.organization.users import UsersQuery
from tests.accounts.people.conftest import PASSWORD, Town

REGISTER, VERIFY, ACCEPT, SETUP = (f"/openhearth/auth/{name}" for name in ("register", "verify", "invites/accept", "setup"))


async def test_a_registration_is_confirmed_by_its_link_and_logs_in(town: Town) -> None:
    browser = town.browser()
    assert (await browser.post(REGISTER, {"email": "Ada@Example.com"})).status == 202
    assert await town.house.people.users.find(UsersQuery(emails="ada@example.com")) == []
    token = await town.token("ada@example.com")
    weak = await browser.post(VERIFY, {"token": token, "password": "password123"})
    assert weak.json()["error"]["code"] == "weak_password"
    made = await browser.post(VERIFY, {"token": token, "password": PASSWORD, "name": "Ada"})
    assert (made.status, made.json()["email"], made.json()["role"]) == (200, "ada@example.com", "reader")
    me = (await browser.get("/openhearth/auth/me")).json()
    assert me["user"]["name"] == "Ada"
    assert [(p["id"], p["role"]) for p in me["projects"]] == [(DEFAULT_PROJECT, "member")]
    assert "api.model.request" in me["projects"][0]["permissions"]
    assert "api.users.write" not in me["permissions"]
    again = await town.browser().post(VERIFY, {"token": token, "password": PASSWORD})
    assert again.json()["error"]["code"] == "invalid_link"
    assert (await browser.get("/v1/models")).status == 200


async def test_of_two_that_use_a_link_at_once_one_wins(town: Town) -> None:
    await town.browser().post(REGISTER, {"email": "ada@example.com"})
    body = {"token": await town.token("ada@example.com"), "password": PASSWORD}
    replies = await asyncio.gather(*(town.browser().post(VERIFY, body) for _ in range(4)))
    assert [reply.status for reply in replies].count(200) == 1
    assert len(await town.house.people.users.find(UsersQuery(emails=["ada@example.com"]))) == 1


async def test_who_is_registered_already_is_told_so_by_mail_only(town: Town) -> None:
    await town.person("ada@example.com")
    known = await town.browser().post(REGISTER, {"email": "ada@example.com"})
    unknown = await town.browser().post(REGISTER, {"email": "bob@example.com"})
    assert (known.status, known.body) == (unknown.status, unknown.body)
    assert "/reset?" in await town.link("ada@example.com")
    assert "/verify?" in await town.link("bob@example.com")


async def test_an_invite_gives_role_and_projects(town: Town) -> None:
    invited = await town.admin("POST", "/v1/organization/invites", {"email": "Ada@example.com", "role": "owner"})
    assert invited.status == 200
    browser, token = town.browser(), await town.token("ada@example.com")
    assert (await browser.post(ACCEPT, {"token": token})).json()["error"]["param"] == "password"
    assert (await browser.post(ACCEPT, {"token": token, "password": PASSWORD})).json()["role"] == "owner"
    me = (await browser.get("/openhearth/auth/me")).json()
    assert me["projects"][0]["id"] == DEFAULT_PROJECT
    assert "api.users.write" in me["permissions"]
    shown = (await browser.get(f"/v1/organization/invites/{invited.json()['id']}")).json()
    assert shown["status"] == "accepted"
    assert (await browser.delete(f"/v1/organization/invites/{invited.json()['id']}")).status == 409


async def test_who_registered_meanwhile_keeps_the_password(town: Town) -> None:
    await town.admin("POST", "/v1/organization/invites", {"email": "ada@example.com", "role": "owner"})
    token = await town.token("ada@example.com")
    await town.person("ada@example.com")
    taken = await town.browser().post(ACCEPT, {"token": token, "password": "quite another one"})
    assert taken.json()["role"] == "owner"
    login = {"email": "ada@example.com", "password": PASSWORD}
    assert (await town.browser().post("/openhearth/auth/login", login)).status == 200


async def test_a_deleted_invites_link_is_dead(town: Town) -> None:
    invited = (await town.admin("POST", "/v1/organization/invites", {"email": "ada@example.com", "role": "reader"})).json()
    token = await town.token("ada@example.com")
    assert (await town.admin("DELETE", f"/v1/organization/invites/{invited['id']}")).json()["deleted"] is True
    refused = await town.browser().post(ACCEPT, {"token": token, "password": PASSWORD})
    assert refused.json()["error"]["code"] == "invalid_link"


async def test_the_first_owner_sets_address_and_password(town: Town) -> None:
    path = await town.house.people.setup_link()
    assert path is not None
    assert await town.house.people.setup_link() is None
    browser, token = town.browser(), path.rpartition("token=")[2]
    assert token == await town.token("owner@localhost")
    body = {"token": token, "email": "Ada@example.com", "password": PASSWORD}
    assert (await browser.post(VERIFY, {"token": token, "password": PASSWORD})).status == 400
    assert (await browser.post(SETUP, body)).json()["role"] == "owner"
    assert (await town.browser().post(SETUP, body)).json()["error"]["code"] == "invalid_link"
    assert (await browser.get("/openhearth/auth/me")).json()["user"]["email"] == "ada@example.com"
    assert await town.house.people.setup_link() is None
    assert await town.house.people.open_links() == []


async def test_an_owner_of_an_unattended_start(town: Town) -> None:
    people = town.house.people
    await people.users.ensure_owner_password(PASSWORD)
    await people.users.ensure_owner_password("another one, later")
    login = {"email": "owner@localhost", "password": PASSWORD}
    assert (await town.browser().post("/openhearth/auth/login", login)).json()["role"] == "owner"
    assert await people.setup_link() is None


async def test_an_invite_ends_with_the_right_of_who_sent_it(town: Town) -> None:
    for ending in ("demoted", "removed"):
        await town.admin("POST", "/v1/organization/invites", {"email": f"{ending}@example.com", "role": "owner"})
        browser, token = town.browser(), await town.token(f"{ending}@example.com")
        assert (await browser.post(ACCEPT, {"token": token, "password": PASSWORD})).status == 200
        user_id = (await browser.get("/openhearth/auth/me")).json()["user"]["id"]
        sent = await browser.post("/v1/organization/invites", {"email": f"late-{ending}@example.com", "role": "owner"})
        assert sent.status == 200
        late = await town.token(f"late-{ending}@example.com")
        if ending == "demoted":
            assert (await town.admin("POST", f"/v1/organization/users/{user_id}", {"role": "reader"})).status == 200
        else:
            assert (await town.admin("DELETE", f"/v1/organization/users/{user_id}")).status == 200
        refused = await town.browser().post(ACCEPT, {"token": late, "password": PASSWORD})
        assert refused.status in (400, 404, 409), refused.body
