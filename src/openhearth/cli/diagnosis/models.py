"""Models: which of the catalogue's this machine can hold, and what the settings name that is not here. Loads and fetches nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from openhearth.cli.diagnosis import Finding
from openhearth.cli.terminal import clean, sized
from openhearth.errors import OpenHearthError, SetupError

if TYPE_CHECKING:
    from openhearth.models.resolve import Models
    from openhearth.settings import Settings


def findings(settings: Settings) -> list[Finding]:
    """What fits the memory that engines may use, and every name in the settings that leads nowhere."""
    from openhearth.models.resolve import Models

    try:
        return [*_fitting(settings), *_defaults(Models(settings), settings), *_aliases(Models(settings))]
    except (OpenHearthError, SetupError, OSError) as error:
        return [Finding("models", "fail", clean(getattr(error, "message", str(error))), "Put it right in the settings.")]


def _fitting(settings: Settings) -> list[Finding]:
    from openhearth.engines.machine import memory_budget
    from openhearth.models.catalogue import load
    from openhearth.models.sizing import of_entry

    budget = memory_budget(settings.engines)
    needs = [(entry.name, of_entry(entry, settings.engines, budget)) for entry in load(settings.models).entries.values()]
    known = sorted(((name, needed) for name, needed in needs if needed is not None), key=lambda each: each[1])
    fitting = [f"{name} ({sized(needed)})" for name, needed in known if needed <= budget]
    too_large = [f"{name} ({sized(needed)})" for name, needed in known if needed > budget]
    share = "as the settings say" if settings.engines.memory_budget_mb is not None else "80% of what is free now"
    found = f"engines may use {sized(budget)} ({share}). Of the catalogue fit, one at a time and with their context, about: "
    first = Finding("models that fit", "ok" if fitting else "warn", found + (", ".join(fitting) or "none"))
    rest = Finding("models too large", "ok", ", ".join(too_large), "Less context (engines.context, engines.slots) makes them smaller.")
    return [first, rest] if too_large else [first]


def _defaults(models: Models, settings: Settings) -> list[Finding]:
    lacking = [(name, models.lacking(getattr(settings, name))) for name in ("default_model", "embedding_model")]
    return [
        Finding(name, "ok", f"{getattr(settings, name)} is not here yet; `openhearth serve` pulls it")
        if models.can_be_pulled(getattr(settings, name)) and not settings.offline
        else Finding(name, "warn", clean(error.message), "`openhearth serve` needs it.")
        for name, error in lacking
        if error
    ]


def _aliases(models: Models) -> list[Finding]:
    advice = "Put it right in openhearth.toml or aliases.toml."
    return [Finding("alias", "warn", clean(error.message), advice) for error in models.aliases_to_nowhere()]
