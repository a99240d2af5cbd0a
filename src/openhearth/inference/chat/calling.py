"""A choice that may or must call tools.

Where it may, the engine recognises the calls of templates that know tools, and the text is searched for what it overlooks. Where it must,
the engine is held to the call's schema, so that the answer is nothing but the call: what engines do of themselves is not to be relied on.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any

from openhearth.engines.pool import Lease
from openhearth.errors import EngineFailed
from openhearth.inference.chat import engine
from openhearth.inference.chat.calls import Call, CallReader, ForcedCall
from openhearth.inference.chat.deltas import CallDelta, Delta, Tally
from openhearth.inference.chat.formats import violation
from openhearth.inference.chat.messages import instructions, with_system
from openhearth.inference.chat.prompt import ChatPrompt
from openhearth.inference.chat.tools import ToolUse

CALLED = "tool_calls"
_NOT_FORCED = ("stop", "tools", "logprobs", "top_logprobs")


@dataclass(frozen=True)
class Caller:
    """One choice of a request with tools."""

    lease: Lease
    prompt: ChatPrompt
    use: ToolUse
    tally: Tally
    body: dict[str, Any]
    choice: int

    async def deltas(self) -> AsyncGenerator[list[Delta]]:
        """The choice, to its end."""
        source = self._forced(self.use) if self.use.mode == "required" else self._free()
        async with aclosing(source):
            async for deltas in source:
                yield deltas

    async def _custom_inputs(self, bursts: AsyncGenerator[list[Delta]]) -> AsyncGenerator[list[Delta]]:
        """Calls to custom tools are held until they are whole: what the model wrote as JSON is their `input`."""
        held: dict[int, tuple[str, str]] = {}
        async for burst in bursts:
            out: list[Delta] = []
            for delta in burst:
                passed = []
                for call in delta.calls:
                    name, arguments = held.get(call.index, (call.name or "", ""))
                    if name in self.use.tools and self.use.tools[name].custom:
                        held[call.index] = (name, arguments + call.arguments)
                    else:
                        passed.append(call)
                if delta.finish:
                    passed += [CallDelta(index, name, _input(arguments)) for index, (name, arguments) in held.items()]
                out.append(replace(delta, calls=tuple(passed)))
            yield out

    async def _free(self) -> AsyncGenerator[list[Delta]]:
        """The model may call or not. What the engine recognised as calls is passed on; its text is searched for others."""
        body = dict(self.body)
        if self.prompt.tokens is None and self.prompt.tools:
            body |= {"tool_choice": "auto", "parallel_tool_calls": self.use.parallel}
        reader, held, called, finish = CallReader(self.use.tools), list[Any](), False, "stop"
        async with aclosing(engine.answered(self.lease.client, self.prompt, body, self.choice, self.tally)) as bursts:
            async for burst in self._custom_inputs(bursts):
                out = []
                for delta in burst:
                    called, finish = called or bool(delta.calls), delta.finish or finish
                    held += delta.logprobs
                    prose = reader.feed(delta.content)
                    if prose or delta.calls or delta.reasoning:
                        out.append(replace(delta, content=prose, logprobs=tuple(held) if prose else (), finish=None))
                        held = [] if prose else held
                if out:
                    yield out
        rest, calls = reader.end()
        if called or not calls:
            finish = CALLED if called and finish == "stop" else finish
            yield [Delta(self.choice, rest, logprobs=tuple(held) if rest else (), finish=finish)]
            return
        if rest:
            yield [Delta(self.choice, rest)]
        async with aclosing(self._checked(calls if self.use.parallel else calls[:1])) as checked:
            async for deltas in checked:
                yield deltas

    async def _checked(self, calls: Sequence[Call]) -> AsyncGenerator[list[Delta]]:
        """The calls that a text contained. Arguments that break the tool's schema are written once more, held to it."""
        for index, call in enumerate(calls):
            tool = self.use.tools[call.name]
            if violation(call.values, tool.parameters) is None:
                arguments = _input(call.arguments) if tool.custom else call.arguments
                yield [Delta(self.choice, calls=(CallDelta(index, call.name, arguments),))]
                continue
            async with aclosing(self._forced(self.use.only(call.name), index)) as forced:
                async for deltas in forced:
                    yield [replace(delta, finish=None) for delta in deltas]
        yield [Delta(self.choice, finish=CALLED)]

    async def _forced(self, use: ToolUse, index: int = 0) -> AsyncGenerator[list[Delta]]:
        reader = ForcedCall(next(iter(use.tools)) if len(use.tools) == 1 else None)
        # A stop sequence could only cut the call in the middle.
        body = {name: value for name, value in self.body.items() if name not in _NOT_FORCED}
        prompt = replace(self.prompt, tools=[])
        if use is not self.use:
            # The model was told of its tools in other words than those that make it write the bare call.
            prompt = replace(prompt, messages=with_system(prompt.messages, instructions(use)))
        body |= {**prompt.fields, "json_schema": use.schema()}
        begun = False
        async with aclosing(engine.answered(self.lease.client, prompt, body, self.choice, self.tally)) as bursts:
            async for burst in bursts:
                more = "".join(reader.feed(delta.content) for delta in burst)
                finish = burst[-1].finish
                tool = use.tools.get(reader.name or "")
                if tool is not None and tool.custom:
                    more = _input(reader.arguments) if finish and reader.complete else ""
                calls = (CallDelta(index, None if begun else reader.name, more),) if more else ()
                begun = begun or bool(more)
                if finish == "stop":
                    self._check(use, reader)
                if calls or finish:
                    yield [Delta(self.choice, calls=calls, finish=CALLED if finish == "stop" else finish)]

    def _check(self, use: ToolUse, reader: ForcedCall) -> None:
        tool = use.tools.get(reader.name or "")
        try:
            values = json.loads(reader.arguments) if tool and reader.complete else None
        except ValueError:
            values = None
        if tool is None or values is None:
            raise EngineFailed("The model did not make the tool call that was required. Try again.", code="tool_call_not_made")
        if tool.strict and (reason := violation(values, tool.parameters)):
            raise EngineFailed(f"The tool call's arguments do not conform to the schema {reason}. Try again.", code="schema_not_met")


def _input(arguments: str) -> str:
    """A custom tool's input from the JSON that a model wrote."""
    try:
        value = json.loads(arguments)
    except ValueError:
        return arguments
    return str(value.get("input", "")) if isinstance(value, dict) else arguments
