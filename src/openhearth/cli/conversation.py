"""A conversation: what was said, how it is sent on, how it is saved. No terminal, no network."""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from openhearth.errors import InvalidRequest

_MARKDOWN = (".md", ".markdown")


@dataclass(frozen=True)
class Turn:
    """One message. `interrupted`: an answer that was stopped before its end."""

    role: str
    content: str
    interrupted: bool = False


@dataclass
class Conversation:
    """Turns in their order, under a system message if there is one."""

    model: str
    system: str = ""
    turns: list[Turn] = field(default_factory=list)

    def messages(self, question: str) -> list[dict[str, str]]:
        """What is sent to ask this next."""
        said = [{"role": turn.role, "content": turn.content} for turn in self.turns]
        head = [{"role": "system", "content": self.system}] if self.system else []
        return [*head, *said, {"role": "user", "content": question}]

    def add(self, question: str, answer: str, *, interrupted: bool = False) -> None:
        """Keep a question with what came of its answer. One without any answer is not kept: two questions in a row confuse models."""
        if answer:
            self.turns += [Turn("user", question), Turn("assistant", answer, interrupted)]

    def save(self, path: Path, *, overwrite: bool = False) -> None:
        """Write it as JSON or Markdown, by the name's suffix. Raises InvalidRequest (suffix), FileExistsError, OSError."""
        suffix = path.suffix.lower()
        if suffix not in (".json", *_MARKDOWN):
            raise InvalidRequest(f"Save as .json or .md, not '{path.name}'.")
        if not overwrite and path.exists():
            raise FileExistsError(str(path))
        _write_whole(path, self.as_json() if suffix == ".json" else self.as_markdown())

    def as_json(self) -> str:
        """The messages in OpenAI's form; an interrupted one is marked."""
        messages: list[dict[str, Any]] = [{"role": "system", "content": self.system}] if self.system else []
        for turn in self.turns:
            mark = {"interrupted": True} if turn.interrupted else {}
            messages.append({"role": turn.role, "content": turn.content, **mark})
        return json.dumps({"model": self.model, "messages": messages}, indent=2, ensure_ascii=False) + "\n"

    def as_markdown(self) -> str:
        """For reading."""
        parts = [f"# A conversation with {self.model}"]
        if self.system:
            parts.append("\n".join(f"> {line}" for line in self.system.splitlines()))
        for turn in self.turns:
            name = "You" if turn.role == "user" else self.model
            parts.append(f"**{name}:**\n\n{turn.content}" + ("\n\n*(interrupted)*" if turn.interrupted else ""))
        return "\n\n".join(parts) + "\n"


def _write_whole(path: Path, text: str) -> None:
    # Never half a file under the final name: a full disk must not cost the one that was there.
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise
