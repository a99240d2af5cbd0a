"""Names of other servers' models: what a server lists, what the owner names, and nothing that a client makes up."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from openhearth.errors import EngineUnavailable, ModelNotFound
from openhearth.models import upstreams
from openhearth.models.resolve import Models
from openhearth.settings import Settings, Upstream
from tests.support.scripted import Step, broken, refuse, reply, scripted, text
from tests.support.serving import KEY, started


def listing(*names: str) -> Step:
    return reply({"object": "list", "data": [{"id": name, "object": "model"} for name in names]})


def models(folder: Path, base_url: str, **settings: Any) -> Models:
    return Models(Settings(data_dir=folder, upstreams=(Upstream("b", base_url, retries=0),), **settings))


async def test_what_the_server_lists_is_asked_for_once(tmp_path: Path) -> None:
    async with scripted(broken, models=listing("chat-large", "nomic-embed-text")) as far:
        names = models(tmp_path, far.base_url)
        found = [await names.resolve("b/chat-large") for _ in range(5)]
        assert (found[0].id, found[0].task, found[0].spec.options["model"]) == ("b/chat-large", "chat", "chat-large")
        assert all(each.spec is found[0].spec for each in found)
        assert (await names.resolve("b/nomic-embed-text")).task == "embedding"
        assert len(far.listed) == 1


async def test_what_it_does_not_list_is_no_model_and_near_names_are_told(tmp_path: Path) -> None:
    async with scripted(broken, models=listing("chat-large", "org/chat-small")) as far:
        names = models(tmp_path, far.base_url)
        for _ in range(50):
            with pytest.raises(ModelNotFound, match=r"'b/chat-lrage' does not exist. Did you mean 'b/chat-large'"):
                await names.resolve("b/chat-lrage")
        assert len(far.listed) == 1
        assert (await names.resolve("b/org/chat-small")).id == "b/org/chat-small"


async def test_a_model_that_came_later_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upstreams, "ASKED_AGAIN_S", 0.0)
    async with scripted(broken, models=listing("old")) as far:
        names = models(tmp_path, far.base_url)
        with pytest.raises(ModelNotFound):
            await names.resolve("b/new")
        far.listing = listing("old", "new")
        assert (await names.resolve("b/new")).id == "b/new"


async def test_ollamas_names_without_their_tag(tmp_path: Path) -> None:
    async with scripted(broken, models=listing("llama3:latest")) as far:
        assert (await models(tmp_path, far.base_url).resolve("b/llama3")).id == "b/llama3:latest"


async def test_names_of_the_owners_settings_are_not_looked_up(tmp_path: Path) -> None:
    async with scripted(broken, models=listing()) as far:
        names = models(tmp_path, far.base_url, aliases={"ours": "b/hidden"}, default_model="b/main")
        for name in ("ours", "b/hidden", "b/main", "gpt-4o"):
            assert (await names.resolve(name)).spec.kind == "upstream"
        assert far.listed == []


@pytest.mark.parametrize(
    ("step", "error", "says"),
    [
        (refuse(404), ModelNotFound, r"no list of models.*models = "),
        (refuse(405), ModelNotFound, r"no list of models.*models = "),
        (refuse(401), EngineUnavailable, "refused its key"),
        (refuse(500), EngineUnavailable, "status 500"),
        (text("<html>", "text/html"), EngineUnavailable, "web page"),
        (broken, EngineUnavailable, "can't be reached"),
    ],
)
async def test_a_server_that_can_not_say_what_it_has(tmp_path: Path, step: Step, error: type[Exception], says: str) -> None:
    async with scripted(broken, models=step) as far:
        names = models(tmp_path, far.base_url)
        for _ in range(3):
            with pytest.raises(error, match=says):
                await names.resolve("b/chat")
        assert len(far.listed) <= 2, "aiohttp itself asks a second time when a connection breaks"
        assert [model.id for model in await names.list()] == []


async def test_a_listing_that_fails_later_forgets_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upstreams, "REMEMBERED_S", 0.0)
    async with scripted(broken, models=listing("chat")) as far:
        names = models(tmp_path, far.base_url)
        await names.resolve("b/chat")
        far.listing = broken
        assert await names.list() == []
        assert (await names.resolve("b/chat")).id == "b/chat"


async def test_no_name_that_a_client_makes_up_leaves_an_engine_or_a_metric(tmp_path: Path) -> None:
    gone = refuse(404, "The model `x0` does not exist.", code="model_not_found")
    async with scripted(gone, models=listing("x0")) as far:
        config = f'default_model = "b/x0"\npreload = []\n[[upstreams]]\nname = "b"\nbase_url = "{far.base_url}"\nretries = 0\n'
        with started(tmp_path / "near", config) as near:
            async with aiohttp.ClientSession(near.root, headers={"authorization": f"Bearer {KEY}"}) as http:
                for number in range(40):
                    body = {"model": f"b/x{number}", "messages": [{"role": "user", "content": "Hi"}], "stream": number % 2 == 0}
                    async with http.post("/v1/chat/completions", json=body) as response:
                        error = (await response.json())["error"]
                        assert (response.status, error["code"]) == (404, "model_not_found")
                        assert f"'b/x{number}'" in error["message"]
                async with http.get("/openhearth/engines") as response:
                    assert (await response.json())["data"] == []
                async with http.get("/metrics") as response:
                    assert set(re.findall(r"b/x\d+", await response.text())) <= {"b/x0"}, "x0 is listed"
