"""Fill-in-the-middle: a prompt and its `suffix` as one list of tokens, with the model's own marks around them.

The marks are read off the engine's `/infill` for a known prefix and suffix. The engine's endpoint does no more of the work, because it
shortens long texts silently.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from openhearth.engines.contract import EngineClient
from openhearth.errors import EngineFailed
from openhearth.inference.completions.vocabulary import Vocabulary

_PREFIX = "first5731"
_SUFFIX = "second8642"


class _Infilled(msgspec.Struct, frozen=True):
    prompt: str


@dataclass(frozen=True, slots=True)
class Marks:
    """What stands before, between and after the two texts; `suffix_first` where the model wants them so."""

    before: list[int]
    between: list[int]
    after: list[int]
    suffix_first: bool

    async def around(self, prefix: str | list[int], suffix: str, vocabulary: Vocabulary) -> list[int]:
        """The tokens of a whole prompt."""
        start = prefix if isinstance(prefix, list) else await vocabulary.ids(prefix, add_special=False)
        end = await vocabulary.ids(suffix, add_special=False)
        first, second = (end, start) if self.suffix_first else (start, end)
        return [*self.before, *first, *self.between, *second, *self.after]


async def read_marks(client: EngineClient, vocabulary: Vocabulary) -> Marks:
    """Ask the engine how it would put a prefix and a suffix together."""
    body = msgspec.json.encode({"input_prefix": _PREFIX, "input_suffix": _SUFFIX, "n_predict": 0, "stream": False})
    prompt = msgspec.json.decode(await client.post("/infill", body), type=_Infilled).prompt
    suffix_first = prompt.find(_SUFFIX) < prompt.find(_PREFIX)
    first, second = (_SUFFIX, _PREFIX) if suffix_first else (_PREFIX, _SUFFIX)
    before, found, rest = prompt.partition(first)
    between, found_too, after = rest.partition(second)
    if not (found and found_too):
        raise EngineFailed("The engine does not tell how it fills in the middle.")
    return Marks(
        await vocabulary.ids(before, add_special=False),
        await vocabulary.ids(between, add_special=False),
        await vocabulary.ids(after, add_special=False),
        suffix_first,
    )
