"""A reasoning model's thoughts, told from its answer where the engine doesn't do it: in answers to prompts given as tokens."""

from __future__ import annotations

OPEN, CLOSE = "<think>", "</think>"


class Thoughts:
    """Splits one choice's text. `begun`: the prompt itself has opened the thought."""

    def __init__(self, *, begun: bool) -> None:
        self._thinking = begun
        self._answering = False
        self._held = ""

    def feed(self, piece: str) -> tuple[str, str]:
        """What is surely thought, and what is surely answer."""
        if self._answering:
            return "", piece
        self._held += piece
        if not self._thinking:
            start = self._held.lstrip()
            if OPEN.startswith(start):
                return "", ""
            if not start.startswith(OPEN):
                return "", self._rest()
            self._thinking, self._held = True, start[len(OPEN) :]
        thought, closed, answer = self._held.partition(CLOSE)
        if closed:
            self._thinking, self._answering, self._held = False, True, ""
            return thought, answer.lstrip()
        safe = len(thought) - next((n for n in range(min(len(CLOSE) - 1, len(thought)), 0, -1) if CLOSE.startswith(thought[-n:])), 0)
        self._held = thought[safe:]
        return thought[:safe], ""

    def end(self) -> tuple[str, str]:
        """What was held when the text ended."""
        held = self._rest()
        return (held, "") if self._thinking else ("", held)

    def _rest(self) -> str:
        self._answering = not self._thinking
        held, self._held = self._held, ""
        return held
