"""What the shell offers when Tab is pressed, and the scripts that make it ask. A shell has no place for errors: none are raised."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import click

SHELLS = ("bash", "zsh", "fish")


def installed_models(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """Names of the installed models that begin so."""
    from contextlib import suppress

    with suppress(Exception):
        from openhearth.models.library import Library
        from openhearth.settings import load

        return [name for name in Library(load().models_dir).all() if name.startswith(incomplete)]
    return []


def show_script(shell: str) -> None:
    """Print the script, to be sourced: `eval "$(openhearth --show-completion bash)"`."""
    print(_script(shell))


def install(shell: str) -> None:
    """Write the script into the user's folder for such scripts. Raises SetupError if that can't be done."""
    from openhearth.errors import SetupError

    path = _place(shell)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_script(shell) + "\n", encoding="utf-8")
    except OSError as error:
        raise SetupError(f"Can't write {path}: {error.strerror}.", exit_status=73) from None
    print(f"Wrote {path}. New shells complete openhearth's commands.", file=sys.stderr)
    if shell == "zsh":
        print(f"If they don't, add to ~/.zshrc, before compinit: fpath+={path.parent}", file=sys.stderr)


def _script(shell: str) -> str:
    from click.shell_completion import get_completion_class

    from openhearth.cli import application

    maker: Any = get_completion_class(shell)
    return str(maker(application(), {}, "openhearth", "_OPENHEARTH_COMPLETE").source())


def _place(shell: str) -> Path:
    home = Path.home()
    return {
        "bash": home / ".local/share/bash-completion/completions/openhearth",
        "zsh": home / ".zfunc/_openhearth",
        "fish": home / ".config/fish/completions/openhearth.fish",
    }[shell]
