"""A model's vocabulary as its engine tells it: text to tokens, tokens to text, the beginning of a document.

Keeps nothing but the names of special tokens that were asked for.
"""

from __future__ import annotations

import msgspec

from openhearth.engines.contract import EngineClient

_REMEMBERED = 1024


class _Ids(msgspec.Struct, frozen=True):
    tokens: list[int]


class _Detokenized(msgspec.Struct, frozen=True):
    content: str


class _Properties(msgspec.Struct, frozen=True):
    bos_token: str = ""
    eos_token: str = ""


class Vocabulary:
    """One engine's. `special` is shared between requests to the same model."""

    def __init__(self, client: EngineClient, special: dict[int, str] | None = None) -> None:
        self._client = client
        self._special = {} if special is None else special

    async def ids(self, text: str, *, add_special: bool = True) -> list[int]:
        """The tokens of `text`, with what the model wants in front of it."""
        body = msgspec.json.encode({"content": text, "add_special": add_special, "parse_special": True})
        return msgspec.json.decode(await self._client.post("/tokenize", body), type=_Ids).tokens

    async def plain_ids(self, text: str) -> list[int]:
        """The tokens of `text` as mere letters: the name of a special token in it stays text."""
        body = msgspec.json.encode({"content": text, "add_special": False, "parse_special": False})
        return msgspec.json.decode(await self._client.post("/tokenize", body), type=_Ids).tokens

    async def text(self, tokens: list[int]) -> str:
        reply = await self._client.post("/detokenize", msgspec.json.encode({"tokens": tokens}))
        return msgspec.json.decode(reply, type=_Detokenized).content

    async def name(self, token: int) -> str:
        """The name of a token that has no text of its own, such as the end of a text."""
        if token not in self._special:
            name = await self.text([token])
            if len(self._special) >= _REMEMBERED:
                return name
            self._special[token] = name
        return self._special[token]

    async def document_start(self) -> list[int]:
        """What the model sees before a document's first word: what its tokenizer adds, or the token that its file names."""
        if tokens := await self.ids(""):
            return tokens
        properties = msgspec.json.decode(await self._client.get("/props"), type=_Properties)
        return await self.ids(properties.bos_token or properties.eos_token or "\n")
