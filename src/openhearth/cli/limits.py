"""`openhearth limits`: the rate limits of a project, in the database itself, whether a server runs or not."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import click

from openhearth.cli import options
from openhearth.cli.database import on_database
from openhearth.cli.terminal import note, show, show_json, table

if TYPE_CHECKING:
    from openhearth.limits.service import ProjectLimits
    from openhearth.settings import Settings
    from openhearth.store.database import Database
    from openhearth.wire.organization.rate_limits import ProjectRateLimit

PREFIX = "rl-"
DEFAULT_PROJECT = "proj_default"
MOST = 10**12
_COLUMNS = {
    "max_requests_per_1_minute": "REQUESTS/MIN",
    "max_tokens_per_1_minute": "TOKENS/MIN",
    "max_requests_per_1_day": "REQUESTS/DAY",
    "max_images_per_1_minute": "IMAGES/MIN",
    "max_audio_megabytes_per_1_minute": "AUDIO MB/MIN",
    "batch_1_day_max_input_tokens": "BATCH TOKENS/DAY",
}
_OPTIONS = {
    "--requests-per-minute": "max_requests_per_1_minute",
    "--tokens-per-minute": "max_tokens_per_1_minute",
    "--requests-per-day": "max_requests_per_1_day",
    "--images-per-minute": "max_images_per_1_minute",
    "--audio-megabytes-per-minute": "max_audio_megabytes_per_1_minute",
    "--batch-tokens-per-day": "batch_1_day_max_input_tokens",
}

project = click.option(
    "--project", "project_id", metavar="PROJECT", default=DEFAULT_PROJECT, show_default=True, help="Whose limits, by id or name."
)


def register(app: click.Group) -> None:
    """Add the command and its subcommands."""
    app.add_command(limits)


@click.group(
    no_args_is_help=True,
    epilog=options.examples(
        "openhearth limits list", "openhearth limits set smollm2:135m --requests-per-minute 60", "openhearth limits reset smollm2:135m"
    ),
)
def limits() -> None:
    """Show, set and reset a project's rate limits, model by model. A running server takes up changes within a second.

    What isn't set is as [limits] in openhearth.toml says.
    """


@limits.command("list", epilog=options.examples("openhearth limits list", "openhearth limits list --project proj_... --json"))
@project
@options.as_json
@options.where_settings_are
@click.pass_context
def list_limits(ctx: click.Context, project_id: str, as_json: bool) -> None:
    """List the limits in force for every model that is here."""
    found: list[ProjectRateLimit] = _with_limits(
        options.load_settings(ctx), project_id, lambda service, project_id: service.all(project_id)
    )
    rows = [_described(limit) for limit in found]
    if as_json:
        show_json(rows)
    elif not rows:
        note("No models are here yet; `openhearth pull MODEL` fetches one.")
    else:
        shown = [name for number, name in enumerate(_COLUMNS) if number < 3 or any(name in row for row in rows)]
        cells = [[row["model"], *(str(row.get(name, "-")) for name in shown)] for row in rows]
        show(table(["MODEL", *(_COLUMNS[name] for name in shown)], cells))


def _amounts(command: Callable[..., None]) -> Callable[..., None]:
    for flag, name in reversed(_OPTIONS.items()):
        command = click.option(flag, name, type=click.IntRange(0, MOST), metavar="N", help="0 lets nothing pass.")(command)
    return command


@limits.command(
    "set",
    epilog=options.examples(
        "openhearth limits set smollm2:135m --requests-per-minute 60 --tokens-per-minute 40000",
        "openhearth limits set smollm2:135m --requests-per-day 1000 --project proj_...",
    ),
)
@click.argument("model")
@_amounts
@project
@options.as_json
@options.where_settings_are
@click.pass_context
def set_limits(ctx: click.Context, /, model: str, project_id: str, as_json: bool, **amounts: int | None) -> None:
    """Set limits of MODEL (its real name, not an alias). What isn't named stays as it is.

    Images, audio and batch tokens are kept for operations that this version doesn't have yet.
    """
    given = {name: amount for name, amount in amounts.items() if amount is not None}
    if not given:
        raise click.UsageError(f"say at least one of {', '.join(_OPTIONS)}.")

    async def act(service: ProjectLimits, project_id: str) -> ProjectRateLimit:
        from openhearth.wire.organization.rate_limits import RateLimitUpdate

        return await service.set(None, project_id, PREFIX + model, RateLimitUpdate(**given))

    _tell(_with_limits(options.load_settings(ctx), project_id, act), as_json)


@limits.command(epilog=options.examples("openhearth limits reset smollm2:135m", "openhearth limits reset smollm2:135m --project proj_..."))
@click.argument("model")
@project
@options.as_json
@options.where_settings_are
@click.pass_context
def reset(ctx: click.Context, model: str, project_id: str, as_json: bool) -> None:
    """Take back all that was set for MODEL: the defaults hold again."""
    _tell(
        _with_limits(options.load_settings(ctx), project_id, lambda service, project_id: service.reset(None, project_id, PREFIX + model)),
        as_json,
    )


def _tell(limit: ProjectRateLimit, as_json: bool) -> None:
    row = _described(limit)
    if as_json:
        show_json(row)
    else:
        note(f"{limit.model}: " + ", ".join(f"{row[name]} {words.lower()}" for name, words in _COLUMNS.items() if name in row))


def _described(limit: ProjectRateLimit) -> dict[str, Any]:
    import msgspec

    described: dict[str, Any] = msgspec.to_builtins(limit)
    return described


def _with_limits(settings: Settings, project: str, act: Callable[[ProjectLimits, str], Awaitable[Any]]) -> Any:
    async def open_and_act(database: Database) -> Any:
        from openhearth.accounts.projects.naming import project_called
        from openhearth.limits.service import ProjectLimits
        from openhearth.models.resolve import Models

        models = Models(settings)
        try:
            return await act(ProjectLimits(database, settings.limits, models.names), await project_called(database, project))
        finally:
            await models.close()

    return on_database(settings, open_and_act)
