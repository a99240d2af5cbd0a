"""Generation in which every token's log-probability counts: `logprobs`, and `best_of`.

The engine's stream loses the log-probabilities of tokens that end within a character and of text that might begin a stop sequence. So the
answer is made in short runs of llama.cpp's own `/completion`, which names every token; what it leaves unscored is forced afterwards.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator
from typing import Any

import msgspec

from openhearth.engines.contract import EngineClient
from openhearth.errors import EngineFailed
from openhearth.inference.completions.deltas import Delta, Tally
from openhearth.inference.completions.drawing import REDRAWS
from openhearth.inference.completions.forcing import force
from openhearth.inference.completions.scores import PlacedToken, ScoredToken, TextCursor, read
from openhearth.inference.completions.vocabulary import Vocabulary
from openhearth.inference.generation import StopScanner
from openhearth.wire.completions import EngineAnswer

_FIRST_RUN = 4
_LONGEST_RUN = 32
"""Tokens of one run: what is computed in vain after a stop sequence or a client's leaving."""


class ScoredCandidate:
    """One candidate in the making."""

    def __init__(self, client: EngineClient, vocabulary: Vocabulary, sampling: dict[str, Any], *, seed: int, top: int) -> None:
        self._client = client
        self._vocabulary = vocabulary
        self._sampling = sampling
        self._seed = seed
        self._top = top
        self._redraws = REDRAWS

    async def generate(
        self, candidate: int, prompt: list[int], start: int, *, prompt_number: int, limit: int, stops: list[str], tally: Tally
    ) -> AsyncGenerator[Delta, None]:
        """Pieces of text with their tokens; `start` is where the text begins, in characters. The last one says why it ended."""
        tokens = list(prompt)
        cursor, scanner = TextCursor(start), StopScanner[PlacedToken](stops)
        run = _FIRST_RUN
        while True:
            length = min(run, limit - len(tokens) + len(prompt))
            answer, scores = await self._run(tokens, length)
            if len(tokens) == len(prompt):
                tally.prompt(prompt_number, len(prompt), answer.timings.cache_n if answer.timings else 0)
                if self._draw_again(answer, scores, stops):
                    continue
            tokens += answer.tokens
            pieces, used = _scan(scores, cursor, scanner)
            tally.generated(used)
            finish = _finish(answer, scanner, len(tokens) - len(prompt), limit)
            if finish and not scanner.stopped:
                pieces += scanner.rest()
            yield Delta(candidate, "".join(text for text, _ in pieces), tuple(placed for _, placed in pieces), finish)
            if finish:
                return
            run = min(2 * run, _LONGEST_RUN)

    async def _run(self, tokens: list[int], length: int) -> tuple[EngineAnswer, list[ScoredToken]]:
        request = {
            **self._sampling,
            "prompt": tokens,
            "n_predict": length,
            "n_probs": max(1, self._top),
            "return_tokens": True,
            "cache_prompt": True,
            "seed": self._seed_at(len(tokens)),
        }
        answer = msgspec.json.decode(await self._client.post("/completion", msgspec.json.encode(request)), type=EngineAnswer)
        if not 0 < len(answer.tokens) <= length:
            raise EngineFailed("The engine does not tell which tokens it generated.")
        return answer, await self._scores(tokens, answer)

    async def _scores(self, before: list[int], answer: EngineAnswer) -> list[ScoredToken]:
        """One score a token. A token after an unscored one is scored anew too: the engine gave it the whole character as its text."""
        entries = iter(answer.completion_probabilities)
        entry = next(entries, None)
        scores: list[ScoredToken] = []
        gap = False
        for at, token in enumerate(answer.tokens):
            told = entry if entry is not None and entry.id == token else None
            if told is None or gap:
                scores.append(await force(self._client, self._vocabulary, before + answer.tokens[:at], token, self._top))
            else:
                scores.append(await read(told, self._vocabulary))
            gap = told is None
            if told is not None:
                entry = next(entries, None)
        return scores

    def _draw_again(self, answer: EngineAnswer, scores: list[ScoredToken], stops: list[str]) -> bool:
        """Whether an empty answer is drawn anew, as `drawing` explains."""
        empty = answer.stop_type == "eos" and not any(score.bytes for score in scores)
        if not empty or not self._redraws or stops or not self._sampling["temperature"]:
            return False
        self._redraws -= 1
        self._seed += 2**24
        return True

    def _seed_at(self, position: int) -> int:
        """Every run has its own seed, or each would begin with the same luck."""
        digest = hashlib.blake2b(f"{self._seed}:{position}".encode(), digest_size=4).digest()
        return int.from_bytes(digest, "little") % (2**32 - 1)


def _scan(scores: list[ScoredToken], cursor: TextCursor, scanner: StopScanner[PlacedToken]) -> tuple[list[tuple[str, PlacedToken]], int]:
    """What may be given out, and how many tokens it took to get there (those of a stop sequence included)."""
    pieces: list[tuple[str, PlacedToken]] = []
    for used, score in enumerate(scores, 1):
        pieces += scanner.feed(*cursor.place(score))
        if scanner.stopped:
            return pieces, used
    return pieces, len(scores)


def _finish(answer: EngineAnswer, scanner: StopScanner[PlacedToken], generated: int, limit: int) -> str | None:
    if scanner.stopped or answer.stop_type in ("eos", "word"):
        return "stop"
    return "length" if generated >= limit else None
