"""Prompts as the engine takes them, and the check that they fit its context. Nothing is ever cut off."""

from __future__ import annotations

from dataclasses import dataclass

from openhearth.engines.contract import EngineProperties
from openhearth.errors import ContextLengthExceeded, InvalidRequest
from openhearth.inference.completions.infill import Marks
from openhearth.inference.completions.request import Plan, Prompt
from openhearth.inference.completions.vocabulary import Vocabulary
from openhearth.inference.lengths import surely_more
from openhearth.inference.sampling import check_bias

_ADDED = 8
"""Tokens that a tokenizer may add around a text, generously."""


@dataclass(frozen=True, slots=True)
class Ready:
    """One prompt: the text that the client gave (None: it gave tokens), and the tokens (empty: so short that it fits whatever they are)."""

    text: str | None
    tokens: list[int]

    @property
    def input(self) -> str | list[int]:
        """For the engine: what is known of the two."""
        return self.tokens or self.text or ""

    async def written(self, vocabulary: Vocabulary) -> str:
        """The prompt as text."""
        return await vocabulary.text(self.tokens) if self.text is None else self.text


async def prepare(plan: Plan, properties: EngineProperties, vocabulary: Vocabulary, marks: Marks | None = None) -> list[Ready]:
    """Every prompt, checked; `marks` where there is a suffix. Raises InvalidRequest (token ids, logit_bias) and ContextLengthExceeded."""
    check_bias(plan.sampling, properties)
    counted = plan.scored or plan.echo or plan.max_tokens == 0
    ready = []
    for prompt in plan.prompts:
        if isinstance(prompt, list):
            _check_ids(prompt, properties)
        if isinstance(prompt, str) and not counted and marks is None and _surely_fits(prompt, plan.max_tokens, properties.context):
            ready.append(Ready(prompt, []))
            continue
        for text in (prompt, plan.suffix):
            await _check_length(text, properties.context, vocabulary)
        tokens = await _tokens(prompt, plan.suffix, vocabulary, marks)
        check_context(len(tokens), plan.max_tokens, properties.context)
        ready.append(Ready(None if isinstance(prompt, list) else prompt or "", tokens))
    return ready


async def _tokens(prompt: Prompt, suffix: str | None, vocabulary: Vocabulary, marks: Marks | None) -> list[int]:
    if marks is not None and suffix is not None:
        return await marks.around(prompt or "", suffix, vocabulary)
    if prompt is None:
        return await vocabulary.document_start()
    return prompt if isinstance(prompt, list) else await vocabulary.ids(prompt)


def check_context(prompt: int, answer: int, context: int | None) -> None:
    """Raises ContextLengthExceeded with both numbers."""
    if context is not None and prompt + answer > context:
        raise ContextLengthExceeded(
            f"This model's maximum context length is {context} tokens, however you requested {prompt + answer} tokens "
            f"({prompt} in your prompt; {answer} for the completion). Please reduce your prompt or completion length.",
            param="prompt" if prompt > context else "max_tokens",
        )


async def _check_length(text: Prompt, context: int | None, vocabulary: Vocabulary) -> None:
    if context is None or not isinstance(text, str):
        return

    async def count(piece: str) -> int:
        return len(await vocabulary.ids(piece, add_special=False))

    if (found := await surely_more(text, context, count)) is not None:
        raise ContextLengthExceeded(
            f"This model's maximum context length is {context} tokens, however your prompt has at least {found} tokens. "
            "Please reduce your prompt.",
            param="prompt",
        )


def _surely_fits(text: str, answer: int, context: int | None) -> bool:
    """A token has at least one byte, so a short text needs no counting."""
    return context is None or len(text) * 4 + answer + _ADDED <= context or len(text.encode()) + answer + _ADDED <= context


def _check_ids(tokens: list[int], properties: EngineProperties) -> None:
    size = properties.vocabulary
    if size is not None and max(tokens) >= size:
        raise InvalidRequest(f"'prompt' contains token id {max(tokens)}, but this model's ids end at {size - 1}.", param="prompt")
