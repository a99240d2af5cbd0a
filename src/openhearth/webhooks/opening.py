"""The room's parts put together from the settings: for the server with its deliveries, for a command without."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from openhearth.settings import WebhookSettings
from openhearth.store.database import Database
from openhearth.webhooks.backoff import Backoff
from openhearth.webhooks.delivery import Delivery
from openhearth.webhooks.sending import Sender
from openhearth.webhooks.service import Webhooks
from openhearth.webhooks.targets import Targets


def webhooks(database: Database, settings: WebhookSettings) -> Webhooks:
    """The endpoints alone; nothing is delivered. Raises SetupError."""
    targets = Targets(settings.allow)
    return Webhooks(database, targets, Sender(targets, settings.timeout_s))


@asynccontextmanager
async def open_webhooks(database: Database, settings: WebhookSettings) -> AsyncIterator[Webhooks]:
    """The endpoints, and their deliveries for as long as this is open. Raises SetupError."""
    sender = Sender(Targets(settings.allow), settings.timeout_s)
    async with Delivery(database, sender, Backoff(settings.first_retry_s, settings.give_up_s)).running():
        yield webhooks(database, settings)
