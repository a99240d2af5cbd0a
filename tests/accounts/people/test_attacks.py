"""What strangers try: finding out addresses, other sites' requests, fixed sessions, foreign redirects, SQL, headers in mail."""

from __future__ import annotations

import statistics
import time
from urllib.parse import quote

import pytest
from sqlalchemy import select

from openhearth.accounts.tables import UserRow
from openhearth.mail.tables import MailRow
from openhearth.settings import Settings
from tests.accounts.people.conftest import ADMIN, PASSWORD, Browser, Town

LOGIN, ME, RESET = "/openhearth/auth/login", "/openhearth/auth/me", "/openhearth/auth/password/reset"
PAGE = "/openhearth/auth/pages/login"


async def took(browser: Browser, path: str, body: dict[str, str]) -> float:
    started = time.perf_counter()
    await browser.post(path, body)
    return time.perf_counter() - started


async def test_time_doesnt_tell_who_has_an_account(town: Town) -> None:
    """Medians of interleaved tries: a check that was left out would make one a tenth of the other."""
    known, unknown = [], []
    for number in range(6):
        await town.person(f"user{number}@example.com")
    await town.browser().post(LOGIN, {"email": "warm@example.com", "password": "x"})
    for number in range(6):
        known.append(await took(town.browser(), LOGIN, {"email": f"user{number}@example.com", "password": "wrong"}))
        unknown.append(await took(town.browser(), LOGIN, {"email": f"nobody{number}@example.com", "password": "wrong"}))
    assert 0.5 < statistics.median(known) / statistics.median(unknown) < 2.0


async def test_a_reset_does_the_same_work_for_nobody(town: Town) -> None:
    await town.person("ada@example.com")
    statements: list[list[str]] = []
    from sqlalchemy import event

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        statements[-1].append(statement)

    event.listen(town.house.database.engine.sync_engine, "before_cursor_execute", note)
    for email in ("ada@example.com", "nobody@example.com"):
        statements.append([])
        assert (await town.browser().post(RESET, {"email": email})).status == 202
    event.remove(town.house.database.engine.sync_engine, "before_cursor_execute", note)
    assert statements[0] == statements[1]
    assert len(statements[0]) >= 3
    async with town.house.database.session() as session:
        mail = list(await session.scalars(select(MailRow).order_by(MailRow.position)))
    assert [row.recipient for row in mail] == ["ada@example.com", ""]
    assert mail[1].sent_at is not None


async def test_logins_are_limited_whether_the_address_is_known_or_not(town: Town) -> None:
    await town.person("ada@example.com")
    for email in ("nobody@example.com", "ada@example.com"):
        # A slow machine wins a try or two back.
        replies = [await town.browser().post(LOGIN, {"email": email, "password": "wrong"}) for _ in range(14)]
        assert {reply.status for reply in replies[:10]} == {401}
        late = next(reply for reply in replies if reply.status == 429)
        assert int(late.headers["Retry-After"]) >= 1
        assert late.json()["error"]["code"] == "rate_limit_exceeded"
    right = await town.browser().post(LOGIN, {"email": "ada@example.com", "password": PASSWORD})
    assert right.status == 429


async def test_mail_is_limited(town: Town) -> None:
    replies = [await town.browser().post(RESET, {"email": "nobody@example.com"}) for _ in range(6)]
    assert [reply.status for reply in replies] == [202] * 5 + [429]


async def test_a_session_cant_be_fixed(town: Town) -> None:
    """The cookie that was there before the login is worth nothing after it."""
    eve = await town.logged_in("eve@example.com")
    planted = eve.cookies["openhearth_session"]
    await town.person("ada@example.com")
    ada = town.browser()
    ada.cookies["openhearth_session"] = planted
    await ada.post(LOGIN, {"email": "ada@example.com", "password": PASSWORD})
    assert ada.cookies["openhearth_session"] != planted
    assert (await eve.get(ME)).status == 401
    invented = town.browser()
    invented.cookies["openhearth_session"] = "chosen-by-eve"
    await invented.post(LOGIN, {"email": "ada@example.com", "password": PASSWORD})
    assert invented.cookies["openhearth_session"] != "chosen-by-eve"


