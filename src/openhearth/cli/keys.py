"""`openhearth keys`: made, listed and revoked in the database itself, whether a server runs or not."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import click

from openhearth.cli import options
from openhearth.cli.database import on_database, one_line
from openhearth.cli.terminal import clean, day, note, show, show_json, table

if TYPE_CHECKING:
    from openhearth.accounts.keys import KeyLine
    from openhearth.accounts.tables import ApiKeyRow
    from openhearth.store.database import Database

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_YEAR_S = 31_536_000
_HEADS = ["ID", "NAME", "KEY", "PROJECT", "OWNER", "SCOPES", "CREATED", "LAST USED", "EXPIRES", "REVOKED"]


def register(app: click.Group) -> None:
    """Add the command and its three subcommands."""
    app.add_command(keys)


@click.group(
    no_args_is_help=True,
    epilog=options.examples("openhearth keys create laptop", "openhearth keys list", "openhearth keys revoke key_..."),
)
def keys() -> None:
    """Create, list and revoke the keys that clients use. A running server takes up changes within a second."""


def _lifetime(_ctx: click.Context, _param: click.Parameter, value: str | None) -> int | None:
    if value is None:
        return None
    found = re.fullmatch(r"([1-9][0-9]{0,8})([smhdw])", value)
    seconds = int(found[1]) * _SECONDS[found[2]] if found else 0
    if not 0 < seconds <= _YEAR_S:
        raise click.BadParameter("a number and s, m, h, d or w, please, like 30d; a year (365d) at most.")
    return seconds


def _scopes(_ctx: click.Context, _param: click.Parameter, values: tuple[str, ...]) -> list[str] | None:
    named = [name.strip() for value in values for name in value.split(",") if name.strip()]
    short = {"all": "api.all", "read": "api.all.read"}
    return [short.get(name, name) for name in named] or None


@keys.command(
    epilog=options.examples(
        "openhearth keys create laptop",
        "KEY=$(openhearth keys create ci --project website --service-account deploy --expires 30d)",
        "openhearth keys create dashboard --scopes read",
        "openhearth keys create terraform --admin",
    )
)
@click.argument("name", default="unnamed", callback=one_line)
@click.option("--project", metavar="PROJECT", help="The project that it is for, by id or name; default: the default project.")
@click.option("--admin", is_flag=True, help="A key that manages the organization, and does nothing else.")
@click.option(
    "--service-account",
    metavar="ACCOUNT",
    callback=one_line,
    help="Whose it is: a program's account, by id or name, made if there is none; default: yours.",
)  # fmt: skip
@click.option(
    "--scopes", metavar="SCOPES", multiple=True, callback=_scopes,
    help="What it may do: all, read, or permissions like api.model.request, separated by commas.",
)  # fmt: skip
@click.option("--expires", "lifetime_s", metavar="TIME", callback=_lifetime, help="It ends after so long: 12h, 30d, 8w.")
@options.as_json
@options.where_settings_are
@click.pass_context
def create(
    ctx: click.Context,
    name: str,
    project: str | None,
    admin: bool,
    service_account: str | None,
    scopes: list[str] | None,
    lifetime_s: int | None,
    as_json: bool,
) -> None:
    """Make a key; NAME says what it is for.

    It is printed once, alone on stdout, and stored only as a hash.
    """
    if admin and (project or service_account):
        raise click.UsageError("An admin key belongs to no project and no service account: leave --project and --service-account out.")

    async def make(database: Database) -> tuple[str, ApiKeyRow]:
        from openhearth.accounts.keys import Keys

        project_id = None if admin else await _project(database, project)
        if service_account is not None and project_id is not None:
            await _ensure_account(database, project_id, service_account)
        return await Keys(database).create(
            name, project_id=project_id, service_account=service_account, scopes=scopes, lifetime_s=lifetime_s
        )

    secret, row = on_database(options.load_settings(ctx), make)
    if as_json:
        show_json({**_described(row), "key": secret})
        return
    note(f"Key '{row.name}' ({row.id}). Keep it now: it can't be shown again.")
    show(secret)


@keys.command("list", epilog=options.examples("openhearth keys list", "openhearth keys list --all --json"))
@click.option("--all", "revoked", is_flag=True, help="Also the revoked ones.")
@click.option("--project", metavar="PROJECT", help="Of this project only, by id or name.")
@options.as_json
@options.where_settings_are
@click.pass_context
def list_keys(ctx: click.Context, revoked: bool, project: str | None, as_json: bool) -> None:
    """List the keys, oldest first.

    By id and the part that may be shown; expired ones, too.
    """

    async def find(database: Database) -> list[KeyLine]:
        from openhearth.accounts.keys import Keys

        return await Keys(database).lines(revoked=revoked, project_id=await _project(database, project) if project else None)

    lines = on_database(options.load_settings(ctx), find)
    if as_json:
        show_json([{**_described(line.row), "owner": line.owner} for line in lines])
    elif not lines:
        note("No keys. `openhearth keys create NAME` makes one.")
    else:
        shown = len(_HEADS) if revoked else len(_HEADS) - 1
        show(table(_HEADS[:shown], [_cells(line)[:shown] for line in lines]))


@keys.command(epilog=options.examples("openhearth keys revoke key_Ab12...", "openhearth keys revoke sk-abc...wxyz"))
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@options.where_settings_are
@click.pass_context
def revoke(ctx: click.Context, ids: tuple[str, ...]) -> None:
    """Revoke keys, by id or as listed.

    A running server refuses them within a second.
    """

    async def revoke_all(database: Database) -> None:
        from openhearth.accounts.keys import Keys

        for wanted in ids:
            row = await Keys(database).revoke(wanted)
            note(f"Revoked '{clean(row.name)}' ({row.id}).")

    on_database(options.load_settings(ctx), revoke_all)


async def _project(database: Database, id_or_name: str | None) -> str:
    from openhearth.accounts.projects.naming import project_called

    return await project_called(database, id_or_name)


async def _ensure_account(database: Database, project_id: str, name: str) -> None:
    from openhearth.accounts.service_accounts.service import ServiceAccounts

    await ServiceAccounts(database).ensure(project_id, name)


def _described(row: ApiKeyRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "name": row.name,
        "prefix": row.prefix,
        "project_id": row.project_id,
        "user_id": row.user_id,
        "service_account_id": row.service_account_id,
        "scopes": row.scopes,
        "created_at": row.created_at,
        "last_used_at": row.last_used_at,
        "expires_at": row.expires_at,
        "revoked_at": row.revoked_at,
    }


def _cells(line: KeyLine) -> list[str]:
    row = line.row
    scopes = "all" if row.scopes is None else ",".join(row.scopes)
    times = [day(at) if at else "-" for at in (row.created_at, row.last_used_at, row.expires_at, row.revoked_at)]
    return [row.id, row.name, row.prefix, row.project_id or "(admin)", line.owner, scopes, *times]
