"""The `openhearth` command: thin commands over the rooms below.

Built on click itself: with typer (which brings pydantic) `openhearth version` took four times as long and 20 MB more.
Every command module exports `register(app: click.Group)` and imports what is heavy inside its functions: `--help` and Tab must be quick.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import click

COMMANDS = ("serve", "chat", "run", "models", "ps", "projects", "keys", "users", "limits", "usage", "webhooks", "db", "doctor", "version")


def main() -> None:
    """Run the command line and exit with its status (see `openhearth.cli.exits`)."""
    from openhearth.cli import exits

    with exits.quiet_ending():
        application()()


def application() -> click.Group:
    """The whole command line, freshly made."""
    from importlib import import_module
    from importlib.util import find_spec

    from openhearth.cli.root import new_root

    app = new_root()
    for name in COMMANDS:
        if find_spec(f"openhearth.cli.{name}") is None:
            continue
        import_module(f"openhearth.cli.{name}").register(app)
    return app
