"""The outbox: a message is written down in the transaction that wants it, and kept until it is sent, expired or refused.

Its link is kept apart from the text, as a path: where this server is reached is known when it is sent. Without SMTP settings messages stay
here; the server's console shows their links once, `openhearth users links` shows them as long as they are open.
"""

from __future__ import annotations

import time

from sqlalchemy import delete, event, select
from sqlalchemy.ext.asyncio import AsyncSession

from openhearth.mail.tables import MailRow
from openhearth.store.database import Database

LINK = "{link}"
"""Stands in a text where its link goes."""
NEVER = 2**53


def post(session: AsyncSession, recipient: str, subject: str, text: str, *, link: str | None, expires_at: int, keep: bool = False) -> None:
    """Write a message down, with this transaction. `keep`: it is only for `users links`, nobody sends it."""
    now = int(time.time())
    session.add(
        MailRow(
            recipient=recipient,
            subject=subject,
            text=text,
            link=link,
            created_at=now,
            expires_at=expires_at,
            attempts=0,
            next_at=NEVER if keep else now,
            sent_at=None,
            failed_at=None,
        )
    )
    _announce(session)


def post_nothing(session: AsyncSession, recipient: str, subject: str, text: str, *, link: str, expires_at: int) -> None:
    """As much work for the database, so that time doesn't tell who gets mail and who doesn't. Nobody sees it."""
    now = int(time.time())
    session.add(
        MailRow(
            recipient="",
            subject="",
            text=" " * len(text),
            link=None,
            created_at=now,
            expires_at=expires_at,
            attempts=0,
            next_at=NEVER,
            sent_at=now,
            failed_at=None,
        )
    )
    _announce(session)


async def open_mail(session: AsyncSession) -> list[MailRow]:
    """What wasn't sent and hasn't expired, oldest first."""
    wanted = select(MailRow).where(MailRow.sent_at.is_(None), MailRow.expires_at > int(time.time())).order_by(MailRow.position)
    return list(await session.scalars(wanted))


async def withdraw(session: AsyncSession, link: str) -> None:
    """Take back messages with this link that weren't sent."""
    await session.execute(delete(MailRow).where(MailRow.link == link, MailRow.sent_at.is_(None)))


def _announce(session: AsyncSession) -> None:
    database: Database = session.info["database"]

    def committed(_session: object) -> None:
        database.mail_waiting.set()

    event.listen(session.sync_session, "after_commit", committed, once=True)
