"""What a server must have before it starts: the models that its settings name. Loads none of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from openhearth.cli.terminal import complain
from openhearth.errors import DownloadFailed, SetupError

if TYPE_CHECKING:
    from openhearth.models.resolve import Models
    from openhearth.settings import Settings

_DEFAULTS = ("default_model", "embedding_model")
WRONG_SETTINGS = 78


async def have_models(settings: Settings) -> None:
    """Pull what is missing. Raises SetupError for a name that means nothing, and if what every client's names mean is not to be had.

    Any other model that can't be had just now is complained of, and aliases that lead nowhere.
    """
    from openhearth.models.resolve import Models

    _check_names(Models(settings), settings)
    await _pull_missing(settings)
    models = Models(settings)
    for setting in _DEFAULTS:
        name = getattr(settings, setting)
        if lacking := models.lacking(name):
            offline = " --offline forbids to do so now." if settings.offline else ""
            message = f"{setting}: {lacking.message}{offline}"
            if setting == "default_model" and settings.preload is None:
                raise SetupError(message, exit_status=WRONG_SETTINGS)
            complain(message)
    for alias in models.aliases_to_nowhere():
        complain(alias.message)


def _check_names(models: Models, settings: Settings) -> None:
    for setting in _DEFAULTS:
        name = getattr(settings, setting)
        if not models.can_be_pulled(name) and (lacking := models.lacking(name)):
            raise SetupError(f"{setting}: {lacking.message}", exit_status=WRONG_SETTINGS)


async def _pull_missing(settings: Settings) -> None:
    """The default model's failure is the end of it, unless the owner chose what to have."""
    from openhearth.cli.progress import Bars
    from openhearth.models.pull import ensure

    wanted = settings.preload if settings.preload is not None else (settings.default_model, settings.embedding_model)
    with Bars() as bars:
        for name in wanted:
            try:
                await ensure(settings, (name,), bars)
            except DownloadFailed as error:
                if settings.preload is None and name == settings.default_model:
                    raise
                complain(f"{name}: {error.message}")
