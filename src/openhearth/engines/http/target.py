"""Where to connect, and how."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote, urlsplit

P = TypeVar("P", bound=asyncio.Protocol)
_PATH_CHARACTERS = "/%:@!$&'()*+,;=~?"


class ConnectTimeout(TimeoutError):
    """No connection in time."""


@dataclass(frozen=True)
class Target:
    """Where to connect, and what every request's head says of it."""

    host: str
    port: int
    path: str
    """In front of every request's path."""
    tls: bool = False
    socket: str | None = None

    @classmethod
    def of(cls, url: str, socket: Path | None = None) -> Target:
        """From an absolute http or https URL; with `socket` only its path counts."""
        parts = urlsplit(url)
        tls = parts.scheme == "https"
        host = parts.hostname or "localhost"
        if not host.isascii():
            host = host.encode("idna").decode()
        return cls(host, parts.port or (443 if tls else 80), quote(parts.path, _PATH_CHARACTERS), tls, str(socket) if socket else None)

    @property
    def named(self) -> str:
        """For the `host` header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.tls else 80) else f"{host}:{self.port}"

    async def connected(self, make: Callable[[], P], timeout_s: float, tls: ssl.SSLContext | None) -> P:
        """A new connection with its protocol. Raises ConnectTimeout, OSError."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(timeout_s):
                if self.socket is not None:
                    return (await loop.create_unix_connection(make, self.socket))[1]
                name = self.host if tls else None
                return (await loop.create_connection(make, self.host, self.port, ssl=tls, server_hostname=name))[1]
        except TimeoutError:
            raise ConnectTimeout from None
