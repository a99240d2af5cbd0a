"""The hub: repositories listed, files chosen and fetched, and the token kept to itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from openhearth.errors import DownloadFailed, InvalidRequest
from openhearth.models.fetching import Artifact, expand, fetch
from openhearth.models.fetching.patience import Patience, Unreachable
from tests.models.fetching.conftest import point_to
from tests.models.fetching.watching import Watch
from tests.support.registry import COMMIT, FileServer, Hub, sha256

MODEL = b"GGUF" + b"weights" * 200_000
REPOSITORY = "owner/model-GGUF"
CHILD = """
import asyncio, json, sys
from pathlib import Path
from openhearth.models.fetching import expand, fetch
from tests.models.fetching.conftest import point_to
from tests.models.fetching.watching import Watch

async def main():
    (artifact,) = await expand(sys.argv[1])
    found = await fetch(artifact, Path(sys.argv[2]), Watch())
    print(json.dumps([artifact.name, found.sha256]))

asyncio.run(main())
"""


def hub_file(path: str = "model-Q4_K_M.gguf", *, body: bytes | None = MODEL, repository: str = REPOSITORY) -> Artifact:
    known = (sha256(body), len(body)) if body is not None else (None, None)
    return Artifact("model.gguf", (f"hf://{repository}/{path}",), *known)


def large(hub: Hub, *names: str) -> None:
    for number, name in enumerate(names, start=1):
        hub.put(REPOSITORY, name, MODEL * number)


async def chosen(source: str) -> list[str]:
    return [artifact.parts[0] for artifact in await expand(source)]


def uri(*names: str) -> list[str]:
    return [f"hf://{REPOSITORY}/{name}@{COMMIT}" for name in names]


@pytest.mark.parametrize("known", [True, False], ids=["checksum", "no checksum"])
async def test_a_large_file_comes_from_the_cdn(model_hub: Hub, tmp_path: Path, watch: Watch, known: bool) -> None:
    large(model_hub, "model-Q4_K_M.gguf")
    found = await fetch(hub_file(body=MODEL if known else None), tmp_path, watch)
    assert found.path.read_bytes() == MODEL
    assert [asked.path for asked in model_hub.cdn.asked if asked.method == "GET"] == [f"/blobs/{sha256(MODEL)}"]


async def test_a_small_file_comes_from_the_hub(model_hub: Hub, tmp_path: Path, watch: Watch) -> None:
    model_hub.put(REPOSITORY, "sub/config.json", b"{}", large=False)
    assert (await fetch(hub_file("sub/config.json", body=None), tmp_path, watch)).path.read_bytes() == b"{}"
    assert model_hub.cdn.asked == []


async def test_a_broken_download_is_resumed(model_hub: Hub, tmp_path: Path, watch: Watch, patience: Patience) -> None:
    large(model_hub, "model-Q4_K_M.gguf")
    model_hub.cdn.files[f"/blobs/{sha256(MODEL)}"].breaks = [600_000]
    await fetch(hub_file(), tmp_path, watch, patience=patience)
    assert model_hub.cdn.sent == len(MODEL)


async def test_the_token_goes_to_the_hub_and_never_to_its_cdn(
    model_hub: Hub, tmp_path: Path, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    large(model_hub, "model-Q4_K_M.gguf")
    model_hub.private[REPOSITORY] = "hf_secret"
    (artifact,) = await expand(f"hf://{REPOSITORY}")
    await fetch(artifact, tmp_path, watch)
    asked_for_it = [asked for asked in model_hub.asked if REPOSITORY in asked.path]  # the library asks for something of its own, too
    assert {asked.headers.get("Authorization") for asked in asked_for_it} == {"Bearer hf_secret"}
    assert {asked.method for asked in asked_for_it} == {"GET", "HEAD"}
    assert model_hub.cdn.asked
    assert all("hf_secret" not in str(asked.headers) for asked in model_hub.cdn.asked)


async def test_the_token_does_not_follow_a_redirect_of_the_hub(
    model_hub: Hub, other: FileServer, tmp_path: Path, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither when listing nor when asking for a file: a hub that sends us elsewhere gets nobody's token stolen."""
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    model_hub.moved = other.url
    for work in (expand(f"hf://{REPOSITORY}"), fetch(hub_file(), tmp_path, watch)):
        with pytest.raises(DownloadFailed):
            await work
    assert model_hub.asked
    assert other.asked
    assert all("hf_secret" not in str(asked.headers) for asked in other.asked)


