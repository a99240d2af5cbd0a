"""The log-probability of whole texts after a prompt, from the model itself. What options have in common is evaluated once.

Options form a tree of tokens. At a fork the engine tells its likeliest tokens in one short request; a token that is not among them, and
every step where there is no fork, is forced. The prompt cache makes a step as dear as one decoded token. Normalises nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from openhearth.engines.contract import EngineClient
from openhearth.errors import EngineFailed
from openhearth.inference.completions.forcing import force
from openhearth.inference.completions.vocabulary import Vocabulary
from openhearth.wire.completions import EngineAnswer

PATH = "/completion"
_TOLD = 256
"""How many of a place's likeliest tokens are asked for: more cost time, fewer cost requests."""
_NEGLIGIBLE = -7.0
_OUT_OF_QUESTION = -100.0
_SMALLEST = 1e-12
"""The least part of its probability that an option keeps when a longer one begins with it."""


@dataclass(slots=True)
class Node:
    """A place in the tree of options: the tokens that lead there, what goes on from here, which options end here."""

    path: tuple[int, ...] = ()
    children: dict[int, Node] = field(default_factory=dict)
    ending: list[int] = field(default_factory=list)
    logprob: float = 0.0
    """Of all its tokens, after the prompt."""

    def child(self, token: int) -> Node:
        """The place after one more token, made if need be."""
        if token not in self.children:
            self.children[token] = Node((*self.path, token))
        return self.children[token]


def tree(options: Sequence[Sequence[int]]) -> list[Node]:
    """Options by their tokens, equal beginnings as one path: all places, each after the one before it, a branch in one stretch.

    The same whatever the order of the options.
    """
    root = Node()
    for number in sorted(range(len(options)), key=lambda number: tuple(options[number])):
        node = root
        for token in options[number]:
            node = node.child(token)
        node.ending.append(number)
    places, waiting = [], [root]
    while waiting:
        places.append(waiting.pop())
        waiting += reversed(places[-1].children.values())
    return places


class Scorer:
    """Scores options at one engine. `cached`: how many tokens of the first prompt the engine still had; None before there was one."""

    def __init__(self, client: EngineClient, vocabulary: Vocabulary) -> None:
        self._client = client
        self._vocabulary = vocabulary
        self.cached: int | None = None

    async def score(self, prompt: list[int], options: Sequence[Sequence[int]]) -> list[float]:
        """Each option's log-probability: that the answer begins with it, and with no longer option that begins with it too."""
        places = tree(options)
        scores = [0.0] * len(options)
        for place in places:
            await self._branch([*prompt, *place.path], place)
            rest = _alone(place) if place.ending else 0.0
            for number in place.ending:
                scores[number] = rest
        return scores

    async def begins(self, prompt: list[int], openings: Sequence[Sequence[int]], likely: float) -> bool:
        """Whether the answer begins with one of the openings with at least this probability. Usually one step tells that it doesn't."""
        total = 0.0
        waiting = tree(openings)[:1]
        while waiting:
            place = waiting.pop()
            if place.ending:
                total += math.exp(place.logprob)
                continue
            await self._told_branch([*prompt, *place.path], place)
            waiting += [child for child in place.children.values() if child.logprob > _NEGLIGIBLE]
            if total + math.fsum(math.exp(one.logprob) for one in waiting) < likely:
                return False
        return total >= likely

    async def _told_branch(self, before: list[int], place: Node) -> None:
        """Children that are not among the likeliest are out of the question."""
        told = await self._likeliest(before)
        for token, child in place.children.items():
            child.logprob = place.logprob + told.get(token, _OUT_OF_QUESTION)

    async def _branch(self, before: list[int], place: Node) -> None:
        told = await self._likeliest(before) if len(place.children) > 1 else {}
        for token, child in place.children.items():
            logprob = told[token] if token in told else await self._forced(before, token)
            child.logprob = place.logprob + logprob

    async def _likeliest(self, before: list[int]) -> dict[int, float]:
        request = {"prompt": before, "n_predict": 1, "n_probs": _TOLD, "temperature": 0, "cache_prompt": True, "return_tokens": True}
        answer = msgspec.json.decode(await self._client.post(PATH, msgspec.json.encode(request)), type=EngineAnswer)
        if self.cached is None:
            self.cached = answer.timings.cache_n if answer.timings else 0
        # Nothing is told of a place whose likeliest token ends within a character; then every token is forced.
        return {other.id: other.logprob for entry in answer.completion_probabilities[:1] for other in entry.top_logprobs}

    async def _forced(self, before: list[int], token: int) -> float:
        logprob = (await force(self._client, self._vocabulary, before, token, 1)).logprob
        if logprob is None:
            raise EngineFailed("The engine does not tell log-probabilities.")
        return logprob


def _alone(place: Node) -> float:
    """The log-probability that nothing of what could go on from here does."""
    longer = math.fsum(math.exp(child.logprob - place.logprob) for child in place.children.values())
    return place.logprob + (math.log(max(1 - longer, _SMALLEST)) if place.children else 0.0)
