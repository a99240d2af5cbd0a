"""The people's rooms put together, for `app` and the command line."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Literal

from openhearth.accounts.access import AccessTable
from openhearth.accounts.audit.record import record
from openhearth.accounts.people import letters
from openhearth.accounts.people.invites.service import Invites
from openhearth.accounts.people.joining import Joining
from openhearth.accounts.people.links import forget_dead_links, new_link, open_links
from openhearth.accounts.people.login import Login
from openhearth.accounts.people.oidc.login import OidcLogin
from openhearth.accounts.people.oidc.provider import Provider
from openhearth.accounts.people.passwords import Passwords
from openhearth.accounts.people.public_address import public_address
from openhearth.accounts.people.sessions import Sessions, end_session, end_sessions
from openhearth.accounts.people.throttle import Limits
from openhearth.accounts.people.users.service import Users
from openhearth.accounts.principal import Principal
from openhearth.errors import PermissionDenied, StorageUnavailable
from openhearth.mail.delivery import Delivery
from openhearth.mail.outbox import post
from openhearth.mail.smtp import SmtpTransport
from openhearth.settings import Settings
from openhearth.store.database import Database
from openhearth.wire.auth import Me, MyProject, Person, Session, SessionList

log = logging.getLogger(__name__)
TIDY_S = 3600


class People:
    """Raises SetupError for settings that can't be."""

    def __init__(self, settings: Settings, database: Database, access: AccessTable) -> None:
        self._database = database
        self._access = access
        self._registration = settings.registration
        self.address = public_address(settings.public_url, settings.host, settings.port)
        self.limits = Limits()
        passwords = Passwords()
        self.users = Users(database, passwords)
        self.invites = Invites(database)
        self.sessions = Sessions(database, access, self.address)
        self.joining = Joining(database, passwords, self.limits, settings.registration)
        self.login = Login(database, passwords, self.limits)
        self.oidc = OidcLogin(database, Provider(settings.oidc), settings.oidc) if settings.oidc else None
        self._delivery = Delivery(database, SmtpTransport(settings.mail) if settings.mail else None, lambda: self.address.url)

    @property
    def registration_kind(self) -> Literal["closed", "open", "domains"]:
        """Whether the login page offers registration."""
        return "domains" if isinstance(self._registration, tuple) else self._registration

    @property
    def provider_name(self) -> str | None:
        """The OpenID provider's, if there is one."""
        return self.oidc.name if self.oidc else None

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Mail is delivered, and what has ended is forgotten, until left."""
        tidying = asyncio.create_task(self._tidy())
        try:
            async with self._delivery.at_work():
                yield
        finally:
            tidying.cancel()
            with suppress(asyncio.CancelledError):
                await tidying
            if self.oidc:
                await self.oidc.close()

    async def me(self, principal: Principal) -> Me:
        """Raises PermissionDenied for who isn't a person."""
        if principal.owner_id not in self._access.membership.users:
            raise PermissionDenied("This key doesn't act for a person.")
        user = await self.users.get(principal.owner_id)
        access = principal.access
        projects = [
            MyProject(project_id, name, role, sorted(access.projects.get(project_id, frozenset()) | access.everywhere))
            for project_id, name, role in await self.users.projects(user.id)
        ]
        person = Person(user.id, user.email, user.name, user.role)
        return Me(person, access.organization_id, sorted(access.everywhere), projects)

    async def own_sessions(self, principal: Principal) -> SessionList:
        """Newest first."""
        rows = await self.sessions.list(principal.owner_id)
        current = principal.key_id
        return SessionList(
            [Session(r.id, r.created_at, r.last_used_at, r.expires_at, r.address, r.user_agent, r.id == current) for r in rows]
        )

    async def log_out(self, principal: Principal) -> None:
        """End the session that this is asked in."""
        await self.end_own_session(principal, principal.key_id)

    async def end_own_session(self, principal: Principal, session_id: str) -> None:
        """Raises NotFound, also for another user's."""
        async with self._database.session() as session:
            await end_session(session, principal.owner_id, session_id)
            record(session, principal, "logout.succeeded", principal.owner_id)

    async def end_own_sessions(self, principal: Principal) -> None:
        """Log out everywhere."""
        async with self._database.session() as session:
            await end_sessions(session, principal.owner_id)
            record(session, principal, "logout.succeeded", principal.owner_id)

    async def setup_link(self) -> str | None:
        """A path for the owner of a new installation, the first time this is asked; None: it is set up, or the link was made already."""
        owner = await self.users.not_set_up()
        if owner is None:
            return None
        async with self._database.session() as session:
            if any(link.purpose == "setup" for link, _mail in await open_links(session)):
                return None
            link, expires_at = new_link(session, "setup", owner.email, owner.id)
            post(session, owner.email, letters.SETUP.subject, letters.SETUP.text, link=link, expires_at=expires_at, keep=True)
        return link

    async def open_links(self) -> list[tuple[str, str, int, str]]:
        """Of messages that weren't sent: address, purpose, when it ends, the whole link."""
        async with self._database.session() as session:
            found = await open_links(session)
        return [(link.email, link.purpose, link.expires_at, self.address.url + (mail.link or "")) for link, mail in found]

    async def _tidy(self) -> None:
        while True:
            try:
                await self.sessions.forget_ended()
                async with self._database.session() as session:
                    await forget_dead_links(session)
            except StorageUnavailable:
                log.warning("ended sessions can't be forgotten now")
            await asyncio.sleep(TIDY_S)
