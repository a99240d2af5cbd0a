"""Pulling: from a source to a model that can be resolved, and away again."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from openhearth.errors import DownloadFailed, InvalidRequest, ModelNotFound
from openhearth.models.library import Library, slug
from openhearth.models.pull import Puller, ensure, named_after
from openhearth.models.resolve import Models
from openhearth.settings import Settings
from tests.support.gguf_file import write_gguf
from tests.support.pulled import Quiet


def puller(folder: Path, **more: Any) -> Puller:
    return Puller(Settings(data_dir=folder / "data", **more), Quiet())


def entry(file: Path, *places: str, sha256: str | None = None) -> dict[str, Any]:
    digest = sha256 or hashlib.sha256(file.read_bytes()).hexdigest()
    return {"name": "tiny:1", "licence": "MIT", "files": [{"name": "tiny.gguf", "sha256": digest, "from": list(places)}]}


async def test_a_local_file_stays_where_it_is(tmp_path: Path) -> None:
    file = write_gguf(tmp_path / "My Model.Q4_0.gguf")
    pulling = puller(tmp_path)
    manifest = await pulling.pull(str(file))
    assert manifest.id == "my-model.q4_0"
    assert (manifest.architecture, manifest.context, manifest.task) == ("llama", 2048, "chat")
    models = Models(Settings(data_dir=tmp_path / "data"))
    assert (await models.resolve("my-model.q4_0")).spec.path == file
    assert await models.remove("my-model.q4_0") == "my-model.q4_0"
    assert file.exists()
    with pytest.raises(ModelNotFound):
        await models.resolve("my-model.q4_0")


async def test_a_name_may_be_given(tmp_path: Path) -> None:
    file = write_gguf(tmp_path / "m.gguf", template=None)
    manifest = await puller(tmp_path).pull(str(file), name="house:tiny")
    assert (manifest.id, manifest.task) == ("house:tiny", "completion")
    for wrong in ("../up", "a b", "", "x" * 300, "-flag"):
        with pytest.raises((InvalidRequest, ModelNotFound)):
            await puller(tmp_path).pull(str(file), name=wrong or " ")


async def test_a_catalogue_entry_goes_on_to_the_next_place_when_one_fails(tmp_path: Path) -> None:
    file = write_gguf(tmp_path / "m.gguf")
    settings = {"models": (entry(file, "https://127.0.0.1:9/m.gguf", file.as_uri()),)}
    manifest = await puller(tmp_path, **settings).pull("tiny:1")
    assert manifest.licence == "MIT"
    library = Library(tmp_path / "data" / "models")
    assert library.main_file(manifest).read_bytes() == file.read_bytes()


async def test_what_is_not_the_pinned_file_is_not_taken(tmp_path: Path) -> None:
    file = write_gguf(tmp_path / "m.gguf")
    with pytest.raises(DownloadFailed, match="sha256"):
        await puller(tmp_path, models=(entry(file, file.as_uri(), sha256="0" * 64),)).pull("tiny:1")
    assert Library(tmp_path / "data" / "models").all() == {}


async def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    page = tmp_path / "page.gguf"
    page.write_bytes(b"<html>" * 100)
    with pytest.raises(InvalidRequest, match="no GGUF"):
        await puller(tmp_path).pull(str(page))
    assert Library(tmp_path / "data" / "models").all() == {}


async def test_names_that_mean_nothing(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match="smollm2:135m"):
        await puller(tmp_path).pull("smolm2:135m")
    with pytest.raises(ModelNotFound, match="hf://"):
        await puller(tmp_path).pull("nothing-like-it")


async def test_ensure_pulls_what_is_missing_once_and_leaves_the_rest(tmp_path: Path) -> None:
    file = write_gguf(tmp_path / "m.gguf")
    settings = Settings(
        data_dir=tmp_path / "data", default_model="tiny:1", models=(entry(file, file.as_uri()), {"name": "f", "engine": "fake"})
    )
    await ensure(settings, ["gpt-4", "tiny:1", "f", "unknown:1"], Quiet())
    assert set(Library(settings.models_dir).all()) == {"tiny:1"}
    file.unlink()
    await ensure(settings, ["tiny:1"], Quiet())


def test_a_damaged_manifest_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "manifests").mkdir()
    (tmp_path / "manifests" / "x.json").write_text("{")
    assert Library(tmp_path).all() == {}


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("hf://Qwen/Qwen3-4B-GGUF:Q4_K_M", "qwen/qwen3-4b-gguf:q4_k_m"),
        ("hf://a/b/sub/Model-Q8_0.gguf", "model-q8_0"),
        ("https://example.com/x/My%20Model.gguf?download=1", "my-20model"),
        ("pypi://p==1/p/data/M.Q4_1.gguf", "m.q4_1"),
        ("/models/house-7b.gguf", "house-7b"),
    ],
)
def test_names_made_from_sources(source: str, name: str) -> None:
    assert named_after(source) == name


def test_folders_are_safe_and_never_shared() -> None:
    names = ["a/b", "a-b", "A-B", "..", "a" * 500, "é"]
    assert len({slug(name) for name in names}) == len(names)
    assert all("/" not in slug(name) and not slug(name).startswith(".") and len(slug(name)) < 100 for name in names)
