"""The whole way through a real, certified provider: discovery, login and consent there, PKCE, the code, the token, the account here."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from urllib.parse import urlsplit

import msgspec
import pytest
from sqlalchemy import update

from openhearth.accounts.people.oidc.login import CALLBACK
from openhearth.accounts.tables import UserRow
from openhearth.settings import OidcSettings, Settings
from tests.accounts.people.conftest import Answer, Browser, Town
from tests.support.oidc_provider import SECRET, log_in_there, provider

START, ME = "/openhearth/auth/oidc/start", "/openhearth/auth/me"
REDIRECT = "http://127.0.0.1:8000" + CALLBACK

pytestmark = [pytest.mark.real, pytest.mark.skipif(shutil.which("node") is None, reason="needs Node.js")]


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    with provider(REDIRECT) as running:
        yield running


@pytest.fixture
def settings(settings: Settings, issuer: str, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("TEST_OIDC_SECRET", SECRET)
    oidc = OidcSettings(issuer=issuer, client_id="openhearth", client_secret_env="TEST_OIDC_SECRET", domains=("staff.example",))
    return msgspec.structs.replace(settings, oidc=oidc)


async def come_back(browser: Browser, login: str, start: str = START) -> Answer:
    begun = await browser.get(start)
    assert begun.status == 303, begun.text
    assert "code_challenge_method=S256" in begun.headers["Location"]
    back = urlsplit(await log_in_there(begun.headers["Location"], login, REDIRECT))
    return await browser.get(f"{back.path}?{back.query}")


async def test_a_user_comes_in_and_stays_linked(town: Town) -> None:
    user_id = await town.person("ada@example.com")
    browser = town.browser()
    done = await come_back(browser, "ada@example.com", START + "?next=/console")
    assert (done.status, done.headers["Location"]) == (303, "/console")
    assert (await browser.get(ME)).json()["user"]["id"] == user_id
    async with town.house.database.session() as session:
        await session.execute(update(UserRow).where(UserRow.id == user_id).values(email="lovelace@example.com"))
    again = town.browser()
    assert (await come_back(again, "ada@example.com")).status == 200
    assert (await again.get(ME)).json()["user"]["id"] == user_id
    async with town.house.database.session() as session:
        await session.execute(update(UserRow).where(UserRow.id == user_id).values(email="ada@example.com"))
    other = await come_back(town.browser(), "other|ada@example.com")
    assert other.status == 403
    assert "another login" in other.text


async def test_the_invited_and_the_domains_come_in(town: Town) -> None:
    await town.admin("POST", "/v1/organization/invites", {"email": "bob@example.com", "role": "owner"})
    bob, eve = town.browser(), town.browser()
    assert (await come_back(bob, "bob@example.com")).status == 200
    assert (await bob.get(ME)).json()["user"]["role"] == "owner"
    assert (await come_back(eve, "eve@staff.example")).status == 200
    assert (await eve.get(ME)).json()["user"]["role"] == "reader"
    assert (await eve.get("/v1/models")).status == 200


async def test_nobody_else_does(town: Town) -> None:
    for login, status in (("eve@example.com", 403), ("unverified:eve@staff.example", 403), ("unverified:owner@localhost", 403)):
        browser = town.browser()
        refused = await come_back(browser, login)
        assert refused.status == status, refused.text
        assert "openhearth_session" not in browser.cookies
    assert len((await town.admin("GET", "/v1/organization/users")).json()["data"]) == 1


async def test_an_answer_counts_once_and_in_its_own_browser_only(town: Town) -> None:
    await town.person("ada@example.com")
    browser = town.browser()
    begun = await browser.get(START + "?next=//evil.example")
    back = urlsplit(await log_in_there(begun.headers["Location"], "ada@example.com", REDIRECT))
    path = f"{back.path}?{back.query}"
    assert (await town.browser().get(path)).status == 401
    another = town.browser()
    await another.get(START)
    assert (await another.get(path)).status == 401
    done = await browser.get(path)
    assert done.status == 200
    assert "Location" not in done.headers
    assert (await browser.get(path)).status == 401
    assert (await browser.get(f"{back.path}?error=access_denied&state=x")).status == 401


async def test_the_login_page_offers_it(town: Town) -> None:
    assert "Log in with OpenID Connect" in (await town.browser().get("/openhearth/auth/pages/login")).text
    assert (await town.browser().get("/openhearth/auth/options")).json()["openid_connect"] == "OpenID Connect"
