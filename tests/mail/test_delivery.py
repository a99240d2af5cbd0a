"""Mail: written down with what wants it, sent by a real SMTP server, tried again, never lost, never with foreign headers."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import select, update

from openhearth.errors import SetupError
from openhearth.mail.delivery import Delivery
from openhearth.mail.outbox import LINK, open_mail, post, post_nothing
from openhearth.mail.smtp import Deferred, SmtpTransport, Undeliverable, compose
from openhearth.mail.tables import MailRow
from openhearth.settings import MailSettings
from openhearth.store.database import Database
from tests.support.mailbox import Mailbox, mailbox

TO = "ada@example.com"


def transport(box: Mailbox, **more: object) -> SmtpTransport:
    settings = MailSettings(host="127.0.0.1", sender="Hearth <hearth@example.com>", port=box.port, security="none", timeout_s=5)
    return SmtpTransport(msgspec.structs.replace(settings, **more))


def delivery(database: Database, box: Mailbox) -> Delivery:
    return Delivery(database, transport(box), lambda: "https://ai.example.com")


async def write(database: Database, link: str = "/x?token=secret-token", expires_in_s: int = 3600) -> None:
    async with database.session() as session:
        post(session, TO, "A link", f"Open\n{LINK}\nplease.", link=link, expires_at=int(time.time()) + expires_in_s)


async def rows(database: Database) -> list[MailRow]:
    async with database.session() as session:
        return list(await session.scalars(select(MailRow).order_by(MailRow.position)))


async def make_due(database: Database) -> None:
    async with database.session() as session:
        await session.execute(update(MailRow).values(next_at=0))


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not true():
            await asyncio.sleep(0.02)


async def test_a_message_is_sent_once_and_its_link_forgotten(database: Database, tmp_path: Path) -> None:
    with mailbox(tmp_path) as box:
        async with delivery(database, box).at_work():
            await write(database)
            await until(lambda: bool(box.messages))
        [message] = box.messages
        assert box.envelopes == [("hearth@example.com", [TO])]
        assert (message["To"], message["From"], message["Subject"]) == (TO, "Hearth <hearth@example.com>", "A link")
        assert message.get_content().replace("\r\n", "\n") == "Open\nhttps://ai.example.com/x?token=secret-token\nplease.\n"
        # A clean stop waits until the database knows that it was sent.
        [row] = await rows(database)
        assert row.sent_at is not None
        assert (row.text, row.link) == ("", None)
        assert not await delivery(database, box).step()
        assert len(box.messages) == 1


async def test_what_was_rolled_back_is_not_sent(database: Database, tmp_path: Path) -> None:
    async def break_off() -> None:
        async with database.session() as session:
            post(session, TO, "A link", "text", link="/x", expires_at=int(time.time()) + 60)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await break_off()
    assert await rows(database) == []


async def test_it_is_tried_again_with_growing_pauses(database: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="openhearth")
    await write(database)
    with mailbox(tmp_path) as box:
        box.refusals = ["451 later", "421 busy"]
        sender, pauses = delivery(database, box), []
        for _ in range(2):
            assert await sender.step()
            assert not await sender.step()
            pauses.append((await rows(database))[0].next_at - time.time())
            await make_due(database)
        assert 25 < pauses[0] < 35 < 55 < pauses[1] < 65
        assert await sender.step()
        assert len(box.messages) == 1
    assert (await rows(database))[0].sent_at is not None
    logged = [record.getMessage() for record in caplog.records if record.name.startswith("openhearth")]
    assert len(logged) == 2
    assert not any(TO in line or "secret-token" in line for line in logged)


async def test_a_server_that_is_away_loses_nothing(database: Database, tmp_path: Path) -> None:
    await write(database)
    with mailbox(tmp_path) as box:
        pass
    assert await delivery(database, box).step()
    await make_due(database)
    with mailbox(tmp_path) as back:
        assert await delivery(database, back).step()
        assert len(back.messages) == 1


async def test_a_refused_address_is_given_up(database: Database, tmp_path: Path) -> None:
    await write(database)
    with mailbox(tmp_path) as box:
        box.at_recipients = ["550 no such user"]
        assert await delivery(database, box).step()
        await make_due(database)
        assert not await delivery(database, box).step()
        assert box.messages == []
    assert (await rows(database))[0].failed_at is not None


async def test_a_link_that_has_expired_is_not_sent(database: Database, tmp_path: Path) -> None:
    await write(database, expires_in_s=-1)
    with mailbox(tmp_path) as box:
        assert not await delivery(database, box).step()


async def test_two_processes_send_it_once(database: Database, tmp_path: Path) -> None:
    with mailbox(tmp_path) as box:
        for _ in range(5):
            await write(database)
        senders = [delivery(database, box) for _ in range(3)]

        async def drain(sender: Delivery) -> None:
            while await sender.step():
                pass

        await asyncio.gather(*(drain(sender) for sender in senders))
        assert len(box.messages) == 5


async def test_without_smtp_the_link_is_on_the_console_once(database: Database, capsys: pytest.CaptureFixture[str]) -> None:
    await write(database)
    async with database.session() as session:
        post_nothing(session, "nobody@example.com", "A link", "text", link="/y", expires_at=int(time.time()) + 60)
    console = Delivery(database, None, lambda: "http://127.0.0.1:8000")
    assert await console.step()
    assert not await console.step()
    shown = capsys.readouterr()
    assert shown.err == f"Mail for {TO}: A link\n  http://127.0.0.1:8000/x?token=secret-token\n"
    assert shown.out == ""
    async with database.session() as session:
        assert [row.recipient for row in await open_mail(session)] == [TO]


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_encrypted_with_a_login(tmp_path: Path, security: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_MAIL_PASSWORD", "right")
    with mailbox(tmp_path, security) as box:
        login = {"username": "hearth", "password_env": "TEST_MAIL_PASSWORD", "security": security}
        await transport(box, ca_file=box.ca_file, **login).send(TO, "Hello", "text")
        assert box.logins[-1] == ("hearth", "right")
        assert len(box.messages) == 1
        with pytest.raises(Deferred):
            await transport(box, **login).send(TO, "Hello", "text")  # its certificate isn't trusted
        monkeypatch.setenv("TEST_MAIL_PASSWORD", "wrong")
        with pytest.raises(Deferred, match="login refused"):
            await transport(box, ca_file=box.ca_file, **login).send(TO, "Hello", "text")
        assert len(box.messages) == 1


async def test_no_encryption_no_password(tmp_path: Path) -> None:
    """A server that offers no STARTTLS gets nothing, if that was wanted."""
    with mailbox(tmp_path) as box:
        with pytest.raises(Deferred):
            await transport(box, security="starttls").send(TO, "Hello", "text")
        assert box.messages == []


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
def test_nobody_adds_headers(end: str) -> None:
    evil = f"{end}Bcc: all@example.com"
    for sender, recipient, subject in ((TO, TO + evil, "x"), (TO, TO, "x" + evil), (TO + evil, TO, "x")):
        with pytest.raises(ValueError, match=r"."):
            compose(sender, recipient, subject, "text")
    assert b"\nBcc" not in bytes(compose(TO, TO, "x", "text")).partition(b"\r\n\r\n")[0]


async def test_an_impossible_message_doesnt_stop_the_others(database: Database, tmp_path: Path) -> None:
    async with database.session() as session:
        post(session, "a@example.com\r\nBcc: all@example.com", "x", "text", link="/x", expires_at=int(time.time()) + 60)
    await write(database)
    with mailbox(tmp_path) as box:
        while await delivery(database, box).step():
            pass
        assert [message["To"] for message in box.messages] == [TO]


def test_a_password_that_isnt_there() -> None:
    with pytest.raises(SetupError):
        SmtpTransport(MailSettings(host="x", sender="a@example.com", password_env="NOT_SET_ANYWHERE"))
    with pytest.raises(SetupError):
        SmtpTransport(MailSettings(host="x", sender="nonsense\n"))


def test_refusals_are_told_apart() -> None:
    from openhearth.mail.smtp import _refusal

    assert isinstance(_refusal(550), Undeliverable)
    assert isinstance(_refusal(450), Deferred)
