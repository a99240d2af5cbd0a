"""Usage and spending of one process, open: recorded, written, limited and told. `app` hangs the gates into their row."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from openhearth.store.database import Database
from openhearth.usage.ledger import Ledger
from openhearth.usage.recorder import Clock, Recorder
from openhearth.usage.spend_alerts.telling import AlertTeller, Announce
from openhearth.usage.spend_gate import SpendGate
from openhearth.usage.writer import UsageWriter


@dataclass(frozen=True)
class Books:
    """The two gates, and who writes behind them."""

    spend_gate: SpendGate
    recorder: Recorder
    writer: UsageWriter


@asynccontextmanager
async def open_books(database: Database, announce: Announce | None = None, clock: Clock = time.time) -> AsyncIterator[Books]:
    """Written twice a second, and to the last at the end. The database must stay open longer."""
    ledger = Ledger()
    recorder = Recorder(ledger, clock)
    gate = SpendGate(database, ledger, clock)
    writer = UsageWriter(database, recorder, ledger, afterwards=AlertTeller(database, announce, clock).look)
    writer.start()
    try:
        yield Books(gate, recorder, writer)
    finally:
        await gate.close()
        await writer.close()
