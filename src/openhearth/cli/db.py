"""`openhearth db`: the database's schema, and its backups. The work is done in `openhearth.store`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from openhearth.cli import options
from openhearth.cli.terminal import note, show, show_json, sized, table

if TYPE_CHECKING:
    from openhearth.settings import Settings
    from openhearth.store.database import Database

_A_FILE = click.Path(dir_okay=False, path_type=Path)


def register(app: click.Group) -> None:
    """Add the command and its four subcommands."""
    app.add_command(db)


@click.group(
    no_args_is_help=True,
    epilog=options.examples(
        "openhearth db status", "openhearth db backup house-monday.db", "openhearth db restore house-monday.db", "openhearth db upgrade"
    ),
)
def db() -> None:
    """Upgrade, back up and restore the database.

    It is the one of the settings: SQLite in the data folder, or what OPENHEARTH_DATABASE_URL names.
    """


@db.command(epilog=options.examples("openhearth db status", "openhearth db status --json"))
@options.as_json
@options.where_settings_are
@click.pass_context
def status(ctx: click.Context, as_json: bool) -> None:
    """Show which database it is, its schema, size and rows."""
    import asyncio

    found = asyncio.run(_status(options.load_settings(ctx)))
    if as_json:
        show_json(found)
        return
    heads = [["database", found["database"]], ["schema", f"{found['schema'] or 'none yet'} (this program's: {found['program_schema']})"]]
    show(table(["", ""], [*heads, ["size", sized(found["bytes"])]]).lstrip())
    if found["rows"]:
        show("\n" + table(["TABLE", "ROWS"], [[name, str(number)] for name, number in found["rows"].items()]))


@db.command(epilog=options.examples("openhearth db upgrade", "OPENHEARTH_DATABASE_URL=postgresql://... openhearth db upgrade"))
@options.as_json
@options.where_settings_are
@click.pass_context
def upgrade(ctx: click.Context, as_json: bool) -> None:
    """Bring the database to this program's schema.

    `openhearth serve` does it by itself; this is for those who want to see it done first. A SQLite file is copied beside itself before.
    """
    import asyncio

    found, now = asyncio.run(_upgrade(options.load_settings(ctx)))
    if as_json:
        show_json({"from": found, "to": now})
    elif found == now:
        note(f"Schema {now}: nothing to do.")
    else:
        note(f"Schema {found} became {now}." if found else f"Made with schema {now}.")


@db.command(epilog=options.examples("openhearth db backup house-monday.db", 'openhearth db backup "house-$(date +%F).db"'))
@click.argument("file", type=_A_FILE)
@click.option("--force", is_flag=True, help="Replace FILE if it is there.")
@options.as_json
@options.where_settings_are
@click.pass_context
def backup(ctx: click.Context, file: Path, force: bool, as_json: bool) -> None:
    """Write the whole database to FILE.

    A server may run meanwhile. The file shows one moment, is readable by you only, and can be restored into SQLite and PostgreSQL
    alike. Models are not in it.
    """
    import asyncio

    from openhearth.errors import SetupError
    from openhearth.store.address import parse
    from openhearth.store.backups.writing import back_up

    if file.exists() and not force:
        raise SetupError(f"{file} is there already. --force replaces it.", exit_status=73)
    schema = asyncio.run(back_up(parse(options.load_settings(ctx).resolved_database_url), file))
    size = file.stat().st_size
    if as_json:
        show_json({"file": str(file), "bytes": size, "schema": schema})
    else:
        note(f"{file}: {sized(size)}, schema {schema}. Keep it safe: it holds names, addresses and stored texts.")


@db.command(epilog=options.examples("openhearth db restore house-monday.db", "openhearth db restore --force house-monday.db"))
@click.argument("file", type=_A_FILE)
@click.option("--force", is_flag=True, help="Also over a database with something in it, which is lost then.")
@options.as_json
@options.where_settings_are
@click.pass_context
def restore(ctx: click.Context, file: Path, force: bool, as_json: bool) -> None:
    """Put a backup in the database's place. No server may run.

    The backup is checked first, and an older one is upgraded. If anything fails the database stays as it was. Keys that were revoked
    after the backup was made are in force again.
    """
    import asyncio

    schema = asyncio.run(_restore(options.load_settings(ctx), file, force))
    if as_json:
        show_json({"file": str(file), "schema": schema})
    else:
        note(f"Restored from {file} (schema {schema}).")


async def _status(settings: Settings) -> dict[str, Any]:
    from openhearth.store.database import HEAD
    from openhearth.store.status import look

    async with _opened(settings) as database:
        found = await look(database)
    return {
        "database": database.address.shown,
        "schema": found.schema,
        "program_schema": HEAD,
        "bytes": found.bytes,
        "rows": found.rows,
    }


async def _upgrade(settings: Settings) -> tuple[str | None, str]:
    from openhearth import serving
    from openhearth.accounts.organization.founding import found as found_organization
    from openhearth.store.database import HEAD
    from openhearth.store.status import look

    async with _opened(settings) as database:
        before = (await look(database)).schema
        if before != HEAD:
            # A server of an older version would go on with a schema that isn't its own.
            async with serving.data_folder(settings):
                await database.prepare()
                await found_organization(database, settings.owner_email)
    return before, HEAD


async def _restore(settings: Settings, file: Path, force: bool) -> str:
    from openhearth import serving
    from openhearth.store.address import parse
    from openhearth.store.backups.restoring import restore

    async with serving.data_folder(settings):
        return await restore(parse(settings.resolved_database_url), file, force=force)


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[Database]:
    from openhearth.store.database import Database

    database = Database(settings.resolved_database_url)
    try:
        yield database
    finally:
        await database.close()
