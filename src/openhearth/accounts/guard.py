"""The guard: no route but the public ones is reached without a key or a session, whatever its prefix. Pure ASGI, before the router."""

from __future__ import annotations

from collections.abc import Collection
from http.cookies import CookieError, SimpleCookie
from typing import Protocol

from starlette.types import ASGIApp, Receive, Scope, Send

from openhearth.accounts.access import DEFAULT_PROJECT, AccessTable
from openhearth.accounts.policy import NO_POLICY
from openhearth.accounts.principal import Access, Principal
from openhearth.errors import AuthenticationFailed
from openhearth.web.proxies import Proxies

COOKIE = "openhearth_session"
_NO_KEY = (
    "You didn't provide an API key. Send it in an Authorization header with Bearer auth "
    "(Authorization: Bearer YOUR_KEY); `openhearth keys create` makes one on the server."
)


class Sessions(Protocol):
    """Who is logged in. The check is for browsers, so it must also refuse requests that another site made them send."""

    async def check(self, token: str, scope: Scope) -> Access:
        """Raises AuthenticationFailed, PermissionDenied."""
        ...


class Guard:
    """Puts the `principal` into the scope's state, or raises AuthenticationFailed."""

    def __init__(
        self,
        app: ASGIApp,
        access: AccessTable,
        public: Collection[str],
        sessions: Sessions | None = None,
        proxies: Proxies | None = None,
    ) -> None:
        self._app = app
        self._access = access
        self._public = frozenset(public)
        self._sessions = sessions
        self._proxies = proxies or Proxies()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope["state"]["address"] = self._proxies.client(scope)
        if scope["type"] == "http" and scope["path"] not in self._public:
            headers = dict(scope["headers"])
            if len(headers) < len(scope["headers"]) and sum(name == b"authorization" for name, _ in scope["headers"]) > 1:
                raise AuthenticationFailed("The request has several Authorization headers; send one.")
            access = await self._check(headers, scope)
            await self._access.refresh()
            project_id = chosen_project(access, headers, self._access.membership.active_projects)
            principal = Principal(access, project_id, scope["state"]["address"], _text(headers, b"user-agent"))
            principal.policy = self._access.membership.policies.get(project_id, NO_POLICY)
            scope["state"]["principal"] = principal
            scope["state"]["notices"] = principal.notices
        await self._app(scope, receive, send)

    async def _check(self, headers: dict[bytes, bytes], scope: Scope) -> Access:
        key = bearer_key(headers)
        if key is not None:
            return await self._access.check(key)
        token = session_token(headers)
        if token is None or self._sessions is None:
            raise AuthenticationFailed(_NO_KEY, code=None)
        return await self._sessions.check(token, scope)


def bearer_key(headers: dict[bytes, bytes]) -> str | None:
    """The key from `Authorization: Bearer` or `api-key` (Azure's clients)."""
    scheme, _, key = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
    if scheme.lower() == "bearer" and key.strip():
        return key.strip()
    return headers.get(b"api-key", b"").decode("latin-1") or None


def session_token(headers: dict[bytes, bytes]) -> str | None:
    """The session's cookie."""
    try:
        found = SimpleCookie(headers.get(b"cookie", b"").decode("latin-1")).get(COOKIE)
    except CookieError:
        return None
    return found.value if found else None


def chosen_project(access: Access, headers: dict[bytes, bytes], active: Collection[str]) -> str:
    """The project that a request is about: its key's, or the active one that it names. Raises AuthenticationFailed where the two differ."""
    organization = _text(headers, b"openai-organization")
    if organization and organization != access.organization_id:
        raise AuthenticationFailed(
            f"OpenAI-Organization header should match organization for API key: it is {access.organization_id} here. "
            "Leave the header (OPENAI_ORG_ID) out, or set it to that.",
            code="mismatched_organization",
        )
    named = _text(headers, b"openai-project")
    if access.project_id is None:
        if named and (named not in active or not (access.everywhere or named in access.projects)):
            raise AuthenticationFailed(f"No such project: {named[:100]}.", code="mismatched_project")
        return named or (DEFAULT_PROJECT if access.kind == "session" else "")
    if named and named != access.project_id:
        raise AuthenticationFailed(
            f"OpenAI-Project header should match project for API key: it is {access.project_id}. "
            "Leave the header (OPENAI_PROJECT_ID) out, or set it to that.",
            code="mismatched_project",
        )
    return access.project_id


def _text(headers: dict[bytes, bytes], name: bytes) -> str | None:
    value = headers.get(name)
    return value.decode("latin-1")[:512] if value else None
