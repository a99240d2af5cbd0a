"""Sends what the outbox holds, again and again with growing pauses; without SMTP settings, shows the links on the server's console."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from sqlalchemy import delete, select, update

from openhearth.errors import StorageUnavailable
from openhearth.mail.outbox import LINK, NEVER
from openhearth.mail.smtp import Deferred, Transport, Undeliverable
from openhearth.mail.tables import MailRow
from openhearth.store.database import Database

log = logging.getLogger(__name__)

POLL_S = 2.0
"""Other processes write mail, too: the command line does."""
GRACE_S = 5.0
FIRST_PAUSE_S = 30
LONGEST_PAUSE_S = 3600
KEPT_S = 86400
"""How long rows of messages that are done with stay, without their text."""


class Delivery:
    """`address` gives the server's public address; `transport` None: links go to the console."""

    def __init__(self, database: Database, transport: Transport | None, address: Callable[[], str]) -> None:
        self._database = database
        self._transport = transport
        self._address = address

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Deliver in the background until left. A message that is being sent then is finished, or sent again at the next start."""
        stop = asyncio.Event()
        task = asyncio.create_task(self._run(stop))
        try:
            yield
        finally:
            stop.set()
            self._database.mail_waiting.set()
            await asyncio.wait({task}, timeout=GRACE_S)
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _run(self, stop: asyncio.Event) -> None:
        while True:
            self._database.mail_waiting.clear()
            try:
                while not stop.is_set() and await self.step():
                    pass
                await self._tidy()
            except StorageUnavailable:
                log.warning("the outbox can't be read now")
            except Exception as error:
                # Whatever it was, mail must go on.
                log.error("unforeseen %s in mail delivery", type(error).__name__)
            if stop.is_set():
                return
            with suppress(TimeoutError):
                await asyncio.wait_for(self._database.mail_waiting.wait(), POLL_S)

    async def step(self) -> bool:
        """Deliver the next message that is due. False: there is none."""
        now = int(time.time())
        due = select(MailRow).where(MailRow.sent_at.is_(None), MailRow.failed_at.is_(None), MailRow.next_at <= now)
        async with self._database.session() as session:
            row = await session.scalar(due.where(MailRow.expires_at > now).order_by(MailRow.next_at, MailRow.position).limit(1))
        if row is None:
            return False
        if await self._claim(row, now):
            await self._deliver(row)
        return True

    async def _claim(self, row: MailRow, now: int) -> bool:
        """Whether this process has it. It is due again after the pause, should this process die."""
        pause = min(FIRST_PAUSE_S * 2**row.attempts, LONGEST_PAUSE_S)
        later = NEVER if self._transport is None else now + pause
        mine = update(MailRow).where(MailRow.position == row.position, MailRow.attempts == row.attempts, MailRow.next_at == row.next_at)
        async with self._database.session() as session:
            claimed = await session.execute(mine.values(attempts=row.attempts + 1, next_at=later))
        return bool(getattr(claimed, "rowcount", 0) == 1)

    async def _deliver(self, row: MailRow) -> None:
        link = None if row.link is None else self._address() + row.link
        if self._transport is None:
            print(f"Mail for {row.recipient}: {row.subject}" + (f"\n  {link}" if link else ""), file=sys.stderr, flush=True)
            return
        try:
            await self._transport.send(row.recipient, row.subject, row.text.replace(LINK, link) if link else row.text)
        except Deferred as reason:
            log.warning("mail %d waits: %s", row.position, reason)
        except (Undeliverable, ValueError) as reason:
            log.warning("mail %d was refused: %s", row.position, reason if isinstance(reason, Undeliverable) else "not a valid message")
            await self._finish(row, failed_at=int(time.time()))
        else:
            await self._finish(row, sent_at=int(time.time()))

    async def _finish(self, row: MailRow, **when: int) -> None:
        """A link works for whoever reads it, so a message that is sent isn't kept."""
        emptied = {"text": "", "link": None} if "sent_at" in when else {}
        async with self._database.session() as session:
            await session.execute(update(MailRow).where(MailRow.position == row.position).values(**when, **emptied))

    async def _tidy(self) -> None:
        async with self._database.session() as session:
            await session.execute(delete(MailRow).where(MailRow.expires_at < int(time.time()) - KEPT_S))
