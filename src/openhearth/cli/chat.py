"""`openhearth chat`: a conversation in the terminal, or line by line from a pipe."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from openhearth.cli import options
from openhearth.cli.exits import stop_on_signals
from openhearth.cli.terminal import clean, complain, note

if TYPE_CHECKING:
    from openhearth.cli.dialogue import Dialogue
    from openhearth.settings import Settings

_GREETING = '/help lists commands; a trailing \\ or a line of """ goes over several lines; Ctrl-C stops an answer, Ctrl-D leaves.'


def register(app: click.Group) -> None:
    """Add the command."""
    app.add_command(chat)


@click.command(
    epilog=options.examples(
        "openhearth chat",
        'openhearth chat --model smollm2:135m --system "You answer in one sentence."',
        "openhearth chat < questions.txt",
    )
)
@options.model
@click.option("--system", "-s", metavar="TEXT", default="", help="What the model should be or do.")
@options.base_url
@options.where_settings_are
@click.pass_context
def chat(ctx: click.Context, model: str | None, system: str) -> None:
    """Talk with a model.

    Inside: /system TEXT, /model NAME, /save FILE, /clear, /help, /exit. Uses the running server, or starts a model for as long
    as the conversation lasts. With input from a pipe, every line is a question.
    """
    from openhearth.cli.background import Background
    from openhearth.cli.conversation import Conversation
    from openhearth.cli.dialogue import Dialogue
    from openhearth.cli.server import chosen_model, connected

    settings = options.load_settings(ctx)
    stop_on_signals()
    with Background() as background, background.held(connected(settings, private=True)) as server:
        name = background.run(chosen_model(server, settings, model))
        dialogue = Dialogue(background, server, Conversation(name, system))
        if sys.stdin.isatty() and sys.stdout.isatty():
            _at_keyboard(dialogue, settings)
        else:
            _from_pipe(dialogue)


def _from_pipe(dialogue: Dialogue) -> None:
    """The first error ends it: the questions after it may depend on the answer that didn't come."""
    from openhearth.cli.input import admit_any_bytes, message

    admit_any_bytes()
    while (text := message(lambda _prompt: sys.stdin.readline() or None)) is not None:
        if text.strip() and not dialogue.hear(text):
            return


def _at_keyboard(dialogue: Dialogue, settings: Settings) -> None:
    from openhearth.cli.input import Keyboard, message
    from openhearth.errors import OpenHearthError, SetupError

    note(f"{clean(dialogue.conversation.model)}. {_GREETING}")
    with Keyboard(settings.data_dir / "chat_history") as keyboard:
        dialogue.confirm = keyboard.confirm
        while True:
            try:
                text = message(keyboard.read)
                if text is None or (text.strip() and not dialogue.hear(text)):
                    return
            except KeyboardInterrupt:
                note("\nCtrl-D or /exit leaves.")
            except (OpenHearthError, SetupError) as error:
                complain(error.message)
