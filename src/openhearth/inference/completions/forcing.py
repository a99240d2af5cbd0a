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
from openhearth.wire.completions import EngineAnswer

_CERTAIN = 100
"""A bias that outweighs every difference between logits."""
_REMEMBERED = 8


async def force(client: EngineClient, vocabulary: Vocabulary, before: list[int], token: int, top: int) -> ScoredToken:
    """Score `token` after `before`, with the `top` likeliest tokens of that place."""
    request = {
        "prompt": before,
        "n_predict": 1,
        "n_probs": max(1, top),
        "logit_bias": [[token, _CERTAIN]],
        "temperature": 0,
        "cache_prompt": True,
        "return_tokens": True,
    }
    answer = msgspec.json.decode(await client.post("/completion", msgspec.json.encode(request)), type=EngineAnswer)
    if answer.tokens != [token] or len(answer.completion_probabilities) != 1:
        raise EngineFailed("The engine does not tell the log-probabilities of a prompt.")
    return await read(answer.completion_probabilities[0], vocabulary)


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
            name = await vocabulary.name(tokens[0])
            scores.append(ScoredToken(tokens[0], name.encode(), name, None))
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
