"""Links that work once. The token is kept as its SHA-256. Mail scanners open links, so only the page's form uses them up."""

from __future__ import annotations

import secrets
import time
from typing import Literal
from urllib.parse import parse_qs, urlsplit

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from openhearth.accounts.access import digest
from openhearth.accounts.people.tables import LinkRow
from openhearth.errors import InvalidRequest
from openhearth.mail.outbox import open_mail
from openhearth.mail.tables import MailRow

Purpose = Literal["register", "reset", "invite", "setup", "nothing"]
PAGES = "/openhearth/auth/pages"
_PAGE = {"register": "verify", "reset": "reset", "invite": "accept", "setup": "setup", "nothing": "reset"}
LIFETIME_S = {"register": 86400, "reset": 3600, "invite": 7 * 86400, "setup": 7 * 86400, "nothing": 3600}


def new_link(session: AsyncSession, purpose: Purpose, email: str, subject_id: str) -> tuple[str, int]:
    """Path and query of a new link, and when it ends. `subject_id`: the user, or the invite; empty: nobody yet."""
    token = secrets.token_urlsafe(32)
    now = int(time.time())
    expires_at = now + LIFETIME_S[purpose]
    session.add(
        LinkRow(
            hash=digest(token), purpose=purpose, email=email, subject_id=subject_id, created_at=now, expires_at=expires_at, used_at=None
        )
    )
    return f"{PAGES}/{_PAGE[purpose]}?token={token}", expires_at


async def look(session: AsyncSession, token: str, purpose: Purpose) -> LinkRow:
    """The link, not used up yet. Raises InvalidRequest."""
    row = await session.get(LinkRow, digest(token))
    if row is None or row.purpose != purpose or row.used_at is not None or row.expires_at <= time.time():
        raise _dead()
    return row


async def use(session: AsyncSession, token: str, purpose: Purpose) -> LinkRow:
    """The same, and it is used up with this transaction: of two that try at once one fails. Raises InvalidRequest."""
    now = int(time.time())
    mine = update(LinkRow).where(LinkRow.hash == digest(token), LinkRow.purpose == purpose)
    used = await session.execute(mine.where(LinkRow.used_at.is_(None), LinkRow.expires_at > now).values(used_at=now))
    if getattr(used, "rowcount", 0) != 1:
        raise _dead()
    return (await session.scalars(select(LinkRow).where(LinkRow.hash == digest(token)))).one()


async def revoke_links(session: AsyncSession, subject_id: str, purpose: Purpose | None = None) -> None:
    """All that were made for this user or invite."""
    wanted = delete(LinkRow).where(LinkRow.subject_id == subject_id)
    await session.execute(wanted if purpose is None else wanted.where(LinkRow.purpose == purpose))


async def open_links(session: AsyncSession) -> list[tuple[LinkRow, MailRow]]:
    """Those that still work and stand in a message that wasn't sent."""
    found = []
    for mail in await open_mail(session):
        tokens = parse_qs(urlsplit(mail.link or "").query).get("token", [])
        row = await session.get(LinkRow, digest(tokens[0])) if tokens else None
        if row is not None and row.used_at is None and row.expires_at > time.time():
            found.append((row, mail))
    return found


async def forget_dead_links(session: AsyncSession) -> None:
    await session.execute(delete(LinkRow).where(LinkRow.expires_at < int(time.time())))


def _dead() -> InvalidRequest:
    return InvalidRequest(
        "This link doesn't work (any more): it was used, replaced, or is too old. Ask for a new one.", code="invalid_link"
    )
