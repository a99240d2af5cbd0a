"""`/openhearth/auth/oidc/...`: where a browser goes to the provider, and where it comes back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from openhearth.accounts.people import html
from openhearth.accounts.people.cookies import cookie, read_cookie, set_session, visitor
from openhearth.accounts.people.links import PAGES
from openhearth.accounts.people.oidc.login import CALLBACK, Answer, OidcLogin
from openhearth.errors import OpenHearthError
from openhearth.web.endpoint import Call, Endpoint, Reply, parse_query
from openhearth.wire.decoding import convert

if TYPE_CHECKING:
    from openhearth.accounts.people.people import People

TAG = "Login pages"
COOKIE, KEPT_S, PATH = "openhearth_oidc", 600, "/openhearth/auth/oidc"


def endpoints(people: People, oidc: OidcLogin) -> list[Endpoint]:
    """This module's rows of the route table."""

    async def start(call: Call) -> Reply:
        try:
            people.limits.visit(visitor(call).address)
            wanted = parse_query(call.scope["query_string"]).get("next")
            url, kept = await oidc.start(people.address.url, wanted if isinstance(wanted, str) else None)
        except OpenHearthError as error:
            return _failed(error)
        return _redirect(url, {"set-cookie": cookie(COOKIE, kept, KEPT_S, people.address, PATH)})

    async def callback(call: Call) -> Reply:
        try:
            people.limits.visit(visitor(call).address)
            answer = convert(parse_query(call.scope["query_string"]), Answer, strict=False)
            made, wanted = await oidc.finish(people.address.url, read_cookie(call, COOKIE), answer, visitor(call))
        except OpenHearthError as error:
            return _failed(error)
        session = set_session(made.token, people.address)
        if wanted is not None:
            return _redirect(wanted, session)
        return html.page("Welcome", html.paragraph(f"You are logged in as {made.user.email}."), headers=session)

    return [
        Endpoint("GET", PATH + "/start", start, "Go to the OpenID provider.", tag=TAG, public=True, page=True),
        Endpoint("GET", CALLBACK, callback, "Come back from it.", tag=TAG, public=True, page=True),
    ]


def _redirect(url: str, headers: dict[str, str]) -> Reply:
    return Reply(b"", 303, {**html.HEADERS, **headers, "location": url}, html.HTML)


def _failed(error: OpenHearthError) -> Reply:
    body = html.paragraph(error.message, "wrong") + html.link(f"{PAGES}/login", "Log in")
    return html.page("Login failed", body, error.status, error.headers)
