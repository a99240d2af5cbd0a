"""What all commands share: the options that mean the same everywhere, the examples under a help text, the settings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from openhearth.cli.completion import installed_models

if TYPE_CHECKING:
    from openhearth.settings import Settings

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
_KEPT = "openhearth."


def remember(ctx: click.Context, option: click.Parameter, value: Any) -> None:
    """Keep an option's value for `load_settings`; the command's own goes over the one before it."""
    if value is not None:
        ctx.meta[_KEPT + str(option.name)] = value


data_dir = click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Where models, keys and the database live [OPENHEARTH_DATA_DIR].",
    expose_value=False,
    callback=remember,
)
"""For every command that reads the settings; `load_settings` knows what it said."""

base_url = click.option(
    "--base-url",
    metavar="URL",
    help="Talk to this server [OPENHEARTH_BASE_URL]. Its key comes from OPENHEARTH_API_KEY only: others on this machine can read a "
    "command's arguments.",
    expose_value=False,
    callback=remember,
)

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")

model = click.option(
    "--model",
    "-m",
    metavar="MODEL",
    help="The model's name or alias; default: the settings' default_model.",
    shell_complete=installed_models,
)


def examples(*lines: str) -> str:
    """The epilog of a command's help. The mark keeps the lines from being filled into a paragraph."""
    return "\n".join(["\b", "Examples:", *(f"  {line}" for line in lines)])


def load_settings(ctx: click.Context, **flags: Any) -> Settings:
    """Settings from flags, environment and file; `--data-dir`, `--base-url` and `--config` are found by themselves. Raises SetupError."""
    from openhearth.settings import load

    for name in ("data_dir", "base_url"):
        flags.setdefault(name, ctx.meta.get(_KEPT + name))
    return load(flags, config=ctx.meta.get(_KEPT + "config"))
