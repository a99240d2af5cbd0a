"""`openhearth webhooks`: who is told of events, in the database itself, whether a server runs or not. Delivers nothing but tests."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import click

from openhearth.cli import options
from openhearth.cli.database import on_database
from openhearth.cli.terminal import clean, day, note, show, show_json, table

if TYPE_CHECKING:
    from openhearth.settings import Settings
    from openhearth.store.database import Database
    from openhearth.webhooks.service import Webhooks
    from openhearth.webhooks.tables import WebhookEndpointRow

DEFAULT_PROJECT = "proj_default"

project = click.option("--project", metavar="PROJECT", default=DEFAULT_PROJECT, show_default=True, help="Whose events, by id or name.")


def register(app: click.Group) -> None:
    """Add the command and its subcommands."""
    app.add_command(webhooks)


@click.group(
    no_args_is_help=True,
    epilog=options.examples(
        "openhearth webhooks create https://hooks.example.com/openhearth --event batch.completed",
        "openhearth webhooks list",
        "openhearth webhooks test we_...",
        "openhearth webhooks delete we_...",
    ),
)
def webhooks() -> None:
    """Tell other programs of events.

    Signed as OpenAI signs them, tried again for three days.
    """


@webhooks.command(
    epilog=options.examples(
        "openhearth webhooks create https://hooks.example.com/openhearth",
        "OPENAI_WEBHOOK_SECRET=$(openhearth webhooks create https://hooks.example.com/x --event batch.completed)",
    )
)
@click.argument("url")
@click.option(
    "--event", "events", metavar="TYPE", multiple=True, help="An event's type; repeat it for several. Default: all that there are."
)
@click.option("--name", default="unnamed", help="What it is for.")
@project
@options.as_json
@options.where_settings_are
@click.pass_context
def create(ctx: click.Context, url: str, events: tuple[str, ...], name: str, project: str, as_json: bool) -> None:
    """Tell URL of the project's events.

    The signing secret is printed once, alone on stdout.
    """

    async def make(webhooks: Webhooks, project_id: str) -> WebhookEndpointRow:
        from openhearth.webhooks.events import SUBJECTS
        from openhearth.wire.decoding import convert
        from openhearth.wire.webhooks import WebhookEndpointCreate

        wanted = {"url": url, "name": name, "event_types": list(events or SUBJECTS)}
        return await webhooks.create(None, project_id, convert(wanted, WebhookEndpointCreate))

    row = _with_webhooks(options.load_settings(ctx), project, make)
    if as_json:
        show_json({**_described(row), "signing_secret": row.secret})
        return
    note(f"Webhook endpoint '{clean(row.name)}' ({row.id}). Keep its secret now: it can't be shown again.")
    show(row.secret)


@webhooks.command("list", epilog=options.examples("openhearth webhooks list", "openhearth webhooks list --json"))
@project
@options.as_json
@options.where_settings_are
@click.pass_context
def list_all(ctx: click.Context, project: str, as_json: bool) -> None:
    """List the project's endpoints, newest first."""

    async def find(webhooks: Webhooks, project_id: str) -> list[WebhookEndpointRow]:
        from openhearth.wire.webhooks import WebhookPageQuery

        return await webhooks.list(project_id, WebhookPageQuery(limit=100))

    rows = _with_webhooks(options.load_settings(ctx), project, find)
    if as_json:
        show_json([_described(row) for row in rows])
    elif not rows:
        note("No webhook endpoints. `openhearth webhooks create URL` makes one.")
    else:
        show(table(["ID", "NAME", "URL", "EVENTS", "CREATED", "STATE"], [_line(row) for row in rows]))


@webhooks.command(epilog=options.examples("openhearth webhooks delete we_Ab12..."))
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@project
@options.where_settings_are
@click.pass_context
def delete(ctx: click.Context, ids: tuple[str, ...], project: str) -> None:
    """Delete endpoints. What they were not told yet is forgotten."""

    async def delete_all(webhooks: Webhooks, project_id: str) -> None:
        for wanted in ids:
            await webhooks.delete(None, project_id, wanted)
            note(f"Deleted {wanted}.")

    _with_webhooks(options.load_settings(ctx), project, delete_all)


@webhooks.command(
    epilog=options.examples("openhearth webhooks test we_Ab12...", "openhearth webhooks test we_Ab12... --event response.failed")
)
@click.argument("endpoint_id", metavar="ID")
@click.option("--event", metavar="TYPE", default="batch.completed", show_default=True, help="The type of the sample.")
@project
@options.where_settings_are
@click.pass_context
def test(ctx: click.Context, endpoint_id: str, event: str, project: str) -> None:
    """Send a sample event now, and print the answer's HTTP status; it fails unless that is a 2xx."""
    status = _with_webhooks(options.load_settings(ctx), project, lambda webhooks, project_id: webhooks.test(project_id, endpoint_id, event))
    show(str(status))
    if not 200 <= status < 300:
        ctx.exit(1)


def _with_webhooks(settings: Settings, project: str, act: Callable[[Webhooks, str], Awaitable[Any]]) -> Any:
    async def open_and_act(database: Database) -> Any:
        from openhearth.accounts.projects.naming import project_called
        from openhearth.webhooks import opening

        return await act(opening.webhooks(database, settings.webhooks), await project_called(database, project))

    return on_database(settings, open_and_act)


def _described(row: WebhookEndpointRow) -> dict[str, Any]:
    names = ("id", "project_id", "name", "url", "event_types", "created_at", "updated_at", "disabled_at")
    return {name: getattr(row, name) for name in names}


def _line(row: WebhookEndpointRow) -> list[str]:
    state = "disabled" if row.disabled_at is not None else "-"
    return [row.id, row.name, row.url, str(len(row.event_types)), day(row.created_at), state]
