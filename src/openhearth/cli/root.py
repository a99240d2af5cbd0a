"""The root of the command line: its help, the options before a command, the order of commands."""

from __future__ import annotations

from typing import Any

import click

from openhearth.cli import completion
from openhearth.cli.exits import explained
from openhearth.cli.options import CONTEXT, examples, where_settings_are

_ABOUT = """The whole OpenAI platform on your own hardware.

`openhearth serve` starts it; every OpenAI client then works against it."""


class Commands(click.Group):
    """Keeps the order of registration, and turns what a command raises into a message and an exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:
        with explained():
            return super().invoke(ctx)


def new_root() -> click.Group:
    """The root, without commands."""
    root = Commands(
        "openhearth",
        callback=_nothing,
        help=_ABOUT,
        epilog=examples("openhearth serve", 'openhearth run "Name three rivers"', "openhearth chat", "openhearth doctor"),
        no_args_is_help=True,
        context_settings=CONTEXT,
        params=_options(),
    )
    return where_settings_are(root)


def _nothing() -> None:
    pass


def _options() -> list[click.Parameter]:
    return [
        _ending_option("--version", "Print the version and exit.", _print_version, is_flag=True),
        _ending_option(
            "--show-completion", "Print the completion script of a shell.", completion.show_script, type=click.Choice(completion.SHELLS)
        ),
        _ending_option(
            "--install-completion", "Put that script where the shell finds it.", completion.install, type=click.Choice(completion.SHELLS)
        ),
    ]


def _ending_option(name: str, text: str, act: Any, **more: Any) -> click.Option:
    def end(ctx: click.Context, _option: click.Parameter, value: Any) -> None:
        if value and not ctx.resilient_parsing:
            with explained():
                act(value)
            ctx.exit()

    return click.Option([name], help=text, expose_value=False, is_eager=True, callback=end, **more)


def _print_version(_wanted: bool) -> None:
    from openhearth import __version__

    click.echo(f"openhearth {__version__}")
