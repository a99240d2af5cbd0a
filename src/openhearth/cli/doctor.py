"""`openhearth doctor`: what this machine can run, and what to do where it can't."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from openhearth.cli import options
from openhearth.cli.exits import FAILED
from openhearth.cli.terminal import show, show_json, styled

if TYPE_CHECKING:
    from openhearth.cli.diagnosis import Finding
    from openhearth.settings import Settings

_COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}


def register(app: click.Group) -> None:
    """Add the command."""
    app.add_command(doctor)


@click.command(epilog=options.examples("openhearth doctor", "openhearth doctor --network", "openhearth doctor --json"))
@click.option("--network", is_flag=True, help="Also try to reach the model hub and the package index.")
@options.as_json
@options.base_url
@options.where_settings_are
@click.pass_context
def doctor(ctx: click.Context, network: bool, as_json: bool) -> None:
    """Tell what this machine can run, and what is wrong.

    Looks at the machine, the installation, the models that fit, the running server. Changes nothing. Exit code 1 if anything fails.
    """
    import asyncio

    findings = asyncio.run(_examine(options.load_settings(ctx), network))
    if as_json:
        show_json([asdict(finding) for finding in findings])
    else:
        for finding in findings:
            show(_line(finding))
    if any(finding.state == "fail" for finding in findings):
        raise SystemExit(FAILED)


async def _examine(settings: Settings, network: bool) -> list[Finding]:
    from openhearth.cli.diagnosis import house, installation, machine, models
    from openhearth.cli.diagnosis import network as outside

    return [
        machine.cpu(),
        machine.memory(),
        *machine.engine_and_gpu(),
        machine.disk(settings.data_dir),
        *installation.findings(),
        *models.findings(settings),
        house.data_folder(settings.data_dir),
        await house.database(settings),
        *await house.server(settings),
        *(await outside.findings() if network else []),
    ]


def _line(finding: Finding) -> str:
    state = styled(f"{finding.state:4}", _COLOURS[finding.state])
    advice = f"\n      -> {finding.advice}" if finding.advice else ""
    return f"{state}  {finding.name}: {finding.found}{advice}"
