"""A question in words, and the answers that are weighed: the texts whose probability the model is asked for.

The order in which a client lists choices changes nothing: once they are not shown at all, and once sorted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from openhearth.errors import InvalidRequest
from openhearth.inference.decisions.evidence import instructions
from openhearth.wire.decisions import Choice, ChoiceQuestion, PredicateQuestion, Question


@dataclass(frozen=True, slots=True)
class Wording:
    """One way to ask: the question, the answer's beginning, and how the options read after it. All in the client's order."""

    question: str
    cue: str
    options: tuple[str, ...]

    @property
    def answers(self) -> tuple[str, ...]:
        """Each whole answer."""
        return tuple(f"{self.cue} {option}" for option in self.options)


def ask(question: Question, path: str) -> tuple[Wording, ...]:
    """The wordings over which the answer is averaged. Raises InvalidRequest naming the field."""
    text = instructions(question.instructions, f"{path}.instructions")
    if isinstance(question, PredicateQuestion):
        return _predicate(text)
    if isinstance(question, ChoiceQuestion):
        texts = _texts(question.choices, path)
        listed = sorted(_listed(shown, choice.description) for shown, choice in zip(texts, question.choices, strict=True))
        return _open_and_listed(text, tuple(texts), "Options:", listed)
    labels = tuple(level.label for level in question.levels)
    _check_unique(labels, f"{path}.levels")
    listed = [_listed(level.label, level.description) for level in question.levels]
    return _open_and_listed(text, labels, "Options, from the lowest to the highest:", listed)


def _predicate(statement: str) -> tuple[Wording, ...]:
    def wording(question: str) -> Wording:
        return Wording(question, "The statement is", ("true", "false"))

    return (
        wording(f"Question: Is this statement about the input true? {statement}"),
        wording(f"Statement: {statement}\nIs the statement true or false?"),
        wording(f"Statement: {statement}\nIs the statement false or true?"),
    )


def _open_and_listed(text: str, options: tuple[str, ...], heading: str, listed: Sequence[str]) -> tuple[Wording, ...]:
    """Small models judge better where no list stands between the input and the answer; large ones use what a list tells."""
    return (
        Wording(f"Question: {text}\nReply in a few words.", "Answer:", options),
        Wording("\n".join([f"Question: {text}", heading, *listed, "Reply with one option."]), "Answer:", options),
    )


def _listed(text: str, description: str | None) -> str:
    return f"- {text}: {description}" if description else f"- {text}"


def _texts(choices: Sequence[Choice], path: str) -> list[str]:
    """How each value reads. A text that reads like a boolean beside it is put in quotes."""
    _check_unique([(type(choice.value), choice.value) for choice in choices], f"{path}.choices")
    booleans = {_boolean(choice.value) for choice in choices if isinstance(choice.value, bool)}
    texts = [_boolean(value) if isinstance(value := choice.value, bool) else value for choice in choices]
    return [
        msgspec.json.encode(text).decode() if text in booleans and isinstance(choice.value, str) else text
        for text, choice in zip(texts, choices, strict=True)
    ]


def _boolean(value: bool) -> str:
    return "true" if value else "false"


def _check_unique(values: Sequence[object], path: str) -> None:
    if len(set(values)) < len(values):
        raise InvalidRequest(f"'{path}' holds the same one twice.", param=path, code="invalid_value")
