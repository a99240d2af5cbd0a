"""`openhearth version`."""

from __future__ import annotations

import click

from openhearth.cli import options
from openhearth.cli.terminal import show, show_json


def register(app: click.Group) -> None:
    """Add the command."""
    app.add_command(version)


@click.command(epilog=options.examples("openhearth version", "openhearth version --json"))
@options.as_json
def version(as_json: bool) -> None:
    """Print the version; with --json also Python's and the machine's."""
    from openhearth import __version__

    if not as_json:
        show(f"openhearth {__version__}")
        return
    import platform

    show_json({"version": __version__, "python": platform.python_version(), "platform": platform.platform()})
