"""How long a file is said to be, and is."""

from __future__ import annotations

from pathlib import Path

import pytest

from openhearth.errors import DownloadFailed
from openhearth.models.fetching import fetch
from openhearth.models.fetching.patience import Patience
from tests.models.fetching.watching import Watch
from tests.models.fetching.web_files import BODY, PART, artifact
from tests.support.registry import FileServer, raw_server, sha256


@pytest.mark.parametrize("change", [-5, 5])
async def test_the_wrong_length_is_refused_before_downloading(server: FileServer, tmp_path: Path, watch: Watch, change: int) -> None:
    server.put("/model.gguf", BODY)
    with pytest.raises(DownloadFailed, match=f"{len(BODY)} bytes long; expected were {len(BODY) + change}"):
        await fetch(artifact(server, size=len(BODY) + change), tmp_path, watch)
    assert not (tmp_path / "model.gguf").exists()


async def test_an_empty_file(server: FileServer, tmp_path: Path, watch: Watch) -> None:
    server.put("/model.gguf", b"")
    assert (await fetch(artifact(server, body=b""), tmp_path, watch)).size == 0


async def test_chunked_without_a_length(server: FileServer, tmp_path: Path, watch: Watch) -> None:
    server.put("/model.gguf", BODY, chunked=True)
    assert (await fetch(artifact(server, sha256=None, size=None), tmp_path, watch)).sha256 == sha256(BODY)


async def test_a_truncated_chunked_body_is_noticed(server: FileServer, tmp_path: Path, watch: Watch, patience: Patience) -> None:
    server.put("/model.gguf", BODY, chunked=True, breaks=[1 << 20])
    assert (await fetch(artifact(server, sha256=None, size=None), tmp_path, watch, patience=patience)).sha256 == sha256(BODY)
    assert len(server.asked) == 2


async def test_when_only_the_end_is_missing_nothing_comes_twice(
    server: FileServer, tmp_path: Path, watch: Watch, patience: Patience
) -> None:
    """Everything has arrived, but the process was killed (here: the line broke) before it could know that."""
    server.put("/model.gguf", BODY, chunked=True, breaks=[len(BODY)])
    assert (await fetch(artifact(server, sha256=None, size=None), tmp_path, watch, patience=patience)).sha256 == sha256(BODY)
    assert [asked.range for asked in server.asked] == [None, f"bytes={len(BODY)}-"]
    assert server.sent == len(BODY)


@pytest.mark.parametrize(("claimed", "said"), [(900, "expected were 1000"), (1100, "expected were 1000"), (1000, "broke off")])
async def test_lies_about_the_length(tmp_path: Path, watch: Watch, patience: Patience, claimed: int, said: str) -> None:
    """Too short, too long, and right but not kept."""
    body = b"x" * (min(1000, claimed) if claimed != 1000 else 700)
    async with raw_server(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % claimed + body) as url:
        with pytest.raises(DownloadFailed, match=said):
            await fetch(artifact(url, body=b"x" * 1000), tmp_path, watch, patience=patience)
    assert not (tmp_path / "model.gguf").exists()


async def test_more_bytes_than_the_length_says(tmp_path: Path, watch: Watch, patience: Patience) -> None:
    async with raw_server(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + b"x" * 5000) as url:
        with pytest.raises(DownloadFailed, match="more bytes than it has said"):
            await fetch(artifact(url, body=b"x" * 1000), tmp_path, watch, patience=patience)
    assert not (tmp_path / "model.gguf").exists()


async def test_endless_bytes_without_a_length_end_at_the_expected_size(tmp_path: Path, watch: Watch, patience: Patience) -> None:
    async with raw_server(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 5000) as url:
        with pytest.raises(DownloadFailed, match="more bytes than"):
            await fetch(artifact(url, body=b"x" * 1000), tmp_path, watch, patience=patience)


async def test_too_few_bytes_without_a_length_are_kept_to_go_on_from(tmp_path: Path, watch: Watch, patience: Patience) -> None:
    async with raw_server(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 700) as url:
        with pytest.raises(DownloadFailed, match="broke off after 700 bytes"):
            await fetch(artifact(url, body=b"x" * 1000), tmp_path, watch, patience=patience)
    assert (tmp_path / PART).stat().st_size == 700


async def test_no_length_and_nothing_to_check_it_by(tmp_path: Path, watch: Watch, patience: Patience) -> None:
    async with raw_server(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 700) as url:
        with pytest.raises(DownloadFailed, match="nobody could tell whether it is whole"):
            await fetch(artifact(url, sha256=None, size=None), tmp_path, watch, patience=patience)
        assert (await fetch(artifact(url, body=b"x" * 700, size=None), tmp_path, watch, patience=patience)).size == 700


async def test_a_compressed_body_is_refused(server: FileServer, tmp_path: Path, watch: Watch) -> None:
    server.put("/model.gguf", BODY, headers={"Content-Encoding": "gzip"})
    with pytest.raises(DownloadFailed, match="compressed"):
        await fetch(artifact(server), tmp_path, watch)


async def test_a_206_with_other_bytes_is_refused(tmp_path: Path, watch: Watch, patience: Patience) -> None:
    reply = b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 5-9/1000\r\nContent-Length: 5\r\n\r\nxxxxx"
    async with raw_server(reply) as url:
        with pytest.raises(DownloadFailed, match="other bytes than"):
            await fetch(artifact(url, body=b"x" * 1000), tmp_path, watch, patience=patience)
