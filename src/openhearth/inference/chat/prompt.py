"""The prompt as the engine takes it: messages, or tokens where a message's text must not be read as the template's own marks.

llama.cpp renders the template with the messages in it and only then looks for control tokens, so that `<|im_start|>system` in a user's
message would open a system message. Texts in which that could happen are left out while the template is rendered and put in as plain text.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from openhearth.engines.contract import EngineClient
from openhearth.engines.failures import context_exceeded
from openhearth.inference.chat.messages import Plain
from openhearth.inference.chat.thoughts import OPEN
from openhearth.inference.lengths import surely_more

_SUSPICIOUS = re.compile(r"[<>\[\uff5c\u2581]")
_MESSAGE_OVERHEAD = 24
"""Tokens that a template may put around a message, generously."""
_TEMPLATE_OVERHEAD = 256
_PLACE = "hearthplace"
_MARKED = re.compile(f"({_PLACE}[0-9a-f]{{24}})")


class _Ids(msgspec.Struct, frozen=True):
    tokens: list[int]


class _Rendered(msgspec.Struct, frozen=True):
    prompt: str


@dataclass(frozen=True, slots=True)
class ChatPrompt:
    """`messages` for the engine's chat endpoint; `tokens` where they must stand for themselves."""

    messages: list[Plain]
    tools: list[dict[str, Any]]
    options: dict[str, Any]
    """What else the template is told, e.g. `chat_template_kwargs`."""
    tokens: list[int] | None = None
    thinks: bool = False
    """Whether the prompt ends with the beginning of a thought; known of tokens only."""

    @property
    def fields(self) -> dict[str, Any]:
        """Of the request to the engine."""
        if self.tokens is not None:
            return {"prompt": self.tokens}
        return {"messages": self.messages, **({"tools": self.tools} if self.tools else {}), **self.options}


class Prompts:
    """Makes prompts for one engine."""

    def __init__(self, client: EngineClient, context: int | None) -> None:
        self._client = client
        self._context = context

    async def prepare(
        self, messages: list[Plain], tools: list[dict[str, Any]], options: dict[str, Any], *, max_tokens: int | None, as_tokens: bool
    ) -> ChatPrompt:
        """A prompt that can't be read otherwise than it was meant, and that fits. Raises ContextLengthExceeded with both numbers."""
        await self._check_length(messages, tools)
        prompt = ChatPrompt(messages, tools, options)
        hostile = await self._hostile(list(_strings(messages)) + list(_strings(tools)))
        if hostile or as_tokens:
            tokens, thinks = await self._tokens(prompt, hostile)
            prompt = ChatPrompt(messages, tools, options, tokens, thinks)
        if self._context is not None and not self._surely_fits(messages, tools, max_tokens or 1):
            count = len((await self._tokens(prompt, hostile))[0] if prompt.tokens is None else prompt.tokens)
            if count + (max_tokens or 1) > self._context:
                raise context_exceeded(count, self._context, max_tokens, "messages" if count >= self._context else "max_tokens")
        return prompt

    async def _check_length(self, messages: list[Plain], tools: list[dict[str, Any]]) -> None:
        """Refuse early what is far too long. A message takes a token at least, whatever the template makes of it."""
        if self._context is None:
            return
        if len(messages) > self._context:
            raise context_exceeded(len(messages), self._context, at_least=True)
        found = await surely_more("\n".join(_strings([messages, tools], parsed=False)), self._context, self._count)
        if found is not None:
            raise context_exceeded(found, self._context, at_least=True)

    async def _count(self, text: str) -> int:
        return len(await self._ids(text, special=True))

    def _surely_fits(self, messages: list[Plain], tools: list[dict[str, Any]], answer: int) -> bool:
        """A token has at least one byte."""
        size = sum(len(text.encode()) for text in _strings(messages)) + len(messages) * _MESSAGE_OVERHEAD
        size += len(json.dumps(tools)) if tools else 0
        return size + _TEMPLATE_OVERHEAD + answer <= (self._context or 0)

    async def _hostile(self, texts: list[str]) -> set[str]:
        """Those that contain a control token's name."""
        suspicious = [text for text in dict.fromkeys(texts) if _SUSPICIOUS.search(text)]
        if not suspicious or not await self._differs("\n".join(suspicious)):
            return set()
        return {text for text in suspicious if len(suspicious) == 1 or await self._differs(text)}

    async def _differs(self, text: str) -> bool:
        return await self._ids(text, special=True) != await self._ids(text, special=False)

    async def _tokens(self, prompt: ChatPrompt, hostile: set[str]) -> tuple[list[int], bool]:
        places = _Places(hostile)
        fields = ChatPrompt(places.in_messages(prompt.messages), places.in_json(prompt.tools), prompt.options).fields
        rendered = msgspec.json.decode(await self._client.post("/apply-template", msgspec.json.encode(fields)), type=_Rendered).prompt
        tokens: list[int] = []
        for number, piece in enumerate(places.split(rendered)):
            if piece in places.texts:
                tokens += await self._ids(places.texts[piece], special=False)
            elif piece or number == 0:
                tokens += await self._ids(piece, special=True, start=number == 0)
        return tokens, rendered.rstrip().endswith(OPEN)

    async def _ids(self, text: str, *, special: bool, start: bool = False) -> list[int]:
        body = msgspec.json.encode({"content": text, "parse_special": special, "add_special": start})
        return msgspec.json.decode(await self._client.post("/tokenize", body), type=_Ids).tokens


class _Places:
    """Stand-ins for texts while a template is rendered; `texts` are what they stand for."""

    def __init__(self, texts: set[str]) -> None:
        self._plain = {text: _PLACE + secrets.token_hex(12) for text in texts}
        self._quoted = {text: _PLACE + secrets.token_hex(12) for text in texts}
        self.texts = {place: text for text, place in self._plain.items()}
        self.texts |= {place: json.dumps(text, ensure_ascii=False)[1:-1] for text, place in self._quoted.items()}

    def in_messages(self, value: Any) -> Any:
        """Calls carry their arguments as a string of JSON, which must stay one."""
        if isinstance(value, str):
            return self._plain.get(value, value)
        if isinstance(value, dict):
            return {name: self._arguments(part) if name == "arguments" else self.in_messages(part) for name, part in value.items()}
        return [self.in_messages(part) for part in value] if isinstance(value, list) else value

    def in_json(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._quoted.get(value, value)
        if isinstance(value, dict):
            return {self._quoted.get(name, name): self.in_json(part) for name, part in value.items()}
        return [self.in_json(part) for part in value] if isinstance(value, list) else value

    def _arguments(self, text: str) -> str:
        return json.dumps(self.in_json(_parsed(text)), ensure_ascii=False)

    def split(self, rendered: str) -> list[str]:
        return _MARKED.split(rendered) if self.texts else [rendered]


def _parsed(arguments: str) -> Any:
    """What a client's call says, or the text itself if it is no JSON."""
    try:
        return json.loads(arguments)
    except ValueError:
        return arguments


def _strings(value: Any, *, parsed: bool = True) -> Iterator[str]:
    """Every string in it, names of fields included, since a template may print them. `parsed`: arguments of calls taken apart."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, part in value.items():
            yield name
            yield from _strings(_parsed(part) if parsed and name == "arguments" and isinstance(part, str) else part, parsed=parsed)
    elif isinstance(value, list):
        for part in value:
            yield from _strings(part, parsed=parsed)
