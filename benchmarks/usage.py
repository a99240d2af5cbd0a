"""Reads of a month of ten million requests from the roll-ups, and what metering and spend limits add to a request.

    python benchmarks/usage.py                 SQLite in a temporary folder, and a PostgreSQL of its own
    python benchmarks/usage.py --events 1000000 --only sqlite

Makes the roll-ups as the writer would have: every minute, hour and day in which a key used a model. Prints a table.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import psutil
from sqlalchemy import text

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from openhearth.accounts.organization.founding import found, organization_id
from openhearth.accounts.principal import Access, Principal
from openhearth.accounts.work import Gates, Price, Usage, Work
from openhearth.errors import QuotaExceeded
from openhearth.store.database import Database
from openhearth.usage.books import open_books
from openhearth.usage.calendar import month_of, next_month
from openhearth.usage.reports.operations import REPORTS
from openhearth.usage.reports.service import Reports
from openhearth.usage.spend_limits.service import SpendLimits
from openhearth.usage.sums import COUNTS
from openhearth.usage.tables import SpendLimitRow
from openhearth.wire.organization.spending import SpendLimitUpdate
from openhearth.wire.organization.usage_queries import ByTier, CostsQuery
from tests.support.databases import postgres_server, sqlite_url

PROJECTS, KEYS, MODELS = 50, 200, 5
MONTH = month_of(1_793_600_000)
MINUTES = (next_month(MONTH) - MONTH) // 60
NAMES = (
    "width",
    "start",
    "operation",
    "project_id",
    "user_id",
    "api_key_id",
    "model",
    "batch",
    "service_tier",
    "detail",
    "source",
    *COUNTS,
)
Rows = Iterator[tuple[Any, ...]]


def events(count: int) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """Width -> (place, requests): more by day than by night, some keys and models far busier than others."""
    chance = np.random.default_rng(1)
    day = 1.2 + np.sin(np.arange(MINUTES) / 1440 * 2 * np.pi)
    minutes = chance.choice(MINUTES, count, p=day / day.sum())
    busy = 1 / np.arange(1, KEYS + 1) ** 0.7
    keys = chance.choice(KEYS, count, p=busy / busy.sum())
    models = chance.choice(MODELS, count, p=[0.5, 0.2, 0.15, 0.1, 0.05])
    found: dict[int, tuple[np.ndarray, np.ndarray]] = {}
    for width in (60, 3600, 86400):
        places = (minutes // (width // 60) * KEYS + keys) * MODELS + models
        found[width] = np.unique(places, return_counts=True)
    return found


def rows(width: int, places: np.ndarray, requests: np.ndarray) -> Rows:
    """As they stand in the table, in its order."""
    for place, number in zip(places.tolist(), requests.tolist(), strict=True):
        bucket, rest = divmod(place, KEYS * MODELS)
        key, model = divmod(rest, MODELS)
        counts = (number, number * 700, number * 200, number * 250, 0, 0, 0, number * 500_000, number * 20_000, number * 2_500_000)
        names = (f"proj_{key % PROJECTS:024d}", f"user-{key:024d}", f"key_{key:024d}", f"model-{model}:7b", False, "default", "", "")
        yield (width, MONTH + bucket * width, "completions", *names, *counts)


def fill_sqlite(path: Path, found: dict[int, tuple[np.ndarray, np.ndarray]]) -> None:
    database = sqlite3.connect(path)
    statement = f"INSERT INTO usage ({', '.join(NAMES)}) VALUES ({', '.join('?' * len(NAMES))})"  # noqa: S608 - names of our own
    for width, (places, requests) in found.items():
        database.executemany(statement, rows(width, places, requests))
        database.commit()
    database.close()


async def fill_postgres(database: Database, found: dict[int, tuple[np.ndarray, np.ndarray]]) -> None:
    async with database.engine.connect() as connection:
        raw = (await connection.get_raw_connection()).driver_connection
        for width, (places, requests) in found.items():
            await raw.copy_records_to_table("usage", records=rows(width, places, requests), columns=NAMES)
        await raw.execute("ANALYZE usage")


async def read(name: str, database: Database) -> None:
    """Time each question three times; the reply is encoded, too. CPU: ours and the database's; it says more on a busy machine."""
    backend = None
    if name != "SQLite":
        async with database.session() as session:
            backend = psutil.Process(int(await session.scalar(text("SELECT pg_backend_pid()")) or 0))

    def spent() -> float:
        theirs = backend.cpu_times() if backend else None
        return time.process_time() + (theirs.user + theirs.system if theirs else 0.0)

    reports, end = Reports(database), next_month(MONTH)
    completions = REPORTS[0]
    month: dict[str, Any] = {"start_time": MONTH, "end_time": end, "limit": 31}
    everything = ["project_id", "user_id", "api_key_id", "model", "batch", "service_tier"]
    questions: list[tuple[str, Any]] = [
        ("month by day", ByTier(**month)),
        ("month by day, by model", ByTier(**month, group_by=["model"])),
        ("month by day, by project and model", ByTier(**month, group_by=["project_id", "model"])),
        ("month by day, by key", ByTier(**month, group_by=["api_key_id"])),
        ("month by day, by all six", ByTier(**month, group_by=everything)),
        ("month by day, one project, by key", ByTier(**month, project_ids=[f"proj_{7:024d}"], group_by=["api_key_id"])),
        (
            "month by day from 17:23 to 09:41, by model",
            ByTier(start_time=MONTH + 62580, end_time=end - 51540, limit=31, group_by=["model"]),
        ),
        ("costs of the month", CostsQuery(**month)),
        ("costs of the month, by project and line", CostsQuery(**month, group_by=["project_id", "line_item"])),
        ("month by hour, by model (5 pages)", ByTier(**{**month, "limit": 168}, bucket_width="1h", group_by=["model"])),
        ("month by hour, by project (5 pages)", ByTier(**{**month, "limit": 168}, bucket_width="1h", group_by=["project_id"])),
        ("month by hour, by key (5 pages)", ByTier(**{**month, "limit": 168}, bucket_width="1h", group_by=["api_key_id"])),
        ("a day by minute, by model", ByTier(start_time=MONTH + 864000, limit=1440, bucket_width="1m", group_by=["model"])),
    ]
    for question, query in questions:
        whole, pages, busy, results = [], [], [], 0
        for _ in range(3):
            took, results, asked = 0.0, 0, query
            while True:
                started, worked = time.perf_counter(), spent()
                page = await (reports.costs(asked) if isinstance(asked, CostsQuery) else reports.usage(completions, asked))
                msgspec.json.encode(page)
                pages.append(time.perf_counter() - started)
                busy.append(spent() - worked)
                took += pages[-1]
                results += sum(len(bucket.results) for bucket in page.data)
                if not page.has_more or "by minute" in question:
                    break
                asked = msgspec.structs.replace(asked, page=page.next_page)
            whole.append(took)
        worst = statistics.median(sorted(busy)[-3:])
        print(
            f"| {name} | {question} | {results:,} | {statistics.median(whole) * 1e3:,.0f} | {min(whole) * 1e3:,.0f} | {worst * 1e3:,.0f} |",
            flush=True,
        )


