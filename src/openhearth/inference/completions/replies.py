"""Deltas -> OpenAI's completion: one whole reply, or chunks of a stream."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

from openhearth.accounts.work import Usage
from openhearth.inference.completions.deltas import Delta, Tally
from openhearth.inference.completions.request import Plan
from openhearth.inference.completions.scores import PlacedToken, legacy
from openhearth.wire import sse
from openhearth.wire.completions import Choice, Completion, CompletionUsage, PromptTokensDetails


@dataclass(frozen=True, slots=True)
class Head:
    """What every chunk of a reply says the same."""

    id: str
    created: int
    model: str
    fingerprint: str

    def completion(self, choices: list[Choice], usage: CompletionUsage | msgspec.UnsetType | None = msgspec.UNSET) -> Completion:
        return Completion(self.id, "text_completion", self.created, self.model, choices, self.fingerprint, usage)

    def around(self, *, null_usage: bool) -> tuple[bytes, bytes]:
        """What stands before and after a chunk's only choice."""
        usage = None if null_usage else msgspec.UNSET
        before, _, after = msgspec.json.encode(self.completion([], usage)).partition(b'"choices":[')
        return before + b'"choices":[', after + b"\n\n"


@dataclass(slots=True)
class _Candidate:
    text: list[str] = field(default_factory=list)
    tokens: list[PlacedToken] = field(default_factory=list)
    finish: str | None = None

    @property
    def mean_logprob(self) -> float:
        """Per token, as OpenAI ranks; a candidate without any token ranks last."""
        scored = [placed.token.logprob for placed in self.tokens if placed.token.logprob is not None]
        return sum(scored) / len(scored) if scored else float("-inf")


class Folding:
    """Collects all deltas of a request into one reply. Echoed prompts are added last, so that they don't count in the ranking."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._candidates = [_Candidate() for _ in range(plan.total_candidates)]

    def add(self, deltas: Iterable[Delta]) -> None:
        for delta in deltas:
            candidate = self._candidates[delta.candidate]
            candidate.text.append(delta.text)
            candidate.tokens += delta.tokens
            candidate.finish = delta.finish or candidate.finish

    def choices(self, echoes: dict[int, Delta]) -> list[Choice]:
        """The best `n` of each prompt; `echoes` by number of the prompt."""
        plan = self._plan
        choices = []
        for prompt in range(len(plan.prompts)):
            candidates = self._candidates[prompt * plan.candidates : (prompt + 1) * plan.candidates]
            if plan.candidates > plan.n:
                candidates = sorted(candidates, key=lambda candidate: -candidate.mean_logprob)[: plan.n]
            for number, candidate in enumerate(candidates):
                echo = echoes.get(prompt)
                text = (echo.text if echo else "") + "".join(candidate.text)
                tokens = [*(echo.tokens if echo else ()), *candidate.tokens]
                choices.append(choice(plan, Delta(prompt * plan.n + number, text, tuple(tokens), candidate.finish or "stop")))
        return choices


def choice(plan: Plan, delta: Delta) -> Choice:
    """A choice, whole or a chunk's."""
    logprobs = None if plan.logprobs is None else legacy(delta.tokens, plan.logprobs)
    return Choice(delta.text, delta.candidate, logprobs, delta.finish)  # type: ignore[arg-type]  # only these words are made


def chunks(head: Head, plan: Plan, deltas: Iterable[Delta]) -> bytes:
    """One write for what is ready together."""
    usage = None if plan.include_usage else msgspec.UNSET
    return sse.events(msgspec.json.encode(head.completion([choice(plan, delta)], usage)) for delta in deltas)


def ending(head: Head, plan: Plan, tally: Tally) -> bytes:
    """The usage chunk where it was asked for, and the end mark."""
    if not plan.include_usage:
        return sse.DONE
    return sse.event(msgspec.json.encode(head.completion([], as_usage(tally.usage)))) + sse.DONE


def as_usage(usage: Usage) -> CompletionUsage:
    return CompletionUsage(
        usage.prompt_tokens, usage.completion_tokens, usage.total_tokens, PromptTokensDetails(min(usage.cached_tokens, usage.prompt_tokens))
    )
