"""Log-probabilities -> the answers on the wire: a distribution over the options, what it says, how concentrated it is."""

from __future__ import annotations

import math
from collections.abc import Sequence

from openhearth.wire.decisions import (
    Answer,
    ChoiceAnswer,
    ChoiceProbability,
    PredicateAnswer,
    PredicateQuestion,
    Question,
    RefusalAnswer,
    ScoreAnswer,
    ScoreProbability,
    ScoreQuestion,
)


def distribution(logprobs: Sequence[float]) -> list[float]:
    """Normalised over the options. The sum is exact, so that the options' order can't show in the last digit."""
    most = max(logprobs)
    weights = [math.exp(logprob - most) for logprob in logprobs]
    total = math.fsum(weights)
    return [weight / total for weight in weights]


def confidence(probabilities: Sequence[float]) -> float:
    """How far the likeliest stands above chance: 0 if all are equal, 1 if one has everything."""
    chance = 1 / len(probabilities)
    return max(0.0, (max(probabilities) - chance) / (1 - chance))


def answer(question: Question, probabilities: Sequence[float] | None) -> Answer:
    """`probabilities` in the order of the question's options (of a predicate: true, false); None: the model declined."""
    name = question.name
    if probabilities is None:
        return RefusalAnswer(name=name)
    if isinstance(question, PredicateQuestion):
        return PredicateAnswer(name=name, probability=probabilities[0])
    sure = confidence(probabilities)
    if isinstance(question, ScoreQuestion):
        expected = math.fsum(value * probability for value, probability in enumerate(probabilities))
        levels = zip(question.levels, probabilities, strict=True)
        listed = [ScoreProbability(value, level.label, p) for value, (level, p) in enumerate(levels)]
        return ScoreAnswer(name=name, score=expected, confidence=sure, probabilities=listed)
    values = [choice.value for choice in question.choices]
    _, _, best = max((p, repr(value), value) for p, value in zip(probabilities, values, strict=True))
    chances = [ChoiceProbability(value, p) for value, p in zip(values, probabilities, strict=True)]
    return ChoiceAnswer(name=name, choice=best, confidence=sure, probabilities=chances)
