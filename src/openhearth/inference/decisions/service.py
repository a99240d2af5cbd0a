"""Decisions from request to reply: check, resolve, lease one slot, let the model weigh each question's options, count. Knows no HTTP."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from openhearth.accounts.keys import Principal
from openhearth.engines.pool import Lease
from openhearth.errors import ContextLengthExceeded, InvalidRequest
from openhearth.inference.completions.vocabulary import Vocabulary
from openhearth.inference.contract import Inference
from openhearth.inference.decisions import evidence
from openhearth.inference.decisions.answers import answer, distribution
from openhearth.inference.decisions.prompts import Frame, input_tokens, read_frame
from openhearth.inference.decisions.questions import Asked, ask
from openhearth.inference.decisions.scoring import Scorer
from openhearth.inference.metering import Usage
from openhearth.models.resolve import ResolvedModel
from openhearth.wire.decisions import Answer, Decision, DecisionRequest, DecisionUsage, InputTokensDetails, OutputTokensDetails


@dataclass(frozen=True, slots=True)
class Tokens:
    """A question as tokens: each wording, each option."""

    wordings: list[list[int]]
    options: list[list[int]]

    @property
    def longest(self) -> int:
        return max(map(len, self.wordings)) + max(map(len, self.options))


class Decisions:
    """Answers decision requests. Remembers chat templates and the names of special tokens."""

    def __init__(self, house: Inference) -> None:
        self._house = house
        self._frames: dict[str, Frame] = {}
        self._special: dict[str, dict[int, str]] = {}

    async def create(self, principal: Principal, request: DecisionRequest) -> Decision:
        """Raises InvalidRequest naming the field, ContextLengthExceeded."""
        text = evidence.written(request.input)
        asked = [ask(question, f"questions[{number}]") for number, question in enumerate(request.questions)]
        model = await self._house.models.resolve(request.model)
        _check_model(model)
        started, panel = time.perf_counter(), None
        async with self._house.pool.acquire(model.spec, slots=1) as lease:
            try:
                panel = await self._panel(model, lease, text)
                answers = await self._answers(panel, request, asked)
            finally:
                usage = panel.usage if panel else Usage(0)
                self._house.meter.record(principal, "decision", model.id, usage, duration_s=time.perf_counter() - started)
        return Decision(model.id, answers, _told(usage, len(panel.opened)))

    async def _panel(self, model: ResolvedModel, lease: Lease, text: str) -> Panel:
        vocabulary = Vocabulary(lease.client, self._special.setdefault(model.id, {}))
        if model.id not in self._frames:
            self._frames[model.id] = await read_frame(lease.client, vocabulary)
        frame = self._frames[model.id]
        opened = frame.opened(await input_tokens(vocabulary, text))
        return Panel(frame, opened, vocabulary, Scorer(lease.client, vocabulary), lease.properties.context)

    async def _answers(self, panel: Panel, request: DecisionRequest, asked: Sequence[Asked]) -> list[Answer]:
        tokens = [await panel.tokens(one) for one in asked]
        for number, one in enumerate(tokens):
            panel.check(one, number)
        return [answer(question, distribution(await panel.weigh(one))) for question, one in zip(request.questions, tokens, strict=True)]


class Panel:
    """One input before one model, ready for questions."""

    def __init__(self, frame: Frame, opened: list[int], vocabulary: Vocabulary, scorer: Scorer, context: int | None) -> None:
        self._frame = frame
        self.opened = opened
        self._vocabulary = vocabulary
        self._scorer = scorer
        self._context = context
        self._read = len(opened)

    @property
    def usage(self) -> Usage:
        """What was read until now: the input once, and each question."""
        return Usage(self._read, cached_tokens=min(self._scorer.work.cached or 0, len(self.opened)))

    async def tokens(self, asked: Asked) -> Tokens:
        """The question as the model reads it."""
        wordings = [await self._vocabulary.plain_ids(wording) for wording in asked.wordings]
        return Tokens(wordings, [await self._vocabulary.plain_ids(option) for option in asked.options])

    def check(self, question: Tokens, number: int) -> None:
        """Raises ContextLengthExceeded with both numbers."""
        needed = len(self.opened) + len(self._frame.after) + question.longest
        if self._context is not None and needed > self._context:
            raise ContextLengthExceeded(
                f"This model's maximum context length is {self._context} tokens, however the input with questions[{number}] has {needed} "
                f"tokens ({len(self.opened)} of them the input's). Shorten the input, or give the model more context.",
                param="input" if len(self.opened) * 2 > self._context else f"questions[{number}]",
            )

    async def weigh(self, question: Tokens) -> list[float]:
        """Each option's log-probability, averaged over the wordings: what one order adds to an option, the other takes from it."""
        rows = []
        for wording in question.wordings:
            prompt = self._frame.closed(self.opened, wording)
            rows.append(await self._scorer.score(prompt, question.options))
            self._read += len(prompt) - len(self.opened)
        return [sum(column) / len(rows) for column in zip(*rows, strict=True)]


def _check_model(model: ResolvedModel) -> None:
    if model.task != "chat":
        raise InvalidRequest(f"'{model.id}' can't follow instructions. Use a chat model for decisions.", param="model")


def _told(usage: Usage, shared: int) -> DecisionUsage:
    details = InputTokensDetails(usage.cached_tokens, shared - usage.cached_tokens)
    return DecisionUsage(usage.prompt_tokens, details, 0, OutputTokensDetails(), usage.prompt_tokens)
