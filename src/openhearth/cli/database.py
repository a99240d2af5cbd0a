"""What commands share that work on the database itself, whether a server runs or not."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

import click

from openhearth.cli.terminal import clean

if TYPE_CHECKING:
    from openhearth.settings import Settings
    from openhearth.store.database import Database

T = TypeVar("T")
NAME_LENGTH = 256


def on_database(settings: Settings, act: Callable[[Database], Awaitable[T]]) -> T:
    """What `act` gives. The organization is there, as after a server's first start. Raises SetupError."""
    import asyncio

    from openhearth.accounts.organization.founding import found
    from openhearth.store.database import Database

    async def open_and_act() -> T:
        database = Database(settings.resolved_database_url)
        try:
            await database.prepare()
            await found(database, settings.owner_email)
            return await act(database)
        finally:
            await database.close()

    return asyncio.run(open_and_act())


def one_line(_ctx: click.Context, _param: click.Parameter, name: str | None) -> str | None:
    """For names that people give to things."""
    if name is None:
        return None
    if len(name) > NAME_LENGTH or clean(name) != name or not name.strip() or "\n" in name:
        raise click.BadParameter(f"one line of at most {NAME_LENGTH} ordinary characters, please.")
    return name
