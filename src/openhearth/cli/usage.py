"""`openhearth usage`: the month's usage, costs and spend limits, from the database itself, whether a server runs or not."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import click

from openhearth.cli import options
from openhearth.cli.database import on_database
from openhearth.cli.terminal import note, show, show_json, table

if TYPE_CHECKING:
    from openhearth.store.database import Database
    from openhearth.usage.spend_limits.service import SpendLimits
    from openhearth.usage.summary import Line

BILLION = 10**9
HEADS = ("REQUESTS", "INPUT", "CACHED", "OUTPUT", "COST")


def register(app: click.Group) -> None:
    """Add the command and `usage limit`."""
    app.add_command(usage)


def _month(_ctx: click.Context, _param: click.Parameter, value: str | None) -> int:
    from datetime import UTC, datetime

    from openhearth.usage.calendar import month_of

    try:
        when = datetime.now(UTC) if value is None else datetime.strptime(value, "%Y-%m").replace(tzinfo=UTC)
    except ValueError:
        raise click.BadParameter("a month is written like 2026-11.") from None
    return month_of(when.timestamp())


@click.group(
    invoke_without_command=True,
    epilog=options.examples(
        "openhearth usage",
        "openhearth usage --month 2026-11 --by project",
        "openhearth usage --by day --csv > november.csv",
        "openhearth usage limit set 50 --project proj_...",
    ),
)
@click.option("--month", metavar="YYYY-MM", callback=_month, help="Default: this month (UTC).")
@click.option(
    "--by", type=click.Choice(["project", "model", "key", "user", "day"]), default="model", show_default=True, help="What to add up by."
)
@options.as_json
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV, for spreadsheets.")
@options.where_settings_are
@click.pass_context
def usage(ctx: click.Context, month: int, by: Any, as_json: bool, as_csv: bool) -> None:
    """Show what was used in a month, and what it cost.

    A running server writes its usage twice a second.
    """
    if ctx.invoked_subcommand is not None:
        return
    if as_json and as_csv:
        raise click.UsageError("--json and --csv: one of them, please.")
    from openhearth.usage.summary import summary, total

    lines = on_database(options.load_settings(ctx), lambda database: summary(database, month, by))
    if as_json:
        show_json([_described(line, by) for line in lines])
    elif as_csv:
        show(_csv(lines, by))
    elif not lines:
        note("Nothing was used in this month.")
    else:
        show(table([by.upper(), *HEADS], [[_called(line), *_cells(line)] for line in [*lines, total(lines)]]))


@usage.group(no_args_is_help=True, epilog=options.examples("openhearth usage limit set 50", "openhearth usage limit show"))
def limit() -> None:
    """Set, show and remove hard spend limits. A running server takes up changes within a second."""


project = click.option("--project", metavar="PROJECT", help="This project's limit, by id or name; default: the organization's.")


@limit.command("set", epilog=options.examples("openhearth usage limit set 50", "openhearth usage limit set 12.50 --project proj_..."))
@click.argument("dollars")
@project
@options.where_settings_are
@click.pass_context
def set_limit(ctx: click.Context, dollars: str, project: str | None) -> None:
    """Refuse requests once DOLLARS are spent in a calendar month (UTC)."""
    from openhearth.wire.organization.spending import SpendLimitUpdate

    update = SpendLimitUpdate(_cents(dollars), "USD", "month")
    made = _with_limits(ctx, project, lambda limits, project_id: limits.set(None, project_id, update))
    note(f"At most {_dollars(made.threshold_amount * BILLION // 100)} a month for the {project or 'organization'}.")


@limit.command("show", epilog=options.examples("openhearth usage limit show", "openhearth usage limit show --project proj_... --json"))
@project
@options.as_json
@options.where_settings_are
@click.pass_context
def show_limit(ctx: click.Context, project: str | None, as_json: bool) -> None:
    """Show a limit, and whether requests are refused now."""
    import msgspec

    found = _with_limits(ctx, project, lambda limits, project_id: limits.get(None, project_id))
    if as_json:
        show_json(msgspec.to_builtins(found))
    else:
        refusing = "reached: requests are refused" if found.enforcement.status == "enforcing" else "not reached"
        show(f"{_dollars(found.threshold_amount * BILLION // 100)} a month ({refusing})")


@limit.command("remove", epilog=options.examples("openhearth usage limit remove", "openhearth usage limit remove --project proj_..."))
@project
@options.where_settings_are
@click.pass_context
def remove_limit(ctx: click.Context, project: str | None) -> None:
    """Take a limit away."""
    _with_limits(ctx, project, lambda limits, project_id: limits.remove(None, project_id))
    note(f"No spend limit for the {project or 'organization'} any more.")


def _cents(dollars: str) -> int:
    from decimal import Decimal, InvalidOperation

    try:
        cents = Decimal(dollars.removeprefix("$")) * 100
    except InvalidOperation:
        cents = Decimal("NaN")
    if not cents.is_finite() or cents != cents.to_integral_value() or not 1 <= cents <= 10**12:
        raise click.BadParameter("an amount of dollars like 50 or 12.50, please.", param_hint="DOLLARS")
    return int(cents)


def _with_limits(ctx: click.Context, project: str | None, act: Callable[[SpendLimits, str | None], Awaitable[Any]]) -> Any:
    async def open_and_act(database: Database) -> Any:
        from openhearth.accounts.projects.naming import project_called
        from openhearth.usage.spend_limits.service import SpendLimits

        return await act(SpendLimits(database, lambda: None), None if project is None else await project_called(database, project))

    return on_database(options.load_settings(ctx), open_and_act)


def _described(line: Line, by: str) -> dict[str, Any]:
    named = {} if by in ("day", "model") else {"name": line.name}
    return {
        by: line.id,
        **named,
        "requests": line.requests,
        "input_tokens": line.input_tokens,
        "cached_tokens": line.cached_tokens,
        "output_tokens": line.output_tokens,
        "cost_usd": line.cost / BILLION,
    }


def _csv(lines: list[Line], by: str) -> str:
    import csv
    import io

    heads = [by, *([] if by in ("day", "model") else ["name"]), "requests", "input_tokens", "cached_tokens", "output_tokens", "cost_usd"]
    written = io.StringIO()
    rows = csv.DictWriter(written, heads, lineterminator="\n")
    rows.writeheader()
    for line in lines:
        rows.writerow({**_described(line, by), "cost_usd": f"{line.cost // BILLION}.{line.cost % BILLION:09d}"})
    return written.getvalue().rstrip("\n")


def _called(line: Line) -> str:
    return f"{line.name} ({line.id})" if line.name else line.id


def _cells(line: Line) -> list[str]:
    counts = (line.requests, line.input_tokens, line.cached_tokens, line.output_tokens)
    return [*(f"{count:,}" for count in counts), _dollars(line.cost)]


def _dollars(billionths: int) -> str:
    """With as many decimals as small sums need: `$12.50`, `$0.000123`."""
    return f"${billionths / BILLION:,.2f}" if billionths % (BILLION // 100) == 0 else f"${billionths / BILLION:,.6f}"
