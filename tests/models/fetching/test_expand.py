"""What users type, where no hub is asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from openhearth.errors import DownloadFailed, InvalidRequest
from openhearth.models.fetching import Artifact, expand
from openhearth.models.fetching.repository_files import quantisation_of


async def test_sources_that_say_it_all() -> None:
    assert await expand("https://example.org/models/a%20b.gguf?x=1") == [
        Artifact("a b.gguf", ("https://example.org/models/a%20b.gguf?x=1",))
    ]
    assert await expand("pypi://models==1.0/models/one.gguf") == [Artifact("one.gguf", ("pypi://models==1.0/models/one.gguf",))]


async def test_a_split_file_on_the_web() -> None:
    found = await expand("https://example.org/m-00001-of-00002.gguf")
    assert [artifact.name for artifact in found] == ["m-00001-of-00002.gguf", "m-00002-of-00002.gguf"]


async def test_a_file_and_a_folder_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my model.gguf").write_bytes(b"GGUF")
    wanted = [Artifact("my model.gguf", ((tmp_path / "my model.gguf").as_uri(),), size=4)]
    monkeypatch.chdir(tmp_path)
    for source in (str(tmp_path / "my model.gguf"), "my model.gguf", "./my model.gguf", (tmp_path / "my model.gguf").as_uri(), "."):
        assert await expand(source, offline=True) == wanted
    for name in ("model.safetensors", "tokenizer.json", "config.json", "1_Pooling/config.json"):
        path = tmp_path / "embedding" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"{}")
    found = await expand(str(tmp_path / "embedding"))
    assert [artifact.name for artifact in found] == ["model.safetensors", "tokenizer.json", "1_Pooling/config.json", "config.json"]


@pytest.mark.parametrize(
    "source", ["", "nothing/here", "ftp://host/x", "https://example.org/", "hf://owner", "hf://", "pypi://x/y", "hf:owner/name"]
)
async def test_what_is_not_understood(source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises((InvalidRequest, DownloadFailed)):
        await expand(source)


@pytest.mark.parametrize("source", ["nothing/here", "https://example.org/", "hf://owner", "https://example.org/.."])
async def test_what_is_malformed_is_the_askers_fault(source: str) -> None:
    with pytest.raises(InvalidRequest):
        await expand(source)


@pytest.mark.parametrize(
    ("name", "quantisation"),
    [
        ("SmolLM2-135M-Instruct.Q4_1.gguf", "Q4_1"),
        ("qwen2.5-coder-0.5b-instruct-q4_k_m.gguf", "Q4_K_M"),
        ("model-IQ4_XS-00001-of-00002.gguf", "IQ4_XS"),
        ("model-UD-Q4_K_XL.gguf", "UD-Q4_K_XL"),
        ("Q8_0/model.gguf", None),
        ("model-BF16.gguf", "BF16"),
        ("Q6_K.gguf", "Q6_K"),
        ("model.gguf", None),
    ],
)
def test_quantisations_in_names(name: str, quantisation: str | None) -> None:
    assert quantisation_of(name) == quantisation
