"""One chat request's choices, side by side in the granted slots: prose, formatted replies, scored tokens, tool calls."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any

from openhearth.engines.pool import Lease
from openhearth.inference.chat import engine
from openhearth.inference.chat.calling import Caller
from openhearth.inference.chat.deltas import Delta, Tally
from openhearth.inference.chat.prompt import ChatPrompt
from openhearth.inference.chat.request import Plan
from openhearth.inference.chat.scored import scored
from openhearth.inference.completions.vocabulary import Vocabulary
from openhearth.inference.generation import StopScanner, lanes, seeds
from openhearth.wire.chat_replies import TokenLogprob


@dataclass(frozen=True)
class Generation:
    """What is needed to generate one request's choices."""

    plan: Plan
    lease: Lease
    prompt: ChatPrompt
    vocabulary: Vocabulary
    tally: Tally

    @property
    def grouped(self) -> bool:
        """Whether the engine may make several choices in one request of ours: nothing needs to be followed choice by choice."""
        plan = self.plan
        return plan.logprobs is None and plan.format is None and plan.calling is None

    @property
    def passes(self) -> bool:
        """Whether one request to the engine's chat endpoint answers all, and nothing in it has to be looked at."""
        return self.grouped and self.width == self.plan.n and self.prompt.tokens is None

    @property
    def width(self) -> int:
        """Choices in one engine request."""
        return min(self.lease.slots, self.plan.n) if self.grouped else 1

    def body(self, first: int = 0) -> dict[str, Any]:
        """The engine request for the choices from `first` on."""
        plan = self.plan
        count = min(self.width, plan.n - first)
        more: dict[str, Any] = {"max_tokens": plan.max_tokens, "stop": plan.stops or None}
        if plan.format is not None:
            more["json_schema"] = plan.format.grammar
        if plan.logprobs is not None:
            more |= {"stop": None, "logprobs": True, "top_logprobs": plan.logprobs}
            if self.prompt.tokens is not None:
                more["logprobs"] = max(1, plan.logprobs)
        return engine.request(self.prompt, plan.sampling, seed=seeds(plan.seed, plan.n)[first], count=count, **more)

    async def deltas(self) -> AsyncGenerator[list[Delta]]:
        """All choices, to their ends."""
        jobs = [self._job(first) for first in range(0, self.plan.n, self.width)]
        async with aclosing(lanes(jobs, max(1, self.lease.slots // self.width))) as batches:
            async for batch in batches:
                yield [delta for _, deltas in batch for delta in deltas]

    def _job(self, first: int) -> Callable[[], AsyncGenerator[list[Delta]]]:
        plan = self.plan
        if plan.calling is not None:
            return Caller(self.lease, self.prompt, plan.calling, self.tally, self.body(first), first).deltas
        if plan.scored:
            return lambda: scored(self.lease.client, self.vocabulary, self.prompt, plan, first, self.tally)
        return lambda: self._answered(first)

    async def _answered(self, first: int) -> AsyncGenerator[list[Delta]]:
        plan = self.plan
        scanner = StopScanner[tuple[TokenLogprob, ...]](plan.stops) if plan.logprobs is not None else None
        texts: list[str] = []
        async with aclosing(engine.answered(self.lease.client, self.prompt, self.body(first), first, self.tally)) as bursts:
            async for burst in bursts:
                deltas = [_until_stop(delta, scanner) for delta in burst] if scanner else burst
                if plan.format is not None:
                    texts += [delta.content for delta in deltas]
                    if deltas[-1].finish == "stop" and not plan.stops:
                        plan.format.check("".join(texts))
                yield deltas
                if scanner and scanner.stopped:
                    return


def _until_stop(delta: Delta, scanner: StopScanner[tuple[TokenLogprob, ...]]) -> Delta:
    """The engine would lose the log-probabilities of text that might begin a stop sequence, so it is not told of any."""
    pieces = scanner.feed(delta.content, delta.logprobs)
    if delta.finish and not scanner.stopped:
        pieces += scanner.rest()
    told = tuple(one for _, logprobs in pieces for one in logprobs)
    return replace(delta, content="".join(text for text, _ in pieces), logprobs=told, finish="stop" if scanner.stopped else delta.finish)
