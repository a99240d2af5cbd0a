"""`/v1/models` and `/v1/engines` through a real server."""

from __future__ import annotations

import httpx
import openai
import pytest
from openai.types import Model

from tests.support.serving import RunningServer


@pytest.fixture
def client(server: RunningServer) -> openai.OpenAI:
    return openai.OpenAI(base_url=server.base_url, api_key=server.key, max_retries=0)


def get(server: RunningServer, path: str) -> httpx.Response:
    return httpx.get(server.base_url + path, headers={"authorization": f"Bearer {server.key}"})


def test_real_models_are_listed_with_openais_fields(server: RunningServer, client: openai.OpenAI) -> None:
    reply = get(server, "/models").json()
    assert set(reply) == {"object", "data"}
    for model in reply["data"]:
        assert set(model) == {"id", "object", "created", "owned_by"}
        Model.model_validate(model, strict=True)
    assert {"fake:chat", "fake:embed"} <= {model.id for model in client.models.list()}


def test_an_alias_tells_the_model_that_it_means(client: openai.OpenAI) -> None:
    assert client.models.retrieve("fake:chat").id == "fake:chat"
    assert client.models.retrieve("gpt-4").id == "fake:chat"
    assert client.models.retrieve("text-embedding-3-small").id == "fake:embed"


def test_an_unknown_one_is_a_404(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as missing:
        client.models.retrieve("no/such-model")
    assert missing.value.code == "model_not_found"
    with pytest.raises(openai.NotFoundError):
        client.models.delete("no/such-model")


def test_an_alias_is_not_deleted_for_what_it_means(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="another name of 'fake:chat'"):
        client.models.delete("gpt-4")


def test_the_older_engines_are_the_same_models(client: openai.OpenAI, server: RunningServer) -> None:
    # Other tests may have left its engine dead; then it isn't ready until it is asked.
    client.chat.completions.create(model="gpt-4", messages=[{"role": "user", "content": "hello"}])
    reply = get(server, "/engines").json()
    assert reply["object"] == "list"
    assert [engine["id"] for engine in reply["data"]] == [model["id"] for model in get(server, "/models").json()["data"]]
    engine = get(server, "/engines/davinci-codex").json()
    assert engine == {"id": "fake:chat", "object": "engine", "owner": engine["owner"], "ready": True, "created": None, "permissions": None}
    assert get(server, "/engines/no-such-engine").status_code == 404


def test_what_can_not_be_deleted_goes_on_running(own_server: RunningServer) -> None:
    with openai.OpenAI(base_url=own_server.base_url, api_key=own_server.key, max_retries=0) as client:
        client.completions.create(model="fake:chat", prompt="[[say:x]]")
        engines = own_server.children()
        assert engines
        with pytest.raises(openai.BadRequestError, match="settings"):
            client.models.delete("fake:chat")
        assert own_server.children() == engines
        assert all(engine.is_running() for engine in engines)
