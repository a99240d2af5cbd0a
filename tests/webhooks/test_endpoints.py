"""Webhook endpoints through the official client, on a real server; and events that survive its being killed."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from openai.types.webhooks import WebhookEndpoint, WebhookEndpointList, WebhookEndpointWithSecret

from openhearth.accounts.access import DEFAULT_PROJECT
from openhearth.store.database import Database
from openhearth.webhooks.events import SUBJECTS, emit
from openhearth.webhooks.service import MOST
from tests.support.receiver import Receiver, receiver
from tests.support.serving import FAKE, KEY, RunningServer, started
from tests.support.specification import conforms

ADMIN = "sk-admin-0123456789abcdef0123456789"
CONFIG = FAKE + '\n[webhooks]\nallow = ["127.0.0.1"]\ntimeout_s = 1.0\nfirst_retry_s = 0.2\n'
DONE: Any = "batch.completed"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with started(tmp_path_factory.mktemp("webhooks"), CONFIG, environ={"OPENHEARTH_ADMIN_KEY": ADMIN}) as running:
        yield running


@pytest.fixture(scope="module")
def told() -> Iterator[Receiver]:
    with receiver() as running:
        yield running


@pytest.fixture
def client(house: RunningServer) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=house.base_url, api_key=house.key, max_retries=0) as client:
        yield client
        for made in list(client.webhooks.list(limit=100)):
            client.webhooks.delete(made.id)


def say(house: RunningServer, event_type: str = DONE, **data: str) -> str:
    """As another process of the same installation would."""

    async def in_transaction() -> str:
        database = Database(f"sqlite+aiosqlite:///{house.data_dir / 'openhearth.db'}")
        async with database.session() as session:
            event_id = await emit(session, DEFAULT_PROJECT, event_type, data or {"id": "batch_1"})
        await database.close()
        return event_id

    return asyncio.run(in_transaction())


def deliveries(house: RunningServer, endpoint_id: str, **query: Any) -> Any:
    url = f"{house.root}/openhearth/webhook_endpoints/{endpoint_id}/deliveries"
    reply = httpx.get(url, params=query, headers={"authorization": f"Bearer {house.key}"})
    assert reply.status_code == 200, reply.text
    return reply.json()


def settled(house: RunningServer, endpoint_id: str) -> Any:
    """The newest delivery, once it has ended."""
    until = time.monotonic() + 20
    while time.monotonic() < until:
        (newest, *_) = deliveries(house, endpoint_id)["data"]
        if newest["status"] != "pending":
            return newest
        time.sleep(0.05)
    raise AssertionError(newest)


@pytest.mark.parametrize("event_type", SUBJECTS)
def test_each_type_of_event_is_unwrapped(client: openai.OpenAI, house: RunningServer, told: Receiver, event_type: Any) -> None:
    made = client.webhooks.create(event_types=[event_type], name="mine", url=told.url(f"/ok/{event_type}"))
    event_id = say(house, event_type, id="thing_1")
    (came,) = told.wait(f"/ok/{event_type}")
    event = client.webhooks.unwrap(came.body, came.headers, secret=made.signing_secret)
    assert (event.id, event.type) == (event_id, event_type)
    assert event.data.id == "thing_1"  # type: ignore[union-attr]
    assert came.headers["webhook-id"] == event_id
    if "spend_alert" not in event_type:
        words = event_type.replace(".", "_").split("_")
        conforms(json.loads(came.body), "Webhook" + "".join(word.capitalize() for word in words))
        assert type(event).__name__ == "".join(word.capitalize() for word in words) + "WebhookEvent"


def test_replies_are_as_the_client_has_them(client: openai.OpenAI, told: Receiver) -> None:
    made = client.webhooks.with_raw_response.create(event_types=[DONE, "batch.failed", DONE], name="mine", url=told.url("/ok"))
    first = WebhookEndpointWithSecret.model_validate(json.loads(made.content), strict=True)
    assert first.signing_secret.startswith("whsec_")
    assert first.event_types == [DONE, "batch.failed"]
    assert first.created_at == first.updated_at
    shown = client.webhooks.with_raw_response.retrieve(first.id)
    assert (
        WebhookEndpoint.model_validate(json.loads(shown.content), strict=True).signing_secret_hint
        == f"whsec_...{first.signing_secret[-4:]}"
    )
    listed = client.webhooks.with_raw_response.list()
    assert WebhookEndpointList.model_validate(json.loads(listed.content), strict=True).data[0].id == first.id
    assert first.signing_secret not in shown.text + listed.text
    assert client.webhooks.event_types.list().data == list(SUBJECTS)


def test_pages_are_newest_first_and_stable(client: openai.OpenAI, told: Receiver) -> None:
    ids = [client.webhooks.create(event_types=[DONE], name=f"n{n}", url=told.url("/ok")).id for n in range(5)]
    page = client.webhooks.list(limit=2)
    assert [one.id for one in page.data] == [ids[4], ids[3]]
    client.webhooks.create(event_types=[DONE], name="meanwhile", url=told.url("/ok"))
    client.webhooks.delete(ids[4])
    assert [one.id for one in client.webhooks.list(limit=2, after=ids[3])] == ids[2::-1]
    with pytest.raises(openai.NotFoundError):
        client.webhooks.list(after="we_nope")


def test_changes(client: openai.OpenAI, told: Receiver) -> None:
    made = client.webhooks.create(event_types=[DONE], name="mine", url=told.url("/ok"))
    time.sleep(1.1)
    assert client.webhooks.update(made.id, name="mine").updated_at == made.updated_at
    changed = client.webhooks.update(made.id, name="ours", event_types=["eval.run.failed"])
    assert (changed.name, changed.event_types, changed.url) == ("ours", ["eval.run.failed"], made.url)
    assert (changed.updated_at or 0) > made.created_at
    gone = client.webhooks.delete(made.id)
    assert (gone.id, gone.deleted, gone.object) == (made.id, True, "webhook_endpoint.deleted")
    for act in (client.webhooks.retrieve, client.webhooks.update, client.webhooks.delete, client.webhooks.rotate_secret):
        with pytest.raises(openai.NotFoundError):
            act(made.id)


def test_a_rotated_secret_counts_at_once_and_the_old_one_for_a_day_if_asked(
    client: openai.OpenAI, house: RunningServer, told: Receiver
) -> None:
    made = client.webhooks.create(event_types=[DONE], name="mine", url=told.url("/ok/rotated"))
    second = client.webhooks.rotate_secret(made.id, keep_old_secret_active_for_24_hours=True).signing_secret
    say(house)
    (came,) = told.wait("/ok/rotated")
    for secret in (made.signing_secret, second):
        client.webhooks.unwrap(came.body, came.headers, secret=secret)
    third = client.webhooks.rotate_secret(made.id).signing_secret
    say(house)
    came = told.wait("/ok/rotated", 2)[1]
    client.webhooks.unwrap(came.body, came.headers, secret=third)
    for secret in (made.signing_secret, second):
        with pytest.raises(openai.InvalidWebhookSignatureError):
            client.webhooks.unwrap(came.body, came.headers, secret=secret)


def test_a_test_sends_a_sample_at_once(client: openai.OpenAI, told: Receiver) -> None:
    made = client.webhooks.create(event_types=[DONE], name="mine", url=told.url("/ok/tried"))
    result = client.webhooks.test(made.id, event_type="fine_tuning.job.succeeded")
    assert (result.status_code, result.success, result.webhook_endpoint_id) == (200, True, made.id)
    (came,) = told.at("/ok/tried")
    event = client.webhooks.unwrap(came.body, came.headers, secret=made.signing_secret)
    assert event.type == "fine_tuning.job.succeeded"
    client.webhooks.update(made.id, url=told.url("/status/418"))
    assert client.webhooks.test(made.id, event_type=DONE).status_code == 418
    client.webhooks.update(made.id, url=told.url("/slow"))
    with pytest.raises(openai.BadRequestError, match="no answer in time"):
        client.webhooks.test(made.id, event_type=DONE)
    assert client.webhooks.retrieve(made.id).updated_at


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "http://hook.invalid/"}, {"url": "https://10.0.0.1/"}, {"url": "https://169.254.169.254/latest"},
        {"url": "http://localhost./x#y"},

        {"url": "https://user:pass@127.0.0.1/"}, {"url": "https://[::ffff:10.0.0.1]/"}, {"url": ""},
        {"url": "https://127.0.0.1/" + "x" * 2048},
        {"name": ""}, {"name": "x" * 257}, {"name": "a\nb"}, {"name": None},
        {"event_types": []}, {"event_types": ["video.completed"]}, {"event_types": ["batch.sung"]}, {"event_types": "batch.completed"},
        {"secret": "whsec_mine"},
    ],
)  # fmt: skip
def test_mistakes_are_named(client: openai.OpenAI, house: RunningServer, told: Receiver, wrong: dict[str, Any]) -> None:
    given: Any = {"event_types": [DONE], "name": "mine", "url": told.url("/ok"), **wrong}
    reply = httpx.post(house.base_url + "/webhook_endpoints", json=given, headers={"authorization": f"Bearer {house.key}"})
    assert reply.status_code == 400, reply.text
    assert reply.json()["error"]["param"].split("[")[0] == next(iter(wrong))
    assert not list(client.webhooks.list())


def test_a_project_has_so_many(client: openai.OpenAI, told: Receiver) -> None:
    for number in range(MOST):
        client.webhooks.create(event_types=[DONE], name=f"n{number}", url=told.url("/ok"))
    with pytest.raises(openai.BadRequestError, match=str(MOST)):
        client.webhooks.create(event_types=[DONE], name="one more", url=told.url("/ok"))


def test_who_may(house: RunningServer, told: Receiver) -> None:
    with openai.OpenAI(base_url=house.base_url, api_key=ADMIN, max_retries=0) as admin, pytest.raises(openai.PermissionDeniedError):
        admin.webhooks.list()
    stranger = openai.OpenAI(base_url=house.base_url, api_key="sk-wrong-0123456789", max_retries=0)
    with stranger, pytest.raises(openai.AuthenticationError):
        stranger.webhooks.create(event_types=[DONE], name="mine", url=told.url("/ok"))


def test_what_was_delivered_can_be_seen_without_contents(client: openai.OpenAI, house: RunningServer, told: Receiver) -> None:
    made = client.webhooks.create(event_types=[DONE], name="mine", url=told.url("/then/2/seen"))
    event_id = say(house, id="batch_secret")
    newest = settled(house, made.id)
    assert (newest["id"], newest["status"], newest["status_code"], newest["attempts"]) == (event_id, "delivered", 200, 3)
    assert "batch_secret" not in json.dumps(newest)
    client.webhooks.update(made.id, url=told.url("/gone"))
    second = say(house)
    assert settled(house, made.id)["status"] == "failed"
    page = deliveries(house, made.id, limit=1)
    assert page["disabled_at"]
    assert page["has_more"]
    assert [one["id"] for one in page["data"]] == [second]
    assert [one["id"] for one in deliveries(house, made.id, after=second)["data"]] == [event_id]


def test_acts_are_in_the_audit_log_without_secrets(client: openai.OpenAI, house: RunningServer, told: Receiver) -> None:
    made = client.webhooks.create(event_types=[DONE], name="mine", url=told.url("/ok/T0KEN"))
    client.webhooks.update(made.id, name="ours")
    rotated = client.webhooks.rotate_secret(made.id)
    client.webhooks.delete(made.id)
    with sqlite3.connect(f"file:{house.data_dir / 'openhearth.db'}?mode=ro", uri=True) as log:
        rows = log.execute("SELECT details FROM audit_logs WHERE details LIKE ? ORDER BY position", [f"%{made.id}%"]).fetchall()
    told_of = [json.loads(row[0]) for row in rows]
    changed = [each["changes_requested"]["webhook_endpoint"] for each in told_of]
    assert [each["act"] for each in changed] == ["created", "updated", "secret_rotated", "deleted"]
    assert (told_of[1]["before"]["webhook_endpoint"]["name"], changed[1]["name"]) == ("mine", "ours")
    assert not any(secret in str(rows) for secret in (made.signing_secret, rotated.signing_secret, "T0KEN"))


def test_events_survive_kill_minus_nine(tmp_path: Path) -> None:
    """Killed after an event was written down and tried in vain, and killed with one that was never tried."""
    with receiver() as gone:
        port = gone.port
    with started(tmp_path, CONFIG) as house:
        with openai.OpenAI(base_url=house.base_url, api_key=KEY, max_retries=0) as client:
            made = client.webhooks.create(event_types=[DONE], name="mine", url=gone.url("/ok"))
        tried = say(house)
        until = time.monotonic() + 20
        while not deliveries(house, made.id)["data"][0]["failure"]:
            assert time.monotonic() < until
            time.sleep(0.02)
        house.process.kill()
        house.process.wait()
    untried = say(house)
    with receiver(port) as told, started(tmp_path, CONFIG) as house:
        came = told.wait("/ok", 2, wait_s=40)  # killed in the middle of a try, it must wait for its claim to end
        assert {one.headers["webhook-id"] for one in came} == {tried, untried}
        client = openai.OpenAI(api_key="none")
        assert {client.webhooks.unwrap(one.body, one.headers, secret=made.signing_secret).id for one in came} == {tried, untried}
        assert settled(house, made.id)["status"] == "delivered"


def test_without_the_setting_nothing_goes_to_this_machine(server: RunningServer, told: Receiver) -> None:
    with openai.OpenAI(base_url=server.base_url, api_key=server.key, max_retries=0) as client:
        for host in ("127.0.0.1", "localhost", "127.1", "[::1]"):
            with pytest.raises(openai.BadRequestError, match=r"not public|resolved"):
                client.webhooks.create(event_types=[DONE], name="mine", url=told.url("/ok/never", host))
    assert told.at("/ok/never") == []