FOREIGN: list[dict[str, str]] = [
    {},
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://house.evil.example"},
    {"Origin": "http://house", "Sec-Fetch-Site": "cross-site"},
    {"Origin": "http://house", "Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "none"},
    {"Origin": "http://house", "Content-Type": "text/plain"},
    {"Origin": "http://house", "Content-Type": "application/x-www-form-urlencoded"},
    {"Origin": "http://house", "Content-Type": ""},
]


async def test_another_site_cant_use_the_cookie(town: Town) -> None:
    browser = await town.logged_in("ada@example.com", "owner")
    for headers in FOREIGN:
        for method, path in (("POST", "/openhearth/auth/logout"), ("POST", "/v1/organization/invites"), ("POST", "/v1/chat/completions")):
            sent = {"Content-Type": "application/json", **headers}
            refused = await browser.send(method, path, headers=sent, data=b"{}")
            assert refused.status == 403, (headers, path, refused.text)
        if "Content-Type" not in headers:
            assert (await browser.send("DELETE", "/openhearth/auth/sessions", headers=headers)).status == 403
    assert (await browser.get(ME)).status == 200


async def test_another_site_cant_log_a_browser_in(town: Town) -> None:
    await town.person("eve@example.com")
    body = {"email": "eve@example.com", "password": PASSWORD}
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"}):
        assert (await town.browser().send("POST", LOGIN, headers=headers, json=body)).status == 403
        form = await town.browser().send("POST", PAGE, headers=headers, data=body)
        assert form.status == 403
        assert "openhearth_session" not in str(form.headers)
    plain = await town.browser().send("POST", LOGIN, headers={"Content-Type": "text/plain"}, data=b'{"email": "x", "password": "y"}')
    assert plain.status == 403


async def test_a_form_without_its_token_is_refused(town: Town) -> None:
    await town.person("ada@example.com")
    body = {"email": "ada@example.com", "password": PASSWORD}
    browser = town.browser()
    for form in ({}, {"form": ""}, {"form": "-"}, {"form": "x" * 43}):
        assert (await browser.send("POST", PAGE, headers=browser.own_page, data={**body, **form})).status == 403
    await browser.get(PAGE)
    assert (await browser.send("POST", PAGE, headers=browser.own_page, data={**body, "form": "x" * 43})).status == 403
    assert "openhearth_session" not in browser.cookies
    assert (await browser.fill(PAGE, **body)).status == 200


async def test_no_redirect_leads_away(town: Town) -> None:
    await town.person("ada@example.com")
    form = {"email": "ada@example.com", "password": PASSWORD}
    for wanted in ("https://evil.example/", "//evil.example", "/\\evil.example", "/%0d%0aSet-Cookie:a=b", "javascript:1"):
        done = await town.browser().fill(f"{PAGE}?next={wanted}", **form)
        assert "Location" not in done.headers, wanted
    good = await town.browser().fill(f"{PAGE}?next=/console", **form)
    assert (good.status, good.headers["Location"]) == (303, "/console")


SQL = ["' OR '1'='1", "'; DROP TABLE users; --", '" OR 1=1 --', "%", "_", "\\'; --", "' UNION SELECT password_hash FROM users --"]


async def test_sql_is_only_text(town: Town) -> None:
    await town.person("ada@example.com", "owner")
    for text in SQL:
        await try_text(town, text)
    async with town.house.database.session() as session:
        assert len(list(await session.scalars(select(UserRow)))) == 2


async def try_text(town: Town, text: str) -> None:
    """In every field."""
    browser = town.browser()
    for path, body in (
        (LOGIN, {"email": text, "password": text}),
        (LOGIN, {"email": "ada@example.com", "password": text}),
        ("/openhearth/auth/verify", {"token": text, "password": PASSWORD, "name": text}),
        ("/openhearth/auth/invites/accept", {"token": text, "password": PASSWORD}),
        ("/openhearth/auth/password/confirm", {"token": text, "password": PASSWORD}),
        ("/openhearth/auth/setup", {"token": text, "email": "eve@example.com", "password": PASSWORD}),
        ("/openhearth/auth/register", {"email": text}),
        (RESET, {"email": text}),
    ):
        reply = await browser.post(path, body)
        assert reply.status in (400, 401), (path, reply.text)
    browser.cookies["openhearth_session"] = quote(text)
    assert (await browser.get(ME)).status == 401
    for path in ("/v1/organization/users/", "/v1/organization/invites/"):
        assert (await town.admin("GET", path + quote(text, safe=""))).status in (404,), path
        assert (await town.admin("GET", f"{path[:-1]}?after={quote(text)}")).status == 404
    found = await town.admin("GET", f"/v1/organization/users?emails[]={quote(text)}")
    assert found.json()["data"] == []
    user = (await town.admin("GET", "/v1/organization/users?emails[]=ada@example.com")).json()["data"][0]
    changed = await town.admin("POST", f"/v1/organization/users/{user['id']}", {"developer_persona": text})
    assert changed.json()["developer_persona"] == text
    assert (await town.admin("POST", f"/v1/organization/users/{user['id']}", {"role": text})).status == 400


async def test_nul_in_a_path_is_no_error_of_ours(town: Town) -> None:
    for path in ("/v1/organization/users/a%00b", "/v1/organization/invites/a%00b"):
        assert (await town.admin("DELETE", path)).status in (400, 404), path
    browser = await town.logged_in("ada@example.com")
    assert (await browser.delete("/openhearth/auth/sessions/a%00b")).status in (400, 404)


async def test_markup_is_shown_as_text(town: Town) -> None:
    shown = await town.browser().get(PAGE + '?next="><script>alert(1)</script>&token="><b>')
    assert "<script" not in shown.text
    assert "<b>" not in shown.text
    typed = await town.browser().fill(PAGE, email='"><script>alert(1)</script>', password="x")
    assert typed.status == 401
    assert "<script" not in typed.text


async def test_pages_allow_no_script_and_no_frame(town: Town) -> None:
    for name in ("login", "register", "forgot", "verify", "accept", "reset", "setup"):
        page = await town.browser().get(f"/openhearth/auth/pages/{name}")
        policy = page.headers["Content-Security-Policy"]
        assert page.status == 200
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert page.headers["Cache-Control"] == "no-store"
        assert "http" not in page.text


async def test_admin_keys_dont_log_in_or_out(town: Town) -> None:
    reply = await town.browser().post("/openhearth/auth/logout", {}, Authorization=f"Bearer {ADMIN}")
    assert reply.status == 403


class TestWithTls:
    """Behind a proxy that ends TLS."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        import msgspec

        return msgspec.structs.replace(settings, public_url="https://ai.example.com")

    async def test_cookies_are_for_https_and_links_lead_to_the_public_address(self, town: Town) -> None:
        browser = town.browser()
        browser.own_page = {"Origin": "https://ai.example.com", "Host": "internal:8000"}
        await town.person("ada@example.com")
        await browser.post(LOGIN, {"email": "ada@example.com", "password": PASSWORD})
        assert all("; Secure" in line for line in browser.set_cookies)
        assert (await browser.post("/openhearth/auth/logout", {})).status == 200
        forged = {"Host": "evil.example", "Origin": "http://evil.example"}
        await town.browser().send("POST", RESET, headers=forged, json={"email": "ada@example.com"})
        links = await town.house.people.open_links()
        assert links[-1][3].startswith("https://ai.example.com/openhearth/auth/pages/reset?token=")


class TestClosed:
    """As it is without settings."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        import msgspec

        return msgspec.structs.replace(settings, registration=("example.com",))

    async def test_only_the_domains_addresses_register(self, town: Town) -> None:
        path = "/openhearth/auth/register"
        assert (await town.browser().post(path, {"email": "ada@example.com"})).status == 202
        for email in ("ada@evil.example", "ada@example.com.evil.example", "ada@sub.example.com"):
            assert (await town.browser().post(path, {"email": email})).json()["error"]["code"] == "registration_closed"
