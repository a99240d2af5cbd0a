"""`openhearth ps`: the engines of the running server."""

from __future__ import annotations

from typing import Any

import click

from openhearth.cli import options
from openhearth.cli.terminal import note, show, show_json, since, sized, table


def register(app: click.Group) -> None:
    """Add the command."""
    app.add_command(ps)


@click.command(epilog=options.examples("openhearth ps", "openhearth ps --json"))
@options.as_json
@options.base_url
@options.where_settings_are
@click.pass_context
def ps(ctx: click.Context, as_json: bool) -> None:
    """Show the engines that run.

    Model, state, memory, slots in use, queue. Exit code 3 if no server runs.
    """
    import asyncio

    engines = asyncio.run(_engines(ctx))
    if as_json:
        show_json(engines)
    elif not engines:
        note("No engine runs; one starts when its model is first asked.")
    else:
        heads = ["MODEL", "KIND", "STATE", "PID", "MEMORY", "IN USE", "QUEUE", "IDLE", "RESTARTS"]
        show(table(heads, [_line(engine) for engine in engines]))


async def _engines(ctx: click.Context) -> list[dict[str, Any]]:
    from openhearth.cli.server import connected

    async with connected(options.load_settings(ctx), private=False) as server:
        return list((await server.get("//openhearth/engines"))["data"])


def _line(engine: dict[str, Any]) -> list[str]:
    idle = engine.get("idle_s")
    return [
        str(engine.get("id", "")),
        str(engine.get("kind", "")),
        str(engine.get("state", "")),
        str(engine.get("pid") or "-"),
        sized(engine["memory_bytes"]) if engine.get("memory_bytes") else "-",
        f"{engine.get('in_use', 0)}/{engine.get('slots') or '-'}",
        str(engine.get("waiting", 0)),
        "-" if idle is None else since(idle),
        str(engine.get("restarts", 0)),
    ]
