"""What happens to a typed message: it is a command, or it is asked and the answer printed as it comes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from openhearth.cli.server import listed, tell
from openhearth.cli.terminal import Printed, clean, note, valid
from openhearth.errors import InvalidRequest

if TYPE_CHECKING:
    from openhearth.cli.background import Background
    from openhearth.cli.conversation import Conversation
    from openhearth.cli.server import Server

_HELP = """\
/system TEXT  set the system message (/system "" removes it, /system shows it)
/model NAME   talk to another model (/model lists them)
/save FILE    save the conversation, as .json or .md
/clear        forget the conversation, keep the system message
/help         this list
/exit         leave (so does Ctrl-D)
A message that begins with a slash is sent if a blank goes before it."""


def _no(_question: str) -> bool:
    return False


class Dialogue:
    """One conversation with one server."""

    def __init__(self, background: Background, server: Server, conversation: Conversation) -> None:
        self.conversation = conversation
        self.confirm: Callable[[str], bool] = _no
        self._background = background
        self._server = server
        self._commands: dict[str, Callable[[str], None]] = {
            "/system": self._system,
            "/model": self._model,
            "/save": self._save,
            "/clear": self._clear,
            "/help": lambda _rest: note(_HELP),
        }

    def hear(self, text: str) -> bool:
        """Act on a message; False: the conversation is over.

        Raises OpenHearthError (nothing is kept of the question then), KeyboardInterrupt (what came of the answer is kept, marked).
        """
        if not text.startswith("/"):
            self._ask(text)
            return True
        name, _, rest = text.partition(" ")
        if name in ("/exit", "/quit", "/bye"):
            return False
        command = self._commands.get(name)
        if command is None:
            raise InvalidRequest(f"There is no command {name}. /help lists them.")
        command(rest.strip())
        return True

    def _ask(self, question: str) -> None:
        if not valid(question + self.conversation.system):
            raise InvalidRequest("The text is not valid UTF-8.")
        body = {"model": self.conversation.model, "messages": self.conversation.messages(question)}
        printed = Printed()
        try:
            reason = self._background.run(tell(self._server, body, printed))
        except BaseException:
            if printed.text:
                printed.finish()
                note("[interrupted]")
            self.conversation.add(question, printed.text, interrupted=True)
            raise
        printed.finish()
        self.conversation.add(question, printed.text, interrupted=reason is None)
        if reason == "length":
            note("[The answer ends here because of its length limit.]")

    def _system(self, text: str) -> None:
        if text:
            self.conversation.system = text if text not in ('""', "''") else ""
        note(f"System message: {clean(self.conversation.system) or 'none'}")

    def _model(self, name: str) -> None:
        if name:
            # Asked for, so that a mistyped name is told now and not at the next question.
            found = self._background.run(self._server.get(f"/models/{quote(name)}"))
            served = self._background.run(listed(self._server))
            if any(model["id"] == found.get("id") and model.get("task") == "embedding" for model in served):
                raise InvalidRequest(
                    f"{clean(name)} is an embedding model: it can't talk. Still talking to {clean(self.conversation.model)}."
                )
            self.conversation.model = name
            note(f"Talking to {clean(name)}.")
            return
        known = self._background.run(self._server.get("/models"))
        note("\n".join(clean(str(model["id"])) for model in known["data"]))

    def _save(self, name: str) -> None:
        if not name:
            raise InvalidRequest("Save to which file? /save FILE.json or /save FILE.md.")
        path = Path(name).expanduser()
        try:
            self.conversation.save(path)
        except FileExistsError:
            if not self.confirm(f"{clean(name)} exists. Overwrite it?"):
                raise InvalidRequest(f"{clean(name)} exists; not saved.") from None
            self.conversation.save(path, overwrite=True)
        except OSError as error:
            raise InvalidRequest(f"Can't write {clean(name)}: {error.strerror}.") from None
        note(f"Saved to {path}.")

    def _clear(self, _rest: str) -> None:
        self.conversation.turns.clear()
        note("Forgotten.")
