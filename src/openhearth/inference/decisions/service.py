"""Decisions from request to reply: check, resolve, lease one slot, let the model weigh each question's options, count. Knows no HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from openhearth.accounts.principal import Principal
from openhearth.engines.pool import Lease
from openhearth.errors import InvalidRequest
from openhearth.inference.completions.vocabulary import Vocabulary
from openhearth.inference.contract import Inference
from openhearth.inference.decisions import evidence
from openhearth.inference.decisions.answers import answer
from openhearth.inference.decisions.calibration import Known, Method, method
from openhearth.inference.decisions.judge import Judge, Tally
from openhearth.inference.decisions.prompts import Frame, read_frame
from openhearth.inference.decisions.questions import Wording, ask
from openhearth.inference.decisions.relay import relayed
from openhearth.inference.decisions.scoring import Scorer
from openhearth.models.resolve import ResolvedModel
from openhearth.wire.decisions import Answer, Decision, DecisionRequest, DecisionUsage, InputTokensDetails, OutputTokensDetails, Question


@dataclass(frozen=True, slots=True)
class Work:
    """One request as this server answers it: the input as text, each question's wordings."""

    text: str
    questions: Sequence[Question]
    wordings: Sequence[tuple[Wording, ...]]
    calibration: Method


class Decisions:
    """Answers decision requests. Remembers chat templates, the names of special tokens, and what models lean to."""

    def __init__(self, house: Inference) -> None:
        self._house = house
        self._frames: dict[str, Frame] = {}
        self._special: dict[str, dict[int, str]] = {}
        self._known = Known()

    async def create(self, principal: Principal, request: DecisionRequest) -> Decision:
        """Raises InvalidRequest naming the field, ContextLengthExceeded."""
        model = await self._house.models.resolve(request.model)
        work = None if model.spec.kind == "upstream" else _work(request, model)
        tally = Tally()
        async with (
            self._house.metered(principal, "decisions", model, tally, kind="decision", characters=_characters(request)),
            self._house.pool.acquire(model.spec, slots=1) as lease,
        ):
            if work is None:
                return await relayed(lease.client, request, model, tally)
            judge = await self._judge(model, lease, tally)
            return Decision(model.id, await _answers(judge, work), _told(tally))

    async def _judge(self, model: ResolvedModel, lease: Lease, tally: Tally) -> Judge:
        vocabulary = Vocabulary(lease.client, self._special.setdefault(model.id, {}))
        if model.id not in self._frames:
            self._frames[model.id] = await read_frame(lease.client, vocabulary)
        scorer = Scorer(lease.client, vocabulary)
        return Judge(model.id, self._frames[model.id], vocabulary, scorer, self._known, lease.properties.context, tally)


def _characters(request: DecisionRequest) -> int:
    return len(msgspec.json.encode(request.input)) + len(msgspec.json.encode(request.questions))


def _work(request: DecisionRequest, model: ResolvedModel) -> Work:
    """The request, checked before an engine is started for it."""
    if model.task != "chat":
        raise InvalidRequest(f"'{model.id}' can't answer questions about a text. Use a chat model for decisions.", param="model")
    wordings = [ask(question, f"questions[{number}]") for number, question in enumerate(request.questions)]
    return Work(evidence.written(request.input), request.questions, wordings, method(request.calibration))


async def _answers(judge: Judge, work: Work) -> list[Answer]:
    """Whatever doesn't fit is found before anything is evaluated."""
    opened = await judge.opened(work.text)
    asked = [await judge.asked(wordings) for wordings in work.wordings]
    judge.check(opened, asked, "input")
    leanings = await judge.calibrate(work.calibration, asked)
    pairs = zip(work.questions, asked, strict=True)
    return [answer(question, await judge.decide(opened, one, leanings)) for question, one in pairs]


def _told(tally: Tally) -> DecisionUsage:
    """What calibration read is on the house: it is remembered, and a reply must not depend on who asked first."""
    read = tally.input + tally.questions
    return DecisionUsage(read, InputTokensDetails(tally.cached, tally.input - tally.cached), 0, OutputTokensDetails(), read)
