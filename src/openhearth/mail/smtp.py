"""Handing one message to an SMTP server."""

from __future__ import annotations

from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, make_msgid, parseaddr
from typing import TYPE_CHECKING, Protocol

from openhearth.errors import SetupError
from openhearth.settings import MailSettings, secret

if TYPE_CHECKING:
    import ssl
    from datetime import datetime

_PORTS = {"starttls": 587, "tls": 465, "none": 25}


class Undeliverable(Exception):
    """The server will never take this message. Says the server's code, no address."""


class Deferred(Exception):
    """It could not be sent now. Says why in a word, no address."""


class Transport(Protocol):
    """Sends a message, or raises Undeliverable or Deferred."""

    async def send(self, recipient: str, subject: str, text: str) -> None: ...


class SmtpTransport:
    """By the settings' server. Raises SetupError if their password's variable isn't set."""

    def __init__(self, settings: MailSettings) -> None:
        if not parseaddr(settings.sender)[1] or not settings.sender.isprintable():
            raise SetupError("mail: `from` is not an address.", exit_status=78)
        self._settings = settings
        self._password = secret(settings.password_env, "mail")

    async def send(self, recipient: str, subject: str, text: str) -> None:
        # Costs 20 ms and is only wanted where mail is sent.
        import aiosmtplib

        settings = self._settings
        try:
            await aiosmtplib.send(
                compose(settings.sender, recipient, subject, text),
                hostname=settings.host,
                port=settings.port or _PORTS[settings.security],
                username=settings.username,
                password=self._password,
                use_tls=settings.security == "tls",
                start_tls=settings.security == "starttls",
                tls_context=None if settings.security == "none" else self._trust(),
                timeout=settings.timeout_s,
            )
        except aiosmtplib.SMTPRecipientsRefused as error:
            raise _refusal(error.recipients[0].code) from None
        except aiosmtplib.SMTPAuthenticationError as error:
            raise Deferred(f"login refused, {error.code}") from None
        except aiosmtplib.SMTPResponseException as error:
            raise _refusal(error.code) from None
        except (aiosmtplib.SMTPException, OSError) as error:
            raise Deferred(type(error).__name__) from None

    def _trust(self) -> ssl.SSLContext:
        import ssl

        return ssl.create_default_context(cafile=self._settings.ca_file)


def compose(sender: str, recipient: str, subject: str, text: str) -> EmailMessage:
    """A plain text message. A line break in a header raises ValueError: nobody adds headers through an address or a subject."""
    message = EmailMessage(policy=SMTP)
    message["From"] = sender
    message["To"] = recipient
    message["Subject"] = subject
    message["Date"] = format_datetime(_now())
    message["Message-ID"] = make_msgid(domain=parseaddr(sender)[1].rpartition("@")[2] or "localhost")
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(text)
    return message


def _now() -> datetime:
    from datetime import UTC, datetime

    return datetime.now(UTC)


def _refusal(code: int) -> Exception:
    return Undeliverable(str(code)) if 500 <= code < 600 else Deferred(str(code))
