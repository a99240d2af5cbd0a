"""`openhearth run`: one question, one answer, for a shell's pipes."""

from __future__ import annotations

import os
import stat
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click

from openhearth.cli import options
from openhearth.cli.exits import stop_on_signals
from openhearth.cli.terminal import Printed, note, show_json, valid

if TYPE_CHECKING:
    from openhearth.settings import Settings

SILENCE_S = 2.0


def register(app: click.Group) -> None:
    """Add the command."""
    app.add_command(run)


@click.command(
    epilog=options.examples(
        'openhearth run "Name three rivers"',
        'cat letter.txt | openhearth run "Summarise in one sentence"',
        'openhearth run "A colour" --model smollm2:135m --max-tokens 5 --json',
    )
)
@click.argument("prompt", required=False)
@options.model
@click.option("--system", "-s", metavar="TEXT", help="What the model should be or do.")
@click.option("--max-tokens", type=click.IntRange(min=1), metavar="N", help="Length of the answer at most.")
@click.option("--temperature", "-t", type=click.FloatRange(0, 2), metavar="X", help="0: always the likeliest; default: the model's own.")
@click.option("--no-stdin", is_flag=True, help="Don't read standard input, whatever it is.")
@click.option("--json", "as_json", is_flag=True, help="Print the server's whole reply, when it is complete.")
@options.base_url
@options.where_settings_are
@click.pass_context
def run(ctx: click.Context, /, prompt: str | None, system: str | None, no_stdin: bool, as_json: bool, **sampling: Any) -> None:
    """Ask PROMPT once and print the answer as it comes.

    What is piped in follows the prompt, or is the prompt if there is none. An open pipe is waited for to its end. The answer goes
    to stdout without control characters (--json has everything). Uses the running server, or starts a model for this one question.
    """
    import asyncio

    text = "\n\n".join(part for part in (prompt, None if no_stdin else _piped()) if part)
    if not text.strip():
        raise click.UsageError("Nothing to ask. Give a prompt, or pipe a text in.")
    if not valid(text + (system or "")):
        raise click.UsageError("The text is not valid UTF-8.")
    messages = [{"role": "system", "content": system}] if system else []
    body = {"messages": [*messages, {"role": "user", "content": text}]}
    body |= {name: value for name, value in sampling.items() if value is not None}
    stop_on_signals()
    asyncio.run(_ask(options.load_settings(ctx), body, as_json))


def _piped() -> str | None:
    """Standard input, if somebody pipes or redirects into it."""
    if sys.stdin is None or sys.stdin.closed or sys.stdin.isatty():
        return None
    try:
        mode = os.fstat(sys.stdin.fileno()).st_mode
    except (OSError, ValueError):  # no file behind it, as under a test runner
        mode = stat.S_IFIFO
    if not (stat.S_ISFIFO(mode) or stat.S_ISREG(mode) or stat.S_ISSOCK(mode)):
        return None
    _say_that_it_waits()
    try:
        return sys.stdin.buffer.read().decode("utf-8").strip("\n")
    except UnicodeDecodeError:
        raise click.UsageError("What was piped in is not UTF-8 text.") from None


def _say_that_it_waits() -> None:
    """What is piped in may come late, so it is waited for; but somebody may not know that anything is piped in at all."""
    import io
    import select

    with suppress(OSError, ValueError, io.UnsupportedOperation):
        if not select.select([sys.stdin], [], [], SILENCE_S)[0]:
            note("Waiting for standard input to end. --no-stdin leaves it out.")


async def _ask(settings: Settings, body: dict[str, Any], as_json: bool) -> None:
    from openhearth.cli.server import chosen_model, connected, tell

    async with connected(settings, private=True) as server:
        body["model"] = await chosen_model(server, settings, body.get("model"))
        if as_json:
            show_json(await server.post("/chat/completions", body))
            return
        reason = await tell(server, body, printed := Printed())
        printed.finish()
        if reason == "length":
            note("[The answer ends here because of its length limit.]")
