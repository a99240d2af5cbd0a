"""`openhearth serve`: first start (models, key), the server, what it prints. What the server is stands in `openhearth.serving`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from openhearth.cli import options
from openhearth.cli.completion import installed_models
from openhearth.cli.first_models import have_models
from openhearth.cli.terminal import complain, note, show, styled

if TYPE_CHECKING:
    from openhearth.app import House
    from openhearth.settings import Settings

LOOPBACK = ("127.", "::1", "localhost")

_PROGRAM = """\
{today}
from openai import OpenAI
client = OpenAI(base_url="{url}/v1", api_key="{key}")
reply = client.chat.completions.create(model="gpt-4o-mini", messages=[{{"role": "user", "content": "Name three rivers."}}])
print(reply.choices[0].message.content)

{legacy}
import openai
openai.api_base, openai.api_key = "{url}/v1", "{key}"
reply = openai.Completion.create(engine="davinci-codex", prompt="Three rivers:", max_tokens=50)
print(reply.choices[0].text)
"""


def register(app: click.Group) -> None:
    """Add the command."""
    app.add_command(serve)


@click.command(
    epilog=options.examples(
        "openhearth serve",
        "openhearth serve --port 8080 --model qwen2.5:0.5b",
        "OPENHEARTH_API_KEY=sk-... openhearth serve --host 0.0.0.0",
    )
)
@click.option("--host", metavar="ADDRESS", help="Where to listen; default 127.0.0.1: this machine only [OPENHEARTH_HOST].")
@click.option("--port", type=click.IntRange(0, 65535), help="Default 8000; 0 takes a free one [OPENHEARTH_PORT].")
@click.option(
    "--model", "-m", metavar="MODEL", help="What gpt-4o-mini and the like mean [OPENHEARTH_DEFAULT_MODEL].", shell_complete=installed_models
)
@click.option("--offline", is_flag=True, default=None, help="Never download anything [OPENHEARTH_OFFLINE].")
@options.where_settings_are
@click.pass_context
def serve(ctx: click.Context, host: str | None, port: int | None, model: str | None, offline: bool | None) -> None:
    """Start the server. The first start pulls a small model and makes a key.

    Ctrl-C stops it, with its engines.
    """
    import uvloop

    settings = options.load_settings(ctx, host=host, port=port, default_model=model, offline=offline)
    _log_to_stderr(settings.log_level)
    uvloop.run(_serve(settings))


async def _serve(settings: Settings) -> None:
    from openhearth import serving

    async with serving.data_folder(settings):
        # Before anything long begins.
        serving.claim_port(settings.host, settings.port)
        await have_models(settings)
        from openhearth.app import open_house

        async with open_house(settings) as house:
            key = None if settings.api_key or await house.keys.list() else (await house.keys.create("first"))[0]

            async def ready(address: str) -> None:
                _greet(settings, address, key)
                await _warm_up(house)

            await serving.serve(house, ready=ready, waiting=_waiting)
    note("Stopped.")


async def _warm_up(house: House) -> None:
    from openhearth.errors import OpenHearthError

    for name in house.preloaded:
        try:
            model = await house.models.resolve(name)
            await house.pool.preload(model.spec)
        except OpenHearthError as error:
            complain(f"{name}: {error.message}")


def _greet(settings: Settings, address: str, key: str | None) -> None:
    show(f"{styled('Open Hearth', 'bold')} listens on {styled(address, 'cyan')}")
    if not settings.host.startswith(LOOPBACK):
        note(
            f"{styled('!', 'yellow', stream=sys.stderr)} {settings.host}: every machine that reaches this one can send requests. "
            "The keys guard it, but travel unencrypted: put a TLS proxy in front."
        )
    if key:
        show(f"Key: {styled(key, 'bold')}   (shown this once; `openhearth keys create` makes more)")
    elif not settings.api_key:
        show("Key: as before; if it is lost, `openhearth keys create` makes another")
    shown = key or "YOUR_KEY"
    show("")
    show(
        _PROGRAM.format(
            url=address,
            key=shown,
            today=styled("# openai 1.0 and later", "dim"),
            legacy=styled("# openai 0.28 and earlier", "dim"),
        )
    )
    show("Ctrl-C stops it.")


def _waiting(answers: int) -> None:
    from openhearth import serving

    told = "1 answer is being written; waiting for it" if answers == 1 else f"{answers} answers are being written; waiting for them"
    note(f"{told}, at most {serving.GRACE_S:.0f} s. Ctrl-C again stops at once.")


def _log_to_stderr(level: str) -> None:
    import logging

    logging.basicConfig(stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.WARNING)
    logging.getLogger("openhearth").setLevel(level.upper())
