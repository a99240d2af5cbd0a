"""Who may see which secret: credentials are bound to one origin. Also `~/.netrc` and proxies, as other tools read them."""

from __future__ import annotations

import base64
import netrc
import os
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

Origin = tuple[str, str, int | None]
_PORTS = {"https": 443, "http": 80}


@dataclass(frozen=True)
class Credentials:
    """An Authorization header for one scheme, host and port."""

    origin: Origin
    authorization: str = field(repr=False)

    @classmethod
    def bearer(cls, url: str, token: str) -> Credentials:
        return cls(origin(url), f"Bearer {token}")

    @classmethod
    def basic(cls, url: str, user: str, password: str) -> Credentials:
        return cls(origin(url), "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode())

    def are_for(self, url: str) -> bool:
        return origin(url) == self.origin

    def headers(self) -> dict[str, str]:
        return {"authorization": self.authorization}


def origin(url: str) -> Origin:
    """Scheme, host and port, which decide together who is spoken to."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or _PORTS.get(parts.scheme)


def taken_out(url: str) -> tuple[str, Credentials | None]:
    """The URL without its `user:password@`, and those as credentials."""
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    plain = urlunsplit(parts._replace(netloc=host))
    if not at:
        return url, None
    name, _, password = user.partition(":")
    return plain, Credentials.basic(plain, unquote(name), unquote(password))


def from_netrc(url: str) -> Credentials | None:
    """What the user's netrc file has for exactly this host. Its `default` entry is left alone: redirects would carry it anywhere."""
    host = urlsplit(url).hostname or ""
    try:
        entry = netrc.netrc(os.environ.get("NETRC") or str(Path.home() / ".netrc")).hosts.get(host)
    except (OSError, netrc.NetrcParseError, RuntimeError):
        return None
    return Credentials.basic(url, entry[0], entry[2]) if entry and host != "default" else None


def proxy_for(url: str) -> str | None:
    """The proxy that the machine's settings (`HTTPS_PROXY`, `NO_PROXY`...) name for this URL."""
    import urllib.request

    parts = urlsplit(url)
    host = parts.hostname or ""
    if urllib.request.proxy_bypass(host):
        return None
    return urllib.request.getproxies().get(parts.scheme)
