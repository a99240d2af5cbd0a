"""`/v1/organization/users` and `/v1/organization/invites`: shapes, pages, roles, and who may give what."""

from __future__ import annotations

import asyncio
from typing import Any

from openai.types.admin.organization import Invite as OpenAIInvite
from openai.types.admin.organization import InviteDeleteResponse, OrganizationUser, UserDeleteResponse

from openhearth.accounts.access import DEFAULT_PROJECT
from openhearth.accounts.organization.founding import owner_of
from tests.accounts.people.conftest import Town
from tests.support.accounts import a_key
from tests.support.specification import conforms

USERS, INVITES = "/v1/organization/users", "/v1/organization/invites"


async def pages(town: Town, path: str, limit: int) -> list[dict[str, Any]]:
    """All that a client reads that follows the pages."""
    found: list[dict[str, Any]] = []
    while True:
        after = f"&after={found[-1]['id']}" if found else ""
        page = (await town.admin("GET", f"{path}?limit={limit}{after}")).json()
        assert page["first_id"] == page["data"][0]["id"]
        assert page["last_id"] == page["data"][-1]["id"]
        found += page["data"]
        if not page["has_more"]:
            return found


async def test_users_as_the_wire_has_them(town: Town) -> None:
    ids = [await town.person(f"user{number}@example.com") for number in range(5)]
    listed = (await town.admin("GET", USERS)).json()
    conforms(listed, "UserListResponse")
    assert len(listed["data"]) == 6
    assert {user["id"] for user in await pages(town, USERS, 2)} >= set(ids)
    one = (await town.admin("GET", f"{USERS}/{ids[0]}")).json()
    conforms(one, "User")
    OrganizationUser.model_validate(one, strict=True)
    found = (await town.admin("GET", f"{USERS}?emails[]=USER1@example.com&emails[]=user3@example.com&emails[]=none")).json()["data"]
    assert sorted(user["email"] for user in found) == ["user1@example.com", "user3@example.com"]
    assert (await town.admin("GET", f"{USERS}?after=user-none")).status == 404
    assert (await town.admin("GET", f"{USERS}/user-none")).json()["error"]["message"] == "No user 'user-none'."


async def test_changing_and_deleting_a_user(town: Town) -> None:
    user_id = await town.person("ada@example.com")
    body = {"role": "owner", "developer_persona": "builder", "technical_level": "high"}
    changed = (await town.admin("POST", f"{USERS}/{user_id}", body)).json()
    conforms(changed, "User")
    assert (changed["role"], changed["developer_persona"], changed["technical_level"]) == ("owner", "builder", "high")
    kept = (await town.admin("POST", f"{USERS}/{user_id}", {"role_id": "role-api-organization-reader"})).json()
    assert (kept["role"], kept["developer_persona"]) == ("reader", "builder")
    for wrong in ({"role": "king"}, {"role_id": "role-api-organization-king"}, {"role": "owner", "role_id": "x"}, {"rôle": "owner"}):
        assert (await town.admin("POST", f"{USERS}/{user_id}", wrong)).status == 400, wrong
    assert (await town.admin("POST", f"{USERS}/{user_id}", {"role_id": "role_none"})).status == 404
    gone = (await town.admin("DELETE", f"{USERS}/{user_id}")).json()
    conforms(gone, "UserDeleteResponse")
    UserDeleteResponse.model_validate(gone, strict=True)
    assert (await town.admin("DELETE", f"{USERS}/{user_id}")).status == 404


async def test_there_always_is_an_owner(town: Town) -> None:
    async with town.house.database.session() as session:
        owner = await owner_of(session)
    assert (await town.admin("DELETE", f"{USERS}/{owner}")).status == 409
    assert (await town.admin("POST", f"{USERS}/{owner}", {"role": "reader"})).json()["error"]["code"] == "last_owner"
    other = await town.person("ada@example.com", "owner")
    people = town.house.people
    results = await asyncio.gather(people.users.remove(None, owner), people.users.remove(None, other), return_exceptions=True)
    assert sum(result is None for result in results) == 1