async def test_without_a_token_a_private_repository_is_not_there(model_hub: Hub, tmp_path: Path, watch: Watch) -> None:
    large(model_hub, "model-Q4_K_M.gguf")
    model_hub.private[REPOSITORY] = "hf_secret"
    for work in (expand(f"hf://{REPOSITORY}"), fetch(hub_file(), tmp_path, watch)):
        with pytest.raises(DownloadFailed, match=r"does not exist on the hub, or is private.*HF_TOKEN"):
            await work


@pytest.mark.parametrize("token", ["environment", "file"])
def test_the_librarys_own_environment_is_honoured(tmp_path: Path, token: str) -> None:
    """HF_ENDPOINT, HF_TOKEN and the token file of HF_HOME, in a process of its own; the hub runs in this one."""
    import asyncio

    from tests.support.registry import hub

    home = tmp_path / "home"
    home.mkdir()
    if token == "file":
        (home / "token").write_text("hf_secret\n")
    clean = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}

    async def run() -> tuple[bytes, Hub]:
        async with hub() as running:
            running.put(REPOSITORY, "model-Q4_K_M.gguf", MODEL)
            running.private[REPOSITORY] = "hf_secret"
            given = {"HF_ENDPOINT": running.url, "HF_HOME": str(home), **({"HF_TOKEN": "hf_secret"} if token == "environment" else {})}
            child = await asyncio.create_subprocess_exec(
                sys.executable, "-c", CHILD, f"hf://{REPOSITORY}", str(tmp_path / "models"), env={**clean, **given}, stdout=subprocess.PIPE
            )
            out, _ = await child.communicate()
            return out, running

    out, running = asyncio.run(run())
    assert json.loads(out) == ["model-Q4_K_M.gguf", sha256(MODEL)]
    assert all("hf_secret" not in str(asked.headers) for asked in running.cdn.asked)
    # The library's telemetry: it would ask for a list of agents, and tell the hub which one it runs in.
    assert running.asked
    assert [asked.path for asked in running.asked if "agent" in asked.path] == []


@pytest.mark.parametrize("change", [-7, 7])
async def test_a_hub_that_lies_about_the_size(model_hub: Hub, tmp_path: Path, watch: Watch, change: int) -> None:
    large(model_hub, "model-Q4_K_M.gguf")
    model_hub.said_sizes["model-Q4_K_M.gguf"] = len(MODEL) + change
    (artifact,) = await expand(f"hf://{REPOSITORY}")
    for wanted in (artifact, hub_file(body=None)):
        with pytest.raises(DownloadFailed, match=f"is {len(MODEL)} bytes long; expected were {len(MODEL) + change}"):
            await fetch(wanted, tmp_path, watch)
    assert not (tmp_path / "model.gguf").exists()


async def test_a_cdn_that_sends_another_file(model_hub: Hub, tmp_path: Path, watch: Watch) -> None:
    """The hub itself says which sum it must have, so it is noticed though nobody else did."""
    large(model_hub, "model-Q4_K_M.gguf")
    model_hub.cdn.files[f"/blobs/{sha256(MODEL)}"].body = MODEL[::-1]
    with pytest.raises(DownloadFailed, match=f"the hub expects sha256 {sha256(MODEL)}, found was {sha256(MODEL[::-1])}"):
        await fetch(hub_file(body=None), tmp_path, watch)
    assert not (tmp_path / "model.gguf").exists()


