"""A chat reply in which every token's log-probability is told. The work is that of scored completions; only the words differ."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from contextlib import aclosing

from openhearth.engines.contract import EngineClient
from openhearth.inference.chat.deltas import Delta, Tally
from openhearth.inference.chat.prompt import ChatPrompt
from openhearth.inference.chat.request import Plan
from openhearth.inference.completions.deltas import Tally as CompletionTally
from openhearth.inference.completions.scored import ScoredCandidate
from openhearth.inference.completions.scores import PlacedToken
from openhearth.inference.completions.vocabulary import Vocabulary
from openhearth.inference.generation import seeds
from openhearth.wire.chat_replies import TokenLogprob, TopLogprob

_PART = re.compile(r"bytes:((?:\\x[0-9a-f]{2})+)")
_ENDLESS = 2**31 - 1


async def scored(
    client: EngineClient, vocabulary: Vocabulary, prompt: ChatPrompt, plan: Plan, choice: int, tally: Tally
) -> AsyncGenerator[list[Delta]]:
    """One choice. The prompt must be tokens."""
    tokens, top, counted = prompt.tokens or [], plan.logprobs or 0, CompletionTally()
    tally.prompt(len(tokens))
    seed = seeds(plan.seed, plan.n)[choice]
    candidate = ScoredCandidate(client, vocabulary, plan.sampling, seed=seed, top=max(1, top))
    limit = _ENDLESS if plan.max_tokens is None else plan.max_tokens
    deltas = candidate.generate(choice, tokens, 0, prompt_number=0, limit=limit, stops=plan.stops, tally=counted)
    before = 0
    async with aclosing(deltas):
        async for delta in deltas:
            tally.generated(counted.completion_tokens - before)
            before = counted.completion_tokens
            told = tuple(_logprob(placed, top) for placed in delta.tokens if placed.token.bytes)
            yield [Delta(choice, delta.text, logprobs=told, finish=delta.finish)]


def _logprob(placed: PlacedToken, top: int) -> TokenLogprob:
    token = placed.token
    others = [TopLogprob(name, logprob, _bytes(name)) for name, logprob in token.top[:top]]
    return TokenLogprob(token.name, token.logprob or 0.0, list(token.bytes), others)


def _bytes(name: str) -> list[int]:
    """A name's bytes; a part of a character is named by them."""
    found = _PART.fullmatch(name)
    return list(bytes.fromhex(found.group(1).replace("\\x", ""))) if found else list(name.encode())
