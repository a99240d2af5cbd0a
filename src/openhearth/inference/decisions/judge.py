"""One model's engine, asked about one input after the other: every wording of every question, weighed, corrected and averaged.

An input's tokens stay in the engine's cache while its questions are asked. What the numbers mean on the wire is decided in `answers`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from openhearth.accounts.work import Usage
from openhearth.errors import ContextLengthExceeded
from openhearth.inference.completions.vocabulary import Vocabulary
from openhearth.inference.decisions import refusals
from openhearth.inference.decisions.answers import distribution
from openhearth.inference.decisions.calibration import Known, Method, Row, key
from openhearth.inference.decisions.prompts import Frame, WordingTokens, input_tokens, wording_tokens
from openhearth.inference.decisions.questions import Wording
from openhearth.inference.decisions.scoring import Scorer

Leanings = Mapping[WordingTokens, Row]


@dataclass(frozen=True, slots=True)
class Asked:
    """One question, as tokens."""

    wordings: tuple[WordingTokens, ...]
    refusals: tuple[tuple[int, ...], ...]


@dataclass(slots=True)
class Tally:
    """Tokens read until now. `cached`: of the input's, those that the engine still had. `output`: an upstream's."""

    started: float = field(default_factory=time.perf_counter)
    first_token_s: float | None = None
    input: int = 0
    questions: int = 0
    calibration: int = 0
    cached: int = 0
    output: int = 0

    @property
    def usage(self) -> Usage:
        return Usage(self.input + self.questions + self.calibration, self.output, self.cached)


class Judge:
    """Bound to a lease's client."""

    def __init__(
        self, model: str, frame: Frame, vocabulary: Vocabulary, scorer: Scorer, known: Known, context: int | None, tally: Tally
    ) -> None:
        self._model = model
        self._frame = frame
        self._vocabulary = vocabulary
        self._scorer = scorer
        self._known = known
        self._context = context
        self._tally = tally

    async def asked(self, wordings: Sequence[Wording]) -> Asked:
        """The question as the model reads it."""
        declining = [self._frame.openings[opening] for opening in refusals.openings(wordings[0].options)]
        return Asked(tuple([await wording_tokens(self._vocabulary, one) for one in wordings]), tuple(declining))

    async def opened(self, text: str) -> list[int]:
        """What all questions about this input begin with."""
        return self._frame.opened(await input_tokens(self._vocabulary, text))

    def check(self, opened: Sequence[int], questions: Sequence[Asked], param: str) -> None:
        """Raises ContextLengthExceeded with both numbers."""
        longest = [max(wording.length for wording in question.wordings) for question in questions]
        needed = len(opened) + len(self._frame.after) + max(longest)
        if self._context is not None and needed > self._context:
            number = longest.index(max(longest))
            raise ContextLengthExceeded(
                f"This model's maximum context length is {self._context} tokens, however the input and questions[{number}] have {needed} "
                f"({len(opened)} of them the input). Shorten the input; if the model was trained on more, "
                "engines.context gives it more.",
                param=param if len(opened) >= max(longest) else f"questions[{number}]",
            )

    async def calibrate(self, method: Method, questions: Sequence[Asked]) -> Leanings:
        """What each wording leans to: remembered, or measured now; input by input, so that each is read once."""
        wordings = list(dict.fromkeys(wording for question in questions for wording in question.wordings))
        found = {wording: self._known.get(self._key(method, wording)) for wording in wordings} if method.inputs else {}
        unknown = [wording for wording, leaning in found.items() if leaning is None]
        rows: dict[WordingTokens, list[Row]] = {wording: [] for wording in unknown}
        for number, text in enumerate(method.inputs if unknown else ()):
            opened = await self.opened(text)
            self.check(opened, questions, f"calibration.inputs[{number}]")
            self._tally.calibration += len(opened)
            for wording in unknown:
                rows[wording].append(await self._weighed(opened, wording))
                self._tally.calibration += self._added(wording)
        measured = {wording: method.leaning(rows[wording]) for wording in unknown}
        for wording, leaning in measured.items():
            self._known.put(self._key(method, wording), leaning)
        return {wording: leaning for wording, leaning in found.items() if leaning is not None} | measured

    async def decide(self, opened: list[int], question: Asked, leanings: Leanings) -> list[float] | None:
        """The options' probabilities, or None: the model declined."""
        if not self._tally.input:
            self._scorer.cached = None
        if await self._declines(opened, question):
            return None
        corrected = []
        for wording in question.wordings:
            row = await self._weighed(opened, wording)
            self._count(opened, wording)
            leaning = leanings.get(wording, [0.0] * len(row))
            corrected.append([told - leant for told, leant in zip(row, leaning, strict=True)])
        return distribution([math.fsum(column) / len(corrected) for column in zip(*corrected, strict=True)])

    async def _declines(self, opened: list[int], question: Asked) -> bool:
        """Asked after the first wording, which leaves the model the most freedom."""
        if not question.refusals:
            return False
        first = question.wordings[0]
        declines = await self._scorer.begins(self._frame.closed(opened, first.question), question.refusals, refusals.LIKELY)
        if declines:
            self._count(opened, first)
        return declines

    async def _weighed(self, opened: list[int], wording: WordingTokens) -> Row:
        prompt = self._frame.closed(opened, wording.question)
        return await self._scorer.score([*prompt, *wording.start], wording.options)

    def _count(self, opened: list[int], wording: WordingTokens) -> None:
        self._tally.input = len(opened)
        self._tally.cached = min(self._scorer.cached or 0, len(opened))
        self._tally.questions += self._added(wording)

    def _added(self, wording: WordingTokens) -> int:
        return len(wording.question) + len(self._frame.after) + len(wording.start)

    def _key(self, method: Method, wording: WordingTokens) -> bytes:
        return key(self._model, method, (wording.question, wording.start, wording.options))
