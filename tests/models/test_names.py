"""Names: the catalogue, aliases, and what is meant by a wrong one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, get_args

import pytest
from openai.types import ChatModel, EmbeddingModel

from openhearth.errors import InvalidRequest, ModelNotFound, SetupError
from openhearth.models.aliases import Aliases
from openhearth.models.catalogue import load
from openhearth.models.fetching.sources import parse
from openhearth.models.resolve import Models
from openhearth.settings import Settings, Upstream
from tests.support.gguf_file import write_gguf


def aliases(folder: Path, **own: str) -> Aliases:
    return Aliases(folder, own, default_model="chat:1", embedding_model="embed:1")


class TestCatalogue:
    def test_every_entry_can_be_fetched_as_written(self) -> None:
        for entry in load(()).entries.values():
            assert entry.files or entry.hub
            assert entry.licence
            assert entry.parameters
            assert entry.context
            assert entry.download_bytes
            for file in entry.files:
                assert file.sha256
                for place in file.places:
                    for part in [place] if isinstance(place, str) else place:
                        parse(part)

    def test_the_owners_entries_go_over_the_shipped_ones(self, tmp_path: Path) -> None:
        path = str(write_gguf(tmp_path / "m.gguf"))
        entries = load([{"name": "smollm2:135m", "path": path}]).entries
        assert entries["smollm2:135m"].path == path

    @pytest.mark.parametrize(
        "entry",
        [
            {"name": "x"},
            {"name": "x", "path": "/nowhere/m.gguf"},
            {"name": "x", "hub": "hf://a/b", "enigne": "llama"},
            {"path": "/"},
            {},
        ],
    )
    def test_a_wrong_entry_is_named(self, entry: dict[str, Any]) -> None:
        with pytest.raises(SetupError, match=r"\[\[models\]\]"):
            load([entry])


class TestAliases:
    @pytest.mark.parametrize("name", [*get_args(ChatModel), "davinci-codex", "text-davinci-003", "code-davinci-002", "davinci", "ada"])
    def test_every_chat_model_of_the_official_client(self, name: str, tmp_path: Path) -> None:
        assert aliases(tmp_path).target(name) == "chat:1"

    @pytest.mark.parametrize(
        "name",
        [*get_args(EmbeddingModel), "davinci-similarity", "ada-search-document", "curie-search-query", "babbage-code-search-code"],
    )
    def test_every_embedding_model(self, name: str, tmp_path: Path) -> None:
        assert aliases(tmp_path).target(name) == "embed:1"

    def test_a_typing_error_is_no_alias(self, tmp_path: Path) -> None:
        assert aliases(tmp_path).target("gpt-4o-mnii") is None

    def test_the_owner_decides(self, tmp_path: Path) -> None:
        table = aliases(tmp_path, **{"gpt-4": "mine:1", "ours": "mine:2", "gpt-9*": "mine:3"})
        assert [table.target(name) for name in ("gpt-4", "ours", "gpt-4o", "gpt-9-turbo")] == ["mine:1", "mine:2", "chat:1", "mine:3"]

    def test_the_file_is_read_again_when_it_changes_and_a_broken_one_changes_nothing(self, tmp_path: Path) -> None:
        file = tmp_path / "aliases.toml"
        file.write_text('"ours" = "a:1"\n')
        table = aliases(tmp_path, ours="b:1")
        assert table.target("ours") == "a:1"
        for content, meant in (('"ours" = "a:2"\n', "a:2"), ("not toml", "a:2"), ('"ours" = 5\n', "a:2"), ('"ours" = "a:3"\n', "a:3")):
            file.write_text(content)
            os.utime(file, ns=(0, file.stat().st_mtime_ns + 1_000_000))
            assert table.target("ours") == meant

    def test_a_broken_file_at_the_start_is_an_error(self, tmp_path: Path) -> None:
        (tmp_path / "aliases.toml").write_text("nonsense")
        with pytest.raises(SetupError, match=r"aliases\.toml"):
            aliases(tmp_path)


class TestResolving:
    @pytest.fixture
    def models(self, tmp_path: Path) -> Models:
        settings = Settings(
            data_dir=tmp_path,
            default_model="tiny:1",
            models=({"name": "tiny:1", "path": str(write_gguf(tmp_path / "tiny.gguf"))}, {"name": "fake:chat", "engine": "fake"}),
            upstreams=(
                Upstream("gpu", "http://127.0.0.1:9/v1", models=("org/Big-1",)),
                Upstream("any", "http://127.0.0.1:9/v1"),
            ),
            aliases={"bad": "nowhere:1", "far": "gpu/org/Big-1"},
        )
        return Models(settings)

    async def test_a_file_of_the_settings(self, models: Models) -> None:
        model = await models.resolve("gpt-4o-mini")
        assert (model.id, model.spec.kind, model.context) == ("tiny:1", "llama", 2048)
        assert model.spec.options["context"] == 2048
        assert "infill" in model.capabilities
        assert model.spec.memory_bytes > 0
        assert (await models.resolve("tiny:1")).spec is model.spec

    async def test_an_upstreams_model(self, models: Models) -> None:
        for name in ("gpu/org/Big-1", "far"):
            spec = (await models.resolve(name)).spec
            assert (spec.id, spec.kind, spec.options["model"]) == ("gpu/org/Big-1", "upstream", "org/Big-1")
        assert {model.id for model in await models.list()} == {"tiny:1", "fake:chat", "gpu/org/Big-1"}

    @pytest.mark.parametrize(
        ("name", "says"),
        [
            ("tiny", "tiny:1"),
            ("TINY:1", "tiny:1"),
            ("smolm2:135m", "smollm2:135m"),
            ("smollm2:135m", "openhearth pull smollm2:135m"),
            ("gpt-4o-mnii", "gpt-4o-mini"),
            ("bad", "nowhere:1"),
            ("gpu/org/Other", "does not exist"),
            ("x" * 100_000, "does not exist"),
            ("../../etc/passwd", "does not exist"),
        ],
    )
    async def test_what_is_not_here_says_what_may_be_meant(self, models: Models, name: str, says: str) -> None:
        with pytest.raises(ModelNotFound) as caught:
            await models.resolve(name)
        assert says in caught.value.message
        assert len(caught.value.message) < 1000

    async def test_what_the_settings_name_is_not_removed(self, models: Models) -> None:
        with pytest.raises(InvalidRequest, match="settings"):
            await models.remove("tiny:1")
