"""Logins for the walk: the cookie says who it is. Everything behind it, what that user may do, is the real thing."""

from __future__ import annotations

from starlette.types import Scope

from openhearth.accounts.access import AccessTable
from openhearth.accounts.guard import COOKIE
from openhearth.accounts.principal import Access
from openhearth.errors import AuthenticationFailed
from openhearth.store.database import Database
from tests.support.accounts import logged_in


class TrustingLogins:
    """`accounts.guard.Sessions` for tests of what comes after the login."""

    def __init__(self, database: Database, access: AccessTable) -> None:
        self._database = database
        self._access = access

    async def check(self, token: str, _scope: Scope) -> Access:
        await self._access.refresh()
        if token not in self._access.membership.users:
            raise AuthenticationFailed("Your session has ended.")
        return (await logged_in(self._database, token)).access


def cookie(user_id: str) -> dict[str, str]:
    return {"cookie": f"{COOKIE}={user_id}"}
