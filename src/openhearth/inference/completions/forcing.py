"""Log-probabilities of a given text. The engine tells none for a prompt, so each next token is forced upon it, one short request a token.

A sampler's bias does not reach the reported value, which is the model's own. The prompt cache makes each step as dear as one decoded token.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import takewhile

import msgspec

from openhearth.engines.contract import EngineClient
from openhearth.errors import EngineFailed
from openhearth.inference.completions.scores import ScoredToken, read
from openhearth.inference.completions.vocabulary import Vocabulary
from openhearth.wire.completions import EngineAnswer, EngineToken

_CERTAIN = 100
"""A bias that outweighs every difference between logits."""
_REMEMBERED = 8
_UNREADABLE = "\ufffd"
_LIKELY = 2_000
_ALL = 2**20
"""How many of a place's likeliest tokens are searched for one that the engine doesn't report: first some, then the whole vocabulary."""


async def force(client: EngineClient, vocabulary: Vocabulary, before: list[int], token: int, top: int) -> ScoredToken:
    """Score `token` after `before`, with the `top` likeliest tokens of that place."""
    answer = await _step(client, before, token, max(1, top))
    if answer.tokens != [token]:
        raise EngineFailed("The engine does not tell the log-probabilities of a prompt.")
    if answer.completion_probabilities:
        return await read(answer.completion_probabilities[0], vocabulary)
    return await _search(client, vocabulary, before, token, top)


async def _step(client: EngineClient, before: list[int], token: int, top: int) -> EngineAnswer:
    request = {
        "prompt": before,
        "n_predict": 1,
        "n_probs": top,
        "logit_bias": [[token, _CERTAIN]],
        "temperature": 0,
        "cache_prompt": True,
        "return_tokens": True,
    }
    return msgspec.json.decode(await client.post("/completion", msgspec.json.encode(request)), type=EngineAnswer)


async def _search(client: EngineClient, vocabulary: Vocabulary, before: list[int], token: int, top: int) -> ScoredToken:
    """The engine reports nothing of a token that ends within a character. It stands among the alternatives to one that doesn't."""
    whole = await _letter(vocabulary)
    for width in (_LIKELY, _ALL):
        answer = await _step(client, before, whole, width)
        if not answer.completion_probabilities:
            break
        others = answer.completion_probabilities[0].top_logprobs
        for other in others:
            if other.id == token:
                return await read(EngineToken(token, other.token, other.logprob, other.bytes, others[:top]), vocabulary)
    raise EngineFailed("The engine does not tell the log-probability of every token.")


async def _first(client: EngineClient, vocabulary: Vocabulary, token: int) -> ScoredToken:
    """A prompt's first token: nothing precedes it, so only its text is to be found out."""
    name = await vocabulary.name(token)
    if _UNREADABLE not in name:
        return ScoredToken(token, name.encode(), name, None)
    part = await _search(client, vocabulary, [await _letter(vocabulary)], token, 1)
    return ScoredToken(token, part.bytes, part.name, None)


async def _letter(vocabulary: Vocabulary) -> int:
    """A token that is a whole character."""
    return (await vocabulary.ids("a", add_special=False))[-1]


@dataclass(frozen=True, slots=True)
class _Known:
    model: str
    top: int
    scores: list[ScoredToken]


class PromptScores:
    """Scores whole prompts, and remembers the last few: an evaluation asks for the same context with one continuation after the other."""

    def __init__(self) -> None:
        self._known: deque[_Known] = deque(maxlen=_REMEMBERED)

    async def score(self, model: str, client: EngineClient, vocabulary: Vocabulary, tokens: list[int], top: int) -> list[ScoredToken]:
        """One entry a token; the first has no log-probability. What was done is remembered even if the client leaves."""
        scores = self._beginning(model, tokens, top)
        if not scores:
            scores.append(await _first(client, vocabulary, tokens[0]))
        try:
            for at in range(len(scores), len(tokens)):
                scores.append(await force(client, vocabulary, tokens[:at], tokens[at], top))
        finally:
            self._known.append(_Known(model, top, scores))
        return scores

    def _beginning(self, model: str, tokens: list[int], top: int) -> list[ScoredToken]:
        """The longest known beginning of `tokens`."""
        best: list[ScoredToken] = []
        for known in self._known:
            if known.model == model and known.top >= top:
                same = list(takewhile(lambda pair: pair[0].id == pair[1], zip(known.scores, tokens, strict=False)))
                if len(same) > len(best):
                    best = [score for score, _ in same]
        return best
