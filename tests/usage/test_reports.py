"""Reports equal what was recorded, whichever way the time is cut, filtered, grouped and paged."""

from __future__ import annotations

import random
from collections import defaultdict
from itertools import pairwise
from typing import Any

import msgspec
import pytest

from openhearth.accounts.principal import Access, Principal
from openhearth.accounts.work import Operation, Price, Usage, Work
from openhearth.errors import InvalidRequest
from openhearth.store.database import Database
from openhearth.usage.ledger import Ledger
from openhearth.usage.recorder import Recorder
from openhearth.usage.reports.operations import REPORTS
from openhearth.usage.reports.periods import period
from openhearth.usage.reports.service import Reports
from openhearth.usage.writer import UsageWriter
from openhearth.wire.organization.usage import UsagePage
from openhearth.wire.organization.usage_queries import ByTier, CostsQuery

DAY, HOUR = 86400, 3600
BEGIN = 1_793_491_200
"""A midnight."""
NOW = BEGIN + 3 * DAY
Event = tuple[int, str, str, bool, Usage]


async def fill(database: Database, seed: int = 1, count: int = 600) -> list[Event]:
    """Random requests in three days: (minute, project, model, batch, usage)."""
    chance = random.Random(seed)
    now = 0
    recorder = Recorder(ledger := Ledger(), lambda: now)
    made: list[Event] = []
    for _ in range(count):
        now = BEGIN + chance.randrange(3 * DAY)
        project, model, batch = f"proj_{chance.randrange(3)}", f"model:{chance.randrange(2)}", chance.random() < 0.3
        usage = Usage(chance.randrange(1, 500), chance.randrange(300), chance.randrange(2))
        who = Principal(Access("project", f"key_{project}", "user-1", "org-1", project, frozenset(), {}), project)
        recorder.record(who, Work("completions", model, 0, batch=batch, price=Price(0.15, 0.075, 0.6)), usage)
        made.append((now - now % 60, project, model, batch, usage))
    await UsageWriter(database, recorder, ledger).write()
    return made


async def all_pages(reports: Reports, query: ByTier) -> list[Any]:
    buckets: list[Any] = []
    while True:
        page: UsagePage = await reports.usage(REPORTS[0], query)
        buckets += page.data
        assert page.has_more == (page.next_page is not None)
        if page.next_page is None:
            return buckets
        query = msgspec.structs.replace(query, page=page.next_page)


@pytest.mark.parametrize("width", ["1m", "1h", "1d"])
async def test_any_range_in_any_pages(database: Database, width: Any) -> None:
    events = await fill(database)
    chance = random.Random(2)
    reports = Reports(database, lambda: NOW)
    for _ in range(6 if width == "1m" else 25):
        start = BEGIN + chance.randrange(3 * DAY) // 60 * 60
        end = min(start + 60 * chance.randrange(1, 60 * 48), NOW)
        group_by: Any = chance.sample(["project_id", "model", "batch"], chance.randrange(4))
        most = {"1m": 1440, "1h": 168, "1d": 31}[width]
        query = ByTier(
            start_time=start, end_time=end, bucket_width=width, limit=chance.randrange(most // 20 + 1, most + 1), group_by=group_by
        )
        buckets = await all_pages(reports, query)
        assert buckets[0].start_time == start
        assert buckets[-1].end_time == end
        assert all(a.end_time == b.start_time for a, b in pairwise(buckets))
        for bucket in buckets:
            within = [event for event in events if bucket.start_time <= event[0] < bucket.end_time]
            assert found(bucket.results, group_by) == expected(within, group_by)


def found(results: list[Any], group_by: list[str]) -> dict[Any, tuple[int, ...]]:
    return {
        tuple(getattr(result, name) for name in group_by): (
            result.num_model_requests, result.input_tokens, result.output_tokens, result.input_cached_tokens,
        )
        for result in results
    }  # fmt: skip


def expected(events: list[Event], group_by: list[str]) -> dict[Any, tuple[int, ...]]:
    sums: dict[Any, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for _minute, project, model, batch, usage in events:
        values = {"project_id": project, "model": model, "batch": batch}
        numbers = (1, usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens)
        place = tuple(values[name] for name in group_by)
        sums[place] = [a + b for a, b in zip(sums[place], numbers, strict=True)]
    return {place: tuple(numbers) for place, numbers in sums.items()}


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"project_ids": ["proj_0", "proj_2"]}, lambda event: event[1] in ("proj_0", "proj_2")),
        ({"models": ["model:1"]}, lambda event: event[2] == "model:1"),
        ({"batch": True}, lambda event: event[3]),
        ({"batch": False}, lambda event: not event[3]),
        ({"api_key_ids": ["key_proj_1"], "models": ["model:0"]}, lambda event: event[1] == "proj_1" and event[2] == "model:0"),
        ({"user_ids": ["user-2"]}, lambda _event: False),
        ({"project_ids": ["' OR 1=1 --"]}, lambda _event: False),
    ],
)
async def test_filters(database: Database, given: dict[str, Any], kept: Any) -> None:
    events = [event for event in await fill(database) if kept(event)]
    page = await Reports(database, lambda: NOW).usage(REPORTS[0], ByTier(start_time=BEGIN, **given))
    assert sum(result.num_model_requests for bucket in page.data for result in bucket.results) == len(events)
    assert sum(result.input_tokens for bucket in page.data for result in bucket.results) == sum(event[4].prompt_tokens for event in events)


