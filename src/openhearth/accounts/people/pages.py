"""The pages behind links in mails, and a login page: plain HTML forms, so that they work without the web console."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from openhearth.accounts.people import html
from openhearth.accounts.people.cookies import set_session, visitor
from openhearth.accounts.people.forms import FIELD, form_token, read_form
from openhearth.accounts.people.links import PAGES
from openhearth.accounts.people.next_path import safe_next
from openhearth.accounts.people.routes import REGISTERED, RESET
from openhearth.accounts.people.sessions import LoggedIn
from openhearth.errors import OpenHearthError
from openhearth.web.endpoint import Call, Endpoint, Handler, Reply, parse_query

if TYPE_CHECKING:
    from openhearth.accounts.people.people import People

TAG = "Login pages"
HIDDEN = ("token", "next")
Act = Callable[[Call, Mapping[str, str]], Awaitable[LoggedIn | str]]
"""What sending the form does: a login, or a sentence to show."""


@dataclass(frozen=True, slots=True)
class Page:
    """One path with a form."""

    name: str
    title: str
    intro: str
    fields: Sequence[html.Field]
    button: str
    act: Act
    below: str = ""
    """HTML."""


def endpoints(people: People) -> list[Endpoint]:
    """This module's rows of the route table."""
    table: list[Endpoint] = []
    for page in (*_for_all(people), *_for_links(people)):
        path = f"{PAGES}/{page.name}"
        table += [
            Endpoint("GET", path, _shower(people, page), page.title + ": the page.", tag=TAG, public=True, page=True),
            Endpoint("POST", path, _sender(people, page), page.title + ": its form.", tag=TAG, public=True, page=True),
        ]
    return table


def _for_all(people: People) -> list[Page]:
    async def log_in(call: Call, sent: Mapping[str, str]) -> LoggedIn:
        return await people.login.log_in(sent.get("email", ""), sent.get("password", ""), visitor(call))

    async def register(call: Call, sent: Mapping[str, str]) -> str:
        await people.joining.register(sent.get("email", ""), visitor(call))
        return REGISTERED.message

    async def forgot(call: Call, sent: Mapping[str, str]) -> str:
        await people.login.request_reset(sent.get("email", ""), visitor(call))
        return RESET.message

    return [
        Page("login", "Log in", "", [html.EMAIL, html.PASSWORD], "Log in", log_in, _ways_in(people)),
        Page("register", "Register", "A link is mailed to this address.", [html.EMAIL], "Send the link", register),
        Page("forgot", "Forgotten password", "A link is mailed to this address.", [html.EMAIL], "Send the link", forgot),
    ]


def _for_links(people: People) -> list[Page]:
    async def verify(call: Call, sent: Mapping[str, str]) -> LoggedIn:
        return await people.joining.verify(sent.get("token", ""), sent.get("password", ""), sent.get("name", ""), visitor(call))

    async def accept(call: Call, sent: Mapping[str, str]) -> LoggedIn:
        return await people.joining.accept(sent.get("token", ""), sent.get("password") or None, sent.get("name", ""), visitor(call))

    async def reset(call: Call, sent: Mapping[str, str]) -> str:
        await people.login.reset(sent.get("token", ""), sent.get("password", ""), visitor(call))
        return "The password is changed. Log in with it."

    async def set_up(call: Call, sent: Mapping[str, str]) -> LoggedIn:
        token, email, password, name = (sent.get(field, "") for field in ("token", "email", "password", "name"))
        return await people.joining.set_up(token, email, password, name, visitor(call))

    optional = html.Field("password", "New password (not needed if you have an account)", "password", "new-password", required=False)
    return [
        Page("verify", "Confirm your address", "", [html.NAME, html.NEW_PASSWORD], "Confirm", verify),
        Page("accept", "Accept the invite", "", [html.NAME, optional], "Accept", accept),
        Page("reset", "New password", "", [html.NEW_PASSWORD], "Change it", reset),
        Page("setup", "Set up this server", "You will be its owner.", [html.EMAIL, html.NAME, html.NEW_PASSWORD], "Set up", set_up),
    ]


def _ways_in(people: People) -> str:
    ways = html.link(f"{PAGES}/forgot", "Forgotten password?")
    if people.registration_kind != "closed":
        ways += html.link(f"{PAGES}/register", "Register")
    if people.provider_name is not None:
        ways += html.link("/openhearth/auth/oidc/start", f"Log in with {people.provider_name}")
    return ways


def _shower(people: People, page: Page) -> Handler:
    async def show(call: Call) -> Reply:
        asked = parse_query(call.scope["query_string"])
        hidden = {name: asked[name] for name in HIDDEN if isinstance(asked.get(name), str)}
        return _shown(people, page, call, hidden)

    return show


def _sender(people: People, page: Page) -> Handler:
    async def send(call: Call) -> Reply:
        sent: dict[str, str] = {}
        try:
            sent = read_form(call, people.address)
            done = await page.act(call, sent)
        except OpenHearthError as error:
            hidden = {name: sent[name] for name in HIDDEN if name in sent}
            return _shown(people, page, call, hidden, sent, error)
        return _after(people, page, done, safe_next(sent.get("next")))

    return send


def _shown(
    people: People,
    page: Page,
    call: Call,
    hidden: Mapping[str, str],
    kept: Mapping[str, str] | None = None,
    error: OpenHearthError | None = None,
) -> Reply:
    token, headers = form_token(call, people.address, PAGES)
    path = f"{PAGES}/{page.name}"
    wrong = html.paragraph(error.message, "wrong") if error else ""
    body = html.paragraph(page.intro) + wrong + html.form(path, page.fields, page.button, {**hidden, FIELD: token}, kept or {}) + page.below
    return html.page(page.title, body, error.status if error else 200, {**headers, **(error.headers if error else {})})


def _after(people: People, page: Page, done: LoggedIn | str, wanted: str | None) -> Reply:
    if isinstance(done, str):
        return html.page(page.title, html.paragraph(done) + html.link(f"{PAGES}/login", "Log in"))
    session = set_session(done.token, people.address)
    if wanted is not None:
        return Reply(b"", 303, {**html.HEADERS, **session, "location": wanted}, html.HTML)
    return html.page("Welcome", html.paragraph(f"You are logged in as {done.user.email}."), headers=session)