async def test_what_is_not_there(model_hub: Hub, tmp_path: Path, watch: Watch) -> None:
    large(model_hub, "model-Q4_K_M.gguf")
    for wanted, said in (
        (hub_file("other.gguf"), "does not exist on the hub"),
        (hub_file("model-Q4_K_M.gguf@v2"), "no such revision"),
        (hub_file(repository="owner/other"), "does not exist on the hub, or is private"),
    ):
        with pytest.raises(DownloadFailed, match=said):
            await fetch(wanted, tmp_path, watch)
    for source, said in ((f"hf://{REPOSITORY}@v2", "no such revision"), (f"hf://{REPOSITORY}/other.gguf", "holds no file 'other.gguf'")):
        with pytest.raises(DownloadFailed, match=said):
            await expand(source)


async def test_a_gated_repository_says_what_to_do(model_hub: Hub, tmp_path: Path, watch: Watch) -> None:
    large(model_hub, "model-Q4_K_M.gguf")
    model_hub.gated.add(REPOSITORY)
    with pytest.raises(DownloadFailed, match="is gated: accept its terms"):
        await fetch(hub_file(), tmp_path, watch)


async def test_a_hub_that_is_not_there(tmp_path: Path, watch: Watch, patience: Patience, monkeypatch: pytest.MonkeyPatch) -> None:
    point_to("http://127.0.0.1:1", monkeypatch)
    with pytest.raises(Unreachable, match=r"can't be reached for .*: connection refused\. Given up after 2 attempts"):
        await fetch(hub_file(), tmp_path, watch, patience=patience)
    point_to("http://hub.example.org", monkeypatch)
    with pytest.raises(DownloadFailed, match="not https"):
        await fetch(hub_file(), tmp_path, watch, patience=patience)


async def test_q4_k_m_then_q8_0_then_the_smallest(model_hub: Hub) -> None:
    large(model_hub, "model-f16.gguf", "model-IQ2_XS.gguf")
    assert await chosen(f"hf://{REPOSITORY}") == uri("model-f16.gguf")  # the smallest here
    large(model_hub, "model-f16.gguf", "model-IQ2_XS.gguf", "model.Q8_0.gguf")
    assert await chosen(f"hf://{REPOSITORY}") == uri("model.Q8_0.gguf")
    large(model_hub, "model-f16.gguf", "model-IQ2_XS.gguf", "model.Q8_0.gguf", "model-q4_k_m.gguf", "mmproj-Q4_K_M.gguf", "README.md")
    assert await chosen(f"hf://{REPOSITORY}") == uri("model-q4_k_m.gguf")


async def test_the_quantisation_that_is_asked_for(model_hub: Hub) -> None:
    large(model_hub, "model-Q4_K_M.gguf", "sub/model-Q5_K_S.gguf", "model-Q4_K_S.gguf")
    assert await chosen(f"hf://{REPOSITORY}:q5_k_s") == uri("sub/model-Q5_K_S.gguf")
    assert await chosen(f"hf://{REPOSITORY}@main:Q4_K_S") == uri("model-Q4_K_S.gguf")
    with pytest.raises(DownloadFailed, match="No quantisation 'Q6_K' is there; there are Q4_K_M, Q4_K_S, Q5_K_S"):
        await expand(f"hf://{REPOSITORY}:Q6_K")
    with pytest.raises(InvalidRequest, match="not a quantisation"):
        await expand(f"hf://{REPOSITORY}:Q4 K")


async def test_checksums_and_sizes_are_the_hubs(model_hub: Hub) -> None:
    model_hub.put(REPOSITORY, "sub/model-Q4_K_M.gguf", MODEL)
    assert await expand(f"hf://{REPOSITORY}") == [
        Artifact("model-Q4_K_M.gguf", tuple(uri("sub/model-Q4_K_M.gguf")), sha256(MODEL), len(MODEL))
    ]


