"""What all commands share: the options that mean the same everywhere, the examples under a help text, the settings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from openhearth.cli.completion import installed_models

if TYPE_CHECKING:
    from openhearth.settings import Settings

C = TypeVar("C", bound="Callable[..., Any] | click.Command")
CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
_KEPT = "openhearth."


def remember(ctx: click.Context, option: click.Parameter, value: Any) -> None:
    """Keep an option's value for `load_settings`; the command's own goes over the one before it."""
    if value is not None:
        ctx.meta[_KEPT + str(option.name)] = value


_data_dir = click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Where models, keys and the database live [OPENHEARTH_DATA_DIR].",
    expose_value=False,
    callback=remember,
)
_config = click.option(
    "--config",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The settings file; default: openhearth.toml in the data folder [OPENHEARTH_CONFIG].",
    expose_value=False,
    callback=remember,
)


def where_settings_are(command: C) -> C:
    """--data-dir and --config, for every command that reads the settings and for the root; `load_settings` knows what they said."""
    return _config(_data_dir(command))


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
