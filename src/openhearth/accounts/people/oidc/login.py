"""A login by the provider: begun in this browser, finished in the same one, and whose account it is."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from openhearth.accounts.access import changed
from openhearth.accounts.audit.record import record
from openhearth.accounts.people.addresses import domain, known_form
from openhearth.accounts.people.invites.service import pending_invite
from openhearth.accounts.people.joining import DEFAULT_PROJECTS, accept_invite, add_to_projects, add_user, record_user, user_of
from openhearth.accounts.people.next_path import safe_next
from openhearth.accounts.people.oidc.provider import Identity, Provider
from openhearth.accounts.people.sessions import LoggedIn, Visitor, as_visitor, begin_session
from openhearth.accounts.tables import UserRow
from openhearth.errors import AuthenticationFailed, PermissionDenied
from openhearth.settings import OidcSettings
from openhearth.store.database import Database

CALLBACK = "/openhearth/auth/oidc/callback"


class Begun(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What this browser keeps, in a cookie, until the provider sends it back."""

    state: str
    nonce: str
    verifier: str
    next: str | None


class Answer(msgspec.Struct, frozen=True):
    """What the provider sends the browser back with. It may say more."""

    state: str = ""
    code: str = ""
    error: str | None = None
    iss: str | None = None


class OidcLogin:
    """Who may come in: users, the invited, and addresses of the settings' domains; by an address that the provider has verified."""

    def __init__(self, database: Database, provider: Provider, settings: OidcSettings) -> None:
        self._database = database
        self._provider = provider
        self._domains = frozenset(name.lower() for name in settings.domains)
        self.name = settings.name

    async def start(self, base_url: str, wanted: str | None) -> tuple[str, str]:
        """Where to send the browser, and what its cookie holds. Raises ProviderUnavailable."""
        begun = Begun(secrets.token_urlsafe(32), secrets.token_urlsafe(32), secrets.token_urlsafe(48), safe_next(wanted))
        challenge = base64.urlsafe_b64encode(hashlib.sha256(begun.verifier.encode()).digest()).rstrip(b"=").decode()
        url = await self._provider.authorization_url(base_url + CALLBACK, begun.state, begun.nonce, challenge)
        return url, base64.urlsafe_b64encode(msgspec.json.encode(begun)).rstrip(b"=").decode()

    async def finish(self, base_url: str, kept: str | None, answer: Answer, visitor: Visitor) -> tuple[LoggedIn, str | None]:
        """The login, and where it leads. Raises AuthenticationFailed, PermissionDenied, ProviderUnavailable."""
        begun = _begun(kept)
        if begun is None or not answer.state or not hmac.compare_digest(answer.state.encode(), begun.state.encode()):
            raise AuthenticationFailed("This login wasn't begun in this browser, or too long ago. Start it again.", code="oidc_failed")
        await self._provider.check_issuer(answer.iss)
        if answer.error is not None or not answer.code:
            raise AuthenticationFailed("The OpenID provider didn't let you in. Start the login again.", code="oidc_failed")
        identity = await self._provider.identify(answer.code, begun.verifier, base_url + CALLBACK, begun.nonce)
        async with self._database.session() as session:
            user = await self._user(session, identity, visitor)
            record(session, await as_visitor(session, user, visitor), "login.succeeded", user.id)
            return await begin_session(session, user, visitor), safe_next(begun.next)

    async def close(self) -> None:
        await self._provider.close()

    async def _user(self, session: AsyncSession, identity: Identity, visitor: Visitor) -> UserRow:
        user = (await session.scalars(select(UserRow).where(UserRow.subject == identity.subject))).one_or_none()
        if user is None:
            user = await self._by_address(session, identity, visitor)
        if user.banned_at is not None:
            raise PermissionDenied("This account is locked. Ask an owner of this server.", code="account_locked")
        return user

    async def _by_address(self, session: AsyncSession, identity: Identity, visitor: Visitor) -> UserRow:
        email = known_form(identity.email or "")
        if email is None:
            raise PermissionDenied("The OpenID provider names no e-mail address that it has verified.", code="email_not_verified")
        user, invite = await user_of(session, email), await pending_invite(session, email)
        if user is not None and user.subject is not None:
            raise PermissionDenied("The account with this address belongs to another login at the OpenID provider.", code="oidc_conflict")
        if user is None:
            if invite is None and domain(email) not in self._domains:
                raise PermissionDenied("There is no account for you here. Ask an owner of this server for an invite.", code="not_invited")
            name = identity.name if identity.name.isprintable() else ""
            user = await add_user(session, email, name=name[:256], subject=identity.subject)
            if invite is None:
                await add_to_projects(session, user, DEFAULT_PROJECTS)
            record_user(session, await as_visitor(session, user, visitor), user)
        await _link(session, user, identity, visitor)
        if invite is not None:
            await accept_invite(session, invite, user)
            record(session, await as_visitor(session, user, visitor), "invite.accepted", invite.id)
        return user


async def _link(session: AsyncSession, user: UserRow, identity: Identity, visitor: Visitor) -> None:
    """From now on the provider's subject counts, whatever address it has there."""
    user.subject = identity.subject
    user.verified_at = user.verified_at or user.added_at
    await changed(session)
    record(session, await as_visitor(session, user, visitor), "user.updated", user.id, changes={"openid_connect": "linked"})


def _begun(kept: str | None) -> Begun | None:
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode((kept or "") + "=" * (-len(kept or "") % 4)), type=Begun)
    except (ValueError, msgspec.MsgspecError):
        return None
