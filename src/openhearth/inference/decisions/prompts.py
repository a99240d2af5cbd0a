"""What the model reads: the chat template around the input, then a question. The input comes first, so that it is evaluated once.

A text of the client's is tokenised without special tokens and spliced into the template: `<|im_start|>` in it stays eleven letters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile

import msgspec

from openhearth.engines.contract import EngineClient
from openhearth.errors import EngineFailed
from openhearth.inference.completions.vocabulary import Vocabulary
from openhearth.inference.decisions.questions import Wording
from openhearth.inference.decisions.refusals import OPENINGS

_PLACE = "openhearthwritesthecontenthere"
_INPUT = "Input:\n"
_AFTER_INPUT = "\n\n"


class _Rendered(msgspec.Struct, frozen=True):
    prompt: str


@dataclass(frozen=True, slots=True)
class Frame:
    """A chat template's tokens around a user's only message, up to where the answer begins; and how a refusal begins there, in tokens."""

    before: tuple[int, ...]
    after: tuple[int, ...]
    openings: Mapping[str, tuple[int, ...]]

    def opened(self, content: Sequence[int]) -> list[int]:
        """The part that all questions share."""
        return [*self.before, *content]

    def closed(self, opened: Sequence[int], question: Sequence[int]) -> list[int]:
        """A whole prompt; the answer comes next."""
        return [*opened, *question, *self.after]


async def read_frame(client: EngineClient, vocabulary: Vocabulary) -> Frame:
    """Ask the engine to render its template around a mark. Raises EngineFailed where the template doesn't keep it."""
    body = {
        "messages": [{"role": "user", "content": _PLACE}],
        "add_generation_prompt": True,
        "chat_template_kwargs": {"enable_thinking": False},
    }
    rendered = msgspec.json.decode(await client.post("/apply-template", msgspec.json.encode(body)), type=_Rendered).prompt
    before, found, after = rendered.rpartition(_PLACE)
    if not found:
        raise EngineFailed("The model's chat template shows no user message.")
    openings = {opening: tuple(await vocabulary.plain_ids(opening)) for opening in OPENINGS}
    return Frame(tuple(await vocabulary.ids(before)), tuple(await vocabulary.ids(after, add_special=False)), openings)


@dataclass(frozen=True, slots=True)
class WordingTokens:
    """A wording as tokens. `start`: what all answers begin with; it is given to the model, and the rest is weighed."""

    question: tuple[int, ...]
    start: tuple[int, ...]
    options: tuple[tuple[int, ...], ...]

    @property
    def length(self) -> int:
        """With its longest option."""
        return len(self.question) + len(self.start) + max(map(len, self.options))


async def wording_tokens(vocabulary: Vocabulary, wording: Wording) -> WordingTokens:
    """Answers are tokenised whole: how an option begins may depend on what stands before it."""
    question = await vocabulary.plain_ids(wording.question)
    answers = [await vocabulary.plain_ids(answer) for answer in wording.answers]
    start = tuple(place[0] for place in takewhile(lambda place: len(set(place)) == 1, zip(*answers, strict=False)))
    return WordingTokens(tuple(question), start, tuple(tuple(answer[len(start) :]) for answer in answers))


async def input_tokens(vocabulary: Vocabulary, text: str) -> list[int]:
    """The input as the model reads it."""
    return await vocabulary.plain_ids(_INPUT + text + _AFTER_INPUT)
