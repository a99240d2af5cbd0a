"""The cookies: the session's, and how they are set. No script reads them, and other sites' forms don't carry them."""

from __future__ import annotations

from openhearth.accounts.guard import COOKIE, session_token
from openhearth.accounts.people.public_address import PublicAddress
from openhearth.accounts.people.sessions import LONGEST_S, Visitor
from openhearth.web.endpoint import Call


def set_session(token: str, address: PublicAddress) -> dict[str, str]:
    """The header that a login's reply has."""
    return {"set-cookie": cookie(COOKIE, token, LONGEST_S, address), "cache-control": "no-store"}


def clear_session(address: PublicAddress) -> dict[str, str]:
    return {"set-cookie": cookie(COOKIE, "", 0, address), "cache-control": "no-store"}


def cookie(name: str, value: str, max_age_s: int, address: PublicAddress, path: str = "/") -> str:
    secure = "; Secure" if address.encrypted else ""
    return f"{name}={value}; Path={path}; Max-Age={max_age_s}; HttpOnly; SameSite=Lax{secure}"


def visitor(call: Call) -> Visitor:
    """Who sent this request."""
    headers = dict(call.scope["headers"])
    agent = headers.get(b"user-agent", b"").decode("latin-1")[:512]
    return Visitor(call.scope["state"].get("address"), agent or None, session_token(headers))


def read_cookie(call: Call, name: str) -> str | None:
    from http.cookies import CookieError, SimpleCookie

    raw = dict(call.scope["headers"]).get(b"cookie", b"").decode("latin-1")
    try:
        found = SimpleCookie(raw).get(name)
    except CookieError:
        return None
    return found.value if found else None