async def test_a_split_model_keeps_its_names(model_hub: Hub, tmp_path: Path, watch: Watch) -> None:
    """llama.cpp finds the other files by the first one's name."""
    names = [f"model-Q4_K_M-{number:05d}-of-00003.gguf" for number in (1, 2, 3)]
    large(model_hub, *(f"Q4_K_M/{name}" for name in names), "model-Q8_0.gguf")
    for source in (f"hf://{REPOSITORY}", f"hf://{REPOSITORY}/Q4_K_M/{names[1]}"):
        artifacts = await expand(source)
        assert [artifact.name for artifact in artifacts] == names
    for artifact in artifacts:
        await fetch(artifact, tmp_path, watch)
    assert sorted(path.name for path in tmp_path.glob("*.gguf")) == names
    del model_hub.repositories[REPOSITORY][f"Q4_K_M/{names[2]}"]
    for source in (f"hf://{REPOSITORY}", f"hf://{REPOSITORY}/Q4_K_M/{names[0]}"):
        with pytest.raises(DownloadFailed, match=r"only 2 of its 3|holds no file"):
            await expand(source)


@pytest.mark.parametrize("weights", ["onnx/model.onnx", "model.safetensors"])
async def test_an_embedding_repository(model_hub: Hub, tmp_path: Path, watch: Watch, weights: str) -> None:
    model_hub.put(REPOSITORY, weights, MODEL)
    model_hub.put(REPOSITORY, "model.safetensors", MODEL)
    model_hub.put(REPOSITORY, "pytorch_model.bin", MODEL)
    for name in ("tokenizer.json", "config.json", "1_Pooling/config.json", "modules.json", "README.md", "train_script.py"):
        model_hub.put(REPOSITORY, name, name.encode(), large=False)
    artifacts = await expand(f"hf://{REPOSITORY}")
    main = weights.removeprefix("onnx/")
    assert [artifact.name for artifact in artifacts] == [main, "tokenizer.json", "1_Pooling/config.json", "config.json", "modules.json"]
    for artifact in artifacts:
        await fetch(artifact, tmp_path, watch)
    assert (tmp_path / main).read_bytes() == MODEL
    assert (tmp_path / "1_Pooling/config.json").read_bytes() == b"1_Pooling/config.json"


async def test_a_repository_with_nothing_usable(model_hub: Hub) -> None:
    model_hub.put(REPOSITORY, "pytorch_model.bin", MODEL)
    with pytest.raises(DownloadFailed, match="Neither a GGUF file is there nor an embedding model"):
        await expand(f"hf://{REPOSITORY}")
    with pytest.raises(DownloadFailed, match="No GGUF files are there"):
        await expand(f"hf://{REPOSITORY}:Q4_K_M")


@pytest.mark.parametrize("name", ["../../evil-Q4_K_M.gguf", "/etc/evil-Q4_K_M.gguf", "a\\..\\evil-Q4_K_M.gguf", "CON.Q4_K_M.gguf"])
async def test_a_hub_that_names_files_elsewhere(model_hub: Hub, tmp_path: Path, watch: Watch, name: str) -> None:
    """The listing is hostile: whatever it says, nothing is written outside the model's folder."""
    model_hub.put(REPOSITORY, name, MODEL)
    try:
        for artifact in await expand(f"hf://{REPOSITORY}"):
            await fetch(artifact, tmp_path / "models", watch)
    except (InvalidRequest, DownloadFailed):
        pass
    assert not [path for path in tmp_path.rglob("*evil*") if not path.is_relative_to(tmp_path / "models")]
    assert not Path("/etc/evil-Q4_K_M.gguf").exists()


async def test_offline_asks_nobody(model_hub: Hub) -> None:
    with pytest.raises(DownloadFailed, match="--offline"):
        await expand(f"hf://{REPOSITORY}", offline=True)
    assert model_hub.asked == []
