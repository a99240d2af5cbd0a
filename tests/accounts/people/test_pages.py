"""The pages behind links in mails, as a person without a console uses them."""

from __future__ import annotations

from tests.accounts.people.conftest import PASSWORD, Town

PAGES, ME = "/openhearth/auth/pages", "/openhearth/auth/me"


async def test_registering_and_forgetting_the_password(town: Town) -> None:
    browser = town.browser()
    assert "on its way" in (await browser.fill(f"{PAGES}/register", email="ada@example.com")).text
    link = await town.link("ada@example.com")
    for _ in range(2):  # a mail scanner looks first
        assert (await town.browser().get(link)).status == 200
    weak = await browser.fill(link, name="Ada", password="password123")
    assert weak.status == 400
    assert "first that are guessed" in weak.text
    assert "password123" not in weak.text
    assert 'value="Ada"' in weak.text
    done = await browser.fill(link, name="Ada", password=PASSWORD)
    assert "logged in as ada@example.com" in done.text
    assert (await browser.get(ME)).json()["user"]["name"] == "Ada"

    assert "on its way" in (await town.browser().fill(f"{PAGES}/forgot", email="ada@example.com")).text
    assert "is changed" in (await town.browser().fill(await town.link("ada@example.com"), password="another mighty river")).text
    assert (await browser.get(ME)).status == 401
    assert (await browser.fill(f"{PAGES}/login", email="ada@example.com", password="another mighty river")).status == 200
    assert (await browser.get(ME)).status == 200


async def test_accepting_an_invite_and_setting_the_server_up(town: Town) -> None:
    await town.admin("POST", "/v1/organization/invites", {"email": "ada@example.com", "role": "owner"})
    ada, owner = town.browser(), town.browser()
    assert "Choose a password" in (await ada.fill(await town.link("ada@example.com"))).text
    assert "Welcome" in (await ada.fill(await town.link("ada@example.com"), password=PASSWORD)).text
    assert (await ada.get(ME)).json()["user"]["role"] == "owner"
    await town.house.people.setup_link()  # not needed any more: an owner can log in
    assert not [link for link in await town.house.people.open_links() if link[1] == "setup"]
    assert "doesn" in (await owner.fill(f"{PAGES}/setup?token=x", email="eve@example.com", password=PASSWORD)).text
    assert (await owner.get(ME)).status == 401


async def test_the_owners_link(town: Town) -> None:
    path, browser = await town.house.people.setup_link(), town.browser()
    assert path is not None
    assert "Welcome" in (await browser.fill(path, email="ada@example.com", name="Ada", password=PASSWORD)).text
    assert (await browser.get(ME)).json()["user"]["role"] == "owner"


async def test_too_many_logins_are_told_when_to_come_again(town: Town) -> None:
    browser = town.browser()
    for _ in range(10):
        assert (await browser.fill(f"{PAGES}/login", email="ada@example.com", password="wrong")).status == 401
    late = await browser.fill(f"{PAGES}/login", email="ada@example.com", password="wrong")
    assert late.status == 429
    assert int(late.headers["Retry-After"]) >= 1
