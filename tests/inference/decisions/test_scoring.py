"""The tree of options and the engine's part in it, against a fake engine of this test's own."""

from __future__ import annotations

import json
import math
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from openhearth.engines.contract import EngineSpec, RunningEngine
from openhearth.engines.fake import FakeLauncher, language
from openhearth.inference.completions.vocabulary import Vocabulary
from openhearth.inference.decisions.scoring import Scorer, tree

PROMPT = "the small boats wait"


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[RunningEngine]:
    running = await FakeLauncher(tmp_path).start(EngineSpec("fake:chat", "fake"))
    yield running
    await running.stop()


async def requests(engine: RunningEngine) -> int:
    return int(json.loads(await engine.client.get("/fake/state"))["requests"])


async def scored(engine: RunningEngine, *options: str) -> list[float]:
    vocabulary = Vocabulary(engine.client)
    tokens = [await vocabulary.plain_ids(option) for option in options]
    return await Scorer(engine.client, vocabulary).score(await vocabulary.plain_ids(PROMPT), tokens)


def told(text: str) -> float:
    """The log-probability of a text after the prompt, word by word."""
    total, context = 0.0, PROMPT
    for word in text.split():
        total += language.logprob(context, " " + word)
        context += " " + word
    return total


async def test_each_option_has_the_probability_of_all_its_tokens(engine: RunningEngine) -> None:
    options = [" the river", " the old bridge", " unheard of", " wind"]
    assert await scored(engine, *options) == pytest.approx([told(option) for option in options])


async def test_a_shared_beginning_is_evaluated_once(engine: RunningEngine) -> None:
    await scored(engine, " the old bridge over the river runs", " the old bridge over the river falls")
    # Six forced tokens and one fork, of which the engine tells both sides.
    assert await requests(engine) == 7


async def test_an_option_that_begins_another_counts_only_alone(engine: RunningEngine) -> None:
    short, long = await scored(engine, " light", " light wind")
    assert long == pytest.approx(told(" light wind"))
    assert math.exp(short) == pytest.approx(math.exp(told(" light")) - math.exp(told(" light wind")))


async def test_nothing_depends_on_the_order_of_options(engine: RunningEngine) -> None:
    options = [" a b", " a", " zzz", " the river", " the"]
    assert (await scored(engine, *options))[::-1] == await scored(engine, *options[::-1])


async def test_equal_options_are_equally_likely(engine: RunningEngine) -> None:
    one, two = await scored(engine, " wind", " wind")
    assert one == two


def test_the_tree_is_walked_branch_by_branch() -> None:
    places = tree([(1, 2, 3), (1, 2, 4), (5,), (1,)])
    assert [place.path for place in places] == [(), (1,), (1, 2), (1, 2, 3), (1, 2, 4), (5,)]
    assert [place.ending for place in places] == [[], [3], [], [0], [1], [2]]


def test_a_very_long_option_is_no_deep_recursion() -> None:
    assert len(tree([tuple(range(20_000)), (1,)])) == 20_002


async def test_whether_an_answer_begins_so_is_mostly_told_in_one_step(engine: RunningEngine) -> None:
    vocabulary = Vocabulary(engine.client)
    prompt, openings = await vocabulary.plain_ids(PROMPT), [await vocabulary.plain_ids(text) for text in (" the river", " light", " no")]
    likely = math.exp(told(" the river")) + math.exp(told(" light"))
    scorer = Scorer(engine.client, vocabulary)
    assert await scorer.begins(prompt, openings, likely * 0.99)
    assert not await scorer.begins(prompt, openings, likely * 1.01)
    before = await requests(engine)
    assert not await scorer.begins(prompt, openings, 0.999999)
    assert await requests(engine) == before + 1