async def test_nobody_gives_more_than_they_have(town: Town) -> None:
    """Whoever may write users but is no owner can neither make owners nor unmake them."""
    async with town.house.database.session() as session:
        owner = await owner_of(session)
    scopes = ["api.users.write", "api.users.read", "api.invites.write"]
    key = await a_key(town.house.database, None, user_id=owner, scopes=scopes)
    user_id = await town.person("ada@example.com")
    browser, headers = town.browser(), {"Authorization": f"Bearer {key}"}
    tried = [
        ("POST", f"{USERS}/{user_id}", {"role": "owner"}),
        ("POST", f"{USERS}/{owner}", {"role": "reader"}),
        ("DELETE", f"{USERS}/{owner}", None),
        ("POST", INVITES, {"email": "eve@example.com", "role": "owner"}),
        ("POST", INVITES, {"email": "eve@example.com", "role": "reader", "projects": [{"id": DEFAULT_PROJECT, "role": "owner"}]}),
    ]
    for method, path, body in tried:
        reply = await browser.send(method, path, headers=headers, **({} if body is None else {"json": body}))
        assert reply.status == 403, (method, path, body, reply.text)
    reply = await browser.send("POST", f"{USERS}/{user_id}", headers=headers, json={"technical_level": "high"})
    assert reply.status == 200
    assert (await browser.get("/v1/organization/invites", **headers)).status == 403


async def test_invites_as_the_wire_has_them(town: Town) -> None:
    projects = [{"id": DEFAULT_PROJECT, "role": "owner"}]
    made = (await town.admin("POST", INVITES, {"email": "Ada@example.com", "role": "reader", "projects": projects})).json()
    conforms(made, "Invite")
    OpenAIInvite.model_validate(made, strict=True)
    assert (made["status"], made["projects"], made["email"]) == ("pending", projects, "ada@example.com")
    for number in range(4):
        await town.admin("POST", INVITES, {"email": f"user{number}@example.com", "role": "owner", "projects": []})
    conforms((await town.admin("GET", INVITES)).json(), "InviteListResponse")
    assert len({row["id"] for row in await pages(town, INVITES, 2)}) == 5
    assert (await town.admin("GET", f"{INVITES}/{made['id']}")).json() == made
    again = await town.admin("POST", INVITES, {"email": "ada@example.com", "role": "reader"})
    assert (again.status, again.json()["error"]["code"]) == (409, "already_invited")
    gone = (await town.admin("DELETE", f"{INVITES}/{made['id']}")).json()
    conforms(gone, "InviteDeleteResponse")
    InviteDeleteResponse.model_validate(gone, strict=True)
    assert (await town.admin("GET", f"{INVITES}/{made['id']}")).status == 404
    assert (await town.admin("POST", INVITES, {"email": "ada@example.com", "role": "reader"})).status == 200


WRONG_INVITES: list[tuple[dict[str, Any], int, str]] = [
    ({"email": "nonsense", "role": "reader"}, 400, "email"),
    ({"email": "a@example.com", "role": "member"}, 400, "role"),
    ({"email": "a@example.com"}, 400, "role"),
    ({"email": "a@example.com", "role": "reader", "projects": [{"id": "proj_none", "role": "member"}]}, 404, "projects"),
    ({"email": "a@example.com", "role": "reader", "projects": [{"id": DEFAULT_PROJECT, "role": "none"}]}, 400, "projects[0].role"),
    ({"email": "owner@localhost", "role": "reader"}, 409, "email"),
]


async def test_wrong_invites(town: Town) -> None:
    for body, status, param in WRONG_INVITES:
        reply = await town.admin("POST", INVITES, body)
        assert (reply.status, reply.json()["error"]["param"]) == (status, param)


async def test_of_two_invites_at_once_one_is_made(town: Town) -> None:
    body = {"email": "ada@example.com", "role": "reader"}
    replies = await asyncio.gather(*(town.admin("POST", INVITES, body) for _ in range(3)))
    assert sorted(reply.status for reply in replies) == [200, 409, 409]