async def added(name: str, database: Database, rounds: int = 20_000) -> None:
    """Microseconds that the gates take of a request, in which the writer works as it does in the server."""
    async with database.session() as session:
        organization = await organization_id(session)
    principal = Principal(Access("project", "key_1", "user-1", organization, "proj_default", frozenset(), {}), "proj_default")
    work = Work("completions", "m", 100, 500, Price(1, 1, 10))
    async with open_books(database) as books:
        limits = SpendLimits(database, books.spend_gate.changed)
        await limits.set(None, None, SpendLimitUpdate(10**9, "USD", "month"))
        for which, gates in (
            ("no gates", Gates()),
            ("metering", Gates([books.recorder])),
            ("metering and a spend limit", Gates([books.spend_gate, books.recorder])),
        ):
            times = []
            gc.collect()
            for number in range(rounds):
                started = time.perf_counter()
                settle = await gates.admit(principal, work)
                settle(Usage(100, 250, 20))
                times.append(time.perf_counter() - started)
                if number % 50 == 0:
                    await asyncio.sleep(0.002)
            times.sort()
            print(f"| {name} | {which} | {times[rounds // 2] * 1e6:.1f} | {times[rounds * 99 // 100] * 1e6:.1f} |", flush=True)
    async with database.session() as session:
        row = await session.get(SpendLimitRow, organization)
        await session.delete(row)


async def overshoot(name: str, database: Database) -> None:
    """64 clients race against a limit of $0.50; an answer costs $0.01."""
    for number, (who, said) in enumerate((("all say max_tokens", 100), ("none does", 0))):
        project = f"proj_race{number}"
        principal = Principal(Access("project", "key_1", "user-1", "org-none", project, frozenset(), {}), project)
        async with open_books(database) as books:
            async with database.session() as session:
                session.add(SpendLimitRow(scope_id=project, threshold_amount=50, created_at=0))
            gates = Gates([books.spend_gate, books.recorder])

            async def client(seed: int) -> int:
                chance, done = np.random.default_rng(seed), 0
                for _ in range(20):
                    try:
                        settle = await gates.admit(principal, Work("completions", "m", 0, said, Price(output=100.0)))  # noqa: B023
                    except QuotaExceeded:
                        return done
                    await asyncio.sleep(chance.random() / 20)
                    settle(Usage(0, 100))
                    done += 1
                return done

            answered = sum(await asyncio.gather(*map(client, range(64))))
        print(f"| {name} | {who} | ${answered * 0.01:.2f} |", flush=True)


async def measure(name: str, url: str, found_events: dict[int, tuple[np.ndarray, np.ndarray]], part: str) -> None:
    database = Database(url)
    await database.prepare()
    await found(database)
    if part == "reads":
        if name == "SQLite":
            fill_sqlite(Path(url.partition("///")[2]), found_events)
        else:
            await fill_postgres(database, found_events)
        await read(name, database)
    elif part == "gates":
        await added(name, database)
    else:
        await overshoot(name, database)
    await database.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--only", choices=["sqlite", "postgresql"])
    given = parser.parse_args()
    made = events(given.events)
    print("rows: " + ", ".join(f"{len(places):,} of {width} s" for width, (places, _requests) in made.items()))
    with ExitStack() as stack:
        urls = {}
        if given.only != "postgresql":
            urls["SQLite"] = sqlite_url(Path(stack.enter_context(tempfile.TemporaryDirectory())))
        if given.only != "sqlite":
            urls["PostgreSQL"] = stack.enter_context(postgres_server()).empty()
        for part, heads in (
            ("reads", "| database | question | results | median ms | best ms | CPU ms of the longest page |\n|---|---|---|---|---|---|"),
            ("gates", "| database | gates | p50 us | p99 us |\n|---|---|---|---|"),
            ("overshoot", "| database | 64 clients, limit $0.50 | spent |\n|---|---|---|"),
        ):
            print("\n" + heads)
            for name, url in urls.items():
                asyncio.run(measure(name, url, made, part))


if __name__ == "__main__":
    main()
