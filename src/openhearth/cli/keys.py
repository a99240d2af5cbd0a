"""`openhearth keys`: made, listed and revoked in the database itself, whether a server runs or not."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import click

from openhearth.cli import options
from openhearth.cli.terminal import clean, day, note, show, show_json, table

if TYPE_CHECKING:
    from openhearth.accounts.keys import Keys
    from openhearth.accounts.tables import ApiKeyRow
    from openhearth.settings import Settings

NAME_LENGTH = 256


def register(app: click.Group) -> None:
    """Add the command and its three subcommands."""
    app.add_command(keys)


@click.group(
    no_args_is_help=True,
    epilog=options.examples("openhearth keys create laptop", "openhearth keys list", "openhearth keys revoke key_..."),
)
def keys() -> None:
    """Create, list and revoke the keys that clients use. A running server takes up changes within a second."""


def _one_line(_ctx: click.Context, _param: click.Parameter, name: str) -> str:
    if len(name) > NAME_LENGTH or clean(name) != name or not name.strip() or "\n" in name:
        raise click.BadParameter(f"one line of at most {NAME_LENGTH} ordinary characters, please.")
    return name


@keys.command(epilog=options.examples("openhearth keys create laptop", "KEY=$(openhearth keys create ci)"))
@click.argument("name", default="unnamed", callback=_one_line)
@options.as_json
@options.where_settings_are
@click.pass_context
def create(ctx: click.Context, name: str, as_json: bool) -> None:
    """Make a key; NAME says what it is for.

    It is printed once, alone on stdout, and stored only as a hash.
    """
    secret, row = _with_keys(options.load_settings(ctx), lambda keys: keys.create(name))
    if as_json:
        show_json({**_described(row), "key": secret})
        return
    note(f"Key '{row.name}' ({row.id}). Keep it now: it can't be shown again.")
    show(secret)


@keys.command("list", epilog=options.examples("openhearth keys list", "openhearth keys list --all --json"))
@click.option("--all", "revoked", is_flag=True, help="Also the revoked ones.")
@options.as_json
@options.where_settings_are
@click.pass_context
def list_keys(ctx: click.Context, revoked: bool, as_json: bool) -> None:
    """List the keys in force, oldest first.

    By id and the part that may be shown.
    """
    rows = _with_keys(options.load_settings(ctx), lambda keys: keys.list(revoked=revoked))
    if as_json:
        show_json([_described(row) for row in rows])
    elif not rows:
        note("No keys. `openhearth keys create NAME` makes one.")
    else:
        show(table(["ID", "NAME", "KEY", "CREATED", "REVOKED"][: 5 if revoked else 4], [_line(row, revoked) for row in rows]))


@keys.command(epilog=options.examples("openhearth keys revoke key_Ab12...", "openhearth keys revoke sk-abc...wxyz"))
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@options.where_settings_are
@click.pass_context
def revoke(ctx: click.Context, ids: tuple[str, ...]) -> None:
    """Revoke keys, by id or as listed.

    A running server refuses them within a second.
    """

    async def revoke_all(keys: Keys) -> None:
        for wanted in ids:
            row = await keys.revoke(wanted)
            note(f"Revoked '{clean(row.name)}' ({row.id}).")

    _with_keys(options.load_settings(ctx), revoke_all)


def _with_keys(settings: Settings, act: Callable[[Keys], Awaitable[Any]]) -> Any:
    import asyncio

    from openhearth.accounts.keys import Keys
    from openhearth.store.database import Database

    async def open_and_act() -> Any:
        database = Database(settings.resolved_database_url)
        try:
            await database.prepare()
            return await act(Keys(database))
        finally:
            await database.close()

    return asyncio.run(open_and_act())


def _described(row: ApiKeyRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "name": row.name,
        "prefix": row.prefix,
        "project_id": row.project_id,
        "created_at": row.created_at,
        "revoked_at": row.revoked_at,
    }


def _line(row: ApiKeyRow, revoked: bool) -> list[str]:
    cells = [row.id, row.name, row.prefix, day(row.created_at)]
    return [*cells, day(row.revoked_at) if row.revoked_at else "-"] if revoked else cells
