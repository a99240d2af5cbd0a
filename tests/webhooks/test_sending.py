"""One try, against real receivers: well-behaved, redirecting, slow, endless, with TLS."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import json
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

from openhearth.webhooks.events import sample
from openhearth.webhooks.sending import MOST_READ, Outcome, Sender
from openhearth.webhooks.signing import new_secret
from openhearth.webhooks.targets import Targets
from tests.support.receiver import Receiver, receiver

ALLOW = ["127.0.0.1"]


@pytest.fixture(scope="module")
def told() -> Iterator[Receiver]:
    with receiver() as running:
        yield running


async def send(url: str, *keys: str, sender: Sender | None = None) -> Outcome:
    event_id, body = sample("batch.completed")
    return await (sender or Sender(Targets(ALLOW), 2.0)).send(url, keys or (new_secret(),), event_id, body)


async def test_the_official_client_verifies_and_parses_it(told: Receiver) -> None:
    old, new, other = new_secret(), new_secret(), new_secret()
    assert await send(told.url("/ok/signed"), new, old) == Outcome(200)
    (came,) = told.at("/ok/signed")
    client = openai.OpenAI(api_key="none")
    for secret in (old, new):
        event = client.webhooks.unwrap(came.body, came.headers, secret=secret)
        assert event.type == "batch.completed"
        assert event.id == came.headers["webhook-id"]
        assert event.data.id == "batch_test"
    with pytest.raises(openai.InvalidWebhookSignatureError):
        client.webhooks.unwrap(came.body, came.headers, secret=other)
    with pytest.raises(openai.InvalidWebhookSignatureError):
        client.webhooks.unwrap(came.body.replace(b"batch_test", b"batch_tesT"), came.headers, secret=new)
    assert came.headers["content-type"] == "application/json"
    assert json.loads(came.body)["object"] == "event"


async def test_a_redirect_is_not_followed(told: Receiver) -> None:
    before = len(told.at("/ok"))
    assert await send(told.url("/redirect")) == Outcome(302)
    assert len(told.at("/ok")) == before


async def test_who_is_slow_is_left(told: Receiver) -> None:
    started = time.monotonic()
    assert await send(told.url("/slow"), sender=Sender(Targets(ALLOW), 0.3)) == Outcome(0, "timeout")
    assert time.monotonic() - started < 2


async def test_an_endless_answer_is_cut_off(told: Receiver) -> None:
    started = time.monotonic()
    assert await send(told.url("/endless")) == Outcome(200)
    assert time.monotonic() - started < 2
    await asyncio.sleep(0.2)
    written = told.written
    await asyncio.sleep(0.2)
    # What the kernel buffered between the two is not what we read.
    assert told.written == written < MOST_READ + 8 * 2**20


async def test_other_failures_are_told_apart(told: Receiver) -> None:
    with receiver() as gone:
        pass
    assert await send(gone.url("/ok")) == Outcome(0, "unreachable")
    assert await send(told.url("/broken")) == Outcome(0, "not_http")
    assert await send(told.url("/status/500")) == Outcome(500)
    assert await send(told.url("/ok"), sender=Sender(Targets(), 2.0)) == Outcome(0, "address_not_allowed")
    assert await send("https://nowhere.invalid/") == Outcome(0, "host_not_found")


async def test_a_name_that_is_rebound_after_the_check_changes_nothing(told: Receiver) -> None:
    """The name means an allowed address once; whoever asks again is led elsewhere."""
    asked = []

    async def resolve(host: str, _port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["127.0.0.2"]

    sender = Sender(Targets(ALLOW, resolve), 2.0)
    assert await send(told.url("/ok/rebound", "hook.example"), sender=sender) == Outcome(200)
    assert asked == ["hook.example"]
    (came,) = told.at("/ok/rebound")
    assert came.headers["host"] == f"hook.example:{told.port}"
    assert await send(told.url("/ok/rebound", "hook.example"), sender=sender) == Outcome(0, "address_not_allowed")
    assert len(told.at("/ok/rebound")) == 1


async def test_a_proxy_of_the_environment_is_not_used(told: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert await send(told.url("/ok")) == Outcome(200)


async def test_a_certificate_must_be_valid(tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(_self_signed(tmp_path))
    with receiver(tls=context) as told:
        assert await send(told.url("/ok")) == Outcome(0, "certificate")
        assert told.received == []


def _self_signed(folder: Path) -> Path:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + datetime.timedelta(days=1))
    made = made.add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
    plain = serialization.NoEncryption()
    text = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    path = folder / "self-signed.pem"
    path.write_bytes(text + made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    return path