async def test_costs_are_exact(database: Database) -> None:
    events = await fill(database)
    reports = Reports(database, lambda: NOW)
    query = CostsQuery(start_time=BEGIN, end_time=NOW, group_by=["line_item", "project_id"])
    page = await reports.costs(query)
    billionths = sum(
        round((usage.prompt_tokens - usage.cached_tokens) * 150) + round(usage.cached_tokens * 75) + usage.completion_tokens * 600
        for *_, usage in events
    )
    lines = [result for bucket in page.data for result in bucket.results]
    assert round(sum(result.amount.value for result in lines) * 1e9) == billionths
    assert {result.line_item for result in lines} == {f"model:{n}, {kind}" for n in (0, 1) for kind in ("input", "cached input", "output")}
    whole = await reports.costs(CostsQuery(start_time=BEGIN, end_time=NOW))
    assert round(sum(bucket.results[0].amount.value for bucket in whole.data) * 1e9) == billionths
    some = await reports.costs(CostsQuery(start_time=BEGIN, end_time=NOW, line_items=["model:0, output"], group_by=["api_source"]))
    written = sum(usage.completion_tokens for _minute, _project, model, _batch, usage in events if model == "model:0")
    assert round(sum(bucket.results[0].amount.value for bucket in some.data) * 1e9) == written * 600
    assert some.data[0].results[0].api_source == "unlabeled"
    with pytest.raises(InvalidRequest, match="180"):
        await reports.costs(CostsQuery(start_time=BEGIN, limit=181))


async def test_each_operation_has_its_own(database: Database) -> None:
    recorder = Recorder(ledger := Ledger(), lambda: BEGIN + 5)
    who = Principal(Access("project", "key_1", "user-1", "org-1", "proj_a", frozenset(), {}), "proj_a")
    done: list[tuple[Operation, dict[str, str], Usage]] = [
        ("images", {"detail": "512x512", "source": "image.edit"}, Usage(0, units=2)),
        ("images", {"detail": "1024x1024", "source": "image.edit"}, Usage(0, units=3)),
        ("audio_speeches", {}, Usage(0, units=45)),
        ("audio_transcriptions", {}, Usage(0, units=20)),
        ("vector_stores", {}, Usage(0, units=1024)),
        ("code_interpreter_sessions", {}, Usage(0, units=1)),
        ("file_search_calls", {"detail": "vs_1"}, Usage(0, units=2)),
        ("web_search_calls", {"detail": "low"}, Usage(0, units=2)),
        ("moderations", {}, Usage(16)),
    ]
    for operation, more, usage in done:
        recorder.record(who, Work(operation, "m", 0, **more), usage)
    await UsageWriter(database, recorder, ledger).write()
    reports = Reports(database, lambda: NOW)

    async def results(operation: str, **asked: Any) -> list[Any]:
        (report,) = (report for report in REPORTS if report.operation == operation)
        page = await reports.usage(report, report.query(start_time=BEGIN, limit=1, **asked))
        return [msgspec.to_builtins(result) for result in page.data[0].results]

    assert [(r["source"], r["images"]) for r in await results("images", group_by=["source"])] == [("image.edit", 5)]
    by_size = await results("images", group_by=["size"])
    assert [(r["size"], r["images"], r["source"]) for r in by_size] == [("1024x1024", 3, None), ("512x512", 2, None)]
    assert [r["images"] for r in await results("images", sizes=["512x512"], sources=["image.edit"])] == [2]
    assert await results("images", sources=["image.variation"]) == []
    assert [r["characters"] for r in await results("audio_speeches")] == [45]
    assert [r["seconds"] for r in await results("audio_transcriptions")] == [20]
    assert [r["usage_bytes"] for r in await results("vector_stores", group_by=["project_id"])] == [1024]
    assert [r["num_sessions"] for r in await results("code_interpreter_sessions")] == [1]
    found = await results("file_search_calls", group_by=["vector_store_id"])
    assert [(r["vector_store_id"], r["num_requests"]) for r in found] == [("vs_1", 2)]
    searched = await results("web_search_calls", group_by=["context_level", "api_source"])
    assert [(r["context_level"], r["num_requests"], r["num_model_requests"], r["api_source"]) for r in searched] == [
        ("low", 2, 1, "unlabeled")
    ]
    assert [r["input_tokens"] for r in await results("moderations")] == [16]


def test_periods_read_the_widest_rows_that_fit() -> None:
    span = period(ByTier(start_time=BEGIN + 23 * HOUR + 50 * 60, end_time=BEGIN + 2 * DAY + HOUR + 60), NOW)
    assert [(piece.width, piece.start - BEGIN, piece.end - BEGIN) for piece in span.pieces] == [
        (60, 23 * HOUR + 50 * 60, DAY),
        (86400, DAY, 2 * DAY),
        (3600, 2 * DAY, 2 * DAY + HOUR),
        (60, 2 * DAY + HOUR, 2 * DAY + HOUR + 60),
    ]


def test_without_an_end_it_is_now_and_pages_end_there() -> None:
    first = period(ByTier(start_time=BEGIN, limit=2), NOW - DAY // 2)
    assert first.buckets == [(BEGIN, BEGIN + DAY), (BEGIN + DAY, BEGIN + 2 * DAY)]
    second = period(ByTier(start_time=BEGIN, limit=2, page=first.next_page), NOW + 9 * DAY)
    assert second.buckets == [(BEGIN + 2 * DAY, BEGIN + 3 * DAY)]
    assert second.next_page is None
