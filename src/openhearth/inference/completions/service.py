"""A text completion from request to reply: resolve, check, lease an engine, generate, count. Knows no HTTP."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import msgspec

from openhearth.accounts.principal import Principal
from openhearth.engines.pool import Lease
from openhearth.errors import InvalidRequest, UnsupportedParameter
from openhearth.inference.completions import plain, relay, replies
from openhearth.inference.completions.deltas import Delta, Tally
from openhearth.inference.completions.forcing import PromptScores
from openhearth.inference.completions.infill import Marks, read_marks
from openhearth.inference.completions.prompts import Ready, prepare
from openhearth.inference.completions.replies import Folding, Head
from openhearth.inference.completions.request import Plan, plan
from openhearth.inference.completions.scored import ScoredCandidate
from openhearth.inference.completions.scores import place_prompt
from openhearth.inference.completions.vocabulary import Vocabulary
from openhearth.inference.contract import Inference
from openhearth.inference.generation import fingerprint, lanes, seeds
from openhearth.models.resolve import ResolvedModel
from openhearth.wire.completions import CompletionRequest
from openhearth.wire.ids import new_id


@dataclass(frozen=True)
class Work:
    """One request with everything that its answer needs. `head` is what the reply says of itself."""

    request: CompletionRequest
    plan: Plan
    model: ResolvedModel
    lease: Lease
    vocabulary: Vocabulary
    tally: Tally
    head: Head

    @property
    def relayed(self) -> bool:
        """Whether the engine is an upstream server, which takes the request as it is."""
        return self.lease.spec.kind == "upstream"

    @property
    def upstream_head(self) -> dict[str, str]:
        return {"id": self.head.id, "model": self.head.model, "system_fingerprint": self.head.fingerprint}


class Completions:
    """Answers completion requests. Remembers what spares work: prompt scores, names of special tokens, fill-in-the-middle marks."""

    def __init__(self, house: Inference) -> None:
        self._house = house
        self._scores = PromptScores()
        self._special: dict[str, dict[int, str]] = {}
        self._marks: dict[str, Marks] = {}

    async def create(self, principal: Principal, request: CompletionRequest) -> bytes:
        """The whole reply, as JSON."""
        async with self._work(principal, request) as work:
            if work.relayed:
                return await relay.whole(work.lease.client, request, work.lease.spec, work.upstream_head, work.tally)
            prompts = await self._prepare(work)
            echoes = await self._echoes(work, prompts)
            folding = Folding(work.plan)
            batches = self._deltas(work, prompts)
            async with aclosing(batches):
                async for deltas in batches:
                    folding.add(deltas)
            choices = folding.choices(echoes)
            return msgspec.json.encode(work.head.completion(choices, replies.as_usage(work.tally.usage)))

    async def stream(self, principal: Principal, request: CompletionRequest) -> AsyncGenerator[bytes, None]:
        """The reply as server-sent events, what is ready together as one write."""
        async with self._work(principal, request) as work:
            source = self._relayed(work) if work.relayed else self._streamed(work)
            async with aclosing(source):
                async for write in source:
                    yield write

    async def _relayed(self, work: Work) -> AsyncGenerator[bytes, None]:
        stream = relay.streamed(
            work.lease.client, work.request, work.lease.spec, work.upstream_head, work.tally, include_usage=work.plan.include_usage
        )
        async with aclosing(stream):
            async for write in stream:
                yield write

    async def _streamed(self, work: Work) -> AsyncGenerator[bytes, None]:
        prompts = await self._prepare(work)
        plan = work.plan
        if len(prompts) == 1 and plan.max_tokens and not plan.echo and not plan.scored and plan.candidates <= work.lease.slots:
            before, after = work.head.around(null_usage=plan.include_usage)
            source = plain.passed_on(work.lease.client, plan, prompts[0], work.tally, before, after)
        else:
            source = self._chunks(work, prompts)
        async with aclosing(source):
            async for write in source:
                yield write
        yield replies.ending(work.head, plan, work.tally)

    async def _chunks(self, work: Work, prompts: list[Ready]) -> AsyncGenerator[bytes, None]:
        n = work.plan.n
        for number, echo in (await self._echoes(work, prompts)).items():
            repeated = [Delta(number * n + choice, echo.text, echo.tokens) for choice in range(n)]
            yield replies.chunks(work.head, work.plan, repeated)
        batches = self._deltas(work, prompts)
        async with aclosing(batches):
            async for deltas in batches:
                # A piece without text and end (held by a stop sequence, or within a character) is nothing to send.
                told = [delta for delta in deltas if delta.text or delta.tokens or delta.finish]
                if told:
                    yield replies.chunks(work.head, work.plan, told)

    @asynccontextmanager
    async def _work(self, principal: Principal, request: CompletionRequest) -> AsyncIterator[Work]:
        if not request.model:
            raise InvalidRequest("Missing required parameter: 'model'.", param="model", code="missing_required_parameter")
        wanted = plan(request)
        model = await self._house.models.resolve(request.model)
        if model.task == "embedding":
            raise InvalidRequest(
                f"'{model.id}' makes embeddings and can't complete text. Use /v1/embeddings, or another model.", param="model"
            )
        tally = Tally()
        head = Head(new_id("cmpl-"), int(time.time()), model.id, fingerprint(model.spec))
        characters = sum(len(prompt or "") for prompt in wanted.prompts)
        most = wanted.total_candidates * wanted.max_tokens
        async with (
            self._house.metered(principal, "completions", model, tally, kind="completion", characters=characters, output_tokens=most),
            self._house.pool.acquire(model.spec, slots=wanted.total_candidates) as lease,
        ):
            vocabulary = Vocabulary(lease.client, self._special.setdefault(model.id, {}))
            yield Work(request, wanted, model, lease, vocabulary, tally, head)

    async def _prepare(self, work: Work) -> list[Ready]:
        marks = await self._infill_marks(work) if work.plan.suffix is not None else None
        prompts = await prepare(work.plan, work.lease.properties, work.vocabulary, marks)
        for number, prompt in enumerate(prompts):
            if prompt.tokens:
                work.tally.prompt(number, len(prompt.tokens))
        return prompts

    async def _infill_marks(self, work: Work) -> Marks:
        if "infill" not in work.lease.properties.capabilities:
            raise UnsupportedParameter(
                f"'{work.model.id}' was not trained to fill in the middle, so it can't honour 'suffix'. {await self._who_can_infill()}",
                param="suffix",
            )
        if work.model.id not in self._marks:
            self._marks[work.model.id] = await read_marks(work.lease.client, work.vocabulary)
        return self._marks[work.model.id]

    async def _who_can_infill(self) -> str:
        able = [model.id for model in await self._house.models.list() if "infill" in model.capabilities]
        return f"Use {' or '.join(able)}." if able else "None of the models here was; pull one that can: openhearth pull --help."

    async def _echoes(self, work: Work, prompts: list[Ready]) -> dict[int, Delta]:
        """What an echoed prompt adds to each choice, by number of the prompt."""
        if not work.plan.echo:
            return {}
        jobs = [self._echo_job(work, prompt) for prompt in prompts]
        echoes: dict[int, Delta] = {}
        batches = lanes(jobs, work.lease.slots)
        async with aclosing(batches):
            async for batch in batches:
                echoes.update(batch)
        return dict(sorted(echoes.items()))

    def _echo_job(self, work: Work, prompt: Ready) -> Any:
        async def job() -> AsyncGenerator[Delta, None]:
            text = await prompt.written(work.vocabulary)
            if work.plan.logprobs is None:
                yield Delta(0, text)
                return
            client, top = work.lease.client, work.plan.logprobs
            scores = await self._scores.score(work.model.id, client, work.vocabulary, prompt.tokens, top)
            yield Delta(0, text, tuple(place_prompt(scores, text)))

        return job

    async def _deltas(self, work: Work, prompts: list[Ready]) -> AsyncGenerator[list[Delta], None]:
        plan, lease = work.plan, work.lease
        if plan.max_tokens == 0:
            yield [Delta(candidate, "", (), "length") for candidate in range(plan.total_candidates)]
            return
        source = _scored(work, prompts) if plan.scored else plain.generate(lease.client, plan, prompts, lease.slots, work.tally)
        async with aclosing(source):
            async for deltas in source:
                yield deltas


async def _scored(work: Work, prompts: list[Ready]) -> AsyncGenerator[list[Delta], None]:
    """All candidates side by side, each in runs of its own."""
    plan = work.plan
    chosen = seeds(plan.seed, plan.candidates)

    def job(number: int, which: int) -> Any:
        async def run() -> AsyncGenerator[Delta, None]:
            prompt = prompts[number]
            text = await prompt.written(work.vocabulary)
            candidate = ScoredCandidate(work.lease.client, work.vocabulary, plan.sampling, seed=chosen[which], top=plan.logprobs or 1)
            deltas = candidate.generate(
                number * plan.candidates + which,
                prompt.tokens,
                len(text),
                prompt_number=number,
                limit=plan.max_tokens,
                stops=plan.stops,
                tally=work.tally,
            )
            async with aclosing(deltas):
                async for delta in deltas:
                    yield delta

        return run

    jobs = [job(number, which) for number in range(len(prompts)) for which in range(plan.candidates)]
    batches = lanes(jobs, work.lease.slots)
    async with aclosing(batches):
        async for batch in batches:
            yield [delta for _, delta in batch]
