"""A house with everything about people, behind the real HTTP server, on both databases; and browsers that visit it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from openhearth.app import House, make_app, open_house
from openhearth.settings import Settings
from tests.support.asgi import served

PASSWORD = "a mighty fine river"
ADMIN = "sk-admin-0123456789abcdef"


@dataclass
class Answer:
    """A reply, read."""

    status: int
    body: bytes
    headers: Mapping[str, str]

    def json(self) -> Any:
        import json

        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()


@dataclass
class Browser:
    """Keeps cookies, and says that its requests come from the server's own pages, as browsers do."""

    session: aiohttp.ClientSession
    cookies: dict[str, str] = field(default_factory=dict)
    set_cookies: list[str] = field(default_factory=list)
    own_page: Mapping[str, str] = field(default_factory=lambda: {"Origin": "http://house", "Sec-Fetch-Site": "same-origin"})

    async def get(self, path: str, **headers: str) -> Answer:
        return await self.send("GET", path, headers=headers)

    async def post(self, path: str, body: Any, **headers: str) -> Answer:
        return await self.send("POST", path, json=body, headers={**self.own_page, **headers})

    async def delete(self, path: str) -> Answer:
        return await self.send("DELETE", path, headers=self.own_page)

    async def fill(self, page: str, **fields: str) -> Answer:
        """Open a page and send its form, with what it hides in it."""
        shown = await self.get(page)
        hidden = dict(re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', shown.text))
        return await self.send("POST", page.partition("?")[0], data={**hidden, **fields}, headers=self.own_page)

    async def send(self, method: str, path: str, *, headers: Mapping[str, str], **body: Any) -> Answer:
        cookie = {"Cookie": "; ".join(f"{k}={v}" for k, v in self.cookies.items())} if self.cookies else {}
        async with self.session.request(method, path, headers={**cookie, **headers}, allow_redirects=False, **body) as reply:
            for line in reply.headers.getall("Set-Cookie", []):
                self.set_cookies.append(line)
                for name, morsel in SimpleCookie(line).items():
                    self.cookies[name] = morsel.value
                    if morsel["max-age"] == "0":
                        del self.cookies[name]
            return Answer(reply.status, await reply.read(), dict(reply.headers))


@dataclass
class Town:
    """The house, and how to visit it."""

    house: House
    session: aiohttp.ClientSession

    def browser(self) -> Browser:
        return Browser(self.session)

    async def link(self, email: str) -> str:
        """The path in the newest mail to this address that wasn't sent."""
        links = [link for to, _purpose, _until, link in await self.house.people.open_links() if to == email]
        assert links, f"no mail for {email}"
        return links[-1].removeprefix(self.house.people.address.url)

    async def token(self, email: str) -> str:
        return (await self.link(email)).rpartition("token=")[2]

    async def person(self, email: str, role: str = "reader") -> str:
        """A user with PASSWORD; its id."""
        return (await self.house.people.users.create(None, email, role=role, password=PASSWORD)).id

    async def logged_in(self, email: str, role: str = "reader") -> Browser:
        """A browser of a new user."""
        await self.person(email, role)
        browser = self.browser()
        reply = await browser.post("/openhearth/auth/login", {"email": email, "password": PASSWORD})
        assert reply.status == 200, reply.text
        return browser

    async def admin(self, method: str, path: str, body: Any = None) -> Answer:
        """With an admin key."""
        sent = {} if body is None else {"json": body}
        return await self.browser().send(method, path, headers={"Authorization": f"Bearer {ADMIN}"}, **sent)


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path, database_url=database_url, registration="open", admin_key=ADMIN)


@pytest.fixture
async def town(settings: Settings) -> AsyncIterator[Town]:
    async with (
        open_house(settings) as house,
        served(make_app(house)) as reached,
        # Browsers keep their cookies themselves.
        aiohttp.ClientSession(
            "http://house", connector=aiohttp.UnixConnector(str(reached.socket)), cookie_jar=aiohttp.DummyCookieJar()
        ) as session,
    ):
        yield Town(house, session)
        if house.people.oidc:
            await house.people.oidc.close()
