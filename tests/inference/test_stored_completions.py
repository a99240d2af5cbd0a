"""Stored chat completions, through the official client, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from tests.support.databases import KINDS
from tests.support.serving import RunningServer, started
from tests.support.specification import conforms

HELLO: list[Any] = [{"role": "system", "content": [{"type": "text", "text": "Be brief."}]}, {"role": "user", "content": "[[say:Hello]]"}]


@pytest.fixture(scope="module", params=KINDS)
def house(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    folder: Path = tmp_path_factory.mktemp("stored")
    postgresql = request.param == "postgresql"
    environ = {"OPENHEARTH_DATABASE_URL": request.getfixturevalue("postgres").empty()} if postgresql else {}
    with started(folder, environ=environ) as running:
        yield running
    assert (folder / "openhearth.db").exists() != postgresql


@pytest.fixture
def client(house: RunningServer) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=house.base_url, api_key=house.key, max_retries=0) as client:
        yield client
        for kept in list(client.chat.completions.list(limit=100)):
            client.chat.completions.delete(kept.id)


def keep(client: openai.OpenAI, **labels: str) -> str:
    return client.chat.completions.create(model="gpt-4o", messages=HELLO, store=True, metadata=labels, temperature=0.5).id


def test_only_what_was_asked_to_be_stored_is(client: openai.OpenAI) -> None:
    client.chat.completions.create(model="gpt-4o", messages=HELLO)
    assert not list(client.chat.completions.list())
    stored = keep(client, topic="greeting")
    (found,) = client.chat.completions.list()
    assert found.id == stored
    assert found.choices[0].message.content == "Hello"
    assert found.metadata == {"topic": "greeting"}
    assert client.chat.completions.retrieve(stored) == found


def test_a_streamed_one_is_stored_whole(client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(model="gpt-4o", messages=HELLO, store=True, stream=True, n=2)
    chunks = list(stream)
    kept = client.chat.completions.retrieve(chunks[0].id)
    assert [choice.message.content for choice in kept.choices] == ["Hello", "Hello"]
    assert kept.usage
    assert kept.usage.completion_tokens


def test_it_is_found_by_metadata_and_model(client: openai.OpenAI) -> None:
    one, two = keep(client, topic="a", lang="en"), keep(client, topic="a", lang="zh")
    keep(client, topic="b")
    assert {kept.id for kept in client.chat.completions.list(metadata={"topic": "a"})} == {one, two}
    assert [kept.id for kept in client.chat.completions.list(metadata={"topic": "a", "lang": "zh"})] == [two]
    assert len(list(client.chat.completions.list(model="fake:chat"))) == 3
    assert not list(client.chat.completions.list(model="other"))
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.list(metadata={'a"b': "x"})


def test_pages(client: openai.OpenAI) -> None:
    ids = [keep(client) for _ in range(5)]
    assert [kept.id for kept in client.chat.completions.list(limit=2)] == ids
    assert [kept.id for kept in client.chat.completions.list(limit=2, order="desc")] == ids[::-1]
    page = client.chat.completions.list(limit=2, after=ids[1])
    assert [kept.id for kept in page.data] == ids[2:4]
    assert page.has_more
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.list(after="chatcmpl-nope")


def test_update_and_delete(client: openai.OpenAI) -> None:
    stored = keep(client, topic="a")
    assert client.chat.completions.update(stored, metadata={"rating": "good"}).metadata == {"rating": "good"}
    assert client.chat.completions.retrieve(stored).metadata == {"rating": "good"}
    assert client.chat.completions.delete(stored).deleted
    for act in (client.chat.completions.retrieve, client.chat.completions.delete):
        with pytest.raises(openai.NotFoundError):
            act(stored)


def test_its_messages(client: openai.OpenAI) -> None:
    stored = keep(client)
    system, user = client.chat.completions.messages.list(stored)
    assert (user.id, user.content, user.content_parts) == (f"{stored}-1", "[[say:Hello]]", None)
    assert system.content_parts
    assert system.content_parts[0].to_dict()["text"] == "Be brief."
    assert [message.id for message in client.chat.completions.messages.list(stored, order="desc", limit=1)] == [user.id, system.id]


def test_replies_are_what_the_specification_says(client: openai.OpenAI, house: RunningServer) -> None:
    stored = keep(client, topic="a")
    with httpx.Client(base_url=house.base_url, headers={"authorization": f"Bearer {house.key}"}) as http:
        conforms(http.get("/chat/completions").json(), "ChatCompletionList")
        messages = http.get(f"/chat/completions/{stored}/messages").json()
        # Its schema knows assistants' messages only; its own example shows a user's.
        conforms({**messages, "data": [{**message, "role": "assistant"} for message in messages["data"]]}, "ChatCompletionMessageList")
        conforms(http.delete(f"/chat/completions/{stored}").json(), "ChatCompletionDeleted")


def test_they_survive_the_server(tmp_path: Path) -> None:
    with started(tmp_path / "data") as first:
        with openai.OpenAI(base_url=first.base_url, api_key=first.key) as client:
            stored = keep(client, topic="kept")
        first.process.kill()
        first.process.wait()
    with started(tmp_path / "data") as second, openai.OpenAI(base_url=second.base_url, api_key=second.key) as client:
        assert client.chat.completions.retrieve(stored).metadata == {"topic": "kept"}


@pytest.mark.parametrize("key", ["a.b", "$", "a[0]", "$.a", "a'b", "100%", "schl\u00fcssel", "\u6cb3", "a b", "--"])
def test_any_other_key_finds_what_has_it(client: openai.OpenAI, key: str) -> None:
    stored = keep(client, **{key: "x"})
    keep(client, other="x")
    assert [kept.id for kept in client.chat.completions.list(extra_query={f"metadata[{key}]": "x"})] == [stored]


@pytest.mark.parametrize("key", ['a"b', "a\\b", "a\x01b", "a\nb", "a\x7f", '"', '" OR 1=1'])
def test_keys_that_no_database_should_meet(client: openai.OpenAI, key: str) -> None:
    keep(client, topic="a")
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.list(extra_query={f"metadata[{key}]": "x"})
    assert refused.value.param == "metadata"


def test_null_characters_harm_nobody(client: openai.OpenAI) -> None:
    """PostgreSQL can't hold them in text, and can't look into JSON that has them."""
    kept = keep(client, topic="a")
    with pytest.raises(openai.BadRequestError):
        keep(client, topic="a\x00b")
    for nowhere in ("chatcmpl-\x00", "chatcmpl-nope"):
        with pytest.raises((openai.NotFoundError, openai.BadRequestError)):
            client.chat.completions.retrieve(nowhere)
    for act in (
        lambda: client.chat.completions.update(kept, metadata={"topic": "\x00"}),
        lambda: client.chat.completions.list(after="\x00"),
    ):
        with suppress(openai.BadRequestError, openai.NotFoundError):
            act()
    with suppress(openai.BadRequestError):
        assert not list(client.chat.completions.list(metadata={"topic": "x\x00"}))
    client.chat.completions.update(kept, metadata={"topic": "b"})
    assert kept in [found.id for found in client.chat.completions.list(metadata={"topic": "b"})]
