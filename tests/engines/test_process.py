"""Children: what they say when they can't start, and that they die with their parent."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from openhearth.engines.client import HttpClient, answers
from openhearth.engines.contract import EngineSpec
from openhearth.engines.llama import Defaults, LlamaLauncher
from openhearth.engines.process import LONGEST_SOCKET_PATH, socket_path, start_child
from openhearth.errors import EngineFailed, EngineUnavailable

PARENT = """
import asyncio, sys
from pathlib import Path
from openhearth.engines.contract import EngineSpec
from openhearth.engines.fake import FakeLauncher

async def main():
    engine = await FakeLauncher(Path(sys.argv[1])).start(EngineSpec("fake:chat", "fake"))
    print(engine.pid, flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


def test_a_child_dies_with_its_parent(tmp_path: Path) -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout
    child = psutil.Process(int(parent.stdout.readline()))
    parent.kill()
    parent.wait()
    parent.stdout.close()
    until = time.monotonic() + 2
    while child.is_running() and child.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < until, "the child outlived its parent"
        time.sleep(0.02)


async def test_a_child_that_ends_says_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(EngineUnavailable, match=r"m1 ended while starting \(status 1\).*No module named"):
        await start_child("openhearth.engines.nothing", {}, name="m1", sockets=tmp_path)


async def test_a_start_that_is_given_up_leaves_nothing(tmp_path: Path) -> None:
    others = psutil.Process().children()
    starting = asyncio.create_task(
        start_child("openhearth.engines.fake", {"id": "x", "slots": 1, "context": 9, "start_delay_s": 30}, name="x", sockets=tmp_path)
    )
    await asyncio.sleep(0.3)
    children = [child for child in psutil.Process().children() if child not in others]
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert children
    assert not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in children)


def test_long_folders_get_a_short_socket(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 30)
    assert len(str(socket_path(folder))) <= LONGEST_SOCKET_PATH


@pytest.mark.parametrize("content", [b"", b"GGUF", b"not a model" * 1000, b"GGUF\x03\x00\x00\x00" + b"\xff" * 5000])
async def test_a_corrupt_model_is_explained_quickly(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(content)
    started = time.monotonic()
    with pytest.raises(EngineUnavailable, match="broken"):
        await LlamaLauncher(tmp_path, Defaults(1, 1, 512)).start(EngineSpec("broken", "llama", path))
    assert time.monotonic() - started < 20


async def test_a_missing_file_says_pull(tmp_path: Path) -> None:
    with pytest.raises(EngineUnavailable, match="pull"):
        await LlamaLauncher(tmp_path, Defaults(1, 1, 512)).start(EngineSpec("gone", "llama", tmp_path / "none.gguf"))


async def test_last_words_tell_no_frames_and_no_folders(tmp_path: Path) -> None:
    with pytest.raises(EngineUnavailable, match="KeyError") as caught:
        await start_child("openhearth.engines.fake", {"id": "x", "start_delay_s": 0}, name="m1", sockets=tmp_path)
    with pytest.raises(EngineUnavailable, match="No module named") as missing:
        await start_child("openhearth.engines.nothing", {}, name="m1", sockets=tmp_path)
    for message in (caught.value.message, missing.value.message):
        assert "Traceback" not in message
        assert 'File "' not in message
        assert not re.search(r"/\w+/", message), message


class Refusing(HttpClient):
    """An engine that is not there yet: whether it answers is known once `tried` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.tried = asyncio.Event()

    async def get(self, path: str) -> bytes:
        await self.tried.wait()
        raise EngineFailed(f"nothing at {path}")


@pytest.mark.parametrize("steps", range(6))
async def test_a_start_can_be_given_up_at_every_step_of_a_probe(steps: int) -> None:
    """One that went on held the server's end up until it was over."""
    client = Refusing()
    probing = asyncio.create_task(answers(client, "/health"))
    await asyncio.sleep(0.01)
    client.tried.set()
    for _ in range(steps):
        await asyncio.sleep(0)
    given_up = probing.cancel()
    outcome = (await asyncio.gather(probing, return_exceptions=True))[0]
    assert isinstance(outcome, asyncio.CancelledError) if given_up else outcome is False
