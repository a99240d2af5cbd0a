"""A question in words, and the answers that are weighed: the texts whose probability the model is asked for.

The order in which a client lists choices changes nothing: they are shown sorted, and once more the other way round.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from openhearth.errors import InvalidRequest
from openhearth.inference.decisions.evidence import instructions
from openhearth.wire.decisions import Choice, ChoiceQuestion, PredicateQuestion, Question, ScoreQuestion

TRUE, FALSE = "Yes", "No"


@dataclass(frozen=True, slots=True)
class Asked:
    """One question, ready: its wordings (the answers are averaged over them) and the options, in the client's order."""

    wordings: tuple[str, ...]
    options: tuple[str, ...]


def ask(question: Question, path: str) -> Asked:
    """Raises InvalidRequest naming the field."""
    text = instructions(question.instructions, f"{path}.instructions")
    if isinstance(question, PredicateQuestion):
        return _predicate(text)
    if isinstance(question, ChoiceQuestion):
        return _choice(text, question.choices, path)
    return _score(text, question, path)


def _predicate(statement: str) -> Asked:
    def wording(first: str, second: str) -> str:
        return f"Statement: {statement}\nIs the statement true of the input? Answer {first} or {second}."

    return Asked((wording(TRUE, FALSE), wording(FALSE, TRUE)), (TRUE, FALSE))


def _choice(text: str, choices: Sequence[Choice], path: str) -> Asked:
    texts = _texts(choices, path)
    listed = sorted(_listed(shown, choice.description) for shown, choice in zip(texts, choices, strict=True))
    return Asked(tuple(_wording(text, "Choose one of:", lines) for lines in (listed, listed[::-1])), tuple(texts))


def _score(text: str, question: ScoreQuestion, path: str) -> Asked:
    labels = [level.label for level in question.levels]
    _check_unique(labels, f"{path}.levels")
    listed = [_listed(level.label, level.description) for level in question.levels]
    upward = _wording(text, "Levels, from the lowest to the highest:", listed)
    return Asked((upward, _wording(text, "Levels, from the highest to the lowest:", listed[::-1])), tuple(labels))


def _wording(text: str, introduction: str, lines: Sequence[str]) -> str:
    return "\n".join([text, introduction, *lines, "Answer with one of them and nothing else."])


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
